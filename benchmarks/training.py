"""Compare the speed of a training step of Deep MNIST and MobileNetV2 in mpscnn and its peers.

    chrt -r 1 python benchmarks/training.py [--peers torch,tensorflow] [--rounds N] [--networks NAMES] [--threads 1,2]
    chrt -r 1 python benchmarks/training.py --profile [--precision P] [--rounds N] [--networks NAMES] [--threads 1,2]

Peers: mpscnn_bfloat16, torch, torch_compile, tensorflow, tensorflow_xla, jax (with optax), mnn. Each engine runs in its
own process. On Linux the process may use only as many cores as it has threads, since some engines start more threads.
Steps of the engines are interleaved. Batch normalization is in training mode, all layers are trained, and the loss must
fall before times count. Prints Markdown: the minimum time of a step of each engine in milliseconds, the peak memory of
its process, and mpscnn's time divided by that of the fastest other engine. --processor measures the time of the
processor instead, which other programs of a busy machine change little. --profile prints the time of each part of
mpscnn's step.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import time
from multiprocessing.connection import Connection

import numpy as np
from harness import table_head, table_row
from training_engines import ENGINES, mpscnn_trainer
from training_networks import CASES

_WARM_UP = 6


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--peers", default="torch")
    arguments.add_argument("--rounds", type=int, default=15)
    arguments.add_argument("--networks", default=",".join(CASES))
    arguments.add_argument("--threads", default="1,2")
    arguments.add_argument("--processor", action="store_true", help="measure the time of the processor")
    arguments.add_argument("--profile", action="store_true")
    arguments.add_argument("--precision", default="float32", help="of the profile")
    given = arguments.parse_args()
    if given.profile:
        for name in given.networks.split(","):
            for threads in map(int, given.threads.split(",")):
                print(
                    f"\n{name}, threads: {threads}\n\n{shares(name, threads, given.rounds, given.precision)}"
                )
        return
    engines = ["mpscnn", *given.peers.split(",")]
    print(table_head("network", "threads", *(f"{engine}, ms (MB)" for engine in engines), "ratio"))
    for name in given.networks.split(","):
        for threads in map(int, given.threads.split(",")):
            print(measured(engines, name, threads, given.rounds, given.processor), flush=True)


def measured(engines: list[str], name: str, threads: int, count: int, processor: bool) -> str:
    """Measure one network with all engines, and return a row of the table."""
    workers = [Worker(engine, name, threads, processor) for engine in engines]
    times: list[list[float]] = [[] for _ in workers]
    for engine, worker in zip(engines, workers, strict=True):
        losses = [worker.step()[1] for _ in range(_WARM_UP)]
        assert losses[-1] < losses[0], f"{name}: the loss of {engine} does not fall: {losses}"
    for _ in range(count):
        for worker, own in zip(workers, times, strict=True):
            own.append(worker.step()[0])
    minimum = [min(own) * 1e3 for own in times]
    cells = [f"{ms:.1f} ({worker.close():.0f})" for ms, worker in zip(minimum, workers, strict=True)]
    return table_row([name, threads, *cells, f"{minimum[0] / min(minimum[1:]):.2f}"])


def shares(name: str, threads: int, count: int, precision: str) -> str:
    """Return a table of the kinds of kernels in a step: the sum of their minimum times, and its share."""
    x, y = batch_of(name)
    profile = mpscnn_trainer(CASES[name], threads, precision).profile(x, y, runs=count)
    rows = [
        table_row([total.kind, total.steps, f"{total.milliseconds:.1f}", f"{total.share:.1%}"])
        for total in profile.by_kind()
    ]
    return "\n".join([table_head("kernels", "parts of a step", "ms", "share"), *rows])


def batch_of(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return random images and classes for a network."""
    case, random = CASES[name], np.random.default_rng(0)
    x = random.normal(0, 0.5, (case.batch, *case.shape)).astype(np.float32)
    return x, random.integers(0, case.classes, case.batch)


class Worker:
    """A process that runs a training step on request."""

    def __init__(self, engine: str, name: str, threads: int, processor: bool) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        given = (other, engine, name, threads, processor)
        self._process = context.Process(target=_serve, args=given, daemon=True)
        self._process.start()
        other.close()  # so that reading from the pipe ends when the process ends

    def step(self) -> tuple[float, float]:
        """Run a step, and return its seconds and loss."""
        self._pipe.send("step")
        seconds, loss = self._pipe.recv()
        return float(seconds), float(loss)

    def close(self) -> float:
        """End the process, and return its peak memory in MB."""
        self._pipe.send("close")
        peak = float(self._pipe.recv())
        self._process.join()
        return peak


def _serve(pipe: Connection, engine: str, name: str, threads: int, processor: bool) -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    x, y = batch_of(name)
    step = ENGINES[engine](CASES[name], threads)
    clock = time.process_time if processor else time.perf_counter
    while pipe.recv() == "step":
        start = clock()
        loss = step(x, y)
        pipe.send((clock() - start, loss))
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    main()
