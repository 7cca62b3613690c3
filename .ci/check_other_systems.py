"""Check the sources with compilers for other systems, on Linux, and link nothing.

    python .ci/check_other_systems.py BUILD LLVM [SYSTEM...]

This finds code that only this processor, compiler or system understands. BUILD is the folder of builds, LLVM the
version of the installed clang, and SYSTEM one of `SYSTEMS`, by default all. CMake, Ninja, pybind11 and ziglang must be
installed, and the Debian packages of the session `portable`, which also configures BUILD/arm64.

zig has clang, libc++ and the headers of macOS. Instead of Apple's frameworks, the Objective-C++ part gets the headers
of the emulation of Metal and of GNUstep. Compilers only check the sources, without writing objects, but for macOS they
also compile the kernels, which finds instructions that a set lacks. All files are tried before the script ends with 1.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from python_headers import gather

ROOT = Path(__file__).resolve().parents[1]
STRICT = ("-Werror", "-Wno-unused-command-line-argument")

RUN_ON_ARM64 = ("cpu_tests", "fingerprint_of", "results_of", "classes_of")
"""The programs that the session `portable` builds with GCC and runs on an emulated processor."""


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
    # The other sources are the same as on arm64.
    "x86_64-macos": System("x86_64-apple-macos11", "x86_64-macos.11.0", KERNELS),
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


def checking_commands(build: Path, system: System) -> dict[str, list[str]]:
    """Return the command that checks each file of a configured build, by the object that a build would write."""
    commands = {}
    for entry in json.loads((build / "compile_commands.json").read_text("utf-8")):
        words = shlex.split(entry["command"])
        place = words.index("-o")
        name = words[place + 1]
        (target,) = re.findall(r"CMakeFiles/([\w-]+)\.dir/", name)
        if not re.fullmatch(system.targets, target):
            continue
        options = (*words[:place], *(("-O0", *STRICT) if system.triple else ()))
        if entry["file"].endswith(".mm"):
            options += gnustep_options(build)
        writes = bool(system.zig) and re.fullmatch(KERNELS, target)
        result = ("-c", "-o", os.devnull) if writes else ("-fsyntax-only",)
        commands[name] = [*options, *result, entry["file"]]
    return commands


def refused(build: Path, system: System) -> list[str]:
    """Check all files of a configured build, print what compilers say, and return the files that they refuse."""
    commands = checking_commands(build, system)

    def run(name: str) -> bool:
        answer = subprocess.run(commands[name], cwd=build, capture_output=True, text=True, check=False)
        if answer.returncode != 0:
            print(f"{build}: {name}\n{answer.stdout}{answer.stderr}", flush=True)
        return answer.returncode == 0

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        accepted = list(pool.map(run, commands))
    print(f"{build}: {len(commands)} files are checked", flush=True)
    return [f"{build}: {name}" for name, good in zip(commands, accepted, strict=True) if not good]


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
