"""Keras's activation functions, which many layers end with, as neurons or layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mpscnn.converters.keras.settings import Settings
from mpscnn.converters.layer_names import shown, shown_kind
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network

Composed = Callable[[Network, Tensor, str], Tensor]


@dataclass(frozen=True)
class Function:
    """A neuron, which other layers may end with, or what makes layers of its own."""

    neuron: Activation = None
    layers: Composed | None = None


_NEURONS: dict[str, Activation] = {
    "linear": None,
    "relu": "relu",
    "relu6": "relu6",
    "elu": "elu",
    "celu": "elu",  # alike for its default of 1
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "softplus": "softplus",
    "softsign": "softsign",
    "exponential": "exponential",
    "gelu": "gelu",
    "leaky_relu": {"kind": "relu", "a": 0.2},
    "swish": "swish",
    "silu": "swish",
    "hard_silu": "hard_swish",
    "hard_swish": "hard_swish",
    "mish": "mish",
    "hard_tanh": {"kind": "clamp", "a": -1.0, "b": 1.0},
}
# Of Klambauer et al. 2017, "Self-Normalizing Neural Networks".
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def _selu(network: Network, x: Tensor, name: str) -> Tensor:
    """A scaled ELU."""
    elu = network.activation(x, {"kind": "elu", "a": _SELU_ALPHA}, name=f"{name}/elu")
    return network.activation(elu, {"kind": "linear", "a": _SELU_SCALE}, name=name)


_COMPOSED: dict[str, Composed] = {
    "selu": _selu,
    "softmax": lambda network, x, name: network.softmax(x, name=name),
    "log_softmax": lambda network, x, name: network.log_softmax(x, name=name),
}


def function_of(value: Any, generation: int) -> Function:
    """The function of a setting `activation`: a name, or a layer or function as an object.

    Raises UnsupportedError for one that mpscnn lacks, or that is code of the file's author.
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
    raise UnsupportedError(f"it ends with the activation {shown_kind(str(kind))}, which is not supported")


def named_function(name: str, generation: int) -> Function:
    """The function of this name. Before Keras 3 hard_sigmoid was another one."""
    name = name.rpartition(">")[2]
    if name == "hard_sigmoid":
        slope = 1 / 6 if generation >= 3 else 0.2
        return Function({"kind": "hard_sigmoid", "a": slope, "b": 0.5})
    if name in _NEURONS:
        return Function(_NEURONS[name])
    if name in _COMPOSED:
        return Function(layers=_COMPOSED[name])
    raise UnsupportedError(f"the activation {shown(name)} is not supported")


# ---- Layers that are one ------------------------------------------------------------------------------------


def layer_function(kind: str, settings: Settings, generation: int) -> Function:
    """The function of an activation layer, one of `LAYERS`."""
    return LAYERS[kind](settings, generation)


def _relu(settings: Settings, _: int) -> Function:
    slope = settings.number("negative_slope", 0.0)
    if settings.number("threshold", 0.0) != 0.0:
        raise UnsupportedError("its threshold is not 0, which is not supported")
    if "max_value" not in settings:
        return Function({"kind": "relu", "a": slope} if slope else "relu")
    return Function({"kind": "relun", "a": slope, "b": settings.number("max_value", 0.0)})


def _leaky_relu(settings: Settings, _: int) -> Function:
    name = "negative_slope" if "negative_slope" in settings else "alpha"  # Keras 2's
    return Function({"kind": "relu", "a": settings.number(name, 0.3)})


def _elu(settings: Settings, _: int) -> Function:
    return Function({"kind": "elu", "a": settings.number("alpha", 1.0)})


def _softmax(settings: Settings, _: int) -> Function:
    axes = settings.wholes("axis", [-1])
    if axes != [-1]:
        raise UnsupportedError(f"a softmax over the axes {axes}; only the last one is supported")
    return Function(layers=_COMPOSED["softmax"])


def _activation(settings: Settings, generation: int) -> Function:
    return function_of(settings.values.get("activation"), generation)


LAYERS: dict[str, Callable[[Settings, int], Function]] = {
    "Activation": _activation,
    "ELU": _elu,
    "LeakyReLU": _leaky_relu,
    "ReLU": _relu,
    "Softmax": _softmax,
}
