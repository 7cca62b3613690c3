"""The limits that the integers of a file put on numbers: none of them stands for a number beyond these.

Files leave out a ReLU where the integers of a result have no number below zero, and a ReLU6 where they end at 6. In
floats the limits become a part of the layer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mpscnn.graph.layer_arguments import Activation, activation_attributes


class Limits(NamedTuple):
    """The least and the greatest number that there may be."""

    low: float
    high: float

    def clipped(self, other: Limits) -> Limits:
        """Return the other limits where all numbers are clipped to these."""
        low, high = (min(max(end, self.low), self.high) for end in other)
        return Limits(low, high)

    def exceed(self, other: Limits, margin: float) -> bool:
        """Return True if these reach farther than the other ones by more than the margin."""
        return self.low < other.low - margin or self.high > other.high + margin


UNLIMITED = Limits(-math.inf, math.inf)


@dataclass(frozen=True)
class Grid:
    """The numbers that integers stand for: (integer - zero point) * step."""

    step: float
    zero_point: int
    dtype: np.dtype[Any]

    @property
    def limits(self) -> Limits:
        """The least and the greatest of the numbers."""
        kind = np.iinfo(self.dtype)
        return Limits((kind.min - self.zero_point) * self.step, (kind.max - self.zero_point) * self.step)


def limits_of(activation: Activation) -> Limits | None:
    """Return the limits that an activation puts on a result; None for an activation that computes something else."""
    given = activation_attributes(activation) or {"kind": "none"}
    kind, a = given["kind"], float(given.get("a", 0.0))
    if kind == "none":
        return UNLIMITED
    if kind == "relu" and a == 0.0:
        return Limits(0.0, math.inf)
    if kind == "relun" and a == 0.0:
        return Limits(0.0, float(given["b"]))
    if kind == "clamp":
        return Limits(a, float(given["b"]))
    return None


def activation_of(limits: Limits, step: float) -> Activation:
    """Return the activation that puts these limits on a result, as far as they lie within float32.

    Args:
        limits: at least one of them is finite.
        step: between the numbers of the integers. Limits that are those of relu6 to half a step are relu6.
    """
    largest = float(np.finfo(np.float32).max)
    low, high = max(limits.low, -largest), min(limits.high, largest)
    if low != 0.0 or low == high:
        return {"kind": "clamp", "a": low, "b": high}
    if high == largest:
        return "relu"
    return "relu6" if abs(high - 6.0) <= step / 2.0 else {"kind": "relun", "a": 0.0, "b": high}


def within(activation: Activation, grid: Grid, given: Limits = UNLIMITED) -> Limits | None:
    """Return the limits of a layer's result which becomes integers, with those of its activation.

    A number beyond the last integer by at most half a step is rounded to that integer, so a limit that cuts off no
    more is left out.

    Args:
        activation: the layer's.
        grid: the integers.
        given: what the layer computes lies within these limits anyway.

    Returns:
        None for an activation that is more than limits.
    """
    own = limits_of(activation)
    if own is None:
        return None
    reached, limits = own.clipped(given), grid.limits
    if not reached.exceed(limits, grid.step / 2.0):
        return own
    clipped = limits.clipped(own)
    if reached.low >= limits.low - grid.step / 2.0:
        clipped = Limits(min(own.low, clipped.high), clipped.high)
    if reached.high <= limits.high + grid.step / 2.0:
        clipped = Limits(clipped.low, max(own.high, clipped.low))
    return clipped
