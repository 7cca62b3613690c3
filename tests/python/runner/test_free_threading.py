"""Test threads that share objects of the bindings. Without the GIL, Python must not corrupt them."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mpscnn
from mpscnn import kernels

THREADS = 4
ROUNDS = 60


def at_once(work: Callable[[int], Any]) -> list[Any]:
    """Run `work` in several threads that begin together. Return the results, or raise an error of `work`."""
    begin = threading.Barrier(THREADS)
    results: list[Any] = [None] * THREADS
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            begin.wait()
            results[number] = work(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return results


def small_network() -> mpscnn.Network:
    network = mpscnn.Network((8, 8, 4), name="small")
    network.output(network.conv2d(network.input, 4, 3, padding="same", name="conv"))
    network.initialize_weights(1)
    return network


def test_the_import_leaves_the_gil_off() -> None:
    gil_enabled = getattr(sys, "_is_gil_enabled", lambda: True)
    if not sys.abiflags.startswith("t"):
        pytest.skip(f"Python {sys.version.split()[0]} here has a GIL; 3.13t and 3.14t have none")
    assert not gil_enabled()


def test_futures_shared_by_threads() -> None:
    program = small_network().compile(device="cpu", precision="float32")
    x = np.random.default_rng(1).normal(size=(1, 8, 8, 4)).astype(np.float32)
    expected = program.session().run(x)
    with mpscnn.Runner(program, inflight=2) as runner:
        for _ in range(ROUNDS):
            future = runner.submit(x)
            calls: list[Any] = []

            def take(number: int, future: Any = future, calls: list[Any] = calls) -> Any:
                future.add_done_callback(calls.append)
                future.done()
                return future.result()

            for result in at_once(take):
                np.testing.assert_array_equal(result, expected)
        gc.collect()


def test_an_iterator_shared_by_threads_loses_and_repeats_nothing() -> None:
    program = small_network().compile(device="cpu", precision="float32")
    frames = np.random.default_rng(2).normal(size=(ROUNDS, 1, 8, 8, 4)).astype(np.float32)
    session = program.session()
    expected = sorted(float(session.run(frame).sum()) for frame in frames)
    with mpscnn.Runner(program, inflight=2) as runner:
        results = runner.map(iter(frames))

        def take(number: int) -> list[float]:
            sums = []
            while True:
                try:
                    sums.append(float(next(results).sum()))
                except StopIteration:
                    return sums
                except mpscnn.StateError:  # another thread uses the object
                    continue

        taken = at_once(take)
    assert sorted(value for sums in taken for value in sums) == expected


def test_networks_and_kernels_that_threads_change_and_read() -> None:
    network = mpscnn.Network(input=(8, 8, 40))
    network.output(network.conv2d(network.input, 40, 3, name="conv"))
    weight = np.zeros((40, 3, 3, 40), np.float32)  # numpy copies so many numbers without the interpreter lock
    kernel = kernels.PoolingMax(2, 2, stride_x=2, stride_y=2)
    moved = kernels.PoolingMax(2, 2)
    queue = mpscnn.CommandQueue("cpu", threads=1)

    def work(number: int) -> None:
        for index in range(ROUNDS):
            network.set_weights({"conv.weight": weight + number}, layout="OHWI")
            stored = network.weight("conv")
            assert len(np.unique(stored)) == 1
            moved.offset = (number, index, 0)
            assert moved.offset[0] in range(THREADS)
            with queue.command_buffer() as commands:
                result = kernel.encode(commands, mpscnn.Image(8, 8, 4))
            assert result.width == 4

    at_once(work)


def test_sessions_of_one_program_run_at_once() -> None:
    program = small_network().compile(device="cpu", precision="float32")
    x = np.random.default_rng(3).normal(size=(1, 8, 8, 4)).astype(np.float32)
    expected = program.session().run(x)

    def run(number: int) -> None:
        session = program.session(threads=1)
        for _ in range(ROUNDS):
            np.testing.assert_array_equal(session.run(x), expected)

    at_once(run)
