"""How layer methods' conventional arguments become an operation's parameters."""

from __future__ import annotations

import json
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mpscnn.errors import ParameterError

IntPair = int | tuple[int, int]
PaddingArgument = str | int | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]]
Activation = str | Mapping[str, Any] | None

# With the parameters that Apple's headers suggest, but for relu6 (whose slope is 0) and leaky_relu (PyTorch's slope).
_ACTIVATIONS: dict[str, dict[str, Any]] = {
    "relu": {"kind": "relu"},
    "relu6": {"kind": "relun", "a": 0.0, "b": 6.0},
    "leaky_relu": {"kind": "relu", "a": 0.01},
    "prelu": {"kind": "prelu"},
    "elu": {"kind": "elu", "a": 1.0},
    "gelu": {"kind": "gelu"},
    "sigmoid": {"kind": "sigmoid"},
    "hard_sigmoid": {"kind": "hard_sigmoid", "a": 0.2, "b": 0.5},
    "tanh": {"kind": "tanh", "a": 1.0, "b": 1.0},
    "softplus": {"kind": "softplus", "a": 1.0, "b": 1.0},
    "softsign": {"kind": "softsign"},
    "absolute": {"kind": "absolute"},
    "exponential": {"kind": "exponential", "a": 1.0, "b": 0.0, "c": -1.0},
    "logarithm": {"kind": "logarithm", "a": 1.0, "b": 0.0, "c": -1.0},
}


def is_finite_number(value: object) -> bool:
    """Whether it is a real number, and neither infinite nor NaN."""
    return (
        isinstance(value, (int, float, np.integer, np.floating))
        and not isinstance(value, bool)
        and bool(np.isfinite(value))
    )


def as_json(owner: str, attributes: Mapping[str, Any]) -> str:
    """Parameters as the core reads them, which knows no infinities: ParameterError "<owner>: ... must be finite"."""

    def refuse_infinite(name: str, value: object) -> None:
        if isinstance(value, (float, np.floating)) and not is_finite_number(value):
            raise ParameterError(f"{owner}: {name} must be finite, got {value}")
        for one in value if isinstance(value, (list, tuple)) else ():
            refuse_infinite(name, one)

    def plain_number(value: object) -> object:
        """numpy's numbers are as good as Python's."""
        if isinstance(value, np.generic):
            return value.item()
        raise ParameterError(f"{owner}: expected a number, got {type(value).__name__}")

    for name, value in attributes.items():
        refuse_infinite(name, value)
    return json.dumps(dict(attributes), default=plain_number)


def pair(what: str, value: IntPair) -> tuple[int, int]:
    """(vertical, horizontal) from one number or two."""
    parts = value if isinstance(value, (tuple, list)) else (value, value)
    whole = all(isinstance(part, (int, np.integer)) and not isinstance(part, bool) for part in parts)
    if len(parts) == 2 and whole:
        return int(parts[0]), int(parts[1])
    raise ParameterError(f"{what} must be a whole number or (vertical, horizontal), got {value!r}")


def whole_numbers(what: str, values: Sequence[object]) -> list[int]:
    """A shape as Python's integers."""
    if isinstance(values, (Sequence, np.ndarray)) and not isinstance(values, str):
        whole = [isinstance(one, (int, np.integer)) and not isinstance(one, bool) for one in values]
        if all(whole):
            return [operator.index(one) for one in values]  # type: ignore[arg-type]
    raise ParameterError(f"{what} must be whole numbers, got {values!r}")


def require_text(what: str, value: object) -> str:
    """The value, where it is text."""
    if isinstance(value, str):
        return value
    raise ParameterError(f"{what} must be a name, got {value!r}")


def result_size(what: str, value: IntPair) -> tuple[int, int]:
    """(height, width) of a result from one number or two."""
    height, width = pair(what, value)
    if height < 1 or width < 1:
        raise ParameterError(f"{what} must be at least 1, got {value!r}")
    return height, width


def activation_attributes(activation: Activation) -> dict[str, Any] | None:
    """Parameters of the neuron for a name or a mapping; None for no activation."""
    if activation is None or activation == "linear":
        return None
    if isinstance(activation, Mapping):
        return dict(activation)
    if not isinstance(activation, str) or activation not in _ACTIVATIONS:
        known = ", ".join(map(repr, _ACTIVATIONS))
        raise ParameterError(f"activation must be one of {known} or a mapping, got {activation!r}")
    return _ACTIVATIONS[activation]


def window_attributes(
    kernel: IntPair, strides: IntPair, padding: PaddingArgument, dilation: IntPair
) -> dict[str, Any]:
    """The parameters that convolutions and poolings share."""
    kernel_height, kernel_width = pair("kernel_size", kernel)
    stride_y, stride_x = pair("strides", strides)
    dilation_y, dilation_x = pair("dilation", dilation)
    attributes: dict[str, Any] = {
        "kernel_height": kernel_height,
        "kernel_width": kernel_width,
        "stride_y": stride_y,
        "stride_x": stride_x,
        "dilation_y": dilation_y,
        "dilation_x": dilation_x,
    }
    if isinstance(padding, str):
        if padding not in ("valid", "same", "full"):
            raise ParameterError(f"padding must be 'valid', 'same', 'full' or numbers, got {padding!r}")
        return attributes | {"padding": padding}
    (top, bottom), (left, right) = _sides(padding)
    sides = {"pad_top": top, "pad_bottom": bottom, "pad_left": left, "pad_right": right}
    return attributes | {"padding": "explicit", **sides}


def _sides(
    padding: int | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]],
) -> tuple[tuple[int, int], tuple[int, int]]:
    if isinstance(padding, (int, np.integer)):
        both = pair("padding", padding)
        return both, both
    if isinstance(padding, (tuple, list)) and len(padding) == 2:
        vertical, horizontal = padding
        return pair("padding", vertical), pair("padding", horizontal)
    raise ParameterError(
        f"padding must be a number, (vertical, horizontal) or ((top, bottom), (left, right)), got {padding!r}"
    )
