"""Find out whether the end of a video file is missing, from the lengths in its container.

For many formats, FFmpeg reports no error where a file is cut off. The lengths in a container are exact. Times are
not, because pictures of a variable rate may last any time.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from mpscnn._private.files import reading
from mpscnn.errors import ImageError

__all__ = ["cut_off"]

#: The number of bytes that are searched at the start and at the end of a file without a chain of lengths.
_WINDOW = 1 << 20
#: The number of bytes of a part's header that is enough for all formats.
_HEAD = 32
#: Parts of an MP4 file without which pictures are missing.
_NEEDED_BOXES = (b"moov", b"moof", b"mdat")
_FLV_KINDS = (8, 9, 18)
_MXF_KEY = bytes.fromhex("060e2b34")
#: Bytes of a packet of MPEG-TS, and those before its mark: plain, of Blu-ray with a time, with a checksum.
_TRANSPORT_PACKETS = ((188, 0), (192, 4), (204, 0))
_TRANSPORT_MARK = 0x47
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_BROADCAST = 1


def cut_off(path: str, form: str) -> str | None:
    """Return which part of a file in one of FFmpeg's formats is missing. None: nothing, or it cannot be known.

    Raises ImageError where the file cannot be read.
    """
    tell = _TELL.get(form)
    if tell is None:
        return None
    with reading(path, ImageError), Path(path).open("rb") as file:
        return tell(file, Path(path).stat().st_size)


def _short_of(length: int, size: int) -> str | None:
    return None if length <= size else f"{size:,} of at least {length:,} bytes are there"


# ---- Chains of parts with their lengths ----------------------------------------------------------------------------

_Step = Callable[[bytes, int], int | None]
"""From a part's header and the number of bytes until the file's end, compute the number of bytes to the next part.

None: it is no part.
"""


def _chain(step: _Step, begin: int = 0) -> Callable[[BinaryIO, int], str | None]:
    def tell(file: BinaryIO, size: int) -> str | None:
        place = begin
        while place < size:
            file.seek(place)
            length = step(file.read(_HEAD), size - place)
            if length is None:
                return None
            place += length
        return _short_of(place, size)

    return tell


def _matroska_element(head: bytes, left: int) -> int | None:
    """One of unknown length, as in recordings, is entered."""
    name = 9 - head[0].bit_length()
    if name > 4:
        return None
    if left <= name:
        return name + 1
    extent = 9 - head[name].bit_length()
    if extent > 8:
        return None
    unknown = (1 << 7 * extent) - 1
    length = int.from_bytes(head[name : name + extent], "big") & unknown
    return name + extent + (0 if length == unknown or left < name + extent else length)


def _mp4_box(head: bytes, left: int) -> int | None:
    length, name = struct.unpack_from(">I4s", head.ljust(_HEAD, b"\0"))
    if length == 1:
        (length,) = struct.unpack_from(">Q", head.ljust(_HEAD, b"\0"), 8)
    if length < 8 or (length > left and name not in _NEEDED_BOXES):
        return None  # 0: until the end, wherever that is
    return int(length)


def _flv_tag(head: bytes, left: int) -> int | None:
    if head[0] & 0x1F not in _FLV_KINDS:
        return None
    length = 11 + int.from_bytes(head[1:4], "big")
    return length if left == length else length + 4  # some writers leave the last one's trailer out


def _mxf_triplet(head: bytes, left: int) -> int | None:
    if not head.startswith(_MXF_KEY):
        return None
    if left < 17:
        return 17
    extent = head[16] & 0x7F if head[16] & 0x80 else 0
    return 17 + extent + (int.from_bytes(head[17 : 17 + extent], "big") if extent else head[16])


# ---- Others --------------------------------------------------------------------------------------------------------


def _avi(file: BinaryIO, size: int) -> str | None:
    """Return the lists of pictures, of which large files have several; without the index after them none is missing."""
    place = 0
    while place + 12 <= size:
        file.seek(place)
        name, length = struct.unpack("<4sI4x", file.read(12))
        if name != b"RIFF" or length == 0:
            return None
        end = place + 8 + length
        inner = place + 12
        while inner < end and inner + 12 <= size:
            file.seek(inner)
            name, extent, kind = struct.unpack("<4sI4s", file.read(12))
            inner += 8 + extent + extent % 2
            if (name, kind) == (b"LIST", b"movi") and inner > size:
                return _short_of(inner, size)
        place = end + length % 2
    return None


def _transport(file: BinaryIO, size: int) -> str | None:
    """Packets of one size: the last one is as long as the others, or was cut off."""
    head = file.read(_WINDOW)
    for length, before in _TRANSPORT_PACKETS:
        for begin in range(min(length, len(head))):
            marks = head[begin + before :: length]
            if len(marks) < 3 or marks.count(_TRANSPORT_MARK) < len(marks):
                continue
            rest = (size - begin) % length
            file.seek(size - rest)
            last = file.read(rest)
            whole = len(last) <= before or last[before] != _TRANSPORT_MARK
            return None if whole else f"the last packet has {rest} of {length} bytes"
    return None


def _asf(file: BinaryIO, size: int) -> str | None:
    head = file.read(_WINDOW)
    place = head.find(_ASF_PROPERTIES)
    if place < 0 or len(head) < place + 92:
        return None
    length, flags = struct.unpack_from("<Q40xI", head, place + 40)
    return None if flags & _ASF_BROADCAST else _short_of(length, size)


def _jpegs(file: BinaryIO, size: int) -> str | None:
    """Photos one after the other. Within their data neither mark is there; some cameras leave the last one out."""
    file.seek(max(0, size - _WINDOW))
    tail = file.read()
    last = tail.rfind(b"\xff\xd8\xff")
    return "the last picture has no end" if 0 <= tail.rfind(b"\xff\xd9") < last else None


_TELL: dict[str, Callable[[BinaryIO, int], str | None]] = {
    "asf": _asf,
    "avi": _avi,
    "flv": _chain(_flv_tag, 9 + 4),
    "matroska,webm": _chain(_matroska_element),
    "mjpeg": _jpegs,
    "mov,mp4,m4a,3gp,3g2,mj2": _chain(_mp4_box),
    "mpegts": _transport,
    "mxf": _chain(_mxf_triplet),
}
