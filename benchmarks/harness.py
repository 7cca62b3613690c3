"""Time calls interleaved, and print tables in Markdown, for all benchmarks."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

import mpscnn

Call = Callable[[], object]

# The pause in seconds before a call of several threads. In it the threads of the previous call stop spinning and sleep.
_PAUSE = 0.02
# The nanoseconds for which a call of several threads first runs untimed, so that its threads wake up.
_UNTIMED = 500_000


@dataclass(frozen=True)
class Times:
    """The minimum and median time of a call in microseconds."""

    minimum: float
    median: float

    def __str__(self) -> str:
        digits = 1 if self.median < 10 else 0
        return f"{self.minimum:.{digits}f} ({self.median:.{digits}f})"


def input_shape(network: Any, batch: int = 1) -> tuple[int, ...]:
    """Return the shape of a network's input for a number of images. Free extents become 1."""
    return batch, *(extent or 1 for extent in network.input.shape[1:])


def random_network(name: str = "mobilenet_v2") -> mpscnn.Network:
    """Return a network of `mpscnn.models` with random weights, which take as long as trained ones."""
    network: mpscnn.Network = getattr(mpscnn.models, name)()
    network.initialize_weights(0)
    return network


def keep_compiled_code(environment: MutableMapping[str, str], folder: Path) -> None:
    """Let Python processes find compiled files in a folder after the first one, as after an installation by pip.

    Args:
        environment: the environment of the processes, which is changed.
        folder: the folder for everything that the processes keep.
    """
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")


def quantized(network: mpscnn.Network) -> mpscnn.Network:
    """Quantize a network by the ranges of random images, since the speed does not depend on the scales."""
    draw = np.random.default_rng(0)
    images = [draw.uniform(-1.0, 1.0, input_shape(network)).astype(np.float32) for _ in range(4)]
    return mpscnn.quantize(network, images)[0]


def measure(calls: Mapping[str, Call], runs: int, threads: int = 1) -> dict[str, Times]:
    """Time calls interleaved: every turn times each call once, so that noise of the machine affects all calls.

    Each turn has another random order. Before it is timed, a call runs once untimed, which brings its code and data
    into the caches. Calls of several threads run untimed for longer, so that their threads wake up.
    """
    order, random = list(calls.items()), Random(0)
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(runs + 1):
        random.shuffle(order)
        for name, call in order:
            if threads > 1:
                time.sleep(_PAUSE)
            awake = time.perf_counter_ns() + (_UNTIMED if threads > 1 else 0)
            call()
            while time.perf_counter_ns() < awake:
                call()
            begin = time.perf_counter_ns()
            call()
            if turn > 0:  # the first turn is not counted, because it allocates memory
                times[name].append((time.perf_counter_ns() - begin) / 1000)
    return {name: Times(min(values), statistics.median(values)) for name, values in times.items()}


def table_head(*columns: str) -> str:
    """Return the first two lines of a Markdown table."""
    return f"{table_row(columns)}\n{table_row('---' for _ in columns)}"


def table_row(cells: Iterable[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"
