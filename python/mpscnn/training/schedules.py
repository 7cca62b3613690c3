"""Define learning-rate schedules: functions of the step, counted from 0.

Two schedules of the same function with equal arguments compare equal. A trainer's checkpoint stores the name of the
function and its arguments.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from mpscnn._private.arguments import is_finite_number
from mpscnn._private.callables import require_arguments
from mpscnn._private.other_names import explain_unknown_names
from mpscnn.errors import ParameterError

__all__ = ["cosine", "steps", "warm_up"]

#: A function that returns the learning rate of a step, counted from 0.
Schedule = Callable[[int], float]


def cosine(rate: float, steps: int, *, last: float = 0.0) -> Schedule:
    """Return a schedule that falls from `rate` to `last` along half a cosine, and then stays.

    See Loshchilov and Hutter 2017.
    """
    _require_numbers(rate=rate, last=last)
    _require_steps("steps", steps)
    return CosineSchedule(float(rate), _plain(steps), float(last))


def steps(rate: float, every: int, factor: float = 0.1) -> Schedule:
    """Return a schedule that multiplies `rate` by `factor` after every `every` steps."""
    _require_numbers(rate=rate, factor=factor)
    _require_steps("every", every)
    return StepSchedule(float(rate), _plain(every), float(factor))


def warm_up(count: int, then: float | Schedule) -> Schedule:
    """Return a schedule that rises from near 0 to the first rate of `then` in `count` steps, and then follows `then`.

    The steps that `then` gets are counted from the end of the warm-up.
    """
    _require_steps("count", count)
    if not callable(then) and not is_finite_number(then):
        raise ParameterError(f"then must be a finite number, or a function of the step, got {then!r}")
    if callable(then):
        require_arguments("then", then, ["step"])
    return WarmUpSchedule(_plain(count), then if callable(then) else float(then))


def stored_rate(rate: float | Schedule) -> Any:
    """Return a learning rate in a form that a checkpoint stores; None for a user's function."""
    if type(rate) is WarmUpSchedule:
        then = stored_rate(rate.then)
        return None if then is None else {"kind": "warm_up", "count": rate.count, "then": then}
    if type(rate) is CosineSchedule:
        return {"kind": "cosine", **asdict(rate)}
    if type(rate) is StepSchedule:
        return {"kind": "steps", **asdict(rate)}
    return None if callable(rate) else float(rate)


def restore_rate(stored: Any) -> float | Schedule:
    """Return the learning rate from its stored form.

    Raises the errors of the functions above, and KeyError and TypeError for an invalid form.
    """
    if not isinstance(stored, dict):
        return float(stored)
    fields = dict(stored)
    kind = fields.pop("kind")
    if kind == "warm_up":
        return warm_up(fields["count"], restore_rate(fields["then"]))
    makers: dict[str, Callable[..., Schedule]] = {"cosine": cosine, "steps": steps}
    return makers[kind](**fields)


@dataclass(frozen=True)
class CosineSchedule:
    """The schedule that `cosine` returns."""

    rate: float
    steps: int
    last: float

    def __call__(self, step: int) -> float:
        done = min(step / self.steps, 1.0)
        return self.last + (self.rate - self.last) * (1 + math.cos(math.pi * done)) / 2


@dataclass(frozen=True)
class StepSchedule:
    """The schedule that `steps` returns."""

    rate: float
    every: int
    factor: float

    def __call__(self, step: int) -> float:
        return self.rate * self.factor ** (step // self.every)


@dataclass(frozen=True)
class WarmUpSchedule:
    """The schedule that `warm_up` returns."""

    count: int
    then: float | Schedule

    def __call__(self, step: int) -> float:
        rate = self.then(max(step - self.count, 0)) if callable(self.then) else self.then
        return rate * min((step + 1) / (self.count + 1), 1.0)


def _plain(count: float) -> Any:
    """Return a plain number, as an int if it is whole: schedules after a warm-up expect whole steps."""
    return int(count) if int(count) == count else float(count)


def _require_steps(name: str, count: object) -> None:
    if not is_finite_number(count) or count < 1:
        raise ParameterError(f"{name} must be at least 1 step, got {count!r}")


def _require_numbers(**given: object) -> None:
    for name, value in given.items():
        if not is_finite_number(value):
            raise ParameterError(f"{name} must be a finite number, got {value!r}")


explain_unknown_names(__name__)
