"""Compile .metal files to a shared object that the emulation of Metal loads as a library.

python compile_metal.py --output shaders.metallib [--lint] [--include=DIRECTORY]... [--cuda=nvcc] FILE.metal...
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lint_metal import lint
from translate_metal import ShaderError, translate

SHIM = Path(__file__).resolve().parent
CUDA = SHIM.parent / "cuda"
sys.path.insert(0, str(CUDA))
from translate_cuda import translate_cuda  # noqa: E402

# Metal 2.3 on macOS, as the engine asks for.
PREDEFINED = ["-D__METAL_VERSION__=230", "-D__METAL_MACOS__=1"]
LANGUAGE = ["-std=c++20", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off"]
# Halves are rounded after each operation; the shading language is C++14 and has no double.
STRICT = [
    *("-Xclang", "-ffloat16-excess-precision=none", "-Wall", "-Wextra", "-Werror"),
    "-Wpre-c++17-compat-pedantic",
    "-Wdouble-promotion",
    "-Wno-unused-parameter",
    "-Wno-unused-const-variable",
    "-Wno-unused-function",
]


class CompileError(Exception):
    """The compiler refused a file; the text is its messages."""


def call(command: list[str], directory: str | None = None) -> str:
    """Run the compiler and return its standard output."""
    # LD_PRELOAD may load a sanitizer for the program that runs this script. The compiler must not load it.
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    result = subprocess.run(
        command, capture_output=True, text=True, cwd=directory, env=environment, check=False
    )
    if result.returncode:
        raise CompileError(result.stderr)
    return result.stdout


def preprocess(arguments: argparse.Namespace, source: Path, depfile: Path) -> str:
    """Preprocess a shader; Metal's headers are empty files here."""
    command = [arguments.compiler, "-E", "-x", "c++", "-std=c++14", "-nostdinc", "-DMSL_REFLECT", *PREDEFINED]
    command += [f"-I{directory}" for directory in arguments.include]
    # -MD would also list the emulation's headers, on which the build depends anyway.
    command += ["-isystem", str(SHIM), "-MMD", "-MF", str(depfile), str(source)]
    return call(command, arguments.directory)


def compiler_command(arguments: argparse.Namespace) -> list[str]:
    """Return the command that compiles a translated file, without the names of files."""
    command = [arguments.compiler, *LANGUAGE, *STRICT, *PREDEFINED, *arguments.flag]
    return [*command, "-isystem", str(SHIM), "-isystem", str(CUDA)]


def precompile_prelude(arguments: argparse.Namespace, work: Path) -> list[str]:
    """Compile the header with which each translated file begins, and return the options that use the result."""
    header = work / "prelude.pch"
    command = compiler_command(arguments)
    call([*command, "-x", "c++-header", str(SHIM / "msl" / "prelude.h"), "-o", str(header)])
    return ["-include-pch", str(header)]


def compile_file(
    arguments: argparse.Namespace, source: Path, index: int, work: Path, prelude: list[str]
) -> Path:
    """Compile a .metal file to an object file."""
    text = preprocess(arguments, source, work / f"{index}.d")
    translated = work / f"{index}.cpp"
    translated.write_text(translate(text, on_gpu=bool(arguments.cuda)), encoding="utf-8")
    if arguments.lint:
        lint(text, arguments.compiler, work / f"{index}.clcpp")
    target = work / f"{index}.o"
    call(
        [
            *compiler_command(arguments),
            *prelude,
            f"-DMSL_PROGRAM=msl_program_{index}",
            f'-DMSL_FILE="{source.name}"',
            f"-DMSL_GPU_CODE=msl_gpu_code_{index}",
            "-c",
            str(translated),
            "-o",
            str(target),
        ]
    )
    if arguments.cuda:
        compile_for_gpu(arguments, text, index, work)
    return target


def compile_for_gpu(arguments: argparse.Namespace, text: str, index: int, work: Path) -> None:
    """Compile one file to machine code of an NVIDIA GPU, and that to an object file."""
    translated, code = work / f"{index}.cu", work / f"{index}.cubin"
    translated.write_text(translate_cuda(text), encoding="utf-8")
    options = ("-std=c++20", f"-arch={arguments.cuda_architecture}", f"-I{CUDA}", "-diag-suppress=177")
    call([arguments.cuda, *options, "-cubin", str(translated), "-o", str(code)])
    name = f"msl_gpu_code_{index}"
    assembly = work / f"{index}_gpu.s"
    assembly.write_text(
        f'.section .rodata\n.globl {name}\n.hidden {name}\n.balign 16\n{name}:\n.incbin "{code}"\n'
        '.section .note.GNU-stack,"",@progbits\n',
        encoding="utf-8",
    )
    call([arguments.compiler, "-c", str(assembly), "-o", str(work / f"{index}_gpu.o")])


def compile_launcher(arguments: argparse.Namespace, work: Path) -> None:
    """Compile the launcher, which copies the arguments of kernels to an NVIDIA GPU and runs the kernels."""
    for source in ("gpu_driver", "gpu_launch"):
        command = [arguments.compiler, *LANGUAGE, "-O2", "-Wall", "-Wextra", "-Werror", "-isystem", str(SHIM)]
        call([*command, "-c", str(CUDA / f"{source}.cpp"), "-o", str(work / f"{source}_gpu.o")])


def index_source(count: int) -> str:
    """Return C++ code that lists all translation units of a library, in a symbol that the emulation looks up."""
    programs = [f"msl_program_{i}" for i in range(count)]
    lines = ['#include "msl/abi.h"']
    lines += [f"extern const msl::Program {program};" for program in programs]
    addresses = ", ".join(f"&{program}" for program in programs)
    lines.append(f"static const msl::Program *const programs[] = {{{addresses}}};")
    lines.append('extern "C" __attribute__((visibility("default"))) const msl::Library msl_library;')
    lines.append(f"const msl::Library msl_library{{msl::library_version, programs, {count}}};\n")
    return "\n".join(lines)


def write_depfile(arguments: argparse.Namespace, work: Path) -> None:
    """Write the dependencies for make and ninja."""
    found: list[str] = []
    for part in sorted(work.glob("*.d")):
        found += re.sub(r"\\\n", " ", part.read_text(encoding="utf-8").split(":", 1)[1]).split()
    names = " ".join(dict.fromkeys(found))
    Path(arguments.depfile).write_text(f"{arguments.output}: {names}\n", encoding="utf-8")


def build(arguments: argparse.Namespace) -> None:
    """Compile all files to one library."""
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        # For one or two files, precompiling the header takes longer than it saves. Files for a GPU begin with another
        # header.
        worthwhile = len(arguments.sources) > 2 and not arguments.cuda
        prelude = precompile_prelude(arguments, work) if worthwhile else []
        with ThreadPoolExecutor(os.cpu_count() if arguments.cuda else 2) as pool:
            jobs = enumerate(Path(source).absolute() for source in arguments.sources)
            objects = list(pool.map(lambda job: compile_file(arguments, job[1], job[0], work, prelude), jobs))
        if arguments.cuda:
            compile_launcher(arguments, work)
            objects += sorted(work.glob("*_gpu.o"))
        index = work / "index.cpp"
        index.write_text(index_source(len(arguments.sources)), encoding="utf-8")
        command = [
            arguments.compiler,
            *LANGUAGE,
            *arguments.flag,
            "-shared",
            "-isystem",
            str(SHIM),
            str(index),
        ]
        libraries = ["-ldl"] if arguments.cuda else []
        # A process may still use an older library of this name, so the new one is written under another name first.
        unfinished = Path(f"{arguments.output}.{os.getpid()}")
        call([*command, *map(str, objects), *libraries, "-o", str(unfinished)])
        unfinished.replace(arguments.output)
        if arguments.depfile:
            write_depfile(arguments, work)


def main() -> int:
    """Read the command line. If a shader is wrong, print the messages and return 1."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", required=True)
    parser.add_argument("--compiler", default="clang++-16")
    parser.add_argument("--include", action="append", default=[], help="where to look for included files")
    parser.add_argument("--flag", action="append", default=[], help="for the compiler, such as -O2")
    parser.add_argument("--directory", help="where the compiler runs: an empty one shows forgotten includes")
    parser.add_argument("--depfile")
    parser.add_argument("--cuda", help="a CUDA compiler (nvcc): the kernels run on an NVIDIA GPU")
    parser.add_argument("--cuda-architecture", default="native", help="for example sm_90")
    parser.add_argument("--lint", action="store_true", help="check address spaces and conversions as well")
    parser.add_argument("sources", nargs="+")
    try:
        build(parser.parse_args())
    except (CompileError, ShaderError) as error:
        sys.stderr.write(f"{error}\n".replace("\n\n", "\n"))
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
