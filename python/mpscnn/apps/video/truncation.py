"""Detect that the end of a video file is missing, from the lengths in its container.

For many formats FFmpeg reports no error if a file is cut off. The lengths in a container are exact. Times are not:
pictures of a variable rate may last any time.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from mpscnn._private.files import convert_read_errors
from mpscnn.errors import ImageError

#: The number of bytes searched at the start and end of files without stored lengths.
_WINDOW = 1 << 20
#: The number of bytes of a part's header that all formats need.
_HEAD = 32
#: The parts of an MP4 file that pictures need.
_NEEDED_BOXES = (b"moov", b"moof", b"mdat")
_FLV_KINDS = (8, 9, 18)
_MXF_KEY = bytes.fromhex("060e2b34")
#: MPEG-TS packets as (size, bytes before the sync byte): plain, Blu-ray's with a time, with a checksum.
_TRANSPORT_PACKETS = ((188, 0), (192, 4), (204, 0))
_TRANSPORT_MARK = 0x47
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_BROADCAST = 1


def describe_truncation(path: str, form: str) -> str | None:
    """Return a description of the missing end of a file. `form` is FFmpeg's name of the format.

    Return None if nothing is missing, or if the format does not show it. Raises ImageError if the file cannot be read.
    """
    tell = _TELL.get(form)
    if tell is None:
        return None
    with convert_read_errors(path, ImageError), Path(path).open("rb") as file:
        return tell(file, Path(path).stat().st_size)


def _short_of(length: int, size: int) -> str | None:
    return None if length <= size else f"{size:,} of at least {length:,} bytes are there"


# ---- Formats in which each part stores its length ------------------------------------------------------------------

_Step = Callable[[bytes, int], int | None]
"""A function of a part's header and the bytes left in the file. It returns the distance to the next part in bytes.

None: there is no valid part.
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
    """Return the length of a Matroska element.

    If the element has an unknown length, as in live recordings, return the length of its header. So the elements inside
    it are checked next.
    """
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
        return None  # 0 means "until the end of the file", so nothing can be missing
    return int(length)


def _flv_tag(head: bytes, left: int) -> int | None:
    if head[0] & 0x1F not in _FLV_KINDS:
        return None
    length = 11 + int.from_bytes(head[1:4], "big")
    return length if left == length else length + 4  # some writers omit the trailer of the last tag


def _mxf_triplet(head: bytes, left: int) -> int | None:
    if not head.startswith(_MXF_KEY):
        return None
    if left < 17:
        return 17
    extent = head[16] & 0x7F if head[16] & 0x80 else 0
    return 17 + extent + (int.from_bytes(head[17 : 17 + extent], "big") if extent else head[16])


# ---- Other formats -------------------------------------------------------------------------------------------------


def _avi(file: BinaryIO, size: int) -> str | None:
    """Check the lists of pictures in an AVI file. Large files have several lists.

    The index after them may be missing.
    """
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
    """Check a file of packets of equal size: a shorter last packet was cut off."""
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
    """Check a file of consecutive JPEG photos: the last one must have an end marker.

    Start and end markers do not occur within a photo's data. Some cameras omit the last end marker.
    """
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
