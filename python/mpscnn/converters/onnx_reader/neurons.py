"""Functions of each element, as separate layers or as the activation of the layer before them."""

from __future__ import annotations

import math

import numpy as np

from mpscnn._private.literals import ActivationName
from mpscnn.converters.broadcast import align
from mpscnn.converters.layout import positions
from mpscnn.converters.onnx_reader.context import Context, Handler
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.onnx_reader.quantizations import within_integers
from mpscnn.converters.special_values import quotient, root
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layer_arguments import Activation

_PLAIN: dict[str, Activation] = {
    "Abs": "absolute",
    "Ceil": "ceil",
    "Erf": "erf",
    "Exp": "exponential",
    "Floor": "floor",
    "HardSwish": "hard_swish",
    "Log": "logarithm",
    "Mish": "mish",
    "Neg": {"kind": "linear", "a": -1.0},
    "Relu": "relu",
    "Round": "round",
    "Sigmoid": "sigmoid",
    "Sign": "sign",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Tanh": "tanh",
}
_LARGEST = float(np.finfo(np.float32).max)


def function_of(c: Context, node: Node) -> Activation:
    """The neuron that a node is; None for another node."""
    if node.kind in _PLAIN:
        return _PLAIN[node.kind]
    if node.kind == "LeakyRelu":
        return {"kind": "relu", "a": node.number("alpha", 0.01)}
    if node.kind == "Elu":
        return {"kind": "elu", "a": node.number("alpha", 1.0)}
    if node.kind == "HardSigmoid":
        return {"kind": "hard_sigmoid", "a": node.number("alpha", 0.2), "b": node.number("beta", 0.5)}
    if node.kind == "Gelu":
        kinds: dict[str, ActivationName] = {"none": "gelu", "tanh": "gelu_tanh"}
        return kinds.get(node.text("approximate", "none"))
    if node.kind == "Swish":
        return {"kind": "swish", "b": node.number("alpha", 1.0)}
    if node.kind == "Clip":
        return _clip_function(*limits(c, node))
    return None


def _plain(c: Context, node: Node) -> None:
    function = function_of(c, node)
    x = c.value(node.inputs[0])
    if function is None:
        raise UnsupportedError("with these attributes it is not supported")
    function = within_integers(c, function, node.outputs[0])
    c.result(node, x.holding(c.neuron(x.tensor, function, c.layer_name(node))))


# ---- Limits --------------------------------------------------------------------------------------------------------


def limits(c: Context, node: Node) -> tuple[float, float]:
    """Return the limits of Clip: attributes up to opset 10, then inputs."""
    if c.file.opset < 11:
        return node.number("min", -_LARGEST), node.number("max", _LARGEST)
    low, high = node.input(1), node.input(2)
    return (
        -math.inf if low is None else c.constants.number(low, "its lower limit"),
        math.inf if high is None else c.constants.number(high, "its upper limit"),
    )


def _clip_function(low: float, high: float) -> Activation:
    if low == math.inf or high == -math.inf:
        raise UnsupportedError(f"its limits are {low} and {high}: nothing but an infinity is within")
    if low == 0.0:
        return "relu" if high >= _LARGEST else {"kind": "relun", "a": 0.0, "b": high}
    if math.isnan(low) or math.isnan(high) or low > high:
        raise UnsupportedError(f"its limits are {low} and {high}")
    # The lowest and the largest float are not limits.
    return {"kind": "clamp", "a": max(low, -_LARGEST), "b": min(high, _LARGEST)}


def limited(c: Context, node: Node, name: str, low: float, high: float) -> None:
    """An element within limits."""
    x = c.value(name)
    c.result(node, x.holding(c.neuron(x.tensor, _clip_function(low, high), c.layer_name(node))))


# ---- Others --------------------------------------------------------------------------------------------------------


def _prelu(c: Context, node: Node) -> None:
    x = c.value(node.inputs[0])
    slope = c.constants.real(node.input(1), "its slopes")
    is_learnt = c.learns(node.inputs[1])
    if slope.size == 1 and not is_learnt:
        function: Activation = {"kind": "relu", "a": float(slope.reshape(-1)[0])}
        c.result(node, x.holding(c.neuron(x.tensor, function, c.layer_name(node))))
        return
    extents = (1,) * (x.rank - slope.ndim) + slope.shape
    if x.rank > 1 and len(extents) == x.rank and slope.size == extents[1] == x.shape[1]:
        tensor, rest, channels = c.arranger.channels_last(x, x.axes[1])
        name = c.layer_name(node)
        y = c.neuron(tensor, "prelu", name)
        c.set_weight(name, "slope", slope.reshape(-1)[positions(x.axes[1], channels)], node.inputs[1])
        c.result(node, x.lying(y, rest + channels))
        return
    # The positive part, and the negative one times its slopes.
    slopes = c.constant(node.inputs[1], x.rank, what="its slopes")
    if any(extent not in (1, own) for extent, own in zip(slopes.shape[1:], x.shape[1:], strict=True)):
        raise UnsupportedError(f"slopes of shape {slope.shape} for {x.shown}, which do not fit")
    positive = x.holding(c.neuron(x.tensor, "relu", c.layer_name(node, "/positive")))
    limits: Activation = {"kind": "clamp", "a": -_LARGEST, "b": 0.0}
    negative = x.holding(c.neuron(x.tensor, limits, c.layer_name(node, "/negative")))
    both = align(c.arranger, negative, slopes)
    scaled = both.result(c.network.multiply(both.first, both.second, name=c.layer_name(node, "/scaled")))
    both = align(c.arranger, positive, scaled)
    c.result(node, both.result(c.network.add(both.first, both.second, name=c.layer_name(node))))


def _root(c: Context, node: Node) -> None:
    x = c.value(node.inputs[0])
    c.result(node, x.holding(root(c.network, x.tensor, c.names_of(node))))


def _reciprocal(c: Context, node: Node) -> None:
    x = c.value(node.inputs[0])
    c.result(node, x.holding(quotient(c.network, 1.0, x.tensor, c.names_of(node))))


def _celu(c: Context, node: Node) -> None:
    """alpha times an ELU of x / alpha."""
    alpha = node.number("alpha", 1.0)
    if alpha <= 0.0:
        raise UnsupportedError(f"its alpha is {alpha}; only numbers above 0 are supported")
    x = c.value(node.inputs[0])
    y = c.neuron(x.tensor, {"kind": "linear", "a": 1.0 / alpha}, c.layer_name(node, "/divided"))
    y = c.neuron(y, "elu", c.layer_name(node, "/elu"))
    c.result(node, x.holding(c.neuron(y, {"kind": "linear", "a": alpha}, c.layer_name(node))))


def _selu(c: Context, node: Node) -> None:
    """Gamma times an ELU."""
    alpha, gamma = node.number("alpha", 1.6732632423543772), node.number("gamma", 1.0507009873554805)
    x = c.value(node.inputs[0])
    y = c.neuron(x.tensor, {"kind": "elu", "a": alpha}, c.layer_name(node, "/elu"))
    c.result(node, x.holding(c.neuron(y, {"kind": "linear", "a": gamma}, c.layer_name(node))))


NEURONS: dict[str, Handler] = {
    **dict.fromkeys([*_PLAIN, "LeakyRelu", "Elu", "HardSigmoid", "Gelu", "Clip", "Swish"], _plain),
    "Celu": _celu,
    "PRelu": _prelu,
    "Reciprocal": _reciprocal,
    "Selu": _selu,
    "Sqrt": _root,
}
