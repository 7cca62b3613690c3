"""Dense 5x5 convolutions of the CPU engine: transformed where that gains, with errors like those of plain sums."""

from __future__ import annotations

import numpy as np
import pytest
from kernels_here import needs_fused_multiply_add
from numpy.typing import NDArray

import mpscnn


def convolution(height: int, width: int, inputs: int, outputs: int, padding: str = "same") -> mpscnn.Network:
    network = mpscnn.Network(input=(height, width, inputs))
    network.output(network.conv2d(network.input, outputs, 5, padding=padding, name="conv", activation="relu"))
    network.initialize_weights(1)
    return network


def kernel(network: mpscnn.Network, x: NDArray[np.float32], precision: str = "float32") -> str:
    session = network.compile(device="cpu", precision=precision).session(threads=1)
    return session.profile(x, runs=1).steps[0].kernel


def in_float64(network: mpscnn.Network, x: NDArray[np.float32]) -> NDArray[np.float64]:
    weights = network.weights["conv.weight"].astype(np.float64)
    padded = np.pad(x.astype(np.float64), ((0, 0), (2, 2), (2, 2), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(1, 2))
    sums = np.einsum("nhwcij,oijc->nhwo", windows, weights, optimize=True)
    return np.maximum(sums + network.weights["conv.bias"], 0.0)


@needs_fused_multiply_add
@pytest.mark.parametrize(
    ("inputs", "outputs", "padding", "precision", "transformed"),
    [
        (16, 16, "same", "float32", True),
        (20, 50, "valid", "float32", True),
        (15, 16, "same", "float32", False),
        (16, 15, "same", "float32", False),
        (16, 16, "same", "float16", False),
    ],
)
def test_only_large_layers_are_transformed(
    inputs: int, outputs: int, padding: str, precision: str, transformed: bool
) -> None:
    network = convolution(9, 8, inputs, outputs, padding)
    x = np.random.default_rng(0).uniform(-1, 1, (1, 9, 8, inputs)).astype(np.float32)
    assert ("winograd" in kernel(network, x, precision)) == transformed


def test_one_window_of_the_whole_image_is_not_transformed() -> None:
    network = convolution(5, 5, 16, 120, "valid")
    assert "winograd" not in kernel(network, np.zeros((1, 5, 5, 16), np.float32))


@pytest.mark.parametrize("size", [(14, 14, 32, 64), (13, 9, 50, 20), (4, 31, 16, 33)])
def test_errors_are_those_of_plain_sums(size: tuple[int, int, int, int]) -> None:
    height, width, inputs, outputs = size
    network = convolution(height, width, inputs, outputs)
    x = np.random.default_rng(1).uniform(-1, 1, (3, height, width, inputs)).astype(np.float32)
    program = network.compile(device="cpu", precision="float32")
    found = program.session(threads=1).run(x)
    expected = in_float64(network, x)
    # A sum of terms as large as these is exact to a few units in the last place of its terms' magnitudes.
    magnitude = 25 * inputs * np.abs(network.weights["conv.weight"]).mean() * np.abs(x).mean()
    assert np.abs(found - expected).max() <= 8 * np.finfo(np.float32).eps * magnitude
    for threads in (2, 3):
        assert np.array_equal(program.session(threads=threads).run(x), found)
