"""Compare matrix products that compute convolutions with variable weights, and gradients, with the reference."""

from __future__ import annotations

import json
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from metal.emulation import Emulation
from numpy.typing import NDArray
from ops.single_layer import seeds, values, windows
from reference import window
from reference.convolution import convolution
from reference.convolution_gradient import data_gradient, weight_gradient
from tolerance import linear_bound

import mpscnn
from mpscnn import _core

Array = NDArray[np.float32]
# The fixture checks for remaining objects once after all examples of a test.
many = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture(autouse=True)
def gradients_by_shaders(emulation: Emulation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Emulate an old GPU, so that shaders compute gradients instead of MPS."""
    monkeypatch.setenv("MPSCNN_SKIP_SELF_CHECK", "1")
    emulation.set("old_gpu", 1)


def run(graph: _core.Graph, inputs: list[Array]) -> tuple[Array, set[str]]:
    """Return the only result of a graph, and the shaders that computed it."""
    program = mpscnn.Network.from_graph(graph).compile(device="metal", precision="float32")
    session = program.session()
    result = session.run(inputs)
    assert isinstance(result, np.ndarray)
    steps = session.profile(inputs, runs=1).steps
    return result, {kernel for step in steps for kernel in step.kernel.split(" + ")}


def gradient(operation: str, inputs: list[Array], attributes: dict[str, Any]) -> tuple[Array, set[str]]:
    graph = _core.Graph("one gradient")
    sources = [graph.add_variable(f"input{i}", x.shape) for i, x in enumerate(inputs)]
    graph.mark_output(graph.add_node(operation, "layer", sources, json.dumps(attributes), ""))
    return run(graph, inputs)


def forward(
    x: Array, weight: Array, bias: Array | None, attributes: dict[str, Any], activation: str = ""
) -> tuple[Array, set[str]]:
    graph = _core.Graph("one convolution")
    source = graph.add_variable("x", x.shape)
    terms = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
    # A bias is reshaped because a variable needs at least two axes.
    terms = {role: value.reshape(1, -1) if role == "bias" else value for role, value in terms.items()}
    variables = {role: graph.add_variable(role, value.shape) for role, value in terms.items()}
    kind = json.dumps({"kind": activation}) if activation else ""
    layer = graph.add_node("convolution", "layer", [source], json.dumps(attributes), kind)
    for role, variable in variables.items():
        graph.use_variable(layer, role, variable)
    graph.mark_output(layer)
    return run(graph, [x, *terms.values()])


def check(shape: tuple[int, ...], outputs: int, attributes: dict[str, Any], seed: int) -> set[str]:
    """Compare the three products of a convolution (result and both gradients). Returns their shaders."""
    attributes = attributes | {"output_channels": outputs}
    rows, columns = window.positions(attributes, shape[1], shape[2])
    kernel = attributes.get("kernel_height", 1), attributes.get("kernel_width", 1)
    x, weight = (
        values(seed, shape),
        values(seed + 1, (outputs, *kernel, shape[3] // attributes.get("groups", 1))),
    )
    given = values(seed + 2, (shape[0], len(rows), len(columns), outputs))
    bias = values(seed + 3, (outputs,)) if seed % 2 else None
    results = [forward(x, weight, bias, attributes)]
    expected, magnitude = convolution(x, weight, bias, attributes)
    references = [(expected, linear_bound(magnitude))]
    results.append(gradient("convolution_data_gradient", [given, weight, x], attributes))
    magnitude = data_gradient(np.abs(given), np.abs(weight), x, attributes)
    references.append((data_gradient(given, weight, x, attributes), linear_bound(magnitude)))
    results.append(gradient("convolution_weight_gradient", [x, given], attributes))
    magnitude = weight_gradient(np.abs(x), np.abs(given), attributes)
    references.append((weight_gradient(x, given, attributes), linear_bound(magnitude)))
    for (result, _), (expected, bound) in zip(results, references, strict=True):
        assert (np.abs(result - expected) <= bound).all()
    return set.union(*(kernels for _, kernels in results))


WINDOW = {"kernel_height": 3, "kernel_width": 3, "padding": "same"}
CASES: dict[str, tuple[tuple[int, ...], int, dict[str, Any]]] = {
    "one number": ((1, 1, 1, 1), 1, {}),
    "less than a tile": ((1, 3, 3, 20), 12, {}),
    "several tiles, and a deep sum": ((2, 9, 9, 132), 72, {}),
    "channels that are no multiple of 4": ((2, 7, 6, 5), 7, WINDOW),
    "one channel": ((2, 9, 9, 1), 3, WINDOW),
    "strides of 2": ((2, 11, 10, 8), 12, {**WINDOW, "stride_y": 2, "stride_x": 2}),
    "dilation": ((1, 9, 13, 4), 8, {**WINDOW, "dilation_y": 2, "dilation_x": 3}),
    "several parts of the pixels": ((4, 20, 20, 8), 12, {}),
    "as many pixels as a part": ((4, 8, 8, 4), 8, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_shapes(case: str) -> None:
    shape, outputs, attributes = CASES[case]
    kernels = check(shape, outputs, attributes, 1)
    product = "array_product" if attributes else "array_pointwise_product"
    assert {product, "array_data_gradient_product", "array_weight_gradient_product"} <= kernels
    assert ("array_sum_parts" in kernels) == (case == "several parts of the pixels")


DEPTHWISE: dict[str, tuple[dict[str, Any], str]] = {
    "3x3": (WINDOW, "array_depthwise_3x3_step1"),
    "3x3 without padding": ({"kernel_height": 3, "kernel_width": 3}, "array_depthwise_3x3_step1"),
    "3x3 by 2": ({**WINDOW, "stride_y": 2, "stride_x": 2}, "array_depthwise_3x3_step2"),
    "5x5": ({"kernel_height": 5, "kernel_width": 5, "padding": "same"}, "array_depthwise_5x5_step1"),
    "5x5 by 2": (
        {"kernel_height": 5, "kernel_width": 5, "padding": "same", "stride_y": 2, "stride_x": 2},
        "array_depthwise_5x5_step2",
    ),
    "dilated": ({**WINDOW, "dilation_y": 2, "dilation_x": 3}, "array_depthwise"),
    "2x5": ({"kernel_height": 2, "kernel_width": 5, "padding": "same"}, "array_depthwise"),
}


@pytest.mark.parametrize("case", DEPTHWISE)
@pytest.mark.parametrize("seed", [0, 1])
def test_depthwise_convolutions_use_the_kernels_of_constant_weights(case: str, seed: int) -> None:
    attributes, kernel = DEPTHWISE[case]
    kernels = check((2, 9, 11, 8), 8, {**attributes, "groups": 8}, seed)
    assert {"array_depthwise_weights", kernel, "array_weight_gradient"} <= kernels
    assert ("array_data_gradient" in kernels) == ("stride_x" in attributes)
    assert "array_convolution" in check((2, 9, 11, 6), 6, {**attributes, "groups": 6}, seed)


@many
@given(st.data(), seeds)
def test_any_window(data: st.DataObject, seed: int) -> None:
    batch, height, width = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)))
    inputs, outputs = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 19))
    check((batch, height, width, inputs), outputs, data.draw(windows(height, width)), seed)


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "hard_swish"])
def test_an_activation_is_applied_to_sums(activation: str) -> None:
    x, weight, bias = values(0, (2, 5, 5, 12)), values(1, (8, 3, 3, 12)), values(2, (8,))
    attributes = {"output_channels": 8, **WINDOW}
    result, kernels = forward(x, weight, bias, attributes, activation)
    assert "array_product" in kernels
    sums, _ = forward(x, weight, bias, attributes)
    network = mpscnn.Network(input=sums.shape[1:])
    network.output(network.activation(network.input, activation))
    expected = network.compile(device="cpu").session().run(sums)
    np.testing.assert_allclose(result, np.asarray(expected), rtol=1e-6, atol=1e-6)


def test_the_order_of_threads_does_not_matter(emulation: Emulation) -> None:
    shape, outputs, attributes = CASES["strides of 2"]
    attributes = attributes | {"output_channels": outputs}
    x, weight = values(0, shape), values(1, (outputs, 3, 3, shape[3]))
    given = values(2, (shape[0], 6, 5, outputs))

    def results() -> list[Array]:
        return [
            forward(x, weight, None, attributes)[0],
            gradient("convolution_data_gradient", [given, weight, x], attributes)[0],
            gradient("convolution_weight_gradient", [x, given], attributes)[0],
        ]

    before = results()
    emulation.set("reverse_threads", 1)
    for one, other in zip(before, results(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_arrays_at_odd_places_are_copied() -> None:
    """Shaders read four channels at once, so arrays whose address is not a multiple of 16 bytes are copied."""
    x, weight = values(0, (1, 4, 4, 8)), values(1, (4, 1, 1, 8))
    room = mpscnn.empty((x.size + 1,), np.float32)
    shifted = room[1:].reshape(x.shape)
    shifted[...] = x
    attributes = {"output_channels": 4}
    np.testing.assert_array_equal(
        forward(shifted, weight, None, attributes)[0], forward(x, weight, None, attributes)[0]
    )


def test_groups_have_threads_of_their_own() -> None:
    attributes = {"output_channels": 6, "groups": 2}
    x, weight = values(0, (2, 3, 3, 8)), values(1, (6, 1, 1, 4))
    given = values(2, (2, 3, 3, 6))
    assert "array_convolution" in forward(x, weight, None, attributes)[1]
    assert "array_data_gradient" in gradient("convolution_data_gradient", [given, weight, x], attributes)[1]
    assert "array_weight_gradient" in gradient("convolution_weight_gradient", [x, given], attributes)[1]
