"""Learning rates that change from step to step: functions of the step, counted from 0."""

from __future__ import annotations

import math
from collections.abc import Callable

from mpscnn._private.arguments import is_finite_number
from mpscnn.errors import ParameterError

__all__ = ["cosine", "steps", "warm_up"]


def _require_steps(name: str, count: object) -> None:
    if not is_finite_number(count) or count < 1:
        raise ParameterError(f"{name} must be at least 1 step, got {count!r}")


def _require_numbers(**given: object) -> None:
    for name, value in given.items():
        if not is_finite_number(value):
            raise ParameterError(f"{name} must be a finite number, got {value!r}")


def cosine(rate: float, steps: int, *, last: float = 0.0) -> Callable[[int], float]:
    """From `rate` down to `last` in so many steps along half a cosine; then it stays (Loshchilov and Hutter 2017)."""
    _require_numbers(rate=rate, last=last)
    _require_steps("steps", steps)

    def schedule(step: int) -> float:
        done = min(step / steps, 1.0)
        return last + (rate - last) * (1 + math.cos(math.pi * done)) / 2

    return schedule


def steps(rate: float, every: int, factor: float = 0.1) -> Callable[[int], float]:
    """`rate`, multiplied by `factor` after every so many steps."""
    _require_numbers(rate=rate, factor=factor)
    _require_steps("every", every)
    return lambda step: rate * factor ** (step // every)


def warm_up(count: int, then: float | Callable[[int], float]) -> Callable[[int], float]:
    """From near 0 up to the first rate of `then` in `count` steps; then that schedule, from its own step 0 on."""
    _require_steps("count", count)
    if not callable(then) and not is_finite_number(then):
        raise ParameterError(f"then must be a finite number, or a function of the step, got {then!r}")

    def schedule(step: int) -> float:
        rate = then(max(step - count, 0)) if callable(then) else then
        return rate * min((step + 1) / (count + 1), 1.0)

    return schedule
