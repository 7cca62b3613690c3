"""Estimate how networks scale to more threads than this machine has cores.

    python benchmarks/scaling.py [--threads 1,2,4,8,16,32,64] [--runs N] [--only NETWORK] [--steps N] [--wait US]

Plans each network for a number of threads and times every work item on one core. The items of each step are then
scheduled for that many threads: statically, as one contiguous part for each thread, and dynamically, each item to the
first free thread. Efficiency is the time with one thread divided by (threads x predicted time). `--wait` is added for
each step: the time in which threads wait for each other, 1 us by default. `--steps` lists the steps that lose most.

The estimate does not include shared caches and memory, the time to move data from another core, and rows that two
threads both compute at the border of their parts in a chain of fused layers.
"""

from __future__ import annotations

import argparse
import heapq
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent))
from harness import input_shape, table_head, table_row

import mpscnn
from mpscnn import models

NETWORKS: dict[str, Callable[[], mpscnn.Network]] = {
    "MobileNetV1": models.mobilenet_v1,
    "MobileNetV2": models.mobilenet_v2,
    "SSDLite MobileNetV2": models.ssdlite_mobilenet_v2,
    "DeepLabv3 MobileNetV2, 513": models.deeplab_v3,
}


@dataclass(frozen=True)
class Step:
    """A step of a plan, with the time of each of its work items in microseconds."""

    name: str
    items: list[float]


def static_makespan(items: Sequence[float], threads: int) -> float:
    """Return the time of a static schedule: each thread has one contiguous part of equal length (or one item more)."""
    ends = [len(items) * (thread + 1) // threads for thread in range(threads)]
    return max(sum(items[begin:end]) for begin, end in zip([0, *ends], ends, strict=False))


def dynamic_makespan(items: Sequence[float], threads: int) -> float:
    """Return the time of a dynamic schedule: each item goes to the thread that is free first."""
    free = [0.0] * threads
    for item in items:
        heapq.heapreplace(free, free[0] + item)
    return max(free)


def measured(network: mpscnn.Network, threads: int, runs: int) -> list[Step]:
    """Return the steps with each item's minimum time in `runs` runs. The process is bound to one core."""
    session = network.compile(device="cpu").session(threads=threads)
    shape = input_shape(network)
    x = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    best = one_run(session, x)
    for _ in range(runs - 1):
        for known, step in zip(best, one_run(session, x), strict=True):
            known.items[:] = map(min, known.items, step.items)
    return best


def one_run(session: mpscnn.Session, x: NDArray[np.float32]) -> list[Step]:
    """Return the steps of one run, with their items in the order in which they ran."""
    events = session.profile(x, runs=1).chrome_trace()["traceEvents"]
    timed = [event for event in events if event["ph"] == "X"]
    steps = sorted((event for event in timed if event["tid"] == 0), key=lambda event: float(event["ts"]))
    items = sorted((event for event in timed if event["tid"] > 0), key=lambda event: float(event["ts"]))
    found: dict[int, list[float]] = defaultdict(list)
    number = 0
    for item in items:
        while number + 1 < len(steps) and item["ts"] >= steps[number + 1]["ts"]:
            number += 1
        found[number].append(float(item["dur"]))
    return [Step(steps[number]["name"], found[number]) for number in sorted(found)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Predict the efficiency of many threads.")
    parser.add_argument("--threads", default="1,2,4,8,16,32,64")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--only", default="", help="networks whose name contains this text")
    parser.add_argument("--steps", type=int, default=0, help="steps to list for each number of threads")
    parser.add_argument("--wait", type=float, default=1.0, help="microseconds for threads to meet")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):  # on one core, items run one at a time and do not disturb each other
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(table_head("network", "threads", "items", "one thread, ms", "static", "dynamic"))
    for name, make in NETWORKS.items():
        if arguments.only not in name:
            continue
        network = make()
        network.initialize_weights()
        alone = sum(sum(step.items) for step in measured(network, 1, arguments.runs))
        for threads in (int(text) for text in arguments.threads.split(",")):
            steps = measured(network, threads, arguments.runs)
            wait = arguments.wait * len(steps) if threads > 1 else 0.0
            efficiencies = [
                alone / threads / (sum(schedule(step.items, threads) for step in steps) + wait)
                for schedule in (static_makespan, dynamic_makespan)
            ]
            count = sum(len(step.items) for step in steps)
            shares = [f"{100 * efficiency:.0f}%" for efficiency in efficiencies]
            print(table_row((name, threads, count, f"{alone / 1000:.2f}", *shares)), flush=True)
            print_worst(steps, threads, arguments.steps)


def print_worst(steps: Sequence[Step], threads: int, count: int) -> None:
    """Print the steps whose threads wait longest for each other."""

    def lost(step: Step) -> float:
        return dynamic_makespan(step.items, threads) - sum(step.items) / threads

    for step in sorted(steps, key=lost, reverse=True)[:count]:
        print(
            f"    {lost(step):8.1f} us lost of {sum(step.items):8.1f}, {len(step.items)} items: {step.name}"
        )


if __name__ == "__main__":
    main()
