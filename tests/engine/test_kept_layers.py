"""Walk the layers after one that is kept in float32, and compare their results with numpy's rounding.

The same network in float32 computes the same values without rounding, because its inputs and weights are halves. So a
result of the float16 network has the bits of the float32 result, rounded to half if the last layer rounds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from kernels_here import cpu_precisions
from numpy.typing import NDArray

import mpscnn
from mpscnn import Network, Tensor

Floats = NDArray[np.float32]
Layer = Callable[[Network, Tensor, str], Tensor]
"""A function that adds a layer after a tensor and gives it a name."""

INFO = {entry["name"]: entry for entry in mpscnn.operations()}
PAIR = ("kept", "after")
INCLUDES_NORMALIZATION = {"convolution", "fully_connected", "transposed_convolution"}


def neuron(kind: str, **parameters: float) -> Layer:
    return lambda net, x, name: net.activation(x, {"kind": kind, **parameters}, name=name)


def residual(net: Network, x: Tensor, name: str) -> Tensor:
    return net.add(x, net.input if x.shape == net.input.shape else x, name=name)


def scaled(net: Network, x: Tensor, name: str) -> Tensor:
    return net.multiply(x, net.constant(x, x.shape[1:]), name=name)  # type: ignore[arg-type]


LAYERS: dict[str, Layer] = {
    "convolution": lambda net, x, name: net.conv2d(x, 6, 3, padding="same", name=name),
    "depthwise convolution": lambda net, x, name: net.depthwise_conv2d(x, 3, padding="same", name=name),
    "transposed convolution": lambda net, x, name: net.conv2d_transpose(x, 6, 3, padding="same", name=name),
    "dense layer": lambda net, x, name: net.dense(x, 6, name=name),
    "batch normalization": lambda net, x, name: net.batch_norm(x, name=name),
    "layer normalization": lambda net, x, name: net.layer_norm(x, name=name),
    "residual": residual,
    "square": lambda net, x, name: net.multiply(x, x, name=name),
    "product with a constant": scaled,
    "maximum pooling": lambda net, x, name: net.max_pool2d(x, 2, name=name),
    "average pooling": lambda net, x, name: net.average_pool2d(x, 3, strides=1, padding="same", name=name),
    "resize": lambda net, x, name: net.resize(x, (7, 7), name=name),
    "mean": lambda net, x, name: net.reduce_mean(x, "channels", name=name),
    "softmax": lambda net, x, name: net.softmax(x, name=name),
    "identity": neuron("none"),
    "linear": neuron("linear", a=0.3, b=0.1),
    "linear without change": neuron("linear", a=1.0),
    "relu": neuron("relu"),
    "sigmoid": neuron("sigmoid"),
    "absolute": neuron("absolute"),
    "reshape": lambda net, x, name: net.flatten(x, name=name),
    "concatenation": lambda net, x, name: net.concat([x, x], name=name),
    "border": lambda net, x, name: net.pad(x, 1, name=name),
    "transpose": lambda net, x, name: net.transpose(x, (2, 1, 3), name=name),
}
OF_IMAGES = {
    *("convolution", "depthwise convolution", "transposed convolution", "maximum pooling", "average pooling"),
    *("resize", "border", "transpose"),
}


def layers_after(kept: str) -> list[str]:
    """Return the layers that can follow a kept one."""
    return [name for name in LAYERS if not (kept in ("dense layer", "reshape") and name in OF_IMAGES)]


def halves(values: Any) -> Floats:
    return np.asarray(values, np.float32).astype(np.float16).astype(np.float32)


def walked(kept: str, after: str, *, is_shared: bool) -> Network:
    """Return a network of two layers, "kept" and "after"."""
    net = Network(input=(4, 4, 6))
    first = LAYERS[kept](net, net.input, "kept")
    if is_shared:
        net.output(first)
    net.output(LAYERS[after](net, first, "after"))
    set_weights(net)
    return net


def set_weights(net: Network) -> None:
    """Set random weights and keep "kept" in float32. All weights but those of "kept" are halves."""
    random = np.random.default_rng(5)
    for one in net.weight_specs():
        values = random.uniform(0.1, 1.0, one["shape"]).astype(np.float32)
        own = values if one["layer"] == "kept" else halves(values)
        net.set_weights({f"{one['layer']}.{one['role']}": own}, layout="OHWI")
    net.keep_float32(["kept"])


def is_included(net: Network) -> bool:
    """Return True if the second layer belongs to the kept one, as the documentation of `keep_float32` states."""
    kept, after = (next(node for node in net.to_dict()["nodes"] if node["name"] == name) for name in PAIR)
    if after["operation"] == "batch_normalization":
        return kept["operation"] in INCLUDES_NORMALIZATION
    is_activation = after["operation"] == "neuron" and after["attributes"]["kind"] != "none"
    return is_activation and bool(INFO[kept["operation"]]["takes_activation"])


def moves(net: Network) -> bool:
    """Return True if the second layer only moves values."""
    (after,) = [node for node in net.to_dict()["nodes"] if node["name"] == "after"]
    return not INFO[after["operation"]]["rounding_point"]


def last_output(net: Network, precision: Any) -> Floats:
    x = halves(np.random.default_rng(6).uniform(-1.0, 1.0, (1, *net.input.shape[1:])))  # type: ignore[arg-type]
    result: Any = net.compile(device="cpu", precision=precision).session(threads=2).run(x)
    last: Floats = list(result.values())[-1] if isinstance(result, dict) else result
    return last


@pytest.mark.parametrize("is_shared", [False, True])
@pytest.mark.parametrize("kept", LAYERS)
def test_a_layer_after_a_kept_one_rounds_unless_it_moves_values_or_belongs_to_it(
    kept: str, is_shared: bool
) -> None:
    """If the kept layer's result is an output, it has a second reader. Then an activation is a layer of its own."""
    for after in layers_after(kept):
        net = walked(kept, after, is_shared=is_shared)
        exact = last_output(net, "float32")
        stays = moves(net) or (is_included(net) and not is_shared)
        expected = exact if stays else halves(exact)
        np.testing.assert_array_equal(last_output(net, "float16"), expected, err_msg=f"{kept}, then {after}")


@pytest.mark.parametrize("kept", LAYERS)
def test_a_kept_layer_has_the_bits_of_float32(kept: str) -> None:
    net = Network(input=(4, 4, 6))
    net.output(LAYERS[kept](net, net.input, "kept"))
    set_weights(net)
    np.testing.assert_array_equal(last_output(net, "float16"), last_output(net, "float32"))


@pytest.mark.parametrize("is_kept", [True, False])
@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("operation", ["add", "subtract", "multiply", "divide", "maximum", "minimum"])
def test_a_kept_constant_is_not_rounded(operation: str, place: int, is_kept: bool) -> None:
    """The kernel of the operation reads a constant in the second place directly."""
    net = Network(input=(4, 4, 6))
    constant = net.constant(net.input, (1, 1, 6), name="constant")
    operands = [net.input, constant] if place else [constant, net.input]
    net.output(getattr(net, operation)(*operands, name="after"))
    values = np.random.default_rng(7).uniform(0.1, 1.0, (1, 1, 6)).astype(np.float32)
    net.set_weights({"constant.value": values if is_kept else halves(values)})
    expected = halves(last_output(net, "float32"))
    net.set_weights({"constant.value": values})
    net.keep_float32(["constant"] if is_kept else [])
    np.testing.assert_array_equal(last_output(net, "float16"), expected)


@pytest.mark.skipif("bfloat16" not in cpu_precisions(), reason="the CPU engine has no bfloat16 products here")
@pytest.mark.parametrize("kept", LAYERS)
def test_bfloat16_networks_keep_no_layers(kept: str) -> None:
    """`keep_float32` is for float16 and int8. A dense layer at the end makes the results before it bfloat16."""
    for after in layers_after(kept):
        net = Network(input=(4, 4, 6))
        net.output(net.dense(LAYERS[after](net, LAYERS[kept](net, net.input, "kept"), "after"), 8))
        set_weights(net)
        found = last_output(net, "bfloat16")
        net.keep_float32(["kept"], keep=False)
        np.testing.assert_array_equal(found, last_output(net, "bfloat16"), err_msg=f"{kept}, then {after}")
