"""Compare the cost model's predicted times (`Program.explain`) with measured times (`Session.profile`), for every step.

    python benchmarks/predictions.py [--threads N] [--runs N] [--only NETWORK] [--all]

Prints for each kind of kernel its share of the measured time, the predicted divided by the measured time of all its
steps together, and the smallest, median and largest ratio of a single step. The cost model is made for one processor.
On another processor all ratios may be higher or lower by the same factor, so only the differences between kinds count.
"""

from __future__ import annotations

import argparse
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from harness import input_shape, table_head, table_row

import mpscnn
from mpscnn import models

NETWORKS: dict[str, Callable[[], mpscnn.Network]] = {
    "MobileNetV1": models.mobilenet_v1,
    "MobileNetV2": models.mobilenet_v2,
    "SSDLite MobileNetV2": models.ssdlite_mobilenet_v2,
    "DeepLabv3 MobileNetV2, 513": lambda: models.deeplab_v3(input_size=513),
    "Deep MNIST": models.deep_mnist,
}


@dataclass(frozen=True)
class Step:
    """The times of a step in microseconds. There is no prediction for kernels that the cost model does not know."""

    network: str
    layers: str
    kind: str
    kernel: str
    measured: float
    predicted: float | None

    @property
    def ratio(self) -> float | None:
        return None if self.predicted is None else self.predicted / self.measured


def steps_of(name: str, threads: int, runs: int) -> Iterator[Step]:
    """Yield the steps of a network, measured within the network, so that caches are as cold as in real use."""
    network = NETWORKS[name]()
    network.initialize_weights()
    program = network.compile(device="cpu", precision="float32")
    shape = input_shape(network)
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    profiled = program.session(threads=threads).profile(x, runs=runs).steps
    for step, explained in zip(profiled, program.explain(threads=threads).steps, strict=True):
        yield Step(name, step.name, step.kind, step.kernel, 1000 * step.minimum, explained.predicted_us)


def print_kinds(steps: Iterable[Step]) -> None:
    by_kind: dict[str, list[Step]] = defaultdict(list)
    for step in steps:
        by_kind["all" if step.predicted is not None else "not predicted"].append(step)
        if step.predicted is not None:
            by_kind[step.kind].append(step)
    total = sum(step.measured for step in steps)
    print(
        table_head("kernels", "steps", "of the time", "predicted / measured", "minimum", "median", "maximum")
    )
    for kind, own in by_kind.items():
        measured = sum(step.measured for step in own)
        ratios = [step.ratio for step in own if step.ratio is not None]
        cells = (
            [
                sum(step.predicted or 0.0 for step in own) / measured,
                min(ratios),
                statistics.median(ratios),
                max(ratios),
            ]
            if ratios
            else []
        )
        print(
            table_row([kind, len(own), f"{100 * measured / total:.1f}%", *(f"{cell:.2f}" for cell in cells)])
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--only", default="", help="networks whose name contains this text")
    parser.add_argument("--all", action="store_true", help="a row for every step")
    options = parser.parse_args()
    steps: list[Step] = []
    for name in NETWORKS:
        if options.only in name:
            steps += steps_of(name, options.threads, options.runs)
    if options.all:
        print(table_head("network", "layers", "kernel", "measured us", "predicted us", "ratio"))
        for step in steps:
            cells = ["" if x is None else f"{x:.2f}" for x in (step.measured, step.predicted, step.ratio)]
            print(table_row([step.network, step.layers, step.kernel, *cells]))
        print()
    print_kinds(steps)


if __name__ == "__main__":
    main()
