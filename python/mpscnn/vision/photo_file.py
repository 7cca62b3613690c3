"""Read photo files with Pillow: restrict formats and sizes, and detect missing pixels.

Pillow itself reads many more formats, and starts other programs for some of them.
"""

from __future__ import annotations

import math
import os
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from types import FunctionType, SimpleNamespace
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn.errors import ImageError
from mpscnn.vision.avif_sizes import coded_sizes, grid_sizes, stated_sizes
from mpscnn.vision.photo_formats import FORMATS, OF_JPEG, load_decoders

if TYPE_CHECKING:
    from PIL import Image as PillowImage
    from PIL.ImageFile import ImageFile

#: The maximum number of pixels of a photo, as in the largest cameras. A small file can claim any size, and decoding it
#: could take all memory.
MAX_PIXELS = 200_000_000
#: The largest width or height, as in JPEG. Each row needs additional memory, so a very high and narrow picture would
#: need much more than its pixels.
MAX_SIDE = 65_535

# Deflate can unpack at most 1,032 bytes from one byte (RFC 1951: 258 bytes from a length and a distance of one bit
# each).
_DEFLATE = 1_032
# The maximum number of pixels that these formats can store in one byte.
_MAX_PIXELS_PER_BYTE = {
    # The first scan of a progressive file has at least one bit for each 8 x 8 pixels (ITU T.81, Huffman coding).
    "JPEG": 512,
    "PNG": 8 * _DEFLATE,  # one bit for each pixel
    "GIF": 2_731,  # a code of 12 bits means at most as many pixels as there are codes
    "PPM": 8,
}
# The samples of a picture (three for each pixel of a colour photo) that a file of any size may have, and those for each
# of its bytes. A sample and its copies take up to 4.5 bytes, so a small file takes less than 500 MB. Pictures of one
# colour can be very small: 4,000 x 4,000 pixels take 680 bytes in WebP.
_FREE_SAMPLES, _SAMPLES_PER_BYTE = 90_000_000, 200
_SAMPLES_OF_COLOR = 3
_DEEP = {"I": 4, "F": 4}  # the samples of 8 bits that take as much memory

# Usual progressive JPEG files have some 10 scans. Each scan may visit all pixels even if it has only a few bytes.
_MAX_SCANS = 100
#: The beginning of a scan. The group is the number of its components.
_SCAN = re.compile(rb"\xff\xda..(.)", re.DOTALL)
# The samples that all scans of a file may visit, and those for each byte of it. A visit takes half a nanosecond.
_FREE_VISITS, _VISITS_PER_BYTE = 1_500_000_000, 4_000

_TILE_SIZE = 322, 323  # tags of TIFF
_BLOCK = 1 << 20  # bytes that are searched at a time
_IN_LETTERS = b"P1", b"P2", b"P3"
_MAX_COMMENTS = 1_000

# Larger pictures are decoded into an array. From this size on numpy's memory has huge pages, which the system provides
# in a tenth of the time. Above 16 MB Pillow's own memory is in several blocks.
_SMALL = 4 << 20
# The formats whose decoders write into any memory of an image.
_LARGE_FORMATS = ("JPEG", "PNG", "WEBP")

# The largest EXIF block that is read, by Pillow's keys: the number of bytes that a segment of a JPEG file can have. The
# block of the second key is hexadecimal text, with two characters for each byte.
_MAX_EXIF_LENGTH = {"exif": 1 << 16, "Raw profile type exif": 1 << 17}


class TooManyPixelsError(ImageError):
    """A photo has more pixels than allowed."""


class PhotoMemoryError(ImageError):
    """There is not enough memory to decode a photo."""


def read_image(
    stream: IO[bytes],
    size: int,
    max_pixels: int = MAX_PIXELS,
    prepare: Callable[[ImageFile], None] | None = None,
) -> PillowImage.Image | None:
    """Decode the picture of a file of `size` bytes. Return None if its format is not supported.

    `prepare` may change how the pixels are decoded; it is called after all checks of the header. Missing pixels are
    errors, whatever ImageFile.LOAD_TRUNCATED_IMAGES is. For damaged files Pillow's decoders raise many kinds of
    exceptions.

    Raises:
        ImageError: the header announces more pixels than allowed.
    """
    source = _Source(stream, size)
    image = _identified(source)
    if image is None:
        return None
    with image:
        _check_size(image, max_pixels)
        _check_density(image, size)
        if image.format == "JPEG":
            _check_scans(image, stream, size)
        elif image.format == "TIFF":
            _check_tiles(image, size)
        elif image.format == "PPM":
            _check_comments(stream)
        elif image.format in ("AVIF", "HEIF"):
            _check_coded_sizes(image, stream, size)
        if prepare is not None:
            prepare(image)
        source.begin_pixels(image)
        load(image)
        if image.format == "PNG":
            _check_rows(image, stream)
        return image


def _identified(source: _Source) -> ImageFile | None:
    """Open an image like Image.open, but only in the formats of FORMATS.

    The pixel limit of Image.open is not used: it is a global of the process, and lower than MAX_PIXELS.
    """
    import PIL.ImageFile
    from PIL import Image

    prefix = source.read(16)
    for name in load_decoders(prefix):
        if name not in Image.OPEN:
            continue  # the format's library is missing
        factory, accepts = Image.OPEN[name]
        # `accepts` may return a text: the reason why a decoder is missing.
        if accepts and accepts(prefix) is not True:
            continue
        source.seek(0)
        kind = _strict_class(name, factory, PIL.ImageFile.ImageFile.load)
        try:
            image: ImageFile = kind(source, "")  # type: ignore[arg-type]
        except (SyntaxError, IndexError, TypeError, struct.error):
            continue  # a Pillow decoder raises this if the file is not in its format
        return image
    return None


def _check_size(image: PillowImage.Image, max_pixels: int = MAX_PIXELS) -> None:
    """Raise ImageError for a picture without pixels or with too many."""
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageError(f"has no pixels ({width} x {height})")
    if max(width, height) > MAX_SIDE:
        raise TooManyPixelsError(
            f"{width} x {height} pixels: a side of more than the {MAX_SIDE:,} pixels allowed"
        )
    if width * height > max_pixels:
        raise TooManyPixelsError(
            f"{width} x {height} pixels are more than the {max_pixels / 1_000_000:.4g} million allowed"
        )


def load_given(image: PillowImage.Image) -> None:
    """Decode a Pillow image that the caller opened.

    Raises:
        ImageError: it has too many pixels, or is not decoded yet and in a format for which Pillow may start programs.
    """
    _check_size(image)
    if getattr(image, "tile", None) and image.format not in {*FORMATS, OF_JPEG}:
        raise ImageError(
            f"an {image.format} image that is not decoded yet: files of that format may make Pillow start programs. "
            f"Call its load() first if you trust it; read without asking are {', '.join(FORMATS)}"
        )
    load(image)


def load(image: PillowImage.Image) -> None:
    """Decode an image. Raise PhotoMemoryError if there is not enough memory."""
    try:
        image.load()
    except MemoryError as error:
        raise PhotoMemoryError(f"not enough memory for its {image.width} x {image.height} pixels") from error


def allowed_pixels(size: int, samples: int = _SAMPLES_OF_COLOR) -> int:
    """Return the maximum number of pixels of a picture or frame in a file of `size` bytes.

    `samples` is the number of samples of a pixel.
    """
    return min((_FREE_SAMPLES + _SAMPLES_PER_BYTE * size) // samples, MAX_PIXELS)


def _check_density(image: ImageFile, size: int) -> None:
    width, height = image.size
    name = str(image.format)
    maximum = _MAX_PIXELS_PER_BYTE.get(name, 0) * size
    if maximum and width * height > maximum:
        raise _DamagedError(
            f"{width} x {height} pixels are more than there can be in a {name} file of {size:,} bytes"
        )
    maximum = allowed_pixels(size, _samples(image))
    if width * height > maximum:
        raise ImageError(
            f"{width} x {height} pixels are more than the {maximum:,} allowed for such a {name} file of {size:,} "
            "bytes; make it smaller, or open it with Pillow if you trust it, and give the image"
        )


def _samples(image: ImageFile) -> int:
    """Return the number of samples of a pixel. One of 16 bits counts as two, because its bytes are decoded apart.

    The decoder of WebP always keeps four samples of each pixel, twice.
    """
    if image.format == "WEBP":
        return 4
    is_deep = "16" in image.mode or any("16" in str(tile[3]) for tile in image.tile[:1])
    return _DEEP.get(image.mode, len(image.getbands()) * (2 if is_deep else 1))


def _check_scans(image: ImageFile, stream: IO[bytes], size: int) -> None:
    """Raise ImageError for a JPEG file with too many scans, or whose scans visit too many samples."""
    components = [found[1][0] for block in _blocks(stream, overlap=4) for found in _SCAN.finditer(block)]
    if len(components) > _MAX_SCANS:
        raise ImageError(f"has {len(components)} scans, more than the {_MAX_SCANS} allowed in a JPEG file")
    visits = image.width * image.height * sum(components)
    allowed = _FREE_VISITS + _VISITS_PER_BYTE * size
    if visits > allowed:
        raise ImageError(
            f"{len(components)} scans of {image.width} x {image.height} pixels visit {visits:,} samples, more than the "
            f"{allowed:,} allowed for such a JPEG file of {size:,} bytes; make it smaller, or save it without scans "
            "(not progressive)"
        )


def _blocks(stream: IO[bytes], overlap: int) -> Iterator[bytes]:
    """Yield the content of a file in blocks. Each begins with the last `overlap` bytes of the block before it."""
    stream.seek(0)
    last = b""
    while block := stream.read(_BLOCK):
        yield (block := last + block)
        last = block[-overlap:] if overlap else b""


def _check_tiles(image: ImageFile, size: int) -> None:
    """Raise ImageError for large tiles. A decoder needs memory for a whole tile even if the picture is small."""
    width, height = (image.tag_v2.get(tag, 1) for tag in _TILE_SIZE)  # type: ignore[attr-defined]
    if not isinstance(width, int) or not isinstance(height, int) or width * height > allowed_pixels(size):
        raise ImageError(
            f"tiles of {width} x {height} pixels are more than the {allowed_pixels(size):,} allowed for a TIFF file of "
            f"{size:,} bytes"
        )


def _check_coded_sizes(image: ImageFile, stream: IO[bytes], size: int) -> None:
    """Raise ImageError for an AVIF or HEIF file that codes other pictures than it states.

    The decoder of AVIF would scale them. That of HEIF refuses single ones itself, and grids when they are decoded.
    """
    stream.seek(0)
    content = stream.read(size)
    sizes = coded_sizes if image.format == "AVIF" else grid_sizes
    try:
        stated, coded = {image.size, *stated_sizes(content)}, sizes(content)
    except (ValueError, IndexError, KeyError, struct.error) as error:
        raise _DamagedError(f"the sizes of its pictures cannot be read: {error}") from error
    allowed = allowed_pixels(size, _samples(image))
    for width, height in sorted(coded):
        if (width, height) not in stated:
            raise ImageError(f"codes a picture of {width} x {height} pixels, which it does not state")
        if width * height > allowed:
            raise ImageError(
                f"codes a picture of {width} x {height} pixels, more than the {allowed:,} allowed for such a file of "
                f"{size:,} bytes"
            )


def _check_comments(stream: IO[bytes]) -> None:
    """Raise ImageError for a PPM file with too many comments. The decoder copies a block for each of them."""
    stream.seek(0)
    if stream.read(2) not in _IN_LETTERS:
        return
    comments = 0
    for block in _blocks(stream, overlap=0):
        comments += block.count(b"#")
        if comments > _MAX_COMMENTS:
            raise ImageError(f"has more than the {_MAX_COMMENTS:,} comments allowed in a PPM file")


class _DamagedError(Exception):
    """An error that Pillow's decoders do not catch."""


class _Source:
    """A file object for Pillow's decoders. After the header, reading beyond the end is an error.

    Otherwise some decoders would invent the missing pixels. The object has no file descriptor, because decoders would
    pass it to C libraries, which have their own position in the file. The number of reads before the pixels is limited,
    because all entries of a TIFF file's directory may refer to the same bytes.
    """

    _READINGS = 4

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.file = file
        self.may_end = True
        self.allowed: float = self._READINGS * size
        file.seek(0)

    def begin_pixels(self, image: ImageFile) -> None:
        """Begin to read pixels: from now on the end is an error, and the amount of data is not limited here.

        A PPM file with numbers as text may end after the last number. Its decoder counts the numbers.
        """
        tiles: list[Any] = image.tile
        self.may_end = bool(tiles) and tiles[0][0] == "ppm_plain"
        self.allowed = math.inf

    def read(self, size: int = -1) -> bytes:
        content = self.file.read(size)
        self.allowed -= len(content)
        if self.allowed < 0:
            raise _DamagedError("its directory refers to the same bytes again and again")
        if not content and size != 0 and not self.may_end:
            raise _DamagedError("the file ends too early")
        return content

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        return self.file.seek(position, whence)

    def tell(self) -> int:
        return self.file.tell()

    def close(self) -> None:
        """Do nothing, because the caller closes the file."""


class _OwnMemory:
    """Lets a decoder write the pixels of a large picture into one array.

    Pillow's own memory for them may be in several blocks, which cannot be read as one array. It stores a pixel of three
    samples in four bytes.
    """

    def load_prepare(self) -> None:
        from PIL import Image

        width, height = self.size  # type: ignore[attr-defined]
        in_array = self.format in _LARGE_FORMATS and self.mode in ("RGB", "RGBA")  # type: ignore[attr-defined]
        if in_array and self._im is None and 4 * width * height > _SMALL:  # type: ignore[attr-defined]
            pixels = np.empty((height, width, 4), np.uint8)
            self.im = Image.fromarrow(_Exported(pixels), self.mode, self.size).im  # type: ignore[attr-defined]
            self._memory = self.im, pixels
        super().load_prepare()  # type: ignore[misc]


class _Exported:
    """Bytes in the form of Arrow, from which Pillow makes an image without a copy."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self._pixels = pixels

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
        return _core.arrow_bytes(self._pixels)


def own_memory(image: PillowImage.Image) -> NDArray[np.uint8] | None:
    """Return the array (height, width, 4) of a decoded image's pixels; None if it has none of its own."""
    core, pixels = getattr(image, "_memory", (None, None))
    return pixels if core is image.im else None


class _ShortExif:
    """Gives a decoder only the beginning of a long EXIF block, which has the orientation.

    All entries of the block may refer to the same bytes, so a long block could take much time. JPEG files can have
    several segments of it, and other formats any amount.
    """

    def getexif(self) -> PillowImage.Exif:
        for key, maximum in _MAX_EXIF_LENGTH.items():
            block = self.info.get(key)  # type: ignore[attr-defined]
            if isinstance(block, (bytes, str)):
                self.info[key] = block[:maximum]  # type: ignore[attr-defined]
        exif: PillowImage.Exif = super().getexif()  # type: ignore[misc]
        return exif


@cache
def _strict_class(name: str, factory: type[ImageFile], load: FunctionType) -> type[ImageFile]:
    """Return a subclass of a decoder that always treats missing data as an error.

    Pillow's decoders accept missing data if a program sets the global LOAD_TRUNCATED_IMAGES. We must not change it,
    since other threads may rely on it. So the `load` of this class uses its own LOAD_TRUNCATED_IMAGES.
    """
    from PIL import ImageFile, JpegImagePlugin

    # JPEG's factory function would also search for further pictures in the file.
    kind = JpegImagePlugin.JpegImageFile if name == "JPEG" else factory
    options = {**vars(ImageFile), "LOAD_TRUNCATED_IMAGES": False}
    base = type("StrictImageFile", (ImageFile.ImageFile,), {"load": _with_names(load, options)})
    members = {}
    if name == "HEIF":  # its `load` reads the option, too
        members["load"] = _with_names(
            vars(kind.__mro__[1])["load"], {"ImageFile": SimpleNamespace(**options)}
        )
    return type(kind.__name__, (_OwnMemory, _ShortExif, kind, base), members)


def _with_names(function: FunctionType, names: dict[str, Any]) -> FunctionType:
    """Return a copy of a function with other values for some global names."""
    return FunctionType(
        function.__code__,
        {**function.__globals__, **names},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )


# ---- PNG: the decoder accepts a stream that ends after any row ----------------------------------------------------

_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # samples of a pixel, by colour type
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_CHUNK = 1 << 16  # bytes


def _check_rows(image: PillowImage.Image, file: IO[bytes]) -> None:
    if not image.info.get("interlace") and _last_row_is_decoded(image):
        return
    parts, header = _png_parts(file)
    expected = _bytes_of_rows(header)
    decompressor = zlib.decompressobj()
    found = 0
    for part in parts:
        # The data is passed in pieces, because zlib copies the rest of its input each time.
        for start in range(0, len(part), _CHUNK):
            rest = part[start : start + _CHUNK]
            while rest and found < expected:
                found += len(decompressor.decompress(rest, 16 * _CHUNK))
                rest = decompressor.unconsumed_tail
    if found < expected:
        raise _DamagedError(
            f"{expected - found:,} of the {expected:,} bytes that its pixels take are missing"
        )


def _last_row_is_decoded(image: PillowImage.Image) -> bool:
    """Return True if the last row has any pixel other than 0, so all rows were decoded.

    Rows are decoded in order, and missing rows are zero. This check makes a second decompression needless for most
    photos.
    """
    import numpy as np

    width, height = image.size
    return bool(np.asarray(image.crop((0, height - 1, width, height))).any())


def _png_parts(file: IO[bytes]) -> tuple[list[bytes], bytes]:
    """Return the contents of consecutive IDAT chunks, and of IHDR."""
    file.seek(8)
    parts: list[bytes] = []
    header = b""
    while len(start := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", start)
        if kind == b"IDAT":
            parts.append(file.read(length))
        elif parts:
            break
        elif kind == b"IHDR":
            header = file.read(length)
        else:
            file.seek(length, os.SEEK_CUR)
        file.seek(4, os.SEEK_CUR)  # skip the checksum
    return parts, header


def _bytes_of_rows(header: bytes) -> int:
    """Return the number of bytes of all decompressed rows, each with its filter byte."""
    width, height, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", header[:13])
    bits = depth * _SAMPLES[color]
    total = 0
    for left, top, across, down in _ADAM7 if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + -(-columns * bits // 8))
    return total
