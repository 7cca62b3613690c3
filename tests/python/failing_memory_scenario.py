"""The program of test_failing_memory.py. It runs with the allocation library of failing_allocations.cpp.

A step that failed is repeated with enough memory, and must then succeed. Arguments: the library, a directory for files,
and the number of positions to try; 0: all.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import photo_models

import mpscnn

T = TypeVar("T")


class Trial:
    """Until the trial ends, one allocation fails: that at `position`. With `for_ever`, all after it fail, too."""

    def __init__(self, library: ctypes.CDLL, position: int, *, for_ever: bool) -> None:
        self._library = library
        self.failures = 0
        library.failing_begin(ctypes.c_long(position), int(for_ever))

    def end(self) -> int:
        """End the trial. Return the number of allocations that were requested."""
        self._library.failing_pause()
        return int(self._library.failing_tried())

    def step(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except (mpscnn.Error, MemoryError) as error:
            position = self._library.failing_pause()
            failure: Exception = error
        assert str(failure), f"{type(failure).__name__} without a message"
        self.failures += 1
        result = call()
        self._library.failing_resume(ctypes.c_long(position))
        return result


def use_network(trial: Trial, directory: Path) -> None:
    def build() -> mpscnn.Network:
        network = mpscnn.Network(input=(8, 8, 3), name="small")
        x = network.conv2d(network.input, 16, 3, activation="relu", name="first")
        x = network.global_average_pool2d(x, name="pool")
        network.output(network.softmax(network.dense(x, 3, name="logits")))
        network.initialize_weights(1)
        return network

    network = trial.step(build)
    path = directory / "small.safetensors"
    trial.step(lambda: network.save(path, dtype="float32"))
    program = trial.step(lambda: network.compile(device="cpu"))
    expected = None
    for threads in (1, 2):
        session = trial.step(lambda threads=threads: program.session(threads=threads))  # type: ignore[misc]
        for images in (1, 2):
            photos = np.ones((images, 8, 8, 3), np.float32)
            result = trial.step(lambda: session.run(photos))  # noqa: B023
            expected = result[0] if expected is None else expected
            assert np.allclose(result, expected)
    frames = [np.ones((1, 8, 8, 3), np.float32)] * 5
    runner = trial.step(lambda: mpscnn.Runner(program, inflight=2, max_batch=2))
    for result in trial.step(lambda: list(runner.map(frames))):
        assert np.allclose(result[0], expected)
    futures = [trial.step(lambda: runner.submit(frames[0])) for _ in range(3)]
    for future in futures:
        submit_again = iter([future.result, lambda: runner.submit(frames[0]).result()])
        assert np.allclose(trial.step(lambda: next(submit_again)())[0], expected)  # noqa: B023
    runner.close()


def use_photos(trial: Trial, directory: Path) -> None:
    photo = photo_models.photos(1)[0]
    for task in photo_models.NETWORKS:
        path = directory / f"{task}.safetensors"
        model = trial.step(lambda: mpscnn.load(path, device="cpu", precision="float32"))  # noqa: B023
        expected = trial.step(lambda: model.predict(photo))  # noqa: B023
        runner = trial.step(lambda: mpscnn.Runner(model, inflight=2))  # noqa: B023
        for _ in range(2):
            found = trial.step(lambda: runner.submit(photo).result())  # noqa: B023
            assert photo_models.same(found, expected)
        runner.close()


def main() -> None:
    library = ctypes.CDLL(sys.argv[1])
    library.failing_live.restype = library.failing_tried.restype = library.failing_pause.restype = (
        ctypes.c_long
    )
    directory, wanted = Path(sys.argv[2]), int(sys.argv[3])
    for task in photo_models.NETWORKS:
        photo_models.load(directory, task)
    for name, work in (("network", use_network), ("photos", use_photos)):
        for for_ever in (False, True):
            for _ in range(2):  # the first call creates objects that later calls reuse
                everything = Trial(library, 1 << 40, for_ever=for_ever)
                work(everything, directory)
                last = everything.end()
                assert everything.failures == 0
            stride = max(1, last // wanted) if wanted else 1
            failures = 0
            positions = range(1, last + 1, stride)
            gc.collect()
            before = library.failing_live()
            for position in positions:
                print(f"{name}, position {position}", file=sys.stderr, flush=True)
                trial = Trial(library, position, for_ever=for_ever)
                work(trial, directory)
                trial.end()
                failures += trial.failures
            gc.collect()
            left = library.failing_live() - before
            print(
                f"{name}, {'for ever' if for_ever else 'once'}: {len(positions)} of {last} positions tried, "
                f"{failures} calls failed, {left} blocks left"
            )


if __name__ == "__main__":
    main()
