"""Pixels of photos: frames of cameras, decoded pixels, and arrays of a caller."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn._private.arguments import is_whole_number
from mpscnn._private.arrays import AsArray, as_array, unchanging
from mpscnn._private.literals import ChannelOrderName
from mpscnn.errors import Error, ImageError, ParameterError
from mpscnn.vision.integer_range import GIVE_BITS, require_all_bits
from mpscnn.vision.upright import upright

_ARRAY_FORMATS = {  # (dtype, channel order) -> the core's name of the pixel format
    ("uint8", "gray"): "gray8",
    ("uint8", "gray_alpha"): "gray_alpha8",
    ("uint8", "rgb"): "rgb8",
    ("uint8", "rgba"): "rgba8",
    ("uint8", "rgbx"): "rgbx8",
    ("uint8", "bgr"): "bgr8",
    ("uint8", "bgra"): "bgra8",
    ("uint8", "bgrx"): "bgrx8",
    ("uint16", "gray"): "gray16",
    ("uint16", "rgb"): "rgb16",
    ("uint16", "rgba"): "rgba16",
    ("float16", "rgba"): "rgba16f",
    ("float32", "gray"): "gray32f",
    ("float32", "rgb"): "rgb32f",
    ("float32", "rgba"): "rgba32f",
}
_CHANNELS = {"gray": 1, "gray_alpha": 2, "rgb": 3, "bgr": 3, "rgba": 4, "rgbx": 4, "bgra": 4, "bgrx": 4}
_BEYOND = 0.5  # the amount by which floats may be below 0 or above 1
#: The number of rows and columns that a checksum of pixels reads.
_CHECKED_SIDE = 32
_USUAL_ORDERS = {1: "gray", 2: "gray_alpha", 3: "rgb", 4: "rgba"}


@dataclass(frozen=True, eq=False)
class YuvImage(AsArray):
    """A frame of a camera or video decoder: luma, and two chroma samples for each 2 x 2 pixels.

    It is accepted wherever a photo is. Arrays are read in place if the pixels of a row are contiguous.
    docs/preprocessing.md describes the conversion to RGB.

    Args:
        y: luma, uint8 (height, width).
        u: for NV12 the pairs (blue, red), uint8 (rows, columns, 2) or (rows, 2 * columns), with half of y's height and
            width, rounded up. For I420, with `v`, only the blue differences (rows, columns).
        v: the red differences, (rows, columns).
        matrix: "bt601" or "bt709" (usual for 720 lines and more).
        range: "video" (luma 16 to 235, chroma 16 to 240) or "full" (0 to 255).
        siting: the horizontal position of chroma samples: "left", at the left column, as in H.264 and HEVC, or
            "center", between the two columns, as in JPEG.
        orientation: EXIF, 1 to 8.

    Raises:
        ImageError: an array has another type or size, or another argument is invalid.
    """

    y: NDArray[np.uint8]
    u: NDArray[np.uint8]
    v: NDArray[np.uint8] | None = None
    matrix: Literal["bt601", "bt709"] = "bt601"
    range: Literal["video", "full"] = "video"
    siting: Literal["left", "center"] = "left"
    orientation: int = 1

    def __post_init__(self) -> None:
        for name in ("y", "u", "v"):
            plane = getattr(self, name)
            if plane is None and name == "v":
                continue
            plane = _plane(name, plane)
            if name == "u" and self.v is None and plane.ndim == 2 and plane.shape[1] % 2 == 0:
                plane = plane.reshape(plane.shape[0], plane.shape[1] // 2, 2)
            object.__setattr__(self, name, plane)
        if self.v is not None and self.u.strides != self.v.strides:
            for name in ("u", "v"):
                object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name)))
        if not is_orientation(self.orientation):
            raise ImageError(f"YuvImage: orientation is {self.orientation!r}, EXIF defines 1 to 8")
        try:
            self._core()  # raises an error for other invalid arguments
        except Error as error:
            raise ImageError(f"YuvImage: {error}") from error

    def _as_array(self) -> NDArray[np.uint8]:
        return photo_of_frame(self)._as_array()

    def _core(self) -> _core.Pixels:
        return _core.Pixels.yuv(
            self.y, self.u, self.v, self.matrix, self.range, self.siting, self.orientation
        )

    def __repr__(self) -> str:
        kind = "NV12" if self.v is None else "I420"
        return f"<YuvImage: {kind}, {self.y.shape[1]} x {self.y.shape[0]}, {self.matrix}, {self.range} range>"


#: The names of EXIF's orientations from 1 on in CGImagePropertyOrientation.
ORIENTATIONS = ("up", "upMirrored", "down", "downMirrored", "leftMirrored", "right", "rightMirrored", "left")


def is_orientation(value: object) -> bool:
    """Return True if the value is one of EXIF's orientations, 1 to 8."""
    return is_whole_number(value) and 1 <= value <= 8


def _plane(name: str, plane: Any) -> NDArray[np.uint8]:
    """Return a plane without a copy if the core can read it, otherwise a copy."""
    try:
        array = as_array(name, plane)
    except Error as error:
        raise ImageError(f"YuvImage: {error}") from error
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or 0 in array.shape:
        raise ImageError(
            f"YuvImage: {name} must be uint8 of 2 axes, or 3 for NV12's pairs, got {array.shape} {array.dtype}"
        )
    dense = array[:1].flags.c_contiguous and array.strides[0] != 0
    return array if dense else np.ascontiguousarray(array)


@dataclass(frozen=True)
class Photo(AsArray):
    """Decoded pixels (height, width, channels). They are not yet rotated by the EXIF `orientation` (1 to 8).

    `np.asarray(photo)` is the upright photo as RGB, uint8 of the `shape`, with white behind transparent parts, as
    pictures show it.
    """

    pixels: NDArray[Any]
    """The pixels, or the luma plane of a YuvImage."""
    format: str
    orientation: int
    name: str
    yuv: YuvImage | None = None
    reduction: int = 1
    """The factor by which both sides of the JPEG file's picture are larger than the pixels: 1, 2, 4 or 8."""
    is_shared: bool = False
    """True if the caller gave the pixels as an array or Pillow image, and may write the next frame there."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the upright photo."""
        height, width = self.pixels.shape[:2]
        return (height, width) if self.orientation >= 5 else (width, height)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, 3), the shape of `np.asarray(photo)`."""
        return (*self.size[::-1], 3)

    def _as_array(self) -> NDArray[np.uint8]:
        require_pillow("an array of a photo")
        return np.asarray(upright(self))

    @property
    def core(self) -> _core.Pixels:
        """The pixels for the core. They keep the arrays alive."""
        if self.yuv is not None:
            return self.yuv._core()
        pixels, pixel_format = self.pixels, self.format
        if pixel_format == "rgb8" and pixels.strides[1] != 3:
            pixels, pixel_format = _with_fourth_bytes(pixels)
        return _core.Pixels(pixels, pixel_format, self.orientation)

    def unchanging(self) -> Photo:
        """Return the photo with pixels of its own, for a later time: a copy if they may be the caller's."""
        if not self.is_shared:
            return self
        yuv = self.yuv
        if yuv is None:
            return replace(self, pixels=unchanging(self.pixels), is_shared=False)
        v = None if yuv.v is None else unchanging(yuv.v)
        yuv = replace(yuv, y=unchanging(yuv.y), u=unchanging(yuv.u), v=v)
        return replace(self, pixels=yuv.y, yuv=yuv, is_shared=False)

    def __repr__(self) -> str:
        width, height = self.size
        return f"<Photo {self.name!r}: {width} x {height}, {self.format}>"


def _with_fourth_bytes(pixels: NDArray[Any]) -> tuple[NDArray[Any], str]:
    """Return RGB pixels that are four bytes apart with the bytes between them; other pixels are copied."""
    whole = pixels.base
    if (
        isinstance(whole, np.ndarray)
        and whole.shape == (*pixels.shape[:2], 4)
        and whole.flags.c_contiguous
        and whole.__array_interface__["data"] == pixels.__array_interface__["data"]
    ):
        return whole, "rgbx8"
    return np.ascontiguousarray(pixels), "rgb8"


def photo_of_frame(frame: YuvImage) -> Photo:
    """Return the photo of a frame, which keeps its planes."""
    form = "nv12" if frame.v is None else "i420"
    return Photo(frame.y, form, frame.orientation, repr(frame), frame, is_shared=True)


class KeptPhoto(NamedTuple):
    """The photo that a result keeps: the given object, or its pixels if it cannot be read again.

    Attributes:
        photo: the photo.
        checksum: the `pixels_checksum` of pixels in memory of the caller; None for other photos.
    """

    photo: Any
    checksum: int | None


def kept_photo(photo: Any, opened: Photo, channel_order: ChannelOrderName | None) -> KeptPhoto:
    """Return what a result keeps as its photo."""
    passing = hasattr(photo, "read") or isinstance(photo, memoryview)
    kept = opened if channel_order is not None or passing else photo
    return KeptPhoto(kept, pixels_checksum(opened) if opened.is_shared else None)


def pixels_checksum(photo: Photo) -> int:
    """Return a checksum of some thousand samples of the pixels, which tells two frames of a camera apart."""
    planes = [photo.pixels] if photo.yuv is None else [photo.yuv.y, photo.yuv.u, photo.yuv.v]
    checksum = 0
    for plane in planes:
        if plane is not None:
            rows, columns = (max(1, side // _CHECKED_SIDE) for side in plane.shape[:2])
            checksum = zlib.crc32(plane[::rows, ::columns].tobytes(), checksum)
    return checksum


def photo_of_array(
    photo: Any, order: str | None = None, origin: str = "", *, has_bits: bool = False
) -> Photo:
    """Return the photo of an array in a channel order. Raises the errors of `open_photo`."""
    try:
        pixels = as_array("photo", photo)
    except Error as error:
        raise ImageError(str(error)) from error
    if pixels.dtype.kind not in "uifb":
        if isinstance(photo, np.ndarray):
            raise ImageError(
                f"{origin}array {pixels.shape} {pixels.dtype}: expected integers of 8 or 16 bits without a sign, "
                "or floats"
            )
        raise ImageError(
            f"{type(photo).__name__} is not a photo: expected a path, the bytes of an image file, a Pillow "
            f"image or an array{_of_several(photo)}"
        )
    name = f"{origin}array {pixels.shape} {pixels.dtype}"
    if pixels.ndim not in (2, 3):
        several = "; of several photos give a list: predict(list(array))" if pixels.ndim == 4 else ""
        raise ImageError(
            f"{name}: a photo has the shape (height, width) or (height, width, channels){several}"
        )
    if pixels.size == 0:
        raise ImageError(f"{name}: has no pixels")
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    usual = _USUAL_ORDERS.get(channels, "")
    dtype = pixels.dtype.newbyteorder("=")
    if dtype.kind == "f" and (dtype.name, order or usual) not in _ARRAY_FORMATS:
        dtype = np.dtype(np.float32)
    if order is not None and _CHANNELS.get(order) != channels:
        raise ParameterError(
            f"{name}: channel_order {order!r} does not go with {channels} channels; allowed are "
            f"{', '.join(key for key, count in _CHANNELS.items() if count == channels) or 'none'}"
        )
    pixel_format = _ARRAY_FORMATS.get((dtype.name, order or usual))
    if pixel_format is None:
        integers = usual and dtype.kind in "iu" and dtype.itemsize + (dtype.kind == "i") > 1
        raise ImageError(
            f"{name}: expected uint8 with 1 to 4 channels, or uint16 or floats with 1, 3 or 4 channels"
            + (f"; {GIVE_BITS}" if integers else "")
            + (f"; channel_order {order!r} is for uint8" if usual and order not in (None, usual) else "")
            + (
                "; channels come last: numpy.asarray(array).transpose(1, 2, 0)"
                if not usual and pixels.shape[0] in (1, 3, 4)
                else ""
            )
        )
    if dtype.kind == "f":
        _require_unit_range(pixels, name)
    if dtype == np.uint16 and not has_bits:
        require_all_bits(pixels, name)
    return Photo(np.ascontiguousarray(pixels, dtype=dtype), pixel_format, 1, name, is_shared=not origin)


def _of_several(photo: Any) -> str:
    """Return a hint for an error: the function that takes several photos, if the value holds several."""
    if isinstance(photo, (list, tuple)):
        return "; Model.predict takes a list of photos"
    if isinstance(photo, Mapping):
        return "; session.run(x) takes arrays by the names of inputs (`with model.session() as session`)"
    return "; Runner.map takes photos one after the other" if isinstance(photo, Iterator) else ""


def _require_unit_range(pixels: NDArray[Any], name: str) -> None:
    """Raise ImageError for floats that are not from 0 to 1, such as 0 to 255 or -1 to 1.

    They would give wrong results. Resizing filters exceed 0 to 1 by less than half, which is allowed.
    """
    low, high = float(pixels.min()), float(pixels.max())
    if low < -_BEYOND or high > 1.0 + _BEYOND:
        remedy = "divide by 255, or give uint8"
        if low < 0.0 or high > 255.0:
            remedy = "scale them to it, or give a prepared input to session.run (`with model.session() as session`)"
        raise ImageError(f"{name}: has values from {low:.4g} to {high:.4g}; floats mean 0 to 1: {remedy}")


def require_pillow(purpose: str) -> None:
    """Raise ImageError if Pillow is not installed."""
    try:
        import PIL  # noqa: F401
    except ImportError as error:
        raise ImageError(f"{purpose} needs Pillow: pip install pillow ({error})") from error
