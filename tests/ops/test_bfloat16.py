"""Test that networks in bfloat16 are bit for bit as defined, with every operation between two matrix products."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray
from ops.single_layer import BFLOAT16, run_layer, seeds, values, windows
from reference import bfloat16 as model
from test_structure import smallest
from tolerance import assert_close, bfloat16_bound

import mpscnn

pytestmark = pytest.mark.skipif(not BFLOAT16, reason="the device has no bf16 dot products")
SUMS = mpscnn.devices()[0].get("bfloat16_sums", "")
ORDER = pytest.mark.skipif(SUMS == "arm pairs", reason="reference/bfloat16.py has the orders of x86-64")


def compiled(net: mpscnn.Network, weights: dict[str, NDArray[Any]]) -> mpscnn.Program:
    net.load_weights(weights, layout="OHWI")
    return net.compile(precision="bfloat16")


def test_rounding_is_to_nearest_even_and_keeps_nan() -> None:
    bits = [0x3F808000, 0x3F818000, 0x3F808001, 0x7F7FFFFF, 0x007FFFFF, 0x80000001, 0x7F800001, 0xFF800000]
    x = np.array(bits, np.uint32).view(np.float32).reshape(1, 1, 1, -1)
    expected = [0x3F800000, 0x3F820000, 0x3F810000, 0x7F800000, 0, 0x80000000, 0x7FC00000, 0xFF800000]
    np.testing.assert_array_equal(model.rounded(x).ravel(), np.array(expected, np.uint32).view(np.float32))
    # Each number is multiplied by one separately, so that NaN does not spread to other numbers.
    for value, rounded in zip(x.ravel(), model.rounded(x).ravel(), strict=True):
        one = np.ones((1, 1, 1, 1), np.float32)
        result = run_layer(
            "convolution",
            [np.full((1, 1, 1, 1), value)],
            {"output_channels": 1},
            weights={"weight": one},
            precision="bfloat16",
        )
        np.testing.assert_array_equal(result.ravel(), [rounded])


@ORDER
@given(st.data(), seeds)
def test_products_are_added_in_pairs(data: st.DataObject, seed: int) -> None:
    batch, height, width = data.draw(st.tuples(st.integers(1, 2), st.integers(1, 6), st.integers(1, 6)))
    groups = data.draw(st.integers(1, 2))
    inputs = data.draw(st.integers(1, 9)) * (2 if groups > 1 else 1)
    outputs = data.draw(st.integers(1, 70))
    attributes = data.draw(windows(height, width, max_kernel=3))
    attributes |= {"output_channels": outputs * groups, "groups": groups}
    # With numbers of very different magnitudes, the order of additions changes the result.
    x = values(seed, (batch, height, width, inputs * groups)) * np.exp2(
        np.random.default_rng(seed).integers(-9, 9, inputs * groups)
    ).astype(np.float32)
    shape = (outputs * groups, attributes["kernel_height"], attributes["kernel_width"], inputs)
    weight, bias = values(seed + 1, shape), values(seed + 2, shape[:1])
    if inputs in (4, 8) and groups == outputs * groups // inputs:
        return  # narrow groups are computed in float32
    result = run_layer(
        "convolution", [x], attributes, weights={"weight": weight, "bias": bias}, precision="bfloat16"
    )
    np.testing.assert_array_equal(result, model.convolution(x, weight, bias, attributes, SUMS))


@pytest.mark.ci
@ORDER
@given(seeds, st.integers(2, 40), st.integers(2, 70), st.integers(1, 3), st.booleans())
def test_results_that_a_product_follows_are_rounded(
    seed: int, inputs: int, width: int, stride: int, relu: bool
) -> None:
    """In an inverted residual every result is rounded except the last one."""
    x = values(seed, (2, 5, 6, inputs))
    net = mpscnn.Network(input=(5, 6, inputs))
    activation = "relu6" if relu else None
    start = net.conv2d(net.input, inputs, 1, name="start")
    expanded = net.conv2d(start, width, 1, activation=activation, name="expand")
    same = net.depthwise_conv2d(expanded, 3, padding="same", activation=activation, name="same")
    projected = net.conv2d(same, inputs, 1, name="project")
    total = net.add(start, projected, activation=activation)
    moved = net.depthwise_conv2d(total, 3, strides=stride, padding="same", name="moved")
    net.output(net.conv2d(moved, 3, 1, name="end"))
    shapes = {
        "start": (inputs, 1, 1, inputs),
        "expand": (width, 1, 1, inputs),
        "same": (width, 3, 3, 1),
        "project": (inputs, 1, 1, width),
        "moved": (inputs, 3, 3, 1),
        "end": (3, 1, 1, inputs),
    }
    weights = {name: values(seed + 2 * i + 1, shape) for i, (name, shape) in enumerate(shapes.items())}
    biases = {name: values(seed + 2 * i + 2, shape[:1]) for i, (name, shape) in enumerate(shapes.items())}
    depthwise = {name: weights[name].reshape(-1, 1, 3, 3) for name in ("same", "moved")}
    program = compiled(
        net,
        {f"{name}.weight": weight for name, weight in (weights | depthwise).items()}
        | {f"{name}.bias": bias for name, bias in biases.items()},
    )

    def layer(name: str, source: Any, attributes: dict[str, Any]) -> Any:
        attributes = {
            "kernel_height": weights[name].shape[1],
            "kernel_width": weights[name].shape[2],
        } | attributes
        return model.convolution(source, weights[name], biases[name], attributes, SUMS)

    def active(y: Any) -> Any:
        return np.clip(y, 0, 6) if relu else y

    first = model.rounded(layer("start", x, {}))
    y = model.rounded(active(layer("expand", first, {})))
    y = model.rounded(active(layer("same", y, {"groups": width, "padding": "same"})))
    y = model.rounded(layer("project", y, {}))
    y = model.rounded(active(first + y))
    y = model.rounded(
        layer("moved", y, {"groups": inputs, "padding": "same", "stride_y": stride, "stride_x": stride})
    )
    expected = layer("end", y, {})
    for threads in (1, 3):
        np.testing.assert_array_equal(program.session(threads=threads).run(x), expected)


def identity(net: mpscnn.Network, tensor: Any, name: str) -> Any:
    """Add a product with the identity, which only rounds, and return it with its weights."""
    channels = tensor.shape[-1]
    if len(tensor.shape) == 2:
        return net.dense(tensor, channels, name=name), np.eye(channels, dtype=np.float32)
    return net.conv2d(tensor, channels, 1, name=name), np.eye(channels, dtype=np.float32).reshape(
        channels, 1, 1, channels
    )


@pytest.mark.parametrize("operation", [entry["name"] for entry in mpscnn.operations()])
@pytest.mark.parametrize("more", [0, 29])
def test_every_operation_between_two_products(operation: str, more: int) -> None:
    """The result is the rounded result of the operation alone in float32, on rounded inputs and weights."""
    shapes, attributes = smallest(operation)
    more *= {"lstm": 4, "gru": 3}.get(operation, 1)  # as many for each gate
    shapes = [
        (*shape[:-1], shape[-1] + more) if not attributes and len(shapes) == 1 else shape for shape in shapes
    ]
    alone = mpscnn.Network(input={f"x{i}": shape for i, shape in enumerate(shapes)})
    alone.output(alone.layer(operation, alone.inputs, attributes, name="layer"))
    alone.initialize_weights(seed=1)
    weights = {name: np.asarray(value) for name, value in alone.weights.items()}
    for name in weights:
        if name == "layer.weight":
            weights[name] = model.rounded(weights[name])
    alone.load_weights(weights, layout="OHWI")
    inputs = [model.rounded(values(i, (2, *shape))) for i, shape in enumerate(shapes)]
    if operation == "power":  # powers of negative numbers would be NaN and spread to all sums
        inputs = [np.abs(x) for x in inputs]
    # Rounding makes some numbers equal, and some 0.
    if operation in ("equal", "not_equal", "greater_equal", "mask", "mask_out"):
        inputs = [np.round(x) for x in inputs]
    expected = np.asarray(alone.compile(precision="float32").session().run(inputs))
    between = mpscnn.Network(input={f"x{i}": shape for i, shape in enumerate(shapes)})
    entered = []
    for i, tensor in enumerate(between.inputs):
        through, weight = (
            identity(between, tensor, f"in{i}") if len(tensor.shape) in (2, 4) else (tensor, None)
        )
        entered.append(through)
        if weight is not None:
            weights[f"in{i}.weight"] = weight
            weights[f"in{i}.bias"] = np.zeros(len(weight), np.float32)
    result = between.layer(operation, entered, attributes, name="layer")
    if len(result.shape) in (2, 4):
        result, weight = identity(between, result, "out")
        weights |= {"out.weight": weight, "out.bias": np.zeros(len(weight), np.float32)}
        expected = model.rounded(expected)
    between.output(result)
    program = compiled(between, weights)
    got = np.asarray(program.session(threads=1).run(inputs))
    assert_close(got, expected, bfloat16_bound(expected))
    np.testing.assert_array_equal(program.session(threads=3).run(inputs), got)


def between_products(shape: tuple[int, ...], build: Any) -> tuple[Any, Any]:
    """Return a function's layers between two identities in bfloat16, and alone in float32, with rounded weights."""
    alone = mpscnn.Network(input=shape)
    alone.output(build(alone, alone.input))
    alone.initialize_weights(seed=1)
    weights = {
        name: model.rounded(value) if name.endswith(".weight") else np.asarray(value)
        for name, value in alone.weights.items()
    }
    alone.load_weights(weights)
    between = mpscnn.Network(input=shape)
    entered, first = identity(between, between.input, "in")
    result, last = identity(between, build(between, entered), "out")
    between.output(result)
    for name, weight in (("in", first), ("out", last)):
        weights |= {f"{name}.weight": weight, f"{name}.bias": np.zeros(len(weight), np.float32)}
    return compiled(between, weights), alone.compile(precision="float32")


@pytest.mark.parametrize("activation", [None, "relu6", "hard_swish", "swish", "gelu", "leaky_relu", "tanh"])
@pytest.mark.parametrize(("kernel", "strides"), [(3, 1), (3, 2), (5, 1), (5, 2), ((1, 4), 1)])
@pytest.mark.parametrize("channels", [19, 64])
def test_depthwise_layers_round_once_after_any_activation(
    activation: str | None, kernel: Any, strides: int, channels: int
) -> None:
    def build(net: mpscnn.Network, x: Any) -> Any:
        window: dict[str, Any] = {"strides": strides, "padding": "same", "activation": activation}
        return net.depthwise_conv2d(x, kernel, name="layer", **window)

    program, alone = between_products((9, 17, channels), build)
    x = model.rounded(values(0, (2, 9, 17, channels)))
    expected = model.rounded(np.asarray(alone.session().run(x)))
    np.testing.assert_array_equal(program.session(threads=1).run(x), expected)
    np.testing.assert_array_equal(program.session(threads=3).run(x), expected)


@pytest.mark.parametrize("kind", ["add", "multiply"])
@pytest.mark.parametrize("channels", [6, 50])
def test_a_mean_and_a_gate_round_once_each(kind: str, channels: int) -> None:
    def build(net: mpscnn.Network, x: Any) -> Any:
        mean = net.global_average_pool2d(x, name="mean")
        return getattr(net, kind)(x, mean, activation="relu6", name="gate")

    program, _ = between_products((5, 7, channels), build)
    x = model.rounded(values(0, (2, 5, 7, channels)))
    pooled = mpscnn.Network(input=(5, 7, channels))
    pooled.output(pooled.global_average_pool2d(pooled.input))
    mean = model.rounded(np.asarray(pooled.compile(precision="float32").session().run(x)))
    combined = x * mean if kind == "multiply" else x + mean
    np.testing.assert_array_equal(program.session().run(x), model.rounded(np.clip(combined, 0, 6)))


def test_outputs_are_not_rounded_where_no_product_follows() -> None:
    net = mpscnn.Network(input=(4, 4, 6))
    middle = net.conv2d(net.input, 8, 3, name="first")
    net.output(middle)
    net.output(net.conv2d(middle, 4, 1, name="second"))
    net.initialize_weights(seed=3)
    x = values(0, (1, 4, 4, 6))
    both = net.compile(precision="bfloat16").session().run(x)
    alone = net.compile(precision="bfloat16", outputs=["first"]).session().run(x)
    assert isinstance(both, dict)
    np.testing.assert_array_equal(both["first"], model.rounded(alone))
    assert (both["first"] != alone).any()
    assert (both["second"] != model.rounded(both["second"])).any()


def test_a_nan_and_an_infinity_reach_what_reads_them() -> None:
    net = mpscnn.Network(input=(6, 6, 4))
    y = net.conv2d(net.input, 20, 1, activation="relu6", name="a")
    y = net.depthwise_conv2d(y, 3, padding="same", activation="relu6", name="b")
    net.output(net.conv2d(y, 5, 1, name="c"))
    net.initialize_weights(seed=3)
    x = values(0, (1, 6, 6, 4))
    x[0, 1, 1, 2] = np.nan
    session = net.compile(precision="bfloat16").session()
    result = np.asarray(session.run(x))
    assert np.isnan(result[0, 0:3, 0:3]).all()
    assert np.isfinite(result[0, 3:]).all()
    assert np.isfinite(result[0, :, 3:]).all()
    with pytest.raises(mpscnn.ParameterError, match="NaN at image 0, row 1, column 1"):
        net.compile(precision="bfloat16").session(check_finite=True).run(x)
    x[0, 1, 1, 2] = np.inf
    assert not np.isnan(np.asarray(session.run(x))).all()


def test_check_finite_sees_what_rounding_makes_infinite() -> None:
    net = mpscnn.Network(input=(1, 1, 2))
    net.output(net.conv2d(net.conv2d(net.input, 2, 1, name="big"), 2, 1, name="end"))
    eye = np.eye(2, dtype=np.float32).reshape(2, 1, 1, 2)
    program = compiled(
        net,
        {
            "big.weight": eye,
            "big.bias": np.full(2, 3.4e38, np.float32),
            "end.weight": eye,
            "end.bias": np.zeros(2, np.float32),
        },
    )
    with pytest.raises(mpscnn.ParameterError, match="layer 'big': infinity"):
        program.session(check_finite=True).run(np.zeros((1, 1, 1, 2), np.float32))


def test_weights_beyond_the_largest_number_are_refused() -> None:
    net = mpscnn.Network(input=(1, 1, 1))
    net.output(net.conv2d(net.input, 1, 1, name="layer"))
    net.load_weights(
        {"layer.weight": np.full((1, 1, 1, 1), 3.4e38, np.float32), "layer.bias": np.zeros(1, np.float32)},
        layout="OHWI",
    )
    with pytest.raises(mpscnn.WeightsError, match="does not fit into bfloat16"):
        net.compile(precision="bfloat16")


def test_positions_are_not_rounded_if_a_convolution_reads_them_too() -> None:
    network = mpscnn.Network(input={"x": (1, 600, 4), "places": (1, 600, 4)})
    x, places = network.inputs
    doubled = network.add(places, places)
    network.output(network.take_along_axis(x, doubled, axis=2))
    network.output(network.conv2d(doubled, 8, 1, name="conv"))
    network.initialize_weights()
    source = values(0, (1, 1, 600, 4), precision="bfloat16")
    chosen = np.random.default_rng(1).integers(0, 300, (1, 1, 600, 4)).astype(np.float32)
    taken = network.compile(precision="bfloat16").session().run([source, chosen])
    found = next(iter(taken.values()))
    expected = np.take_along_axis(source, (2 * chosen).astype(np.int64), axis=2)
    np.testing.assert_array_equal(found, expected)
