"""Estimate the speed of the arm64 kernels' inner loops with llvm-mca, which simulates cores that are not at hand.

    python benchmarks/arm_estimate.py

Compiles the convolution kernels for arm64 with clang and with GCC. In each kernel it takes the loop with the most FMAs,
and lets llvm-mca compute how many FMAs the loop starts in a cycle if all data are in L1. Prints a Markdown table. The
column "of the peak" relates this to the peak of llvm-mca's model. The model of Apple's M1 has three vector pipes, but
the real performance cores have four. So the table also has a bound for a core with four pipes, a latency of four
cycles, three loads and eight decoded instructions a cycle. Needs clang-16, llvm-16 and g++-aarch64-linux-gnu.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "cpp" / "cpu" / "instances" / "convolution.cpp"
FLAGS = (
    "-std=c++20",
    "-O2",
    "-ffp-contract=off",
    "-DMPSCNN_SET=neon",
    '-DMPSCNN_SIMD_HEADER="cpu/isa/simd_neon.h"',
    f"-I{ROOT / 'cpp'}",
    "-S",
    str(SOURCE),
)
#: The compilers and their options, as in cmake/MpscnnInstructionSets.cmake.
COMPILERS = {
    "clang": ("clang++-16", "--target=aarch64-linux-gnu", "-mcpu=apple-m1", *FLAGS),
    "GCC": ("aarch64-linux-gnu-g++", "-fno-schedule-insns", *FLAGS),
}
#: The number of vector pipes in llvm-mca's model of each core.
CORES = {"apple-m1": 3, "neoverse-v1": 2}
ITERATIONS = 200

#: For each kernel: what it computes, and a regular expression for the name of its function.
KERNELS = {
    "matrix product, 8 pixels x 12 channels": r"multiply_tiles<.*Simd, 8, 3>",
    "matrix product, 8 pixels x 8 channels": r"multiply_tiles<.*Simd, 8, 2>",
    "matrix product, 11 pixels x 4 channels": r"multiply_tiles<.*Simd, 11, 1>",
    "few outputs, 8 pixels x 2 channels": r"multiply_dot_tiles<.*Simd, 8, 2>",
    "depthwise 3x3": r"depthwise_\w+<.*DepthwiseShape<3, 3, 1, 1>",
    "depthwise 3x3, stride 2": r"depthwise_\w+<.*DepthwiseShape<3, 3, 2, 2>",
    "depthwise 5x5": r"depthwise_\w+<.*DepthwiseShape<5, 5, 1, 1>",
}


@dataclass(frozen=True)
class Block:
    """A basic block of assembly instructions."""

    function: str
    instructions: tuple[str, ...]

    def count(self, pattern: str) -> int:
        return sum(bool(re.match(pattern, instruction)) for instruction in self.instructions)

    @property
    def fmas(self) -> int:
        return self.count("fmla")


def main() -> None:
    print(
        "| kernel | compiler | FMAs | loads | stores | instructions | apple-m1: of the model's peak | "
        "of the real one's, at most | neoverse-v1: of the peak |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for compiler, command in COMPILERS.items():
        blocks = compiled_blocks(command)
        for kernel, pattern in KERNELS.items():
            fitting = [block for block in blocks if re.search(pattern, block.function)]
            if not fitting:
                sys.exit(f"{compiler} made no function like {pattern}")
            print(row(kernel, compiler, max(fitting, key=lambda block: block.fmas)), flush=True)


def row(kernel: str, compiler: str, block: Block) -> str:
    shares = [f"{100 * rate(block, core) / pipes:.0f}%" for core, pipes in CORES.items()]
    loads, stores = block.count("ld"), block.count("st")
    cycles = max(block.fmas / 4, (loads + stores) / 3, len(block.instructions) / 8)
    wide = f"{100 * block.fmas / 4 / cycles:.0f}%"
    cells = (
        kernel,
        compiler,
        block.fmas,
        loads,
        stores,
        len(block.instructions),
        shares[0],
        wide,
        shares[1],
    )
    return f"| {' | '.join(map(str, cells))} |"


def rate(block: Block, core: str) -> float:
    """Return the FMAs per cycle when the block runs as a loop."""
    command = "llvm-mca-16", "-mtriple=aarch64", f"-mcpu={core}", f"-iterations={ITERATIONS}"
    said = run(command, "\n".join(block.instructions) + "\n")
    found = re.search(r"Total Cycles:\s+(\d+)", said)
    if not found:
        sys.exit(f"llvm-mca gave no cycles:\n{said}")
    return block.fmas * ITERATIONS / int(found[1])


def compiled_blocks(command: Sequence[str]) -> list[Block]:
    with tempfile.TemporaryDirectory() as directory:
        result = Path(directory, "convolution.s")
        run([*command, "-o", str(result)])
        text = result.read_text()
    return list(basic_blocks(run(["c++filt"], text)))


def basic_blocks(assembly: str) -> Iterator[Block]:
    """Yield the basic blocks of a file of assembly, which end at labels and branches."""
    function, block = "", list[str]()
    for commented in assembly.splitlines():
        line = re.sub(r"\s*//.*", "", commented)
        if line.startswith("\t"):
            instruction = line.strip()
            if not instruction or instruction.startswith("."):
                continue
            block.append(instruction)
            if not re.match(r"(b|cbn?z|tbn?z|ret|br)\b|b\.?\w\w\s", instruction):
                continue
        elif not line.endswith(":"):
            continue
        if block:
            yield Block(function, tuple(block))
            block = []
        if line.endswith(":") and not line.startswith((".", "\t", " ")):
            function = line
    if block:
        yield Block(function, tuple(block))


def run(command: Sequence[str], text: str | None = None) -> str:
    try:
        result = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    except FileNotFoundError:
        sys.exit(
            f"{command[0]} is needed: install clang-16, llvm-16 and g++-aarch64-linux-gnu (Debian's names)"
        )
    except subprocess.CalledProcessError as error:
        sys.exit(f"{' '.join(command)} failed:\n{error.stderr}")
    return result.stdout


if __name__ == "__main__":
    main()
