"""Convert decoded photos of all pixel formats to upright 8-bit RGB pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core

if TYPE_CHECKING:
    from PIL import Image as PillowImage

_ORIENTATIONS = {  # Pillow's operation that undoes each EXIF orientation
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


class DecodedPhoto(Protocol):
    """The part of `Photo` that the conversion needs."""

    @property
    def pixels(self) -> NDArray[Any]:
        """The pixels in their own format."""

    @property
    def format(self) -> str:
        """The core's name of the pixel format."""

    @property
    def orientation(self) -> int:
        """The EXIF orientation, 1 to 8."""

    @property
    def yuv(self) -> Any:
        """The frame, if the photo is one of a camera; otherwise None."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the upright photo."""

    @property
    def core(self) -> _core.Pixels:
        """The pixels for the core."""


def upright(photo: DecodedPhoto) -> PillowImage.Image:
    """Return a photo as an upright 8-bit RGB picture. Transparent parts are white. Needs Pillow."""
    from PIL import Image

    if photo.yuv is not None:
        return Image.fromarray(_converted(photo))
    picture = Image.fromarray(_eight_bits(photo))
    if picture.mode in ("LA", "RGBA"):
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    picture = picture.convert("RGB")
    if photo.orientation in _ORIENTATIONS:
        picture = picture.transpose(Image.Transpose[_ORIENTATIONS[photo.orientation]])
    return picture


def _eight_bits(photo: DecodedPhoto) -> NDArray[np.uint8]:
    pixels = photo.pixels[:, :, 0] if photo.pixels.ndim == 3 and photo.pixels.shape[2] == 1 else photo.pixels
    if pixels.dtype == np.uint16:
        pixels = pixels // 257
    elif pixels.dtype.kind == "f":
        pixels = np.clip(np.nan_to_num(pixels.astype(np.float32)), 0.0, 1.0) * 255.0 + 0.5
    if photo.format.startswith("bgr"):
        pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
    if "x" in photo.format:
        pixels = pixels[..., :3]
    whole: NDArray[np.uint8] = pixels.astype(np.uint8)
    return whole


def _converted(photo: DecodedPhoto) -> NDArray[np.uint8]:
    """Convert a photo to an upright RGB picture with the core."""
    width, height = photo.size
    values = np.empty((height, width, 3), np.float32)
    _core.preprocess(photo.core, '"none"', values)
    whole: NDArray[np.uint8] = np.rint(values).astype(np.uint8)
    return whole
