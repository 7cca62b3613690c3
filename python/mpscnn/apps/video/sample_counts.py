"""Refuse MP4 and QuickTime files whose index claims far more samples than their bytes can hold.

A few bytes of an index may claim billions of samples of one size, and FFmpeg makes an entry in memory for each of them
while it opens the file. So the boxes of the index are read first.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mpscnn._private.files import convert_read_errors
from mpscnn.errors import ImageError

#: The entries that the index of a file of any size may have, and those for each of its bytes. Parts of a video that an
#: edit list repeats have entries of their own. FFmpeg takes about 40 bytes for an entry.
_FREE_ENTRIES, _ENTRIES_PER_BYTE = 1_000_000, 1
#: FFmpeg makes at most an entry for so many samples of uncompressed sound in a part of the file.
_SAMPLES_OF_SOUND = 160
#: FFmpeg opens no file with more tracks.
_TRACKS = 1000
#: FFmpeg reads no boxes that are nested deeper.
_DEPTH = 12
#: Boxes of a file that may contain parts of its index. Others, such as mdat, are skipped.
_OUTER = frozenset(
    b"moov moof trak mdia minf stbl edts traf mvex udta meta cmov free skip stsz elst trun".split()
)
#: Boxes that contain no boxes.
_TABLES = frozenset(b"stsz stz2 stts ctts stsc stco co64 stss sdtp elst trun mdat hdlr dcom".split())
_HIDDEN = re.compile(rb"stsz|stts|ctts|elst|hdlr|trun")


def require_sample_counts(path: str) -> None:
    """Raise ImageError if the index of an MP4 or QuickTime file claims more samples than its size allows.

    Files of other formats have no such boxes.
    """
    size = Path(path).stat().st_size
    allowed = _FREE_ENTRIES + _ENTRIES_PER_BYTE * size
    if (claimed := _Index(path, allowed).entries(size)) > allowed:
        raise ImageError(
            f"{path}: its index claims {claimed:,} samples; at most {allowed:,} are allowed in a file of {size:,} bytes"
        )


@dataclass(slots=True, eq=False)
class _Track:
    """The claims of a track. Of boxes that occur several times, the largest claim counts."""

    has_sound: bool = False
    has_pictures: bool = False
    has_unit_times: bool = False
    has_other_times: bool = False
    samples: int = 0
    in_chunk: int = 0
    chunks: int = 0
    edits: int = 0

    def entries(self) -> int:
        """Return the number of entries of FFmpeg's index."""
        count = self.samples
        if self.has_sound and not self.has_pictures and self.has_unit_times and not self.has_other_times:
            count = self.chunks * -(-self.in_chunk // _SAMPLES_OF_SOUND)
        return count * max(1, self.edits)


class _Index:
    def __init__(self, path: str, allowed: int) -> None:
        self._path = path
        self._left_to_unpack = allowed
        self._in_fragments = 0
        self._tracks = [_Track()]

    def entries(self, size: int) -> int:
        with convert_read_errors(self._path, ImageError), Path(self._path).open("rb") as file:
            place = 0
            while place + 8 <= size:
                file.seek(place)
                name, header, length = _box(file.read(16).ljust(16, b"\0"), 0, size - place)
                if length < header:
                    break
                if name in _OUTER:
                    file.seek(place)
                    content = file.read(length)
                    self._walk(content, 0, len(content), self._tracks[0], 0)
                place += length
        return self._in_fragments + sum(track.entries() for track in self._tracks)

    def _walk(self, content: bytes, begin: int, end: int, track: _Track, depth: int) -> None:
        view = memoryview(content)
        for name, inner, after in _boxes(content, begin, end):
            if name in _TABLES:
                self._read(name, view[inner:after], track)
            elif name == b"stsd":
                self._read_hidden(view[inner:after], track)
            elif depth == _DEPTH:
                continue
            elif name == b"cmvd":
                self._unpack(view[inner:after], depth + 1)
            else:
                inside = track
                if name == b"trak" and len(self._tracks) <= _TRACKS:
                    inside = _Track()
                    self._tracks.append(inside)
                if name == b"meta":  # a version comes first in MP4, and not in QuickTime
                    inner = max(inner, content.find(b"hdlr", inner, after) - 4)
                self._walk(content, inner, after, inside, depth + 1)

    def _read_hidden(self, content: memoryview, track: _Track) -> None:
        """Read boxes within the descriptions of codecs, which begin with fields of many kinds."""
        for found in _HIDDEN.finditer(content):
            self._read(found[0], content[found.end() :], track)

    def _unpack(self, content: memoryview, depth: int) -> None:
        """Read an index that is compressed, as in old files of QuickTime."""
        try:
            index = zlib.decompressobj().decompress(content[4:], self._left_to_unpack)
        except zlib.error:
            return  # FFmpeg does not unpack it either
        self._left_to_unpack -= len(index)
        if self._left_to_unpack <= 0:
            raise ImageError(f"{self._path}: its compressed index is too large for a file of its size")
        self._walk(index, 0, len(index), self._tracks[0], depth)

    def _read(self, name: bytes, content: memoryview, track: _Track) -> None:
        def number(place: int) -> int:
            return int.from_bytes(content[place : place + 4], "big")

        rows = max(0, len(content) - 8)
        if name == b"hdlr":
            track.has_sound |= bytes(content[8:12]) == b"soun"
            track.has_pictures |= bytes(content[8:12]) == b"vide"
        elif name == b"stsz":
            count = number(8)
            # If the samples have sizes of their own, these are in the box.
            track.samples = max(track.samples, count if number(4) else min(count, rows // 4))
        elif name == b"stz2":
            track.samples = max(track.samples, min(number(8), 2 * rows))
        elif name == b"stts":
            # One row of one unit means uncompressed sound.
            is_unit = number(4) == number(12) == 1
            track.has_unit_times |= is_unit
            track.has_other_times |= not is_unit
        elif name == b"ctts":
            track.has_other_times = True
        elif name == b"stsc":
            counts = struct.iter_unpack(">4xI4x", content[8 : 8 + rows // 12 * 12])
            track.in_chunk = max(track.in_chunk, max((count for (count,) in counts), default=0))
        elif name in (b"stco", b"co64"):
            track.chunks = max(track.chunks, min(number(4), rows // (4 if name == b"stco" else 8)))
        elif name == b"elst":
            track.edits += min(number(4), rows // (20 if bytes(content[:1]) == b"\1" else 12))
        elif name == b"trun":
            self._in_fragments += number(4)


def _box(content: bytes, place: int, left: int) -> tuple[bytes, int, int]:
    """Return a box's name, the bytes of its header and its length, of which `left` bytes may be there."""
    length, name = struct.unpack_from(">I4s", content, place)
    header = 8
    if length == 1 and left >= 16:
        header, (length,) = 16, struct.unpack_from(">Q", content, place + 8)
    return name, header, min(length or left, left)


def _boxes(content: bytes, begin: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name, the begin of the content and the end of boxes that follow each other."""
    place = begin
    while place + 8 <= end:
        name, header, length = _box(content, place, end - place)
        if length < header:
            return
        yield name, place + header, place + length
        place += length
