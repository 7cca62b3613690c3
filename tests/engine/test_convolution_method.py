"""Tests of 3x3 and 5x5 convolutions by Winograd's algorithm on the CPU engine, and of their errors."""

from __future__ import annotations

import json
import pickle

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from kernels_here import needs_fma
from numpy.typing import NDArray
from ops.single_layer import seeds
from reference.convolution_gradient import weight_gradient
from tolerance import assert_close, linear_bound

import mpscnn
from mpscnn import _core


def convolution(
    height: int, width: int, inputs: int, outputs: int, size: int, padding: str = "same"
) -> mpscnn.Network:
    network = mpscnn.Network(input=(height, width, inputs))
    result = network.conv2d(network.input, outputs, size, padding=padding, name="conv", activation="relu")
    network.output(result)
    network.initialize_weights(1)
    return network


def kernel(network: mpscnn.Network, x: NDArray[np.float32], precision: str = "float32") -> str:
    session = network.compile(device="cpu", precision=precision).session(threads=1)
    return session.profile(x, runs=1).steps[-1].kernel  # the last step, since float16 first copies its input


def sums(
    weights: NDArray[np.float32], bias: NDArray[np.float32], x: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return the result in float64 of a convolution that keeps the image's size."""
    size = weights.shape[1]
    border = (size // 2, size // 2)
    padded = np.pad(x.astype(np.float64), ((0, 0), border, border, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))
    with np.errstate(invalid="ignore"):  # infinities of both signs add up to NaN
        products = np.einsum("nhwcij,oijc->nhwo", windows, weights.astype(np.float64), optimize=True)
    return np.asarray(products + bias, np.float64)


def in_float64(network: mpscnn.Network, x: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.maximum(sums(network.weights["conv.weight"], network.weights["conv.bias"], x), 0.0)


def magnitudes(network: mpscnn.Network, x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the sums of magnitudes for tolerance.linear_bound."""
    weights = network.weights
    return sums(np.abs(weights["conv.weight"]), np.abs(weights["conv.bias"]), np.abs(x))


def bound_of_tiles(network: mpscnn.Network, x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return an error bound for each output of one image.

    It sums the magnitudes of all inputs that may share a tile of 6 x 6 with the output. They are at most 5 pixels away.
    """
    largest_weights = np.abs(network.weights["conv.weight"]).max(axis=(0, 1, 2))
    products = np.pad(np.abs(x[0].astype(np.float64)) @ largest_weights, 5)
    near = np.lib.stride_tricks.sliding_window_view(products, (11, 11)).sum(axis=(-1, -2))
    return np.asarray(4 * np.finfo(np.float32).eps * near[None, ..., None])


def round_weights(network: mpscnn.Network) -> None:
    """Round the weights to float16, as float16 networks do."""
    network.load_weights(
        {name: values.astype(np.float16).astype(np.float32) for name, values in network.weights.items()},
        layout="OHWI",
    )


@needs_fma
@pytest.mark.parametrize(
    ("inputs", "outputs", "size", "padding", "precision", "transformed"),
    [
        (16, 16, 5, "same", "float32", True),
        (20, 50, 5, "valid", "float32", True),
        (15, 16, 5, "same", "float32", False),
        (16, 15, 5, "same", "float32", False),
        (16, 16, 5, "same", "float16", True),
        (16, 16, 3, "same", "float32", True),
        (20, 50, 3, "valid", "float32", True),
        (15, 16, 3, "same", "float32", False),
        (256, 256, 3, "same", "float32", False),
        (16, 16, 3, "same", "float16", True),
        (15, 16, 3, "same", "float16", False),
    ],
)
def test_only_layers_that_gain_are_transformed(
    inputs: int, outputs: int, size: int, padding: str, precision: str, transformed: bool
) -> None:
    network = convolution(9, 10, inputs, outputs, size, padding)
    x = np.random.default_rng(0).uniform(-1, 1, (1, 9, 10, inputs)).astype(np.float32)
    assert ("winograd" in kernel(network, x, precision)) == transformed


def test_one_window_of_the_whole_image_is_not_transformed() -> None:
    network = convolution(5, 5, 16, 120, 5, "valid")
    assert "winograd" not in kernel(network, np.zeros((1, 5, 5, 16), np.float32))


@pytest.mark.parametrize(
    "shape",
    [
        (14, 14, 32, 64, 5),
        (13, 9, 50, 20, 5),
        (4, 31, 16, 33, 5),
        (14, 14, 32, 64, 3),
        (13, 9, 50, 20, 3),
        (7, 31, 16, 33, 3),
        (10, 10, 300, 17, 3),
    ],
)
def test_errors_are_those_of_plain_sums(shape: tuple[int, int, int, int, int]) -> None:
    height, width, inputs, _, size = shape
    network = convolution(*shape)
    x = np.random.default_rng(1).uniform(-1, 1, (3, height, width, inputs)).astype(np.float32)
    program = network.compile(device="cpu", precision="float32")
    found = program.session(threads=1).run(x)
    expected = in_float64(network, x)
    # A sum of terms as large as these is exact to a few units in the last place of its terms' magnitudes.
    magnitude = size**2 * inputs * np.abs(network.weights["conv.weight"]).mean() * np.abs(x).mean()
    assert np.abs(found - expected).max() <= 8 * np.finfo(np.float32).eps * magnitude
    for threads in (2, 3):
        assert np.array_equal(program.session(threads=threads).run(x), found)


@needs_fma
@pytest.mark.parametrize("size", [3, 5])
def test_errors_are_bounded_by_what_a_tile_reads(size: int) -> None:
    """One pixel is 100,000 times as large as the others.

    It enlarges the errors of results that share a tile with it, even if their windows do not contain it.
    """
    network = convolution(24, 24, 16, 16, size)
    x = np.random.default_rng(2).uniform(-1, 1, (1, 24, 24, 16)).astype(np.float32)
    x[0, 11, 14] *= 1e5
    assert "winograd" in kernel(network, x)
    found = network.compile(device="cpu", precision="float32").session(threads=1).run(x)
    assert_close(found, in_float64(network, x), bound_of_tiles(network, x))


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("channels", [16, 64])
def test_halves_are_those_of_plain_sums(size: int, channels: int) -> None:
    """For inputs of similar magnitude, float16 results are equal to those of plain sums up to one rounding."""
    network = convolution(24, 24, channels, 32, size)
    round_weights(network)
    x = np.random.default_rng(3).normal(size=(2, 24, 24, channels)).astype(np.float16).astype(np.float32)
    found = network.compile(device="cpu", precision="float16").session(threads=1).run(x)
    assert_close(found, in_float64(network, x), linear_bound(magnitudes(network, x)), half=True)


@given(
    st.tuples(st.integers(7, 20), st.integers(14, 20)),
    st.tuples(st.integers(16, 40), st.integers(16, 40)),
    st.sampled_from([3, 5]),
    st.sampled_from(["float32", "float16"]),
    st.lists(st.sampled_from([np.nan, np.inf, -np.inf]), max_size=3),
    seeds,
)
def test_what_is_not_finite_stays_in_its_windows(
    extents: tuple[int, int],
    channels: tuple[int, int],
    size: int,
    precision: str,
    not_finite: list[float],
    seed: int,
) -> None:
    network = convolution(*extents, *channels, size)
    round_weights(network)
    random = np.random.default_rng(seed)
    x = random.normal(size=(1, *extents, channels[0])).astype(np.float16).astype(np.float32)
    bound = bound_of_tiles(network, x)
    for value in not_finite:
        x[tuple(random.integers(0, x.shape))] = value
    program = network.compile(device="cpu", precision=precision)
    found = program.session(threads=1).run(x)
    assert_close(found, in_float64(network, x), bound, half=precision == "float16")
    assert np.array_equal(program.session(threads=2).run(x), found, equal_nan=True)


@needs_fma
@pytest.mark.parametrize("threads", [2, 3, 5, 16])
def test_threads_that_share_weights_too_large_for_l2_change_no_bit(
    monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    """Each thread computes some of the output channels. Only one thread computes the tiles that contain a NaN."""
    monkeypatch.setenv("MPSCNN_CACHE_SIZES", "32768,524288,8388608")
    network = convolution(14, 14, 128, 160, 3)
    x = np.random.default_rng(3).normal(size=(1, 14, 14, 128)).astype(np.float32)
    x[0, 5, 6, 7], x[0, 13, 0, 1], x[0, 0, 9, 127] = np.nan, np.inf, 3e38
    assert "winograd" in kernel(network, x)
    program = network.compile(device="cpu")
    expected = program.session(threads=1).run(x)
    assert np.isnan(expected).any()
    assert np.isfinite(expected).mean() > 0.7
    assert np.array_equal(program.session(threads=threads).run(x), expected, equal_nan=True)


@needs_fma
@pytest.mark.parametrize("size", [3, 5])
def test_an_overflow_to_infinity_stays_in_its_windows(size: int) -> None:
    """An infinity, such as an overflow in float16, only affects outputs whose windows contain it."""
    network = convolution(24, 24, 16, 16, size)
    round_weights(network)
    x = np.full((1, 24, 24, 16), 2.0, np.float32)
    x[0, 11, 14, 3] = 65520.0
    assert "winograd" in kernel(network, x, "float16")
    found = network.compile(device="cpu", precision="float16").session(threads=1).run(x)
    reached = np.zeros((24, 24), bool)
    reached[11 - size // 2 : 12 + size // 2, 14 - size // 2 : 15 + size // 2] = True
    positive = network.weights["conv.weight"][:, ::-1, ::-1, 3] > 0
    assert np.isfinite(found[0, ~reached]).all()
    assert np.array_equal(np.isinf(found[0, reached]), positive.reshape(16, -1).T)


@needs_fma
@pytest.mark.parametrize(("channels", "transformed"), [(64, True), (512, False)])
def test_of_any_size_only_few_weights_are_transformed(channels: int, transformed: bool) -> None:
    network = mpscnn.Network(input=(None, None, channels))
    network.output(network.conv2d(network.input, channels, 3, padding="same", name="conv"))
    network.initialize_weights(1)
    assert ("winograd" in kernel(network, np.zeros((1, 9, 9, channels), np.float32))) == transformed


@needs_fma
def test_explanations_say_why() -> None:
    step = convolution(9, 10, 16, 16, 3).compile(device="cpu", precision="float32").explain().steps[0]
    assert "Winograd" in step.reason


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_without_winograd_an_error_is_bounded_by_the_window(size: int, precision: str) -> None:
    """Errors stay small near a pixel that is 8192 times as large, for which Winograd's tiles would lose four digits."""
    network = convolution(24, 24, 16, 16, size)
    round_weights(network)
    x = np.random.default_rng(2).uniform(-1, 1, (1, 24, 24, 16)).astype(np.float16).astype(np.float32)
    x[0, 11, 14] *= np.float32(8192)  # a power of two, so the products are float16 numbers, too
    expected, bound = in_float64(network, x), linear_bound(magnitudes(network, x))
    program = network.compile(device="cpu", precision=precision, winograd=False)
    assert program.winograd is False
    assert "winograd" not in program.session(threads=1).profile(x, runs=1).steps[-1].kernel
    found = program.session(threads=1).run(x)
    half = precision == "float16"
    assert_close(found, expected, bound, half=half)
    assert pickle.loads(pickle.dumps(program)).winograd is False
    assert np.array_equal(program.session(threads=3).run(x), found)


@needs_fma
def test_with_winograd_an_error_is_not_bounded_by_the_window() -> None:
    """Errors may be large in results whose windows do not contain the large pixel. `winograd=False` prevents this.

    The tiles of 5x5 kernels share only their outermost inputs, whose products are exact.
    """
    size = 3
    network = convolution(24, 24, 16, 16, size)
    x = np.random.default_rng(2).uniform(-1, 1, (1, 24, 24, 16)).astype(np.float32)
    x[0, 11, 14] *= 1e4
    beside = np.ones((1, 24, 24, 16), bool)
    beside[0, 11 - size // 2 : 12 + size // 2, 14 - size // 2 : 15 + size // 2] = False
    expected, bound = (
        in_float64(network, x)[beside],
        linear_bound(np.where(beside, magnitudes(network, x), 0))[beside],
    )
    direct = network.compile(device="cpu", precision="float32", winograd=False)
    default = network.compile(device="cpu", precision="float32")
    assert default.winograd is True
    assert (np.abs(default.session(threads=1).run(x)[beside] - expected) > 100 * bound).any()
    assert_close(direct.session(threads=1).run(x)[beside], expected, bound)


@needs_fma
@pytest.mark.parametrize("size", [3, 5])
def test_weight_gradients(size: int) -> None:
    random = np.random.default_rng(4)
    x = random.normal(size=(2, 25, 22, 20)).astype(np.float32)
    gradient = random.normal(size=(2, 25, 22, 17)).astype(np.float32)
    attributes = {"output_channels": 17, "kernel_height": size, "kernel_width": size, "padding": "same"}
    graph = _core.Graph("gradient")
    sources = [graph.add_variable("x", x.shape), graph.add_variable("gradient", gradient.shape)]
    graph.mark_output(
        graph.add_node("convolution_weight_gradient", "weight", sources, json.dumps(attributes), "")
    )
    network = mpscnn.Network.from_graph(graph)
    expected = weight_gradient(x, gradient, attributes)
    bound = linear_bound(weight_gradient(np.abs(x), np.abs(gradient), attributes))
    results = []
    for winograd in (True, False):
        session = network.compile(device="cpu", precision="float32", winograd=winograd).session(threads=1)
        steps = session.profile([x, gradient], runs=1).steps
        assert any("winograd" in step.kernel for step in steps) == winograd
        results.append(session.run([x, gradient]))
        assert_close(results[-1], expected, bound)
    assert not np.array_equal(*results)


def test_winograd_is_a_boolean() -> None:
    with pytest.raises(mpscnn.ParameterError, match="winograd"):
        convolution(7, 7, 16, 16, 3).compile(device="cpu", winograd=1)  # type: ignore[arg-type]
