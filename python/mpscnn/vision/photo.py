"""Open photos: files, bytes, Pillow images or arrays become pixels for the core's preprocessing.

Pillow only decodes. The core handles orientation, channel order, resizing and scaling (docs/preprocessing.md).
"""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn._private.arguments import IntPair, input_size, is_whole_number
from mpscnn._private.arrays import AsArray, as_array, unchanging
from mpscnn._private.files import convert_read_errors, is_folder, require_regular
from mpscnn._private.literals import ChannelOrderName
from mpscnn._private.memory_errors import is_out_of_memory
from mpscnn._private.other_names import accept_foreign_arguments, explain_unknown_names
from mpscnn.errors import Error, ImageError, ParameterError
from mpscnn.vision.array_file import is_array_file, read_array
from mpscnn.vision.integer_range import GIVE_BITS, require_all_bits, with_bits
from mpscnn.vision.photo_file import MAX_PIXELS, MAX_SIDE, PhotoMemoryError, load_given
from mpscnn.vision.photo_formats import unread_text
from mpscnn.vision.photo_list import is_url
from mpscnn.vision.photo_samples import Samples, decoded_samples, is_unpacked_otherwise, read_samples
from mpscnn.vision.upright import upright

if TYPE_CHECKING:
    from PIL import Image as PillowImage
    from PIL.ImageFile import ImageFile

__all__ = [
    "MAX_PIXELS",
    "MAX_SIDE",
    "KeptPhoto",
    "Photo",
    "YuvImage",
    "exif_orientation",
    "kept_photo",
    "open_content",
    "open_photo",
    "pixels_checksum",
]

_EXIF_ORIENTATION = 0x0112
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
_MinSize = tuple[int, int] | None  # the smallest (height, width) of an upright photo
_BEYOND = 0.5  # the amount by which floats may be below 0 or above 1
#: Frames with at least this many lines use BT.709 if they name no matrix.
_HIGH_DEFINITION = 720
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
        if not _is_orientation(self.orientation):
            raise ImageError(f"YuvImage: orientation is {self.orientation!r}, EXIF defines 1 to 8")
        try:
            self._core()  # raises an error for other invalid arguments
        except Error as error:
            raise ImageError(f"YuvImage: {error}") from error

    def _as_array(self) -> NDArray[np.uint8]:
        return open_photo(self)._as_array()

    def _core(self) -> _core.Pixels:
        return _core.Pixels.yuv(
            self.y, self.u, self.v, self.matrix, self.range, self.siting, self.orientation
        )

    def __repr__(self) -> str:
        kind = "NV12" if self.v is None else "I420"
        return f"<YuvImage: {kind}, {self.y.shape[1]} x {self.y.shape[0]}, {self.matrix}, {self.range} range>"


#: The names of EXIF's orientations from 1 on in CGImagePropertyOrientation.
ORIENTATIONS = ("up", "upMirrored", "down", "downMirrored", "leftMirrored", "right", "rightMirrored", "left")


def _is_orientation(value: object) -> bool:
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


@accept_foreign_arguments
def open_photo(
    photo: Any,
    *,
    channel_order: ChannelOrderName | None = None,
    orientation: int | str | None = None,
    min_size: IntPair | None = None,
    bits: int | None = None,
) -> Photo:
    """Decode a photo.

    The first frame of an animation is read. A damaged EXIF block is ignored.

    Args:
        photo: a path; the bytes of an image file, or a binary file object with them; a Pillow image; a `YuvImage`; a
            CVPixelBuffer or an IOSurface of PyObjC in BGRA, 420v or 420f, which is read in place; or an array (height,
            width) or (height, width, channels) of uint8 with 1, 2, 3 or 4 channels (gray, gray with alpha, RGB, RGBA),
            or of uint16 (0 to 65535) or floats (0 to 1) with 1, 3 or 4 channels. A .npy file holds such an array.
        channel_order: the order of an array's channels: "gray", "gray_alpha", "rgb", "rgba" (the defaults for 1, 2, 3
            and 4 channels), or for uint8 "bgr", "bgra", "rgbx" and "bgrx". The fourth channel of the last two is
            ignored.
        orientation: the EXIF orientation instead of the photo's own: 1 to 8, or its name in Apple's frameworks: "up",
            "upMirrored", "down", "downMirrored", "leftMirrored", "right", "rightMirrored" or "left".
        min_size: (height, width) of the upright photo, or one number for both. A larger JPEG file is decoded at 1/2,
            1/4 or 1/8 of its size, which is faster, if the pixels are still at least that high and wide. Other photos
            are not reduced (docs/preprocessing.md, "Large JPEG files").
        bits: the number of bits of an array's integers, 1 to 16: a camera of 10 bits gives 0 to 1023 in uint16. None: 8
            for uint8 and 16 for uint16. Other integer types need it.

    Returns: An image that is accepted wherever a photo is.

    Raises:
        ImageError: the photo is missing, damaged, incomplete, empty, or in a format that docs/preprocessing.md does not
            list; a file has more pixels than MAX_PIXELS, than MAX_SIDE at one side, or than its size can hold; the
            floats of an array are far from 0 to 1; an array of uint16 has no value above 255, without `bits`; or an
            integer is beyond the range of `bits`. The message names the photo.
        ParameterError: an unknown order or orientation, an order or `bits` for a photo that is not an array, or a
            `min_size` that is not one or two whole numbers from 1 to 16,384.

    Warns: RuntimeWarning for an array of uint16 without a value above 4095, without `bits`.
    """
    minimum = None if min_size is None else input_size("min_size", min_size)
    if bits is not None:
        photo = with_bits(as_array("photo", photo), bits) if _is_array(photo) else _no_array("bits", photo)
    opened = _opened(photo, channel_order, minimum, has_bits=bits is not None)
    if orientation is None:
        return opened
    number = _orientation_number(orientation)
    yuv = None if opened.yuv is None else replace(opened.yuv, orientation=number)
    return replace(opened, orientation=number, yuv=yuv)


def _orientation_number(value: int | str) -> int:
    """Return EXIF's number of an orientation, which may be given by its name. Raises ParameterError for others."""
    if isinstance(value, str) and value.removeprefix(".") in ORIENTATIONS:
        return ORIENTATIONS.index(value.removeprefix(".")) + 1
    if isinstance(value, str) or not _is_orientation(value):
        names = ", ".join(map(repr, ORIENTATIONS))
        raise ParameterError(
            f"orientation must be 1 to 8, as EXIF defines it, or one of {names}, got {value!r}"
        )
    return value


def open_content(
    content: bytes | memoryview, max_pixels: int, reserve: Callable[[int], None] | None = None
) -> Photo:
    """Decode the bytes of an untrusted image file.

    `reserve` is called after the header is read, with the number of pixels that will be decoded. Its exception becomes
    the cause of an ImageError.

    Raises:
        TooManyPixelsError: the header announces more than `max_pixels`. ImageError: as `open_photo`.
    """
    return _from_bytes(content, "image bytes", max_pixels, reserve=reserve)


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


def _is_array(photo: Any) -> bool:
    """Return True for what `_opened` takes as an array."""
    others = isinstance(photo, (Photo, YuvImage, str, os.PathLike)) or _is_file_content(photo)
    return not (others or hasattr(photo, "read") or _is_pillow_image(photo) or _is_pixel_buffer(photo))


def _no_array(argument: str, photo: Any) -> NoReturn:
    raise ParameterError(f"{argument} is for arrays, the photo is a {type(photo).__name__}")


def _opened(
    photo: Any,
    channel_order: ChannelOrderName | None,
    min_size: _MinSize = None,
    *,
    has_bits: bool = False,
) -> Photo:
    if isinstance(photo, (str, os.PathLike)) and is_array_file(Path(photo)):
        return _from_array_file(Path(photo), channel_order)
    if channel_order is not None and not _is_array(photo):
        _no_array("channel_order", photo)
    if channel_order is not None or has_bits:
        return _from_array(photo, channel_order, has_bits=has_bits)
    if isinstance(photo, Photo):
        return photo
    if isinstance(photo, YuvImage):
        form = "nv12" if photo.v is None else "i420"
        return Photo(photo.y, form, photo.orientation, repr(photo), photo, is_shared=True)
    if isinstance(photo, str) and is_url(photo):
        raise ImageError(
            f"{photo}: is a URL, which is not fetched here: Model.predict, Model.classify, Model.detect and "
            "Model.segment download it; or give the path or bytes of the file"
        )
    if isinstance(photo, (str, os.PathLike)):
        return _from_path(Path(photo), min_size)
    if _is_file_content(photo):
        return _from_bytes(bytes(photo), "image bytes", min_size=min_size)
    if hasattr(photo, "read"):
        return _from_file_object(photo, min_size)
    if _is_pillow_image(photo):
        return _from_pillow(photo, str(getattr(photo, "filename", "") or "Pillow image"))
    if _is_pixel_buffer(photo):
        return _from_pixel_buffer(photo)
    return _from_array(photo)


def _is_file_content(photo: Any) -> bool:
    """Return True if the value is the bytes of a file. A memoryview with several axes is an array instead."""
    return isinstance(photo, (bytes, bytearray)) or (isinstance(photo, memoryview) and photo.ndim < 2)


def _is_pillow_image(photo: Any) -> bool:
    # Pillow is not imported for users of arrays only.
    return any(base.__module__ == "PIL.Image" and base.__name__ == "Image" for base in type(photo).__mro__)


def _is_pixel_buffer(photo: Any) -> bool:
    """Return True for a CVPixelBuffer or an IOSurface. PyObjC's objects, and few others, have this attribute."""
    if not hasattr(type(photo), "__c_void_p__"):
        return False
    from mpscnn.vision.pixel_buffer import is_pixel_buffer

    return is_pixel_buffer(photo)


def _from_pixel_buffer(photo: Any) -> Photo:
    from mpscnn.vision.pixel_buffer import read_planes

    planes = read_planes(photo)
    pixels, *chroma = planes.arrays
    if not chroma:
        height, width = pixels.shape[:2]
        name = f"pixel buffer {planes.format} of {width} x {height}"
        return Photo(pixels, "bgra8", 1, name, is_shared=True)
    matrix = planes.matrix or ("bt709" if pixels.shape[0] >= _HIGH_DEFINITION else "bt601")
    return _opened(YuvImage(pixels, chroma[0], None, matrix, planes.range), None)


def _from_path(path: Path, min_size: _MinSize) -> Photo:
    with convert_read_errors(path, ImageError):
        if is_folder(path):
            raise ImageError(
                f"{path}: is a directory, not a photo; Model.predict reads all photos of a folder"
            )
        require_regular(path, ImageError)
        file = path.open("rb")
    with file:
        return _from_stream(file, os.fstat(file.fileno()).st_size, str(path), min_size=min_size)


def _from_array_file(path: Path, order: str | None) -> Photo:
    with convert_read_errors(path, ImageError):
        require_regular(path, ImageError)
        with path.open("rb") as file:
            try:
                pixels = read_array(file)
            except ImageError as error:
                raise ImageError(f"{path}: {error}") from error
    return _from_array(pixels, order, f"{path}: ")


def _from_file_object(file: Any, min_size: _MinSize) -> Photo:
    name = str(getattr(file, "name", "") or "file object")
    with convert_read_errors(name, ImageError):
        content = file.read()
    if not isinstance(content, bytes):
        raise ImageError(
            f"{name}: must be opened in binary mode; it gives {type(content).__name__}, not bytes"
        )
    return _from_bytes(content, name, min_size=min_size)


def _from_bytes(
    content: bytes | memoryview,
    name: str,
    max_pixels: int = MAX_PIXELS,
    min_size: _MinSize = None,
    reserve: Callable[[int], None] | None = None,
) -> Photo:
    return _from_stream(io.BytesIO(content), len(content), name, max_pixels, min_size, reserve)


def require_pillow(purpose: str) -> None:
    """Raise ImageError if Pillow is not installed."""
    try:
        import PIL  # noqa: F401
    except ImportError as error:
        raise ImageError(f"{purpose} needs Pillow: pip install pillow ({error})") from error


def _from_stream(
    stream: IO[bytes],
    size: int,
    name: str,
    max_pixels: int = MAX_PIXELS,
    min_size: _MinSize = None,
    reserve: Callable[[int], None] | None = None,
) -> Photo:
    if size == 0:
        raise ImageError(f"{name}: is empty (0 bytes)")
    require_pillow("reading photo files")
    with _decoding(name):
        reduce = None if min_size is None else partial(_reduce, min_size=min_size)
        samples = read_samples(stream, size, max_pixels, reduce, reserve)
        if samples is None:
            stream.seek(0)
            raise ImageError(unread_text(stream.read(16), size))
        return _photo(samples, name)


def _from_pillow(image: PillowImage.Image, name: str) -> Photo:
    with _decoding(name):
        content = _whole_file(image)
        if content is None:
            load_given(image)
            return replace(_photo(decoded_samples(image), name), is_shared=True)
    return _from_bytes(content, name)


def _whole_file(image: PillowImage.Image) -> bytes | None:
    """Return the bytes of an opened image's file if Pillow would lose samples by decoding it, otherwise None."""
    file = getattr(image, "fp", None)
    if file is None or image.tell() != 0 or not is_unpacked_otherwise(image):
        return None
    position = file.tell()
    try:
        file.seek(0)
        content: bytes = file.read()
    finally:
        file.seek(position)
    return content


@contextmanager
def _decoding(name: str) -> Iterator[None]:
    """Add the photo's name to errors. Decoders raise many kinds of exceptions for damaged files."""
    try:
        yield
    except ImageError as error:
        raise type(error)(f"{name}: {error}") from error
    except Exception as error:
        if is_out_of_memory(error):
            raise PhotoMemoryError(f"{name}: not enough memory to decode it") from error
        raise ImageError(f"{name}: is damaged or cut off: {_reason(error)}") from error


def _photo(samples: Samples, name: str) -> Photo:
    # Read EXIF after load(), because in PNG it may follow the pixels.
    return Photo(
        samples.pixels, samples.format, exif_orientation(samples.image), name, reduction=samples.reduction
    )


def _reduce(image: ImageFile, *, min_size: tuple[int, int]) -> int:
    """Make a JPEG decoder compute a smaller picture, if `min_size` allows it. Return the factor.

    Only a factor that divides both sides is used. Any other would stretch the picture by a part of a pixel.
    """
    if image.format != "JPEG":
        return 1
    minimum = min_size if exif_orientation(image) >= 5 else min_size[::-1]
    for factor in (8, 4, 2):
        if all(
            side % factor == 0 and side // factor >= low
            for side, low in zip(image.size, minimum, strict=True)
        ):
            size = (image.width // factor, image.height // factor)
            image.draft(None, size)  # None keeps the mode
            return factor if image.size == size else 1
    return 1


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def exif_orientation(image: PillowImage.Image) -> int:
    """Return the orientation that a decoded file states and Pillow has not applied: 1 to 8."""
    if image.format == "TIFF":
        # Pillow rotated the image while loading it, but some versions keep the old orientation in the EXIF block.
        return 1
    try:
        orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # decoders raise many kinds of exceptions
        return 1
    return int(orientation) if _is_orientation(orientation) else 1


def _from_array(photo: Any, order: str | None = None, origin: str = "", *, has_bits: bool = False) -> Photo:
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


explain_unknown_names(__name__)
