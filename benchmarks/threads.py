"""Compare numbers of threads: whether threads="auto" finds the best one, and the effect of another busy process.

    python benchmarks/threads.py [--runs N] [--threads N] [--only auto|busy] [--networks TEXT]
                                 [--engines onnxruntime,...]

"auto" measures every network with 1 ... N threads and with "auto", interleaved: runs without pauses, and runs with
pauses in which worker threads fall asleep. "busy" measures MobileNetV2 with N threads, alone and next to a process that
computes all the time with the same priority. Every engine runs in its own process.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
from harness import input_shape, table_head, table_row
from peer_files.all_peers import ALL_PEERS

from mpscnn import Network, Session, models
from mpscnn.apps.benchmark import Peer, measure, open_subject
from mpscnn.runtime.library import available_processors

PAUSE = 0.002  # seconds; workers spin for less time before they sleep


def tiny() -> Network:
    """Return a network that takes some ten microseconds."""
    network = Network(input=(16, 16, 8), name="tiny")
    x = network.conv2d(network.input, 16, 3, padding="same", activation="relu")
    x = network.conv2d(network.max_pool2d(x, 2), 32, 3, padding="same", activation="relu")
    network.output(network.dense(network.max_pool2d(x, 2), 10))
    return network


@dataclass(frozen=True)
class Case:
    """A network and its batch size."""

    build: Callable[[], Network]
    batch: int = 1


CASES = {
    "tiny": Case(tiny),
    "Deep MNIST": Case(lambda: models.deep_mnist(output="logits")),
    "Deep MNIST, 64 images": Case(lambda: models.deep_mnist(output="logits"), batch=64),
    "MobileNetV2 0.35/96": Case(
        lambda: models.mobilenet_v2(depth_multiplier=0.35, input_size=96, output="logits")
    ),
    "MobileNetV2": Case(lambda: models.mobilenet_v2(output="logits")),
    "MobileNetV1": Case(lambda: models.mobilenet_v1(output="logits")),
    "SSDLite MobileNetV2": Case(models.ssdlite_mobilenet_v2),
    "DeepLabv3 MobileNetV2": Case(lambda: models.deeplab_v3(input_size=513)),
}


class Timed:
    """A session and its times, in milliseconds."""

    def __init__(self, session: Session, x: np.ndarray) -> None:
        self._session, self._x = session, x
        self._out = session.run(x)
        self.times: list[float] = []

    def run(self, count: int, pause: float) -> None:
        for _ in range(count):
            if pause:
                time.sleep(pause)
            begin = time.perf_counter_ns()
            self._session.run(self._x, out=self._out)
            self.times.append((time.perf_counter_ns() - begin) / 1e6)


def compare_counts(maximum: int, runs: int, networks: str) -> None:
    """Print the table of "auto", for networks whose name contains a text."""
    counts: list[int | Literal["auto"]] = [*range(1, maximum + 1), "auto"]
    columns = [f"{count} thread(s)" if count != "auto" else "auto" for count in counts]
    print(table_head("network", "runs", *columns, "auto / best"))
    for name, case in CASES.items():
        if networks not in name:
            continue
        network = case.build()
        network.initialize_weights()
        shape = input_shape(network, case.batch)
        x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        program = network.compile(device="cpu", precision="float32")
        for what, pause in (("without pauses", 0.0), ("with pauses", PAUSE)):
            subjects = [Timed(program.session(threads=count), x) for count in counts]
            for turn in range(1 + runs // 5):
                for i in range(len(subjects)):
                    subject = subjects[(turn + i) % len(subjects)]
                    time.sleep(PAUSE)
                    subject.run(5 if turn else 1, pause)
            for subject in subjects:
                del subject.times[0]  # the first run starts threads
            # The slowest runs of "auto" are those in which it tries other numbers of threads.
            figures = [np.percentile(subject.times, (0, 50, 95)) for subject in subjects]
            cells = [_three(figure, ".4g") for figure in figures]
            ratios = _three(figures[-1] / np.min(figures[:-1], axis=0), ".2f")
            print(table_row([name, what, *cells, ratios]), flush=True)


def _three(figures: np.ndarray, digits: str) -> str:
    minimum, median, p95 = (format(figure, digits) for figure in figures)
    return f"{minimum} ({median}, 95%: {p95})"


@contextmanager
def busy_process() -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def compare_neighbours(threads: int, runs: int, peers: list[Peer]) -> None:
    """Print the table for a busy process on the same machine."""
    subject = open_subject("mobilenet_v2", random_weights=True)
    print(table_head("MobileNetV2", "threads", "alone", "next to a busy process", "ratio of the medians"))
    for count in sorted({1, threads}):
        alone = measure(subject, peers=peers, threads=count, runs=runs)
        with busy_process():
            beside = measure(subject, peers=peers, threads=count, runs=runs)
        for a, b in zip(alone, beside, strict=True):
            cells = [f"{times.minimum:.2f} ({times.median:.2f}, 95%: {times.p95:.2f})" for times in (a, b)]
            print(table_row([a.engine, count, *cells, f"{b.median / a.median:.2f}"]), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--threads", type=int, default=available_processors())
    parser.add_argument("--only", choices=("auto", "busy"))
    parser.add_argument("--networks", default="", help="with this text in their name; of the first table")
    parser.add_argument("--engines", default="onnxruntime", help="to compare with, with commas between")
    arguments = parser.parse_args()
    print("Milliseconds: minimum (median, 95th percentile).\n")
    if arguments.only != "busy":
        compare_counts(arguments.threads, arguments.runs, arguments.networks)
        print()
    if arguments.only != "auto":
        peers = [ALL_PEERS[name] for name in arguments.engines.split(",")]
        compare_neighbours(arguments.threads, arguments.runs, peers)


if __name__ == "__main__":
    main()
