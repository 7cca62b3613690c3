"""Open photos: files, bytes, Pillow images or arrays become pixels for the core's preprocessing.

Pillow only decodes. The core handles orientation, channel order, resizing and scaling (docs/preprocessing.md).
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

from mpscnn._private.arguments import IntPair, input_size
from mpscnn._private.arrays import as_array
from mpscnn._private.files import convert_read_errors, is_folder, require_regular
from mpscnn._private.literals import ChannelOrderName
from mpscnn._private.memory_errors import is_out_of_memory
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn._private.other_names import explain_unknown_names
from mpscnn.errors import ImageError, ParameterError
from mpscnn.vision.array_file import is_array_file, read_array
from mpscnn.vision.integer_range import require_more_than_8_bits, with_bits
from mpscnn.vision.photo_file import MAX_PIXELS, MAX_SIDE, PhotoMemoryError, load_given
from mpscnn.vision.photo_formats import unread_text
from mpscnn.vision.photo_list import is_url
from mpscnn.vision.photo_samples import Samples, decoded_samples, is_unpacked_otherwise, read_samples
from mpscnn.vision.pixels import (
    ORIENTATIONS,
    KeptPhoto,
    Photo,
    YuvImage,
    is_orientation,
    kept_photo,
    photo_of_array,
    photo_of_frame,
    pixels_checksum,
    require_pillow,
)

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
_MinSize = tuple[int, int] | None  # the smallest (height, width) of an upright photo
#: Frames with at least this many lines use BT.709 if they name no matrix.
_HIGH_DEFINITION = 720


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
    if isinstance(value, str) or not is_orientation(value):
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
        return photo_of_array(photo, channel_order, has_bits=has_bits)
    if isinstance(photo, Photo):
        return photo
    if isinstance(photo, YuvImage):
        return photo_of_frame(photo)
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
    return photo_of_array(photo)


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
    return photo_of_array(pixels, order, f"{path}: ")


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
    if samples.format.endswith("16"):
        require_more_than_8_bits(samples.pixels)
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
    return int(orientation) if is_orientation(orientation) else 1


explain_unknown_names(__name__)
