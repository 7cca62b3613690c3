"""Compile the C++ sources of the library for macOS with zig, on any system, and link nothing.

    python .ci/compile_for_macos.py FOLDER

This finds code that only another processor, compiler or system understands. On arm64, all of the library is compiled;
on x86-64 only the kernels, since the rest is the same as on arm64. zig has clang, libc++ and the headers of macOS. The
Objective-C++ part needs Apple's frameworks and is not compiled. Nothing is optimised, which takes a third of the time.
The environment must have ziglang, CMake and Ninja. Ends with the first error.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from cross_wheel import ROOT, write_tools

#: The processor and the CMake targets, by zig's name of the system. "kernels" stands for all targets of kernels.
SYSTEMS = {
    "aarch64-macos.11.0": ("aarch64", ("kernels", "mpscnn_objects")),
    "x86_64-macos.11.0": ("x86_64", ("kernels",)),
}


def compile_for(system: str, folder: Path) -> None:
    """Compile for one of `SYSTEMS` in a folder."""
    processor, parts = SYSTEMS[system]
    folder.mkdir(parents=True, exist_ok=True)
    tools = write_tools(folder, system, "-O0", "-Werror", "-Wno-unused-command-line-argument")
    options = (
        # CMake would look for Apple's tools, if it knew the system. The sources ask the compiler.
        "-DCMAKE_SYSTEM_NAME=Linux",
        f"-DCMAKE_SYSTEM_PROCESSOR={processor}",
        "-DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY",
        f"-DCMAKE_C_COMPILER={tools['cc']}",
        f"-DCMAKE_CXX_COMPILER={tools['c++']}",
        f"-DCMAKE_AR={tools['ar']}",
        f"-DCMAKE_RANLIB={tools['ranlib']}",
        "-DCMAKE_UNITY_BUILD=ON",
        "-DCMAKE_BUILD_WITH_INSTALL_RPATH=ON",  # CMake knows no other way for the files of macOS
        "-DMPSCNN_INSTALL=OFF",
        "-DMPSCNN_CCACHE=OFF",  # ccache does not know this compiler
    )
    build = folder / "build"
    subprocess.run(["cmake", "-S", str(ROOT), "-B", str(build), "-G", "Ninja", *options], check=True)
    listed = subprocess.run(
        ["ninja", "-C", str(build), "-t", "targets", "all"], check=True, capture_output=True, text=True
    )
    known = {line.split(":")[0] for line in listed.stdout.splitlines()}
    kernels = sorted(name for name in known if name.startswith("mpscnn_kernels_") and "/" not in name)
    targets = [name for part in parts for name in (kernels if part == "kernels" else [part])]
    jobs = str(os.cpu_count() or 1)
    subprocess.run(["cmake", "--build", str(build), "-j", jobs, "--target", *targets], check=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for name in SYSTEMS:
        compile_for(name, Path(sys.argv[1]) / name)
