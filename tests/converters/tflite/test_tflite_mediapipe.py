"""Compare MediaPipe's custom operators with plain loops, because LiteRT computes them on GPUs only."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from agreement import results
from converters.tflite_writer import Operator, Tensor, constant, write_tflite
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mpscnn import Network, converters
from mpscnn.errors import UnsupportedError, WeightsError

Numbers = NDArray[np.float32]
SAME, VALID = 1, 2


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mediapipe") / "one.tflite"


def custom(name: str, inputs: list[int], outputs: list[int], *options: int) -> Operator:
    return Operator(32, inputs, outputs, custom=(name, struct.pack(f"<{len(options)}i", *options)))


def read(path: Path, tensors: list[Tensor], operators: list[Operator], outputs: list[int]) -> Network:
    path.write_bytes(write_tflite(tensors, operators, [0], outputs))
    return converters.read_network([path])


def pooled(
    x: Numbers, kernel: tuple[int, int], strides: tuple[int, int], padding: int
) -> tuple[Numbers, Numbers]:
    """Return the maxima, and row * kernel width + column + 0.1 of the first maximum in each window."""
    size, before = [], []
    for extent, taps, stride in zip(x.shape[1:3], kernel, strides, strict=True):
        count = -(-extent // stride) if padding == SAME else (extent - taps + stride) // stride
        size.append(count)
        before.append(max((count - 1) * stride + taps - extent, 0) // 2 if padding == SAME else 0)
    maxima = np.zeros((len(x), *size, x.shape[3]), np.float32)
    numbers = np.zeros_like(maxima)
    for n, row, column, channel in np.ndindex(*maxima.shape):
        best = -np.inf
        for number in range(kernel[0] * kernel[1]):
            y = row * strides[0] - before[0] + number // kernel[1]
            z = column * strides[1] - before[1] + number % kernel[1]
            if 0 <= y < x.shape[1] and 0 <= z < x.shape[2] and x[n, y, z, channel] > best:
                best = maxima[n, row, column, channel] = x[n, y, z, channel]
                numbers[n, row, column, channel] = number + np.float32(0.1)
    return maxima, numbers


def unpooled(x: Numbers, numbers: Numbers, kernel: tuple[int, int]) -> Numbers:
    result = np.zeros((len(x), x.shape[1] * kernel[0], x.shape[2] * kernel[1], x.shape[3]), np.float32)
    for n, row, column, channel in np.ndindex(*x.shape):
        down, across = divmod(int(numbers[n, row, column, channel]), kernel[1])
        result[n, row * kernel[0] + down, column * kernel[1] + across, channel] = x[n, row, column, channel]
    return result


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_positions_of_maxima_and_unpooling(path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    kernel = (int(random.integers(1, 4)), int(random.integers(1, 4)))
    unpools = bool(random.integers(2))
    strides = kernel if unpools else (int(random.integers(1, 4)), int(random.integers(1, 4)))
    padding = int(random.integers(1, 3))
    # Few different numbers, so that windows have several maxima.
    x = random.integers(-3, 4, (2, *random.integers(3, 8, 2), random.integers(1, 4))).astype(np.float32)
    maxima, numbers = pooled(x, kernel, strides, padding)
    tensors = [
        Tensor("x", (1, *x.shape[1:])),
        Tensor("y", (1, *maxima.shape[1:])),
        Tensor("i", (1, *maxima.shape[1:])),
    ]
    options = (padding, strides[1], strides[0], kernel[1], kernel[0], 0)
    operators = [custom("MaxPoolingWithArgmax2D", [0], [1, 2], *options)]
    expected, outputs = [maxima, numbers], [1, 2]
    if unpools:
        whole = unpooled(maxima, numbers, kernel)
        tensors.append(Tensor("z", (1, *whole.shape[1:])))
        operators.append(custom("MaxUnpooling2D", [1, 2], [3], *options))
        expected, outputs = [whole], [3]
    for found, result in zip(results(read(path, tensors, operators, outputs), x), expected, strict=True):
        np.testing.assert_array_equal(found, result)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_transposed_convolution_with_biases(path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    height, width, channels, filters, rows, columns = (int(one) for one in random.integers(1, 5, 6))
    strides = (int(random.integers(1, 4)), int(random.integers(1, 4)))
    padding = int(random.integers(1, 3))
    x, weights, biases = (
        random.normal(size=shape).astype(np.float32)
        for shape in ((1, rows, columns, channels), (filters, height, width, channels), (filters,))
    )
    totals = [
        max(0, taps - (extent - 1) % stride - 1) if padding == SAME else 0
        for extent, taps, stride in zip((rows, columns), (height, width), strides, strict=True)
    ]
    size = [
        stride * (extent - 1) + taps - total
        for extent, taps, stride, total in zip((rows, columns), (height, width), strides, totals, strict=True)
    ]
    if min(size) < 1:
        return
    expected = np.broadcast_to(biases.astype(np.float64), (1, *size, filters)).copy()
    for row, column, down, across in np.ndindex(rows, columns, height, width):
        y, z = row * strides[0] - totals[0] // 2 + down, column * strides[1] - totals[1] // 2 + across
        if 0 <= y < size[0] and 0 <= z < size[1]:
            expected[0, y, z] += weights[:, down, across].astype(np.float64) @ x[0, row, column]
    tensors = [
        Tensor("x", x.shape),
        constant("w", weights),
        constant("b", biases),
        Tensor("y", (1, *size, filters)),
    ]
    operator = custom("Convolution2DTransposeBias", [0, 1, 2], [3], padding, strides[1], strides[0])
    (found,) = results(read(path, tensors, [operator], [3]), x)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message", "kind"),
    [
        ((1, 2, 2), "its options have 12 bytes, expected 24", WeightsError),
        ((3, 2, 2, 2, 2, 0), "damaged: its options are", WeightsError),
        ((1, 2, 2, 2, 2, 1), "ends with an activation", UnsupportedError),
        ((1, 1, 1, 9, 9, 0), "windows of \\(9, 9\\); supported are 64 pixels", UnsupportedError),
    ],
)
def test_options_that_are_refused(
    path: Path, options: tuple[int, ...], message: str, kind: type[Exception]
) -> None:
    tensors = [Tensor("x", (1, 4, 4, 1)), Tensor("y", (1, 2, 2, 1)), Tensor("i", (1, 2, 2, 1))]
    with pytest.raises(kind, match=message):
        read(path, tensors, [custom("MaxPoolingWithArgmax2D", [0], [1, 2], *options)], [1, 2])


def test_positions_from_elsewhere_are_refused(path: Path) -> None:
    tensors = [Tensor("x", (1, 4, 4, 1)), Tensor("y", (1, 8, 8, 1))]
    with pytest.raises(UnsupportedError, match="not those of a MaxPoolingWithArgmax2D"):
        read(path, tensors, [custom("MaxUnpooling2D", [0, 0], [1], 1, 2, 2, 2, 2, 0)], [1])
