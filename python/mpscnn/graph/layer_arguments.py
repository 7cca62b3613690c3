"""Convert the conventional arguments of layer methods to an operation's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import numpy as np

from mpscnn._private.arguments import IntPair, pair
from mpscnn._private.literals import ActivationName, PaddingName
from mpscnn._private.plain_activations import PlainActivationName
from mpscnn.errors import ParameterError

PaddingArgument = PaddingName | int | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]]
Activation = ActivationName | Mapping[str, Any] | None

#: Names with usual parameters. They follow Apple's headers, but relu6 has slope 0, and leaky_relu PyTorch's slope.
ACTIVATIONS_WITH_PARAMETERS: dict[str, dict[str, Any]] = {
    "relu": {"kind": "relu"},
    "relu6": {"kind": "relun", "a": 0.0, "b": 6.0},
    "leaky_relu": {"kind": "relu", "a": 0.01},
    "elu": {"kind": "elu", "a": 1.0},
    "hard_sigmoid": {"kind": "hard_sigmoid", "a": 0.2, "b": 0.5},
    "swish": {"kind": "swish", "b": 1.0},
    "tanh": {"kind": "tanh", "a": 1.0, "b": 1.0},
    "softplus": {"kind": "softplus", "a": 1.0, "b": 1.0},
    "exponential": {"kind": "exponential", "a": 1.0, "b": 0.0, "c": -1.0},
    "logarithm": {"kind": "logarithm", "a": 1.0, "b": 0.0, "c": -1.0},
}
_ACTIVATIONS: dict[str, dict[str, Any]] = {
    **ACTIVATIONS_WITH_PARAMETERS,
    **{kind: {"kind": kind} for kind in get_args(PlainActivationName)},
}


#: Names without underscores, so that "ReLU" and "LeakyReLU" are accepted, too. "SiLU" is another name of swish.
_SPELLINGS = {name.replace("_", ""): name for name in _ACTIVATIONS} | {"silu": "swish"}


def activation_attributes(activation: Activation) -> dict[str, Any] | None:
    """Return the neuron's parameters for an activation's name or mapping; None for no activation."""
    if activation is None or activation == "linear":
        return None
    if isinstance(activation, Mapping):
        return dict(activation)
    if isinstance(activation, str):
        activation = _SPELLINGS.get(activation.lower().replace("_", ""), activation)  # type: ignore[assignment]
    if not isinstance(activation, str) or activation not in _ACTIVATIONS:
        known = ", ".join(map(repr, _ACTIVATIONS))
        raise ParameterError(f"activation must be one of {known} or a mapping, got {activation!r}")
    return _ACTIVATIONS[activation]


def activation_name(neuron: Mapping[str, Any]) -> str:
    """Return the usual name of a neuron's parameters, such as "relu6"; without one, the name of its kind."""
    known = {"a": 0.0, "b": 0.0, "c": 0.0}
    own = known | {key: value for key, value in neuron.items() if key in (*known, "kind")}
    return next((name for name, usual in _ACTIVATIONS.items() if known | usual == own), str(own["kind"]))


def window_attributes(
    kernel: IntPair, strides: IntPair, padding: PaddingArgument, dilation: IntPair
) -> dict[str, Any]:
    """Return the parameters that convolutions and poolings have in common."""
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
        padding = padding.lower()  # type: ignore[assignment]
        if padding not in get_args(PaddingName):
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
