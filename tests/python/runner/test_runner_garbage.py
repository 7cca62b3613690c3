"""Frames that fail leave no reference cycles, because each would keep a photo until the garbage collector runs."""

from __future__ import annotations

import gc
from collections.abc import Callable

import numpy as np
import pytest
from runner_frames import doubling_program, frame

import mpscnn

FRAMES = 30

WRONG_SHAPE = np.zeros((1, 3, 2, 1), np.float32)


def unreachable(act: Callable[[], None]) -> int:
    """Return the number of objects in reference cycles after some calls."""
    act()
    gc.collect()
    gc.disable()
    try:
        for _ in range(FRAMES):
            act()
        return gc.collect()
    finally:
        gc.enable()


def raised_by_result(runner: mpscnn.Runner) -> None:
    with pytest.raises(mpscnn.errors.ShapeError):
        runner.submit(WRONG_SHAPE).result()


def told_by_exception(runner: mpscnn.Runner) -> None:
    assert isinstance(runner.submit(WRONG_SHAPE).exception(), mpscnn.errors.ShapeError)


def raised_by_map(runner: mpscnn.Runner) -> None:
    with pytest.raises(mpscnn.errors.ShapeError):
        list(runner.map([frame(1), WRONG_SHAPE, frame(2)]))


@pytest.mark.parametrize("act", [raised_by_result, told_by_exception, raised_by_map])
def test_failing_frames_leave_no_cycles(act: Callable[[mpscnn.Runner], None]) -> None:
    with mpscnn.Runner(doubling_program(), 2) as runner:
        assert unreachable(lambda: act(runner)) < FRAMES
