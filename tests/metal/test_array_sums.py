"""Tests of sums of many numbers on arrays, against float64."""

from __future__ import annotations

import numpy as np
import pytest
from metal.emulation import Emulation
from numpy.typing import NDArray

import mpscnn
from mpscnn import _core

Array = NDArray[np.float32]
EPS = 2.0**-23


@pytest.fixture(autouse=True)
def no_check(emulation: Emulation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the self-check of the device, which other modules test."""
    monkeypatch.setenv("MPSCNN_SKIP_SELF_CHECK", "1")


def numbers(shape: tuple[int, ...]) -> Array:
    return np.random.default_rng(0).normal(0.5, 1, shape).astype(np.float32)


def run(
    operation: str, inputs: list[Array], expected: NDArray[np.float64], magnitude: NDArray[np.float64]
) -> str:
    """Check the result of an operation, and return the names of its kernels."""
    graph = _core.Graph("sums")
    variables = [graph.add_variable(f"x{i}", x.shape) for i, x in enumerate(inputs)]
    graph.mark_output(graph.add_node(operation, "sum", variables, "{}", ""))
    session = mpscnn.Network.from_graph(graph).compile(device="metal").session()
    result = np.asarray(session.run(inputs if len(inputs) > 1 else inputs[0]))
    assert (np.abs(result - expected) <= 4 * EPS * magnitude).all()
    return session.profile(inputs if len(inputs) > 1 else inputs[0], runs=1).steps[0].kernel


SHAPES = {
    (3, 4): "array_sum",
    (2, 16, 16): "array_channel_sums + array_sum_parts",
    (1, 31, 37, 4): "array_channel_sums + array_sum_parts",
    (7, 1001): "array_channel_sums + array_sum_parts",
    (5, 40, 33, 24): "array_channel_sums + array_sum_parts",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_all_numbers(shape: tuple[int, ...]) -> None:
    x = numbers(shape)
    expected = np.sum(x.astype(np.float64) ** 2)
    assert run("squared_sum", [x], expected, expected) == SHAPES[shape]


@pytest.mark.parametrize("channels", [1, 3, 4, 20, 64, 132])
@pytest.mark.parametrize("pixels", [(1, 1, 1), (2, 17, 9), (3, 40, 40)])
def test_the_numbers_of_each_channel(channels: int, pixels: tuple[int, int, int]) -> None:
    x, like = numbers((*pixels, channels)), np.zeros((1, 1, 1, channels), np.float32)
    exact = x.astype(np.float64)
    kernel = run(
        "sum_like",
        [x, like],
        exact.sum((0, 1, 2), keepdims=True),
        np.abs(exact).sum((0, 1, 2), keepdims=True),
    )
    if np.prod(pixels) <= 256:
        assert kernel == "array_sum"
    else:
        # One threadgroup sums few pixels without a second kernel.
        parts = np.prod(pixels) > 512
        assert kernel == "array_channel_sums" + (" + array_sum_parts" if parts else "")


def test_the_order_of_threads_does_not_matter(emulation: Emulation) -> None:
    x = numbers((4, 30, 30, 12))
    graph = _core.Graph("sums")
    graph.mark_output(graph.add_node("squared_sum", "sum", [graph.add_variable("x", x.shape)], "{}", ""))
    session = mpscnn.Network.from_graph(graph).compile(device="metal").session()
    before = np.asarray(session.run(x))
    emulation.set("reverse_threads", 1)
    np.testing.assert_array_equal(session.run(x), before)
