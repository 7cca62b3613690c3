"""Read IDX files, the format of MNIST: images, labels and other arrays, plain or gzipped."""

from __future__ import annotations

import math
import os
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.arguments import path_name
from mpscnn._private.files import read_content
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn.errors import ImageError

_ELEMENTS = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP = b"\x1f\x8b"
#: The largest number of bytes that deflate can unpack from one byte.
_MAX_BYTES_PER_BYTE = 1032


@accept_foreign_arguments
def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Return the array of an IDX file, which may be gzipped.

    The format has two zero bytes, the element type, the number of dimensions, the extents (big-endian, 32 bits each),
    and the elements, also big-endian. MNIST's images are (n, 28, 28) uint8, its labels (n,) uint8.

    Returns:
        uint8, int8, int16, int32, float32 or float64 in this machine's byte order.

    Raises:
        ImageError: the file is missing, damaged or not an IDX file, or its size does not match its header.
    """
    name = path_name("path", path)
    content = read_content(path, ImageError)
    if content.startswith(_GZIP):
        content = _unzipped(name, content)
    kind, shape, start = _header(name, content)
    expected = math.prod(shape) * kind.itemsize
    given = len(content) - start
    if given != expected:
        extents = " x ".join(map(str, shape))
        raise ImageError(
            f"{name}: the header says {extents} elements of {kind.itemsize} bytes, {expected:,} bytes in all, "
            f"but {'more' if given > expected else f'{given:,}'} follow it"
        )
    try:
        elements = np.frombuffer(content, kind, offset=start).reshape(shape)
    except ValueError as error:  # NumPy supports fewer axes, or the product of the extents overflows
        raise ImageError(f"{name}: the header's {len(shape)} extents make no array: {error}") from error
    return elements.astype(kind.newbyteorder("="))


def read_labelled(
    images: str | os.PathLike[str], labels: str | os.PathLike[str] | None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """Return gray images (n, height, width), and their labels (n,) if a file of labels is given.

    Raises the errors of `read_idx`, and ImageError for other shapes, types or numbers of labels.
    """
    pixels = read_idx(images)
    if pixels.ndim != 3 or pixels.dtype != np.uint8 or 0 in pixels.shape:
        raise ImageError(
            f"{os.fspath(images)}: expected images (n, height, width) of uint8, got {pixels.shape} of {pixels.dtype}"
        )
    if labels is None:
        return pixels, None
    classes = read_idx(labels)
    if classes.ndim != 1 or classes.dtype != np.uint8:
        raise ImageError(
            f"{os.fspath(labels)}: expected labels (n,) of uint8, got {classes.shape} of {classes.dtype}"
        )
    if len(classes) != len(pixels):
        raise ImageError(
            f"{os.fspath(labels)}: {len(classes):,} labels for the {len(pixels):,} images of {os.fspath(images)}"
        )
    return pixels, classes


def _header(name: str, content: bytes) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _ELEMENTS or content[3] == 0:
        raise ImageError(
            f"{name}: is not an IDX file: it begins with {content[:4].hex(' ') or 'nothing'} instead of 00 00, a type "
            f"({', '.join(f'{code:02x}' for code in _ELEMENTS)}) and the number of dimensions"
        )
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise ImageError(
            f"{name}: {content[3]} dimensions need a header of {start} bytes, the file has {len(content)}"
        )
    extents = np.frombuffer(content[4:start], ">u4").tolist()
    return np.dtype(_ELEMENTS[content[2]]), tuple(extents), start


def _unzipped(name: str, content: bytes) -> bytes:
    """Unpack a gzipped file, but not more than its header announces: a small file can unpack to a huge one."""
    stream = zlib.decompressobj(wbits=31)  # a window of 15 bits, plus 16 for gzip's header
    try:
        beginning = stream.decompress(content, 4 + 4 * 255)
        kind, shape, start = _header(name, beginning)
        expected = start + math.prod(shape) * kind.itemsize
        if expected > _MAX_BYTES_PER_BYTE * len(content):
            raise ImageError(
                f"{name}: the header says {expected:,} bytes, more than {len(content):,} gzipped ones can hold"
            )
        rest = stream.decompress(stream.unconsumed_tail, max(1, expected + 1 - len(beginning)))
    except zlib.error as error:
        raise ImageError(f"{name}: is damaged: {error}") from error
    result = beginning + rest
    if len(result) <= expected and not stream.eof:
        raise ImageError(f"{name}: is cut off")
    if stream.unused_data:
        raise ImageError(f"{name}: {len(stream.unused_data):,} bytes follow its gzipped content")
    return result
