"""Check wheels before they are published: their contents, their size, and what their binaries need.

    python .ci/check_wheel.py [--max-bytes N] [--not-optimised] [--without-compiled-shaders] WHEEL...

Reads macOS and Linux binaries on any system, so that a wheel for one system can be examined on another. Prints a line
about each wheel and a line for each problem, and ends with 1 if there is a problem.
"""

from __future__ import annotations

import argparse
import re
import struct
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

# The largest size of a wheel in bytes, without the bundled models and sample photos. These take 1.64 MB and 0.15 MB, so
# a wheel for Linux has less than 7.2 MB. A wheel for macOS may have METAL_BYTES more for the Metal engine: its objects
# take 1.19 MB compressed and the shaders' source 0.04 MB, measured on the emulation's build. The compiled shaders are
# allowed 4 MB; nobody has measured them yet.
MAX_BYTES = 5_400_000
METAL_BYTES = 5_250_000
# A wheel that is not optimised at link time may have this many bytes more.
NOT_OPTIMISED_BYTES = 200_000
OLDEST_MACOS = (11, 0)
ARCHITECTURES = {0x0100000C: "arm64", 0x01000007: "x86_64"}
SYSTEM_LIBRARIES = ("/System/Library/Frameworks/", "/usr/lib/")
METAL_FRAMEWORKS = ("Foundation", "Metal", "MetalPerformanceShaders")
COMPILED_SHADERS = b"MTLB"  # how a Metal library begins
SHADER_SOURCE = b"#include <metal_stdlib>"
DATA = ("mpscnn/models/data/", "mpscnn/samples/photos/")
LIBRARY = r"mpscnn/lib/libmpscnn\.(so\.\d+|\d+\.dylib)"  # with the number of its ABI
LINKER_SCRIPT = "mpscnn/lib/libmpscnn.so"  # for -lmpscnn, in place of a symbolic link
CHECK_PROGRAM = "mpscnn/bin/mpscnn-check"
NEEDED = (
    "mpscnn/__init__.py",
    "mpscnn/py.typed",
    "mpscnn/_core.pyi",
    "mpscnn/kernels/classes.pyi",
    "mpscnn/apps/serve/page/index.html",
    "mpscnn/apps/serve/page/page.css",
    "mpscnn/apps/serve/page/page.js",
    "mpscnn/samples/photos/cat.jpg",
    "mpscnn/include/mpscnn/mpscnn.h",
    "mpscnn/include/mpscnn/mpscnn.hpp",
    "mpscnn/lib/cmake/mpscnn/mpscnnConfig.cmake",
    "mpscnn/lib/pkgconfig/mpscnn.pc",
)
FORBIDDEN = ("tests/", ".mm", ".metal", ".o", ".a", "__pycache__")


@dataclass
class MachO:
    """The load commands of a macOS binary."""

    architecture: str
    oldest_macos: tuple[int, int] | None = None
    name: str | None = None
    libraries: list[str] = field(default_factory=list)
    search_paths: list[str] = field(default_factory=list)


class DamagedError(Exception):
    """A binary that ends too early or is not a 64-bit macOS binary."""


def load_commands(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the load commands of a 64-bit Mach-O image (loader.h of macOS)."""
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
    """Return the string whose offset a load command holds at `offset`."""
    (start,) = struct.unpack_from("<I", command, offset)
    return command[start:].split(b"\0")[0].decode()


def read_macho(data: bytes) -> MachO:
    """Read a binary for one architecture. Universal binaries are not expected, since wheels hold none."""
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
    """Yield what is wrong with the architecture, deployment target and libraries of a macOS binary."""
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


def check_elf(path: str, data: bytes) -> Iterator[str]:
    """Yield a problem if a Linux binary has sections that only debuggers read.

    elf.h describes the format: a 64-bit header, and section headers.
    """
    header = struct.Struct("<16s2HI3QI6H")
    if len(data) < header.size or data[:5] != b"\x7fELF\x02":
        yield f"{path}: no 64-bit ELF file"
        return
    *_, offset, _, _, _, _, size, count, _ = header.unpack_from(data)
    for index in range(count):
        try:
            (kind,) = struct.unpack_from("<I", data, offset + index * size + 4)
        except struct.error:
            yield f"{path}: section headers end too early"
            return
        if kind == 2:  # SHT_SYMTAB, which every binary with debug information has
            yield f"{path}: is not stripped"


def platform_of(wheel: Path) -> str:
    """Return the platform of a wheel, which is the last part of its name."""
    return wheel.stem.split("-")[-1]


def max_bytes_of(platform: str) -> int:
    """Return the size limit of released wheels for a platform."""
    return MAX_BYTES + (METAL_BYTES if platform.startswith("macosx") else 0)


def code_size(wheel: Path) -> int:
    """Return the bytes that a wheel would have without the bundled models and photos."""
    with zipfile.ZipFile(wheel) as archive:
        data = sum(entry.compress_size for entry in archive.infolist() if entry.filename.startswith(DATA))
    return wheel.stat().st_size - data


def find_shaders(archive: zipfile.ZipFile) -> list[str]:
    """Return the forms in which a wheel's library holds the shaders of the Metal engine."""
    names = (name for name in archive.namelist() if PurePosixPath(name).name.startswith("libmpscnn."))
    libraries = [archive.read(name) for name in names]
    forms = {"compiled": COMPILED_SHADERS, "source": SHADER_SOURCE}
    return [form for form, mark in forms.items() if any(mark in library for library in libraries)]


def describe(wheel: Path) -> str:
    """Return a line with a wheel's size and, for macOS, the forms of its shaders."""
    text = f"{wheel.name}: {code_size(wheel)} bytes without models"
    if "macosx" not in wheel.stem:
        return text
    with zipfile.ZipFile(wheel) as archive:
        return f"{text}, shaders: {', '.join(find_shaders(archive)) or 'none'}"


def check_contents(names: list[str]) -> Iterator[str]:
    """Yield the files that are missing in a wheel, and those that must not be in it."""
    for needed in NEEDED:
        if needed not in names:
            yield f"lacks {needed}"
    for library in (r"mpscnn/_core\.[^/]*so", LIBRARY):
        if not any(re.fullmatch(library, name) for name in names):
            yield f"lacks {library}"
    libraries = [name for name in names if name.startswith("mpscnn/lib/libmpscnn") and name != LINKER_SCRIPT]
    if len(libraries) > 1:
        yield f"holds the library more than once: {', '.join(libraries)}"
    if not any(name.endswith("licenses/LICENSE") for name in names):
        yield "lacks the licence"
    for name in names:
        for unwanted in FORBIDDEN:
            if name.startswith(unwanted) or name.endswith(unwanted) or f"/{unwanted}" in name:
                yield f"holds {name}"
                break


def check_shaders(archive: zipfile.ZipFile, compiled: bool) -> Iterator[str]:
    """Yield a problem for each missing form of the Metal shaders: their source, and if `compiled` the compiled ones."""
    found = find_shaders(archive)
    if "source" not in found:
        yield "lacks the shaders' source, which is compiled where a system refuses the compiled ones"
    if compiled and "compiled" not in found:
        yield (
            "lacks compiled shaders: it was built where `xcrun metal` is missing, so that each user waits for them "
            "(--without-compiled-shaders allows it)"
        )


def check_program(archive: zipfile.ZipFile, platform: str) -> Iterator[str]:
    """Yield the problems of the program that device="auto" runs to check a Metal device before it chooses it."""
    if CHECK_PROGRAM not in archive.namelist():
        yield f'lacks {CHECK_PROGRAM}, without which device="auto" is always the CPU'
        return
    if not archive.getinfo(CHECK_PROGRAM).external_attr >> 16 & 0o111:
        yield f"{CHECK_PROGRAM}: cannot be executed"
    yield from check_macho(CHECK_PROGRAM, archive.read(CHECK_PROGRAM), platform)


def check_linker_script(archive: zipfile.ZipFile) -> Iterator[str]:
    """Yield a problem unless a Linux wheel has a linker script that names its library."""
    names = archive.namelist()
    libraries = [PurePosixPath(name).name for name in names if re.fullmatch(LIBRARY, name)]
    wanted = [f"INPUT({library})" for library in libraries]
    found = archive.read(LINKER_SCRIPT).decode(errors="replace").split() if LINKER_SCRIPT in names else []
    if found != wanted:
        yield f"{LINKER_SCRIPT}: should be a linker script with {' '.join(wanted)}, for the option -lmpscnn"


def check_wheel(wheel: Path, max_bytes: int | None = None, compiled_shaders: bool = True) -> Iterator[str]:
    """Yield the problems of a wheel."""
    platform = platform_of(wheel)
    code = code_size(wheel)
    limit = max_bytes_of(platform) if max_bytes is None else max_bytes
    if code > limit:
        yield f"has {code} bytes without models, {limit} are allowed"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        yield from check_contents(names)
        for name in names:
            is_library = ".so" in PurePosixPath(name).suffixes or name.endswith(".dylib")
            if not is_library or name == LINKER_SCRIPT:
                continue
            if platform.startswith("macosx"):
                yield from check_macho(name, archive.read(name), platform)
            else:
                yield from check_elf(name, archive.read(name))
        if platform.startswith("macosx"):
            yield from check_shaders(archive, compiled_shaders)
            yield from check_program(archive, platform)
        else:
            yield from check_linker_script(archive)


def main() -> int:
    """Read the command line and check the wheels."""
    parser = argparse.ArgumentParser(description="Examine wheels of mpscnn.")
    parser.add_argument("wheels", nargs="+", type=Path)
    parser.add_argument("--max-bytes", type=int, help="size without models (default: the platform's limit)")
    parser.add_argument(
        "--without-compiled-shaders",
        action="store_true",
        help="macOS wheels may hold the shaders' source alone",
    )
    parser.add_argument(
        "--not-optimised",
        action="store_true",
        help="wheels that are not optimised at link time may be larger",
    )
    arguments = parser.parse_args()
    faults = []
    for wheel in arguments.wheels:
        print(describe(wheel))
        maximum = arguments.max_bytes
        if maximum is None:
            maximum = max_bytes_of(platform_of(wheel)) + NOT_OPTIMISED_BYTES * arguments.not_optimised
        found = check_wheel(wheel, maximum, not arguments.without_compiled_shaders)
        faults += [f"{wheel.name}: {fault}" for fault in found]
    print("\n".join(faults) or f"{len(arguments.wheels)} wheel(s) in order")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
