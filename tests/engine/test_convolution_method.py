"""Dense 3x3 and 5x5 convolutions of the CPU engine: transformed where that gains, with errors like plain sums."""

from __future__ import annotations

import numpy as np
import pytest
from kernels_here import needs_fused_multiply_add
from numpy.typing import NDArray

import mpscnn


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
    return session.profile(x, runs=1).steps[0].kernel


def in_float64(network: mpscnn.Network, x: NDArray[np.float32]) -> NDArray[np.float64]:
    weights = network.weights["conv.weight"].astype(np.float64)
    size = weights.shape[1]
    border = (size // 2, size // 2)
    padded = np.pad(x.astype(np.float64), ((0, 0), border, border, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))
    sums = np.einsum("nhwcij,oijc->nhwo", windows, weights, optimize=True)
    return np.maximum(sums + network.weights["conv.bias"], 0.0)


@needs_fused_multiply_add
@pytest.mark.parametrize(
    ("inputs", "outputs", "size", "padding", "precision", "transformed"),
    [
        (16, 16, 5, "same", "float32", True),
        (20, 50, 5, "valid", "float32", True),
        (15, 16, 5, "same", "float32", False),
        (16, 15, 5, "same", "float32", False),
        (16, 16, 5, "same", "float16", False),
        (16, 16, 3, "same", "float32", True),
        (20, 50, 3, "valid", "float32", True),
        (15, 16, 3, "same", "float32", False),
        (256, 256, 3, "same", "float32", False),
        (16, 16, 3, "same", "float16", False),
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


@needs_fused_multiply_add
@pytest.mark.parametrize("size", [3, 5])
def test_errors_are_bounded_by_what_a_tile_reads(size: int) -> None:
    """One pixel is 100,000 times as large as the others, which share tiles with it but no window."""
    network = convolution(24, 24, 16, 16, size)
    x = np.random.default_rng(2).uniform(-1, 1, (1, 24, 24, 16)).astype(np.float32)
    x[0, 11, 14] *= 1e5
    assert "winograd" in kernel(network, x)
    found = network.compile(device="cpu", precision="float32").session(threads=1).run(x)
    error = np.abs(found - in_float64(network, x)).max(axis=-1)[0]
    largest_weights = np.abs(network.weights["conv.weight"]).max(axis=(0, 1, 2))
    # Tiles are of 6 x 6 inputs: whatever shares one with a pixel is at most 5 pixels away.
    products = np.pad(np.abs(x[0]) @ largest_weights, 5)
    near = np.lib.stride_tricks.sliding_window_view(products, (11, 11)).sum(axis=(-1, -2))
    assert (error <= 4 * np.finfo(np.float32).eps * near).all()


@needs_fused_multiply_add
@pytest.mark.parametrize(("size", "reach"), [(3, 4), (5, 2)])
def test_an_infinity_spreads_over_its_tiles_only(size: int, reach: int) -> None:
    network = convolution(24, 24, 16, 16, size)
    x = np.ones((1, 24, 24, 16), np.float32)
    x[0, 11, 14, 3] = np.inf
    session = network.compile(device="cpu", precision="float32").session(threads=1)
    spoilt = ~np.isfinite(session.run(x)).all(axis=-1)[0]
    rows, columns = np.nonzero(spoilt)
    half = size // 2
    assert spoilt[11 - half : 12 + half, 14 - half : 15 + half].any()
    # A tile that reads the pixel begins at most 5 inputs before it.
    assert rows.min() >= 11 + half - 5
    assert rows.max() <= 11 + half + reach - 1
    assert columns.min() >= 14 + half - 5
    assert columns.max() <= 14 + half + reach - 1


@needs_fused_multiply_add
@pytest.mark.parametrize(("channels", "transformed"), [(64, True), (512, False)])
def test_of_any_size_only_few_weights_are_transformed(channels: int, transformed: bool) -> None:
    network = mpscnn.Network(input=(None, None, channels))
    network.output(network.conv2d(network.input, channels, 3, padding="same", name="conv"))
    network.initialize_weights(1)
    assert ("winograd" in kernel(network, np.zeros((1, 9, 9, channels), np.float32))) == transformed


@needs_fused_multiply_add
def test_explanations_say_why() -> None:
    step = convolution(9, 10, 16, 16, 3).compile(device="cpu", precision="float32").explain().steps[0]
    assert "36 products" in step.reason
