"""Make frames for tests of the runner. Each frame and its result have a number."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mpscnn


def doubling_program(device: str = "cpu", size: int | None = 2) -> mpscnn.Program:
    """Return a program that doubles its input, (n, size, size, 1)."""
    network = mpscnn.Network(input=(size, size, 1), name="doubling")
    network.output(network.activation(network.input, {"kind": "linear", "a": 2.0}, name="twice"))
    return network.compile(device=device, precision="float32")


def frame(value: float, size: int = 2) -> NDArray[np.float32]:
    return np.full((1, size, size, 1), value, np.float32)


def value_of(result: Any) -> float:
    """Return the number of the frame that a result belongs to."""
    assert isinstance(result, np.ndarray)
    assert (result == result.flat[0]).all()
    return float(result.flat[0]) / 2


def in_callback(runner: mpscnn.Runner, action: Callable[[Any], object]) -> None:
    """Call `action` on the thread that delivers a runner's results."""
    caller = threading.get_ident()
    too_late = True
    while too_late:  # if a frame is done already, the callback runs on the thread that adds it
        too_late = False

        def call(future: Any) -> None:
            nonlocal too_late
            if threading.get_ident() == caller:
                too_late = True
            else:
                action(future)

        runner.submit(frame(-1)).add_done_callback(call)


class Gate:
    """Blocks the delivery of a runner's results. The frame `first`, with the value -2, is before the others."""

    def __init__(self, runner: mpscnn.Runner) -> None:
        self._reached = threading.Event()
        self._open = threading.Event()
        in_callback(runner, self._wait)
        assert self._reached.wait(60)
        self.first = runner.submit(frame(-2))

    def _wait(self, _: Any) -> None:
        self._reached.set()
        assert self._open.wait(300)

    def open(self) -> None:
        self._open.set()


def with_pauses(frames: Iterator[Any], seed: int, share: float = 0.01) -> Iterator[Any]:
    """Yield the same frames, some of them up to a millisecond late."""
    chance = random.Random(seed)
    for item in frames:
        if chance.random() < share:
            time.sleep(chance.random() / 1000)
        yield item
