"""Convert Keras's activation functions to neurons (fused activations) or to layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NewType

from mpscnn.converters.opening.layer_names import display_kind, quote_name
from mpscnn.converters.reading.keras.config import is_keras_own
from mpscnn.converters.reading.keras.settings import Number, Wholes, stated_settings
from mpscnn.converters.values.rows import Row, call, schema_of
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layer_arguments import Activation

Composed = Callable[[FileTensor], FileTensor]
Generation = NewType("Generation", int)
"""The generation of Keras that wrote a file: 1, 2 or 3."""


@dataclass(frozen=True)
class Function:
    """An activation function.

    Attributes:
        neuron: the activation, if it can be fused into the layer before it.
        layers: otherwise, a function that adds separate layers.
    """

    neuron: Activation = None
    layers: Composed | None = None

    def __call__(self, x: FileTensor) -> FileTensor:
        """Apply the function as separate layers."""
        if self.layers is not None:
            return self.layers(x)
        return x if self.neuron is None else x.map(self.neuron)


_NEURONS: dict[str, Activation] = {
    "linear": None,
    "relu": "relu",
    "relu6": "relu6",
    "elu": "elu",
    "celu": "elu",  # equal for the default alpha of 1
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "softplus": "softplus",
    "log_sigmoid": {"kind": "softplus", "a": -1.0, "b": -1.0},
    "softsign": "softsign",
    "exponential": "exponential",
    "gelu": "gelu",
    "leaky_relu": {"kind": "relu", "a": 0.2},
    "swish": "swish",
    "silu": "swish",
    "hard_silu": "hard_swish",
    "hard_swish": "hard_swish",
    "mish": "mish",
    "sparse_sigmoid": {"kind": "hard_sigmoid", "a": 0.5, "b": 0.5},
    "hard_tanh": {"kind": "clamp", "a": -1.0, "b": 1.0},
}
# The constants of Klambauer et al. 2017, "Self-Normalizing Neural Networks".
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def _square_plus(x: FileTensor) -> FileTensor:
    """Add squareplus: (x + sqrt(x * x + 4)) / 2."""
    square = x.map({"kind": "power", "a": 1.0, "c": 2.0}, "/square")
    root = square.map({"kind": "power", "a": 1.0, "b": 4.0, "c": 0.5}, "/root")
    return x.combine("add", root, "/sum").linear(0.5)


def gated(x: FileTensor, axis: int = -1) -> FileTensor:
    """Add GLU: the first half of an axis times the sigmoid of the second half."""
    axis = x.axis(axis)
    extent = x.known_extent(axis, "halves")
    first, second = (x.slice_axis(axis, half) for half in (range(extent // 2), range(extent // 2, extent)))
    return first * second.map("sigmoid", "/gate")


_COMPOSED: dict[str, Composed] = {
    "glu": gated,
    "selu": lambda x: x.map({"kind": "elu", "a": _SELU_ALPHA}, "/elu").linear(_SELU_SCALE),
    "soft_shrink": lambda x: x.combine("subtract", x.map({"kind": "clamp", "a": -0.5, "b": 0.5}, "/limited")),
    "squareplus": _square_plus,
    "tanh_shrink": lambda x: x.combine("subtract", x.map("tanh", "/tanh")),
    "softmax": lambda x: x.softmax([x.rank - 1]),
    "log_softmax": lambda x: x.apply_along([x.rank - 1], x.network.log_softmax),
}


def axes_of(x: FileTensor, given: Iterable[int] | None) -> list[int]:
    """Return the axes of a setting in ascending order, without negative numbers. None stands for all axes."""
    return sorted({x.axis(axis) for axis in (range(x.rank) if given is None else given)})


def axis_of(x: FileTensor, given: Iterable[int] | None) -> int:
    """Return the single axis of a setting. None, which stands for all axes, is refused if there are several."""
    (axis, *others) = axes_of(x, given)
    if others:
        raise UnsupportedError(f"it has the axes {[axis, *others]} of {x.shown}; supported is one")
    return axis


def resolve_activation(value: Any, generation: int) -> Function:
    """Return the function of a setting `activation`: a name, or a layer or function as an object.

    Raises UnsupportedError for a function that mpscnn lacks, or for a custom function.
    """
    if value is None:
        return Function()
    if isinstance(value, str):
        return named_function(value, generation)
    if not isinstance(value, Mapping):
        raise WeightsError(f"damaged: its activation is {str(value)[:80]}")
    kind, config = value.get("class_name"), value.get("config")
    if isinstance(config, str):  # {"class_name": "function", "config": "relu6"}
        return named_function(config, generation)
    if isinstance(kind, str) and isinstance(config, Mapping) and kind in LAYERS:
        return function_of_layer(kind, config, generation)
    raise UnsupportedError(f"it ends with the activation {display_kind(str(kind))}, which is not supported")


def named_function(name: str, generation: int) -> Function:
    """Return the function of this name. The definition of hard_sigmoid changed in Keras 3."""
    if not is_keras_own(name):
        raise UnsupportedError(f"the activation {quote_name(name)} is a function of the file's author")
    name = name.rpartition(">")[2]
    if name == "hard_sigmoid":
        slope = 1 / 6 if generation >= 3 else 0.2
        return Function({"kind": "hard_sigmoid", "a": slope, "b": 0.5})
    if name in _NEURONS:
        return Function(_NEURONS[name])
    if name in _COMPOSED:
        return Function(layers=_COMPOSED[name])
    raise UnsupportedError(f"the activation {quote_name(name)} is not supported")


# ---- Activation layers --------------------------------------------------------------------------------------


def _activation(generation: Generation, *, activation: Any = None) -> Function:
    return resolve_activation(activation, generation)


def _elu(*, alpha: Number = 1.0) -> Function:
    return Function({"kind": "elu", "a": alpha})


def _relu(
    *, max_value: Number | None = None, negative_slope: Number = 0.0, threshold: Number = 0.0
) -> Function:
    if threshold != 0.0:
        raise UnsupportedError("its threshold is not 0, which is not supported")
    if max_value is None:
        return Function({"kind": "relu", "a": negative_slope} if negative_slope else "relu")
    return Function({"kind": "relun", "a": negative_slope, "b": max_value})


def _leaky_relu(*, negative_slope: Number | None = None, alpha: Number = 0.3) -> Function:
    """Convert LeakyReLU. Keras 2 calls its slope alpha."""
    return Function({"kind": "relu", "a": alpha if negative_slope is None else negative_slope})


def _softmax(*, axis: Wholes | None = (-1,)) -> Function:
    if axis is None:
        raise UnsupportedError("a softmax over all axes combines images of the batch, which is not supported")
    if not axis:
        raise WeightsError("damaged: its list of axes is empty")
    return Function(layers=lambda x: x.softmax(axes_of(x, axis)))


LAYERS: dict[str, Row] = {
    "Activation": _activation,
    "ELU": _elu,
    "LeakyReLU": _leaky_relu,
    "ReLU": _relu,
    "Softmax": _softmax,
}
"""The functions of activation layers, by the name of the class."""


def function_of_layer(kind: str, settings: Mapping[str, Any], generation: int) -> Function:
    """Return the function of an activation layer with these settings."""
    row = LAYERS[kind]
    stated = stated_settings(schema_of(row), settings)
    made: Function = call(row, (), stated, lambda _, value: value, {Generation: generation})
    return made
