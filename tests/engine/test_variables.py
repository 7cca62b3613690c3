"""Tests of weights that are tensors of the graph ("variables"), as in networks that are trained."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mpscnn
from mpscnn import _core

RNG = np.random.default_rng(5)


def run(graph: _core.Graph, arrays: list[NDArray[Any]], threads: int = 1) -> NDArray[Any]:
    """Return the only output of a graph."""
    session = mpscnn.Network.from_graph(graph).compile(device="cpu").session(threads=threads)
    result = session.run(arrays)
    assert isinstance(result, np.ndarray)
    return result


def both(
    operation: str,
    shape: tuple[int, ...],
    attributes: dict[str, Any],
    roles: dict[str, NDArray[np.float32]],
    *,
    activation: str = "",
    threads: int = 1,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the results with constant weights, and with the same weights as variables."""
    results = []
    x = RNG.normal(size=shape).astype(np.float32)
    for as_variables in (False, True):
        graph = _core.Graph("net")
        source = graph.add_input("x", (-1, *shape[1:]))
        given = [x]
        variables = {}
        if as_variables:
            for role, array in roles.items():
                array = array if array.ndim > 1 else array[None]
                variables[role] = graph.add_variable(role, array.shape)
                given.append(array)
        layer = graph.add_node(operation, "layer", [source], json.dumps(attributes), activation)
        for role, array in roles.items():
            if as_variables:
                graph.use_variable(layer, role, variables[role])
            else:
                graph.set_weight("layer", role, array)
        graph.mark_output(layer)
        results.append(run(graph, given, threads))
    return results[0], results[1]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    ("shape", "channels", "kernel", "groups"),
    [
        ((2, 9, 8, 3), 20, 3, 1),
        ((1, 6, 6, 64), 2, 3, 1),
        ((2, 7, 7, 16), 16, 3, 4),
        ((2, 7, 7, 24), 24, 3, 24),
        ((2, 7, 7, 24), 48, 1, 1),
        ((3, 12, 12, 32), 32, 5, 1),
    ],
)
def test_convolutions(shape: tuple[int, ...], channels: int, kernel: int, groups: int, threads: int) -> None:
    weight = RNG.normal(size=(channels, kernel, kernel, shape[3] // groups)).astype(np.float32)
    bias = RNG.normal(size=channels).astype(np.float32)
    attributes = {
        "output_channels": channels,
        "kernel_height": kernel,
        "kernel_width": kernel,
        "groups": groups,
        "padding": "same",
    }
    relu = json.dumps({"kind": "relu"})
    expected, got = both(
        "convolution",
        shape,
        attributes,
        {"weight": weight, "bias": bias},
        activation=relu,
        threads=threads,
    )
    # For constant weights Winograd's algorithm may be used; for variables it is not.
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-4)
    assert np.count_nonzero(expected) > expected.size // 4
    without, same = both("convolution", shape, attributes, {"weight": weight}, threads=threads)
    np.testing.assert_allclose(same, without, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("shape", [(3, 40), (2, 3, 5, 8)])
def test_dense_layers(shape: tuple[int, ...]) -> None:
    weight = RNG.normal(size=(37, *shape[1:])).astype(np.float32)
    bias = RNG.normal(size=37).astype(np.float32)
    expected, got = both("fully_connected", shape, {"outputs": 37}, {"weight": weight, "bias": bias})
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("roles", [("gamma",), ("beta",), ("gamma", "beta")])
@pytest.mark.parametrize("channels", [6, 35])
@pytest.mark.parametrize("operation", ["group_normalization", "layer_normalization"])
def test_normalizations(operation: str, channels: int, roles: tuple[str, ...]) -> None:
    given = {role: RNG.normal(size=channels).astype(np.float32) for role in roles}
    expected, got = both(operation, (2, 5, 4, channels), {}, given)
    np.testing.assert_array_equal(got, expected)


def test_a_program_reads_them_in_every_run() -> None:
    graph = _core.Graph("net")
    x = graph.add_input("x", (-1, 16, 16, 8))
    shapes = {"expand": (48, 1, 1, 8), "depthwise": (48, 3, 3, 1), "project": (8, 1, 1, 48)}
    variables = {name: graph.add_variable(name + ".weight", shape) for name, shape in shapes.items()}
    value = x
    for name, shape in shapes.items():
        attributes = {
            "output_channels": shape[0],
            "kernel_height": shape[1],
            "kernel_width": shape[2],
            "groups": 48 if name == "depthwise" else 1,
            "padding": "same",
        }
        value = graph.add_node("convolution", name, [value], json.dumps(attributes))
        graph.use_variable(value, "weight", variables[name])
    value = graph.add_node("add", "sum", [value, x])
    graph.mark_output(value)
    session = mpscnn.Network.from_graph(graph).compile(device="cpu").session(threads=2)

    def chain(arrays: list[NDArray[Any]]) -> NDArray[Any]:
        result = session.run(arrays)
        assert isinstance(result, np.ndarray)
        return result

    image = RNG.normal(size=(2, 16, 16, 8)).astype(np.float32)
    one = [np.zeros(shape, np.float32) for shape in shapes.values()]
    np.testing.assert_array_equal(chain([image, *one]), image)
    for weights in one:
        weights[:] = RNG.normal(size=weights.shape)
    first = chain([image, *one])
    assert np.abs(first - image).max() > 1
    one[2] *= 2
    np.testing.assert_allclose(chain([image, *one]) - image, 2 * (first - image), rtol=1e-4, atol=1e-4)
    # Weights with gaps, as a caller may have them, are copied first.
    with_gaps = [np.repeat(weights, 2, axis=-1)[..., ::2] for weights in one]
    assert not with_gaps[0].flags.c_contiguous
    np.testing.assert_array_equal(chain([image, *with_gaps]), chain([image, *one]))


def test_wrong_uses_are_refused() -> None:
    graph = _core.Graph("net")
    x = graph.add_input("x", (-1, 4, 4, 2))
    weight = graph.add_variable("w", (3, 1, 1, 2))
    with pytest.raises(mpscnn.ShapeError, match="two to four fixed extents"):
        graph.add_variable("free", (-1, 2))
    with pytest.raises(mpscnn.ShapeError, match="two to four fixed extents"):
        graph.add_variable("vector", (2,))
    layer = graph.add_node("convolution", "layer", [x], json.dumps({"output_channels": 3}))
    with pytest.raises(mpscnn.WeightsError, match="no such weight"):
        graph.use_variable(layer, "slope", weight)
    with pytest.raises(mpscnn.WeightsError, match=r"\(1, 3\) is needed, 'w' has"):
        graph.use_variable(layer, "bias", weight)
    with pytest.raises(mpscnn.ParameterError, match="not before this layer"):
        graph.use_variable(layer, "weight", layer)
    with pytest.raises(mpscnn.ParameterError, match="is an input, not a layer"):
        graph.use_variable(x, "weight", weight)
    graph.use_variable(layer, "weight", weight)
    with pytest.raises(mpscnn.StateError, match="reads its weights from variables"):
        graph.set_weight("layer", "weight", np.zeros((3, 1, 1, 2), np.float32))
    graph.mark_output(layer)
    with pytest.raises(mpscnn.ShapeError, match=r"input 'w': expected \(3, 1, 1, 2\)"):
        run(
            graph,
            [np.zeros((1, 4, 4, 2), np.float32), np.zeros((2, 1, 1, 2), np.float32)],
        )


def test_what_cannot_be_a_variable_yet_is_refused() -> None:
    graph = _core.Graph("net")
    x = graph.add_input("x", (-1, 4, 4, 2))
    slope = graph.add_variable("slope", (1, 2))
    layer = graph.add_node("neuron", "layer", [x], json.dumps({"kind": "prelu"}))
    graph.use_variable(layer, "slope", slope)
    graph.mark_output(layer)
    with pytest.raises(mpscnn.UnsupportedError, match="weights must be constants"):
        mpscnn.Network.from_graph(graph).compile(device="cpu")
