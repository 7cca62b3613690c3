"""Check the sources with compilers for other systems, on Linux, and link nothing.

    python .ci/check_other_systems.py BUILD LLVM [SYSTEM...]

This finds code that only this processor, compiler or system understands. BUILD is the folder of builds, LLVM the
version of the installed clang, and SYSTEM one of `SYSTEMS`, by default all. CMake, Ninja, pybind11 and ziglang must be
installed, and the Debian packages of the session `portable`. .ci/arm64.py configures BUILD/arm64.

zig has clang, libc++ and the headers of macOS. Instead of Apple's frameworks, the Objective-C++ part gets the headers
of the emulation of Metal and of GNUstep. Compilers only check the sources, without writing objects, but for macOS they
also compile the kernels, which finds instructions that a set lacks. All files are tried before the script ends with 1.

Tests are many small files that include the same headers, which take most of a compiler's time. So these headers are
compiled once for all files with the same options. `nox -s libcxx` checks that each file includes what it uses.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from arm64 import RUN_ON_ARM64
from python_headers import gather

ROOT = Path(__file__).resolve().parents[1]
STRICT = ("-Werror", "-Wno-unused-command-line-argument")
SHARED_BY = 3
"""A header that this many files include is compiled once for all of them."""


@dataclass(frozen=True)
class System:
    """A system for which the sources are checked."""

    triple: str
    """clang's name of the system; "" for a build that a session has configured."""
    zig: str = ""
    """zig's name of the system, if zig has the compiler."""
    targets: str = ".*"
    """The CMake targets whose sources are checked, as a regular expression."""


KERNELS = "mpscnn_kernels_.*"
SYSTEMS = {
    "arm64": System(
        "", targets=f"(?!(mpscnn_(loop_)?objects|mpscnn_check_main|{'|'.join(RUN_ON_ARM64)}|{KERNELS})$).*"
    ),
    "arm64-linux": System("aarch64-linux-gnu"),
    "arm64-macos": System("arm64-apple-macos11", "aarch64-macos.11.0"),
    # Apps for iPhones are not built, but the library stays ready for them. zig has no headers of iOS, so macOS's take
    # their place; the declarations of the emulation say what iOS lacks.
    "arm64-ios": System("arm64-apple-ios15", "aarch64-macos.11.0", "mpscnn_((loop_)?objects|metal)"),
    # Only these sources have code for one processor. The others are the same as on arm64.
    "x86_64-macos": System(
        "x86_64-apple-macos11", "x86_64-macos.11.0", f"{KERNELS}|mpscnn_(loop_)?objects|cpu_tests"
    ),
}


# ---- Compilers ----------------------------------------------------------------------------------------------------


def zig_options(system: str, folder: Path) -> list[str]:
    """Return the options by which zig's clang finds the headers of a system, as `zig c++` passes them on.

    The checks call `zig clang`, because `zig c++` cannot check sources without writing objects.
    """
    zig = (sys.executable, "-m", "ziglang", "c++", "-target", system)
    command = (*zig, "-###", "-c", "-x", "c++", os.devnull)
    # zig writes an empty object in the folder in which it runs.
    shown = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stderr
    (inner,) = (line for line in shown.splitlines() if '"-cc1"' in line)
    words = shlex.split(inner)
    found = ["-nostdinc", "-nostdinc++"]
    for option, value in itertools.pairwise(words):
        if option == "-isystem" or (option == "-D" and value.startswith("_LIBC")):
            found += [option, value]
    # Functions that the oldest macOS lacks are errors then.
    return [
        *found,
        "-U_LIBCPP_HAS_VENDOR_AVAILABILITY_ANNOTATIONS",
        "-D_LIBCPP_HAS_VENDOR_AVAILABILITY_ANNOTATIONS=1",
    ]


@cache
def gnustep_options(folder: Path) -> tuple[str, ...]:
    """Return the options with which the Objective-C++ part compiles against the emulation of Metal and GNUstep.

    They are those of tests/metal_emulation/CMakeLists.txt. GCC's Objective-C headers must come before those of macOS,
    but its other headers must not, so the folder gets a link to them.
    """
    (gnustep,) = {
        path.parents[1].resolve() for path in Path("/usr/include").glob("**/GNUstep/Foundation/Foundation.h")
    }
    objc = max(
        Path("/usr/lib/gcc/x86_64-linux-gnu").glob("*/include/objc"), key=lambda path: int(path.parts[-3])
    )
    link = folder / "objective-c" / "objc"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(objc)
    defined = ("GNUSTEP", "GNUSTEP_BASE_LIBRARY=1", "GNU_RUNTIME=1", "_NATIVE_OBJC_EXCEPTIONS")
    return (
        *("-fblocks", "-fobjc-runtime=gcc", "-fconstant-string-class=NSConstantString", "-fobjc-exceptions"),
        f"-I{ROOT / 'tests' / 'metal_emulation' / 'headers'}",
        f"-I{link.parent}",
        *("-isystem", str(gnustep)),
        *(f"-D{name}" for name in defined),
    )


def write_compilers(folder: Path, system: System) -> dict[str, str]:
    """Write programs that call zig's clang for a system, and return CMake's variables of compilers."""
    options = zig_options(system.zig, folder)
    without_cpp = [option for option in options if "libcxx" not in option]
    written = {}
    for language, given in {"C": without_cpp, "CXX": options, "OBJCXX": options}.items():
        program = folder / f"clang-{language}"
        words = (sys.executable, "-m", "ziglang", "clang", "-target", system.triple, *given)
        program.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', "utf-8")
        program.chmod(0o755)
        written[f"CMAKE_{language}_COMPILER"] = str(program)
    return written


# ---- Commands -----------------------------------------------------------------------------------------------------


def configure(folder: Path, system: System, llvm: str) -> Path:
    """Configure a build for a system, write its generated sources, and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    gather(folder / "python")
    cmake_dir = subprocess.run(
        [sys.executable, "-m", "pybind11", "--cmakedir"], capture_output=True, text=True, check=True
    )
    variables = {
        "CMAKE_SYSTEM_NAME": "Darwin" if system.zig else "Linux",
        "CMAKE_SYSTEM_PROCESSOR": system.triple.partition("-")[0],
        "CMAKE_TRY_COMPILE_TARGET_TYPE": "STATIC_LIBRARY",
        "CMAKE_UNITY_BUILD": "ON",
        "MPSCNN_BUILD_PYTHON": "ON",
        "MPSCNN_BUILD_TESTS": "ON",
        "MPSCNN_INSTALL": "OFF",
        "MPSCNN_CCACHE": "OFF",  # nothing is written that it could keep
        "pybind11_DIR": cmake_dir.stdout.strip(),
        "Python_INCLUDE_DIR": str(folder / "python"),
    }
    if system.zig:
        variables |= {"CMAKE_OSX_SYSROOT": "/", **write_compilers(folder, system)}
        variables["CMAKE_INSTALL_NAME_TOOL"] = "/bin/true"  # CMake asks for it, and nothing is linked
    else:
        for language, program in {"C": "clang", "CXX": "clang++"}.items():
            variables[f"CMAKE_{language}_COMPILER"] = f"{program}-{llvm}"
            variables[f"CMAKE_{language}_COMPILER_TARGET"] = system.triple
    build = folder / "build"
    given = (f"-D{name}={value}" for name, value in variables.items())
    subprocess.run(["cmake", "-S", str(ROOT), "-B", str(build), "-G", "Ninja", *given], check=True)
    if system.zig:
        subprocess.run(
            ["cmake", "--build", str(build), "--target", "generated/shader_source.cpp"], check=True
        )
    return build


@dataclass(frozen=True)
class Check:
    """A compiler's check of one file: its options without those that define macros, these macros, and the file."""

    options: tuple[str, ...]
    macros: tuple[str, ...]
    file: Path
    writes: bool = False
    """Whether the file is compiled, instead of only being checked."""

    def command(self, *more: str) -> list[str]:
        """Return the command of this check, with more options."""
        result = ("-c", "-o", os.devnull) if self.writes else ("-fsyntax-only",)
        return [*self.options, *self.macros, *more, *result, str(self.file)]


def checks_of(build: Path, system: System) -> dict[str, Check]:
    """Return the check of each file of a configured build, by the object that a build would write."""
    checks = {}
    for entry in json.loads((build / "compile_commands.json").read_text("utf-8")):
        words = shlex.split(entry["command"])
        place = words.index("-o")
        name = words[place + 1]
        (target,) = re.findall(r"CMakeFiles/([\w-]+)\.dir/", name)
        if not re.fullmatch(system.targets, target):
            continue
        macros = tuple(word for word in words[:place] if word.startswith("-D"))
        options = [word for word in words[:place] if not word.startswith(("-D", "-O"))]
        if "-ios" in system.triple:  # the triple has the version
            options = [word for word in options if not word.startswith("-mmacosx-version-min")]
        # GCC notices some wrong code only when it optimises, but it does that where it compiles.
        options += ["-O0", *(STRICT if system.triple else ())]
        if entry["file"].endswith(".mm"):
            options += gnustep_options(build)
        writes = bool(system.zig) and re.fullmatch(KERNELS, target) is not None
        checks[name] = Check(tuple(options), macros, Path(entry["file"]), writes)
    return checks


def headers_of(file: Path) -> Iterator[str]:
    """Yield the headers that a source file includes directly, as it writes them, also by sources that it includes."""
    for header in re.findall(
        r'^#\s*(?:include|import) ([<"][^>"]+[>"])', file.read_text("utf-8"), re.MULTILINE
    ):
        if header.endswith(('.cpp"', '.mm"', '.cxx"')):
            yield from headers_of(Path(header[1:-1]))
        else:
            yield header


def share_headers(build: Path, checks: dict[str, Check]) -> dict[str, list[str]]:
    """Compile the headers that many files include, and return the option that uses them, by the name of each check."""
    groups: dict[tuple[tuple[str, ...], bool], list[str]] = {}
    headers = {name: set(headers_of(check.file)) for name, check in checks.items() if not check.writes}
    for name, included in headers.items():
        # mpscnn.hpp and internal headers have classes of the same names, so only files that use both include both.
        is_public = any(header.endswith('.hpp"') for header in included)
        groups.setdefault((checks[name].options, is_public), []).append(name)
    options: dict[str, list[str]] = {}
    for number, ((shared, is_public), names) in enumerate(groups.items()):
        counted = Counter(header for name in names for header in headers[name])
        common = [header for header, files in counted.items() if files >= SHARED_BY]
        lines = [f"#include {header}" for header in sorted(common) if not is_public or header.startswith("<")]
        if not lines:
            continue
        first = checks[names[0]]
        file = build / "shared_headers" / f"{number}.h"
        file.parent.mkdir(exist_ok=True)
        file.write_text("\n".join((*lines, "")), "utf-8")
        macros = [macro for macro in first.macros if all(macro in checks[name].macros for name in names)]
        language = "objective-c++-header" if first.file.suffix == ".mm" else "c++-header"
        compiled = ("-x", language, "-o", f"{file}.gch", str(file))
        subprocess.run([*shared, *macros, *compiled], cwd=build, check=True)
        options |= {name: ["-include", str(file)] for name in names}
    return options


def refused(build: Path, system: System) -> list[str]:
    """Check all files of a configured build, print what compilers say, and return the files that they refuse."""
    begun = os.times()
    checks = checks_of(build, system)
    shared = share_headers(build, checks)

    def run(name: str) -> bool:
        command = checks[name].command(*shared.get(name, ()))
        answer = subprocess.run(command, cwd=build, capture_output=True, text=True, check=False)
        if answer.returncode != 0:
            print(f"{build}: {name}\n{answer.stdout}{answer.stderr}", flush=True)
        return answer.returncode == 0

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        accepted = list(pool.map(run, checks))
    ended = os.times()
    seconds = ended.children_user + ended.children_system - begun.children_user - begun.children_system
    print(f"{build}: {len(checks)} files are checked in {seconds:.0f} processor seconds", flush=True)
    return [f"{build}: {name}" for name, good in zip(checks, accepted, strict=True) if not good]


def main(builds: Path, llvm: str, *names: str) -> None:
    """Check the sources for the named systems, or for all."""
    found = []
    for name in names or SYSTEMS:
        system = SYSTEMS[name]
        build = configure(builds / "clang" / name, system, llvm) if system.triple else builds / name
        found += refused(build, system)
    if found:
        sys.exit("compilers refuse:\n" + "\n".join(found))


if __name__ == "__main__":
    if len(sys.argv) < 3 or not set(sys.argv[3:]) <= set(SYSTEMS):
        sys.exit(__doc__)
    main(Path(sys.argv[1]).resolve(), *sys.argv[2:])
