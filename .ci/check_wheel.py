"""Examines wheels before they are published: contents, size, and what their binaries need.

    python .ci/check_wheel.py [--most-bytes N] WHEEL...

Reads macOS binaries as well wherever it runs, so that a wheel for one system can be examined on another. Prints what is
wrong, a line each, and ends with 1 if anything is.
"""

from __future__ import annotations

import argparse
import struct
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

MOST_BYTES = 1_500_000  # without the bundled models
OLDEST_MACOS = (11, 0)
ARCHITECTURES = {0x0100000C: "arm64", 0x01000007: "x86_64"}
SYSTEM_LIBRARIES = ("/System/Library/Frameworks/", "/usr/lib/")
METAL_FRAMEWORKS = ("Foundation", "Metal", "MetalPerformanceShaders")
NEEDED = (
    "mpscnn/__init__.py",
    "mpscnn/py.typed",
    "mpscnn/_core.pyi",
    "mpscnn/include/mpscnn/mpscnn.h",
    "mpscnn/include/mpscnn/mpscnn.hpp",
    "mpscnn/lib/cmake/mpscnn/mpscnnConfig.cmake",
)
FORBIDDEN = ("tests/", ".mm", ".metal", ".o", ".a", "__pycache__")


@dataclass
class MachO:
    """What the loader reads from a macOS binary."""

    architecture: str
    oldest_macos: tuple[int, int] | None = None
    name: str | None = None
    libraries: list[str] = field(default_factory=list)
    search_paths: list[str] = field(default_factory=list)


class DamagedError(Exception):
    """A binary that ends too early or is no 64-bit macOS binary."""


def load_commands(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The load commands of a 64-bit Mach-O image (loader.h of macOS)."""
    header = struct.Struct("<8I")
    if len(data) < header.size or data[:4] != b"\xcf\xfa\xed\xfe":
        raise DamagedError("no 64-bit Mach-O image")
    count = header.unpack_from(data)[4]
    position = header.size
    for _ in range(count):
        if position + 8 > len(data):
            raise DamagedError("load commands end too early")
        command, size = struct.unpack_from("<2I", data, position)
        if size < 8 or position + size > len(data):
            raise DamagedError("a load command reaches beyond the file")
        yield command, data[position : position + size]
        position += size


def text_of(command: bytes, offset: int = 8) -> str:
    """The string whose offset a load command gives at `offset`."""
    (start,) = struct.unpack_from("<I", command, offset)
    return command[start:].split(b"\0")[0].decode()


def read_macho(data: bytes) -> MachO:
    """One image; architectures of a universal one are not expected, since wheels hold one."""
    kind = struct.unpack_from("<I", data, 4)[0] if len(data) >= 8 else 0
    image = MachO(ARCHITECTURES.get(kind, hex(kind)))
    for command, body in load_commands(data):
        if command == 0x32:  # LC_BUILD_VERSION
            (version,) = struct.unpack_from("<I", body, 12)
            image.oldest_macos = version >> 16, version >> 8 & 0xFF
        elif command == 0xD:  # LC_ID_DYLIB
            image.name = text_of(body)
        elif command in (0xC, 0x80000018):  # LC_LOAD_DYLIB, LC_LOAD_WEAK_DYLIB
            image.libraries.append(text_of(body))
        elif command == 0x8000001C:  # LC_RPATH
            image.search_paths.append(text_of(body))
    return image


def check_macho(path: str, data: bytes, platform: str) -> Iterator[str]:
    """Architecture, deployment target and libraries of a macOS binary."""
    try:
        image = read_macho(data)
    except (DamagedError, struct.error) as error:
        yield f"{path}: {error}"
        return
    if not platform.endswith(image.architecture):
        yield f"{path}: built for {image.architecture} in a wheel for {platform}"
    if image.oldest_macos is None or image.oldest_macos > OLDEST_MACOS:
        yield f"{path}: needs macOS {image.oldest_macos}, should run on {OLDEST_MACOS}"
    if image.name is not None and not image.name.startswith("@rpath/"):
        yield f"{path}: is named {image.name}, not @rpath/..."
    for library in image.libraries:
        if not library.startswith((*SYSTEM_LIBRARIES, "@rpath/", "@loader_path/")):
            yield f"{path}: needs {library}, which other machines lack"
    for search_path in image.search_paths:
        if not search_path.startswith(("@loader_path", "@executable_path")):
            yield f"{path}: looks for libraries in {search_path}, which other machines lack"
    if PurePosixPath(path).name.startswith("libmpscnn"):
        for framework in METAL_FRAMEWORKS:
            if not any(f"/{framework}.framework/" in library for library in image.libraries):
                yield f"{path}: is not linked with {framework}, so it was built without the Metal engine"


def check_contents(names: list[str]) -> Iterator[str]:
    """What must and what must not be in a wheel."""
    for needed in NEEDED:
        if needed not in names:
            yield f"lacks {needed}"
    for stem in ("mpscnn/_core.", "mpscnn/lib/libmpscnn."):
        if not any(name.startswith(stem) for name in names):
            yield f"lacks {stem}*"
    if not any(name.endswith("licenses/LICENSE") for name in names):
        yield "lacks the licence"
    for name in names:
        for unwanted in FORBIDDEN:
            if name.startswith(unwanted) or name.endswith(unwanted) or f"/{unwanted}" in name:
                yield f"holds {name}"
                break


def check_wheel(wheel: Path, most_bytes: int = MOST_BYTES) -> Iterator[str]:
    """All that is wrong with a wheel."""
    platform = wheel.stem.split("-")[-1]
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        yield from check_contents(names)
        code = sum(
            entry.compress_size for entry in archive.infolist() if "mpscnn/models/data/" not in entry.filename
        )
        if code > most_bytes:
            yield f"has {code} bytes without models, {most_bytes} are allowed"
        for name in names:
            if platform.startswith("macosx") and name.endswith((".so", ".dylib")):
                yield from check_macho(name, archive.read(name), platform)


def main() -> int:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Examine wheels of mpscnn.")
    parser.add_argument("wheels", nargs="+", type=Path)
    parser.add_argument("--most-bytes", type=int, default=MOST_BYTES, help="size without models")
    arguments = parser.parse_args()
    faults = [
        f"{wheel.name}: {fault}"
        for wheel in arguments.wheels
        for fault in check_wheel(wheel, arguments.most_bytes)
    ]
    print("\n".join(faults) or f"{len(arguments.wheels)} wheel(s) in order")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
