"""Check that the object files of the instruction sets share no functions with the rest of the program.

    check_isa_symbols.py [--nm NM] mpscnn_kernels_avx2.dir/cpp/cpu/kernels/elementwise/pooling.cpp.o ...

A function that the compiler emits as a weak symbol in several objects (an inline function of a header, a
template) is kept once by the linker, perhaps in the version with instructions that the processor lacks. So each
of these objects may define no symbol that others see but mpscnn::cpu::<set>::get(...), and nothing weak. All other
functions that they call must be C functions of the system. No code may run when the library is loaded, because that is
before the library asks for the processor.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

SETS = (
    *("baseline", "avx2", "avx2_bf16", "avx512", "avx512_fma_bf16", "avx512_bf16", "amx_bf16", "neon"),
    *("avx2_quads", "avx2_vnni", "avx512_vnni", "amx_int8", "avx512_fp16"),
    *("neon_bf16", "neon_dot", "neon_i8mm", "neon_fp16"),
)
ALLOWED_FROM_ELSEWHERE = re.compile(
    r"mem(cpy|set|move)|bzero|_GLOBAL_OFFSET_TABLE_|__(asan|ubsan|tsan|gcov|llvm|sanitizer|stack_chk)_\w*"
)


def symbols(nm: str, path: Path) -> list[tuple[str, str]]:
    """Return nm's type letter and the mangled name of each symbol, without the underscore that macOS puts before it."""
    output = subprocess.run([nm, "-P", str(path)], check=True, capture_output=True, text=True).stdout
    found = []
    for line in output.splitlines():
        name, letter = line.split()[:2]
        found.append((letter, name.removeprefix("_") if name.startswith(("__Z", "_mem", "_bzero")) else name))
    return found


def problems(path: Path, found: list[tuple[str, str]]) -> list[str]:
    """Return the problems of one object file."""
    instruction_set = next((name for name in SETS if f"mpscnn_kernels_{name}.dir" in path.parts), None)
    if instruction_set is None:
        return [f"not in mpscnn_kernels_<set>.dir for any set of {', '.join(SETS)}"]
    own = f"_ZN6mpscnn3cpu{len(instruction_set)}{instruction_set}3getE"
    messages = [] if any(name.startswith(own) for _, name in found) else [f"does not define {own}..."]
    for letter, name in found:
        if letter in "wWvVu":
            messages.append(f"weak symbol {name}")
        elif name.startswith("_GLOBAL__"):
            messages.append(f"runs {name} when the library is loaded")
        elif letter == "U" and not ALLOWED_FROM_ELSEWHERE.fullmatch(name):
            messages.append(f"needs {name} from elsewhere")
        elif (
            letter.isupper()
            and letter != "U"
            and not name.startswith(own)
            and not ALLOWED_FROM_ELSEWHERE.fullmatch(name)
        ):
            messages.append(f"defines {name} for everybody")
    return messages


def main() -> int:
    """Print each problem. Return the exit status: 1 if there is a problem, otherwise 0."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("objects", nargs="+", type=Path)
    parser.add_argument("--nm", default="nm")
    arguments = parser.parse_args()
    failed = False
    for path in arguments.objects:
        for message in problems(path, symbols(arguments.nm, path)):
            print(f"{path}: {message}")
            failed = True
    print(f"{len(arguments.objects)} objects, {'problems found' if failed else 'all separate'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
