"""Pack wheels with zopfli: the same files, some three per cent smaller.

    python .ci/pack_wheel.py WHEEL...

The environment must have zopfli. The best compression takes a minute or two for each wheel, and any program can unpack
the result.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import zopfli.zlib

#: zlib adds these bytes before and after the compressed data, which archives do not have.
HEADER, TRAILER = 2, 4


class Compressor:
    """A compressor for zipfile that compresses all data of a file at once."""

    def __init__(self) -> None:
        self._data = bytearray()

    def compress(self, data: bytes) -> bytes:
        """Collect some of the data, and return nothing yet."""
        self._data += data
        return b""

    def flush(self) -> bytes:
        """Return all compressed data."""
        # 0 means no limit of blocks. With the default limit, 15 for each megabyte, the library is 0.3% larger.
        data = bytes(self._data)
        return zopfli.zlib.compress(data, numiterations=5, blocksplittingmax=0)[HEADER:-TRAILER]


def pack(wheel: Path) -> None:
    """Replace a wheel by a smaller one with the same files, and compare both before that."""
    smaller = wheel.with_suffix(".packed")
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(smaller, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.compress_type != zipfile.ZIP_DEFLATED:  # such as the entry of a folder
                new.writestr(entry, content)
                continue
            with new.open(entry, "w") as file:  # this resets the sizes in `entry`
                # zipfile has no public way to give it a compressor.
                file._compressor = Compressor()  # type: ignore[attr-defined]
                file.write(content)
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(smaller) as new:
        if [old.read(name) for name in old.namelist()] != [new.read(name) for name in new.namelist()]:
            sys.exit(f"{wheel.name}: the packed files differ")
    smaller.replace(wheel)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        pack(Path(argument))
