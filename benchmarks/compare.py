"""MobileNet V1 and V2, 224 x 224, float32: mpscnn beside onnxruntime on the same graph and weights.

    python benchmarks/compare.py [--runs N] [--threads 1,2]

Prints a Markdown table with machine and versions. Every engine runs in its own process, in turns, see
`mpscnn.benchmark`. The ratio is onnxruntime's median over mpscnn's: above 1 mpscnn is the faster one.
LiteRT is left out, since it reads no ONNX; `mpscnn benchmark FILE.tflite --compare litert` measures it.
"""

from __future__ import annotations

import argparse
import platform
from pathlib import Path

import mpscnn
from mpscnn.benchmark import Measurement, measure, open_subject
from mpscnn.benchmark.measure import available_processors

NETWORKS = ("mobilenet_v1", "mobilenet_v2")
PEER = "onnxruntime"


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare mpscnn with onnxruntime on MobileNet V1 and V2.")
    parser.add_argument("--runs", type=int, default=100, help="timed runs of each engine (default: 100)")
    parser.add_argument("--threads", default="1,2", help="thread counts, with commas between (default: 1,2)")
    arguments = parser.parse_args()
    counts = [int(count) for count in arguments.threads.split(",")]

    results = {
        (name, threads): measure(
            open_subject(name, random_weights=True),
            peers=[PEER],
            threads=threads,
            precision="float32",
            runs=arguments.runs,
        )
        for name in NETWORKS
        for threads in counts
    }
    print(_conditions(next(iter(results.values())), arguments.runs))
    print()
    print(_table(results))


def _conditions(measurements: list[Measurement], runs: int) -> str:
    config = mpscnn.build_config()
    facts = [
        f"{_processor()}, {available_processors()} processors usable",
        f"{platform.system()} {platform.machine()}",
        ", ".join(f"{result.engine} {result.version}" for result in measurements),
        f"instruction set {config['instruction_set']}, {config['compiler']} {config['compiler_version']}",
        f"float32, batch 1, {runs} runs of each in turns",
    ]
    return "; ".join(facts) + "."


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown processor"


COLUMNS = (
    "network",
    "threads",
    "engine",
    "min ms",
    "median ms",
    "p95 ms",
    "GFLOP/s",
    "memory",
    "difference",
    "ratio",
)


def _table(results: dict[tuple[str, int], list[Measurement]]) -> str:
    rows = [COLUMNS, ("---",) * len(COLUMNS)]
    for (name, threads), measurements in results.items():
        ours = measurements[0]
        rows += [(name, str(threads), *_cells(result, ours)) for result in measurements]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cells(result: Measurement, ours: Measurement) -> tuple[str, ...]:
    return (
        result.engine,
        f"{result.minimum:.2f}",
        f"{result.median:.2f}",
        f"{result.p95:.2f}",
        f"{result.gflops:.1f}",
        f"{result.peak_bytes / 1e6:.0f} MB",
        "" if result.difference is None else f"{result.difference:.1e}",
        "" if result is ours else f"{result.median / ours.median:.2f}",
    )


if __name__ == "__main__":
    main()
