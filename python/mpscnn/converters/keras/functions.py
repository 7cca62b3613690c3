"""Convert Keras's activation functions to neurons (fused activations) or to layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mpscnn.converters.keras.config import is_keras_own
from mpscnn.converters.keras.settings import Settings
from mpscnn.converters.layer_names import display_kind, quote_name
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network

Composed = Callable[[Network, Tensor, str], Tensor]


@dataclass(frozen=True)
class Function:
    """An activation function.

    Attributes:
        neuron: the activation, if it can be fused into the layer before it.
        layers: otherwise, a function that adds separate layers.
    """

    neuron: Activation = None
    layers: Composed | None = None


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


def _selu(network: Network, x: Tensor, name: str) -> Tensor:
    """Add SELU, a scaled ELU."""
    elu = network.activation(x, {"kind": "elu", "a": _SELU_ALPHA}, name=f"{name}/elu")
    return network.activation(elu, {"kind": "linear", "a": _SELU_SCALE}, name=name)


def _tanh_shrink(network: Network, x: Tensor, name: str) -> Tensor:
    return network.subtract(x, network.activation(x, "tanh", name=f"{name}/tanh"), name=name)


def _soft_shrink(network: Network, x: Tensor, name: str) -> Tensor:
    """Add soft shrinkage: x - clip(x, -0.5, 0.5)."""
    limited = network.activation(x, {"kind": "clamp", "a": -0.5, "b": 0.5}, name=f"{name}/limited")
    return network.subtract(x, limited, name=name)


def _square_plus(network: Network, x: Tensor, name: str) -> Tensor:
    """Add squareplus: (x + sqrt(x * x + 4)) / 2."""
    square = network.activation(x, {"kind": "power", "a": 1.0, "c": 2.0}, name=f"{name}/square")
    root = network.activation(square, {"kind": "power", "a": 1.0, "b": 4.0, "c": 0.5}, name=f"{name}/root")
    total = network.add(x, root, name=f"{name}/sum")
    return network.activation(total, {"kind": "linear", "a": 0.5}, name=name)


def _gated(network: Network, x: Tensor, name: str) -> Tensor:
    """Add GLU: the first half of the channels times the sigmoid of the second half."""
    first, second = network.split(x, 2, name=f"{name}/half")
    return network.multiply(first, network.activation(second, "sigmoid", name=f"{name}/gate"), name=name)


def _softmax_along(network: Network, x: Tensor, axis: int, name: str) -> Tensor:
    rank = len(x.shape)
    if not -rank <= axis < rank or axis % rank == 0:
        raise WeightsError(f"damaged: a softmax over axis {axis} of {x.shape}")
    order = list(range(1, rank))
    order[axis % rank - 1], order[-1] = order[-1], order[axis % rank - 1]
    turned = network.transpose(x, order, name=f"{name}/turned")
    return network.transpose(network.softmax(turned, name=f"{name}/softmax"), order, name=name)


_COMPOSED: dict[str, Composed] = {
    "glu": _gated,
    "selu": _selu,
    "soft_shrink": _soft_shrink,
    "squareplus": _square_plus,
    "tanh_shrink": _tanh_shrink,
    "softmax": lambda network, x, name: network.softmax(x, name=name),
    "log_softmax": lambda network, x, name: network.log_softmax(x, name=name),
}


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
        return layer_function(kind, Settings(config), generation)
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


def layer_function(kind: str, settings: Settings, generation: int) -> Function:
    """Return the function of an activation layer, one of `LAYERS`."""
    return LAYERS[kind](settings, generation)


def _relu(settings: Settings, _: int) -> Function:
    slope = settings.number("negative_slope", 0.0)
    if settings.number("threshold", 0.0) != 0.0:
        raise UnsupportedError("its threshold is not 0, which is not supported")
    if "max_value" not in settings:
        return Function({"kind": "relu", "a": slope} if slope else "relu")
    return Function({"kind": "relun", "a": slope, "b": settings.number("max_value", 0.0)})


def _leaky_relu(settings: Settings, _: int) -> Function:
    name = "negative_slope" if "negative_slope" in settings else "alpha"  # Keras 2 calls it alpha
    return Function({"kind": "relu", "a": settings.number(name, 0.3)})


def _elu(settings: Settings, _: int) -> Function:
    return Function({"kind": "elu", "a": settings.number("alpha", 1.0)})


def _softmax(settings: Settings, _: int) -> Function:
    axes = settings.wholes("axis", [-1])
    if axes == [-1]:
        return Function(layers=_COMPOSED["softmax"])
    if len(axes) != 1 or axes[0] == 0:
        raise UnsupportedError(f"a softmax over the axes {axes}; supported is one, and not the batch")
    return Function(layers=lambda network, x, name: _softmax_along(network, x, axes[0], name))


def _activation(settings: Settings, generation: int) -> Function:
    return resolve_activation(settings.values.get("activation"), generation)


LAYERS: dict[str, Callable[[Settings, int], Function]] = {
    "Activation": _activation,
    "ELU": _elu,
    "LeakyReLU": _leaky_relu,
    "ReLU": _relu,
    "Softmax": _softmax,
}
