"""Draw windows and weights, and convert orders of axes between this package and PyTorch."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
from operations.record import Sample
from ops.single_layer import values
from reference.neuron import neuron
from tolerance import linear_bound


def weights_of(seed: int, shape: tuple[int, ...], *, bias: bool = True) -> dict[str, Any]:
    weight = {"weight": values(seed + 1, shape)}
    return weight | {"bias": values(seed + 2, shape[:1])} if bias else weight


def with_activation(sample: Sample, result: Any, magnitude: Any) -> Any:
    """Return the reference and the bound of sums to which the sample's activation is applied."""
    if sample.activation is None:
        return result, linear_bound(magnitude)
    result = neuron(result, dict(sample.activation))
    return result, linear_bound(magnitude + np.abs(result))  # the result of the activation is rounded, too


def nchw(x: Any) -> Any:
    return x.permute(0, 3, 1, 2)


def nhwc(x: Any) -> Any:
    return x.permute(0, 2, 3, 1)


def pads(attributes: Any) -> dict[str, tuple[int, int]]:
    """Return the names that PyTorch has for a window's attributes."""
    a = attributes
    return {
        name: (a.get(f"{role}_{rows}", default), a.get(f"{role}_{columns}", default))
        for name, role, rows, columns, default in (
            ("stride", "stride", "y", "x", 1),
            ("dilation", "dilation", "y", "x", 1),
            ("padding", "pad", "top", "left", 0),
        )
    }


@st.composite
def torch_windows(draw: st.DrawFn, height: int, width: int) -> dict[str, Any]:
    """Draw attributes of a window that PyTorch has: the same padding on both sides of an axis."""
    attributes: dict[str, Any] = {"padding": "explicit"}
    for size, side, suffix, before, after in (
        (height, "height", "y", "pad_top", "pad_bottom"),
        (width, "width", "x", "pad_left", "pad_right"),
    ):
        kernel, stride, dilation = (draw(st.integers(1, 4)) for _ in range(3))
        reach = (kernel - 1) * dilation + 1
        attributes |= {f"kernel_{side}": kernel, f"stride_{suffix}": stride, f"dilation_{suffix}": dilation}
        minimum = max(0, -((size - reach) // 2))
        attributes[before] = attributes[after] = draw(st.integers(minimum, max(minimum, reach - 1)))
    return attributes
