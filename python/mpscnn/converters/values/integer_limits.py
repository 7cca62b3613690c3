"""Compute which numbers a quantized tensor can represent, and which activations this range replaces.

Quantized files often leave out a ReLU if the integers of a result represent no number below zero, or a ReLU6 if they
end at 6: saturation of the integers has the same effect. When such a file is converted to floats, the range must be
added to the layer as an activation.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mpscnn.graph.layer_arguments import Activation, activation_attributes


class Limits(NamedTuple):
    """The smallest and the largest number of a range."""

    low: float
    high: float

    def clipped(self, other: Limits) -> Limits:
        """Return the other range after all its numbers are clipped to this range."""
        low, high = (min(max(end, self.low), self.high) for end in other)
        return Limits(low, high)

    def exceed(self, other: Limits, margin: float) -> bool:
        """Return True if this range extends beyond the other one by more than the margin, at either end."""
        return self.low < other.low - margin or self.high > other.high + margin


_INTEGERS = re.compile(r"(u?)int(\d+)")

UNLIMITED = Limits(-math.inf, math.inf)


@dataclass(frozen=True)
class Grid:
    """A quantization: an integer represents the number (integer - zero point) * step."""

    step: float
    zero_point: int
    dtype: np.dtype[Any]

    @property
    def limits(self) -> Limits:
        """The smallest and the largest number that the integers can represent."""
        kind = np.iinfo(self.dtype)
        return Limits((kind.min - self.zero_point) * self.step, (kind.max - self.zero_point) * self.step)


def activation_limits(activation: Activation) -> Limits | None:
    """Return the range to which an activation clips its input; None for an activation that does more than clip."""
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


def clipping_activation(limits: Limits, step: float) -> Activation:
    """Return the activation that clips a result to these limits.

    Args:
        limits: the range; at least one end is finite.
        step: the step of the quantization. Limits that differ from those of relu6 by at most half a step become relu6.
    """
    largest = float(np.finfo(np.float32).max)
    low, high = max(limits.low, -largest), min(limits.high, largest)
    if low != 0.0 or low == high:
        return {"kind": "clamp", "a": low, "b": high}
    if high == largest:
        return "relu"
    return "relu6" if abs(high - 6.0) <= step / 2.0 else {"kind": "relun", "a": 0.0, "b": high}


def clip_limits(activation: Activation, grid: Grid, given: Limits = UNLIMITED) -> Limits | None:
    """Return the range of a quantized layer's result: its activation's range, limited to the range of the integers.

    A number beyond the last integer by at most half a step is rounded to that integer. So a limit of the integers that
    cuts off no more than half a step is left out.

    Args:
        activation: the layer's activation.
        grid: the quantization of the layer's result.
        given: a known range of the layer's result before its activation.

    Returns:
        The range; None for an activation that does more than clip.
    """
    own = activation_limits(activation)
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


def range_of_integers(name: str) -> tuple[int, int] | None:
    """Return the smallest and the largest number of an element type; None if it is not one of integers."""
    found = _INTEGERS.fullmatch(name)
    if found is None:
        return None
    is_unsigned, bits = bool(found[1]), int(found[2])
    lowest = 0 if is_unsigned else -(1 << bits - 1)
    return lowest, lowest + (1 << bits) - 1
