"""Photos: from a file, bytes, a Pillow image or an array to pixels that the core's preprocessing reads.

Pillow only decodes. Orientation, colour order, resizing and scaling are the core's (docs/preprocessing.md).
"""

from __future__ import annotations

import io
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.errors import ImageError

if TYPE_CHECKING:
    from PIL import Image as PillowImage

#: More pixels than any camera has; a small file that claims more is an attack on memory.
MAX_PIXELS = 200_000_000

_EXIF_ORIENTATION = 0x0112
_ARRAY_FORMATS = {  # (dtype, channels) -> pixel format of the core
    ("uint8", 1): "gray8",
    ("uint8", 2): "gray_alpha8",
    ("uint8", 3): "rgb8",
    ("uint8", 4): "rgba8",
    ("uint16", 1): "gray16",
    ("uint16", 3): "rgb16",
    ("uint16", 4): "rgba16",
    ("float32", 1): "gray32f",
    ("float32", 3): "rgb32f",
    ("float32", 4): "rgba32f",
}


@dataclass(frozen=True)
class Photo:
    """Decoded pixels (height, width, channels), not yet turned as `orientation` (EXIF, 1 to 8) says."""

    pixels: NDArray[Any]
    format: str
    orientation: int
    name: str


def open_photo(photo: Any) -> Photo:
    """Decodes a photo.

    Args:
        photo: a path; the bytes of an image file; a Pillow image; or an array (height, width) or (height, width,
            channels) of uint8 or uint16 (0 to their maximum) or floats (0 to 1), with 1 (gray), 3 (RGB) or 4 (RGBA)
            channels.

    Raises:
        ImageError: it is missing, no image, damaged, empty or too large; the message names it.
    """
    if isinstance(photo, Photo):
        return photo
    if isinstance(photo, (str, os.PathLike)):
        return _from_path(Path(photo))
    if isinstance(photo, (bytes, bytearray, memoryview)):
        return _from_bytes(bytes(photo), "image bytes")
    if type(photo).__module__.startswith("PIL."):
        return _from_pillow(photo, getattr(photo, "filename", "") or "Pillow image")
    return _from_array(photo)


def _from_path(path: Path) -> Photo:
    if path.is_dir():
        raise ImageError(f"{path}: is a directory, not a photo")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: cannot be read: {error.strerror or error}") from error
    return _from_bytes(content, str(path))


def _from_bytes(content: bytes, name: str) -> Photo:
    if not content:
        raise ImageError(f"{name}: is empty (0 bytes)")
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise ImageError("reading photo files needs Pillow: pip install pillow") from error
    try:
        with warnings.catch_warnings():
            # Our own limit decides; Pillow's warning would only repeat it in other words.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content)) as image:
                return _from_pillow(image, name)
    except UnidentifiedImageError as error:
        raise ImageError(f"{name}: is not an image that Pillow can read ({len(content)} bytes)") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name}: {error}") from error


def _from_pillow(image: PillowImage.Image, name: str) -> Photo:
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageError(f"{name}: has no pixels ({width} x {height})")
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{name}: {width} x {height} pixels are more than the {MAX_PIXELS // 1_000_000} million allowed"
        )
    try:
        orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
        pixels, pixel_format = _decode(image)
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, MemoryError) as error:
        raise ImageError(f"{name}: is damaged or cut off: {error}") from error
    valid = isinstance(orientation, int) and 1 <= orientation <= 8
    return Photo(pixels, pixel_format, orientation if valid else 1, name)


def _decode(image: PillowImage.Image) -> tuple[NDArray[Any], str]:
    mode = image.mode
    if mode in ("I;16", "I;16L", "I;16B", "I;16N"):
        return np.ascontiguousarray(np.asarray(image), dtype=np.uint16), "gray16"
    if mode == "I":  # 32-bit integers: what Pillow makes of 16-bit gray PNGs
        values = np.asarray(image)
        return np.clip(values, 0, 65535).astype(np.uint16), "gray16"
    if mode == "F":
        return np.ascontiguousarray(np.asarray(image), dtype=np.float32), "gray32f"
    if mode in ("L", "1"):
        return np.ascontiguousarray(np.asarray(image.convert("L"))), "gray8"
    transparent = mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
    wanted = "RGBA" if transparent else "RGB"
    converted = image if mode == wanted else image.convert(wanted)
    return np.ascontiguousarray(np.asarray(converted)), wanted.lower() + "8"


def _from_array(photo: Any) -> Photo:
    pixels = np.asarray(photo)
    name = f"array {pixels.shape} {pixels.dtype}"
    if pixels.ndim not in (2, 3) or 0 in pixels.shape:
        raise ImageError(f"{name}: a photo has the shape (height, width) or (height, width, channels)")
    if pixels.dtype.kind == "f":
        pixels = pixels.astype(np.float32, copy=False)
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    pixel_format = _ARRAY_FORMATS.get((pixels.dtype.name, channels))
    if pixel_format is None:
        raise ImageError(f"{name}: expected uint8, uint16 or float elements and 1, 3 or 4 channels")
    return Photo(np.ascontiguousarray(pixels), pixel_format, 1, name)
