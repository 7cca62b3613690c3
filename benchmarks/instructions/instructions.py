"""Count the instructions of one inference with valgrind, to detect lost speed even on a busy machine.

    python benchmarks/instructions/instructions.py [--record] [--sets baseline,avx2] [--only NETWORK]

Counts the instructions of one run on one thread for each network and instruction set (valgrind knows no AVX-512), and
compares the counts with `expected.json`. A count that is more than 2% higher is a failure. A count that is more than 2%
lower prints a notice: record it with `--record`, because otherwise a later increase up to the old count would not be
noticed. Counts depend on the compiler, so each compiler has its own expected counts. For a compiler without expected
counts a message says that nothing was compared.

Needs valgrind, CMake and a C++ compiler. Counts are not times: they do not include the effect of caches and latencies.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from harness import quantized

import mpscnn
from mpscnn import models
from mpscnn.apps.cli.package import cmake_directory

HERE = Path(__file__).parent
EXPECTED = HERE / "expected.json"
TOLERANCE = 0.02
#: Fuse convolutions to chains of this form wherever possible. The engine's own choice would depend on the caches.
CHAINS = "rows=4,channels=64,stages=3"
#: The cache sizes in bytes for which the engine divides its work, the same on every machine.
CACHES = "32768,524288,8388608"
SETS = ("baseline", "avx2")


@dataclass(frozen=True)
class Inference:
    """One measurement: a network, a number of images, and a precision."""

    build: Callable[[], mpscnn.Network]
    batch: int = 1
    precision: str = "float32"


# Images are smaller than usual, because emulated FMAs are slow. Layers of larger images use the same kernels.
INFERENCES = {
    "mobilenet_v1 128": Inference(lambda: models.mobilenet_v1(input_size=128)),
    "mobilenet_v2 128": Inference(lambda: models.mobilenet_v2(input_size=128)),
    "ssdlite_mobilenet_v2 160": Inference(lambda: models.ssdlite_mobilenet_v2(input_size=160)),
    "deeplab_v3 129": Inference(lambda: models.deeplab_v3(input_size=129)),
    "deep_mnist": Inference(models.deep_mnist),
    # compare.py times batches of 64.
    "deep_mnist batch 16": Inference(models.deep_mnist, batch=16),
    "mobilenet_v1 128 int8": Inference(lambda: models.mobilenet_v1(input_size=128), precision="int8"),
    "mobilenet_v2 128 int8": Inference(lambda: models.mobilenet_v2(input_size=128), precision="int8"),
}

#: The number of instructions by network, and then by instruction set.
Counts = dict[str, dict[str, int]]


@dataclass(frozen=True)
class Case:
    """One count to take."""

    network: str
    instruction_set: str
    model: Path
    inference: Inference


def main() -> int:
    parser = argparse.ArgumentParser(description="Count the instructions of one inference.")
    parser.add_argument("--record", action="store_true", help="make what is counted the expectation")
    parser.add_argument("--sets", default=",".join(SETS), help="instruction sets (default: %(default)s)")
    parser.add_argument("--only", default="", help="networks whose name contains this text")
    arguments = parser.parse_args()
    networks = [name for name in INFERENCES if arguments.only in name]
    compiler = compiler_name()
    with tempfile.TemporaryDirectory() as directory:
        counts = count_all(networks, arguments.sets.split(","), Path(directory))
    expected: dict[str, Counts] = json.loads(EXPECTED.read_text())
    if arguments.record:
        known = expected.setdefault(compiler, {})
        for network, by_set in counts.items():
            known.setdefault(network, {}).update(by_set)
        EXPECTED.write_text(json.dumps(expected, indent=4) + "\n")
    if compiler not in expected:
        print(f"No counts are expected of {compiler} (of {', '.join(expected)} only): nothing was compared.")
    return report(counts, expected.get(compiler, {}))


def compiler_name() -> str:
    """Return the package's compiler and the parts of its version that change the generated code."""
    config = mpscnn.build_config()
    major, minor = str(config["compiler_version"]).split(".")[:2]
    return f"{config['compiler']} {major}.{minor}"


def count_all(networks: Sequence[str], sets: Sequence[str], directory: Path) -> Counts:
    """Count several cases in parallel, because other processes do not change the counts."""
    program = build_program(directory / "build")
    cases = []
    for number, name in enumerate(networks):
        inference = INFERENCES[name]
        network = inference.build()
        network.initialize_weights()
        path = directory / f"{number}.safetensors"
        (quantized(network) if inference.precision == "int8" else network).save(path)
        cases += [Case(name, one, path, inference) for one in sets]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        counted = list(pool.map(lambda case: count(program, case), cases))
    counts: Counts = {name: {} for name in networks}
    for case, instructions in zip(cases, counted, strict=True):
        counts[case.network][case.instruction_set] = instructions
    return counts


def build_program(build: Path) -> Path:
    """Build a C++ program that runs a model once, linked with the package's library, and return its path."""
    # This is None if the package is not installed. Then CMAKE_PREFIX_PATH must lead to a library.
    package = cmake_directory()
    found = [] if package is None else [f"-DCMAKE_PREFIX_PATH={package}"]
    run(["cmake", "-S", str(HERE), "-B", str(build), "-DCMAKE_BUILD_TYPE=Release", *found])
    run(["cmake", "--build", str(build)])
    return build / "one_run"


def count(program: Path, case: Case) -> int:
    command = ["valgrind", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=run_once"]
    command += ["--callgrind-out-file=/dev/null", str(program), str(case.model)]
    command += [str(case.inference.batch), case.inference.precision]
    said = run(command, MPSCNN_CPU=case.instruction_set, MPSCNN_FUSION=CHAINS, MPSCNN_CACHE_SIZES=CACHES)
    found = re.search(r"Collected : (\d+)", said)
    if not found or found[1] == "0":
        sys.exit(f"valgrind counted nothing of {case.network}, {case.instruction_set}:\n{said}")
    return int(found[1])


def run(command: Sequence[str], **environment: str) -> str:
    """Return the output of a command. If the command fails, exit with its output."""
    result = subprocess.run(
        command,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)} failed with status {result.returncode}:\n{result.stdout}")
    return result.stdout


def report(counts: Counts, expected: Counts) -> int:
    """Print a table. Return 1 if a count is above the expected one, or if only some counts have an expected one."""
    status, fewer = 0, 0
    print("| network | instruction set | instructions | expected | |\n| --- | --- | --- | --- | --- |")
    for network, by_set in counts.items():
        for instruction_set, instructions in by_set.items():
            known = expected.get(network, {}).get(instruction_set)
            verdict = "no expectation" if known is None else verdict_on(instructions / known)
            unknown = known is None and bool(expected)
            status |= unknown or (known is not None and instructions / known > 1 + TOLERANCE)
            fewer += known is not None and instructions / known < 1 - TOLERANCE
            print(f"| {network} | {instruction_set} | {instructions:,} | {known or 0:,} | {verdict} |")
    if fewer:
        print(
            f"NOTICE: {fewer} counts are lower than expected. Record them with --record, to notice the next loss."
        )
    return int(status)


def verdict_on(ratio: float) -> str:
    change = f"{100 * (ratio - 1):+.2f}%"
    if ratio > 1 + TOLERANCE:
        return f"{change}: SLOWER, find out why"
    return f"{change}: FASTER, record it with --record" if ratio < 1 - TOLERANCE else change


if __name__ == "__main__":
    sys.exit(main())
