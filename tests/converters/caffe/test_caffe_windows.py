"""Compare Caffe's poolings and convolutions with Caffe's loops, with many sizes, kernels, strides and paddings."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.caffe.test_caffe import random, result
from converters.caffe_writer import image, layer, write

from mpscnn import UnsupportedError, converters

Pair = tuple[int, int]


def caffes_pooling(
    x: np.ndarray[Any, Any], kernel: Pair, stride: Pair, pad: Pair, average: bool, floor: bool
) -> np.ndarray[Any, Any] | None:
    """Pool as pooling_layer.cpp does. Return None if a window has no pixel, for which Caffe gives nonsense."""
    extents = []
    for axis in (0, 1):
        room = (x.shape[2 + axis] + 2 * pad[axis] - kernel[axis]) / stride[axis]
        extents.append((math.floor if floor else math.ceil)(room) + 1)
    if any(pad):  # padding of one axis makes Caffe check the last windows of both
        for axis in (0, 1):
            if (extents[axis] - 1) * stride[axis] >= x.shape[2 + axis] + pad[axis]:
                extents[axis] -= 1
    y = np.empty((*x.shape[:2], *extents))
    for row in range(extents[0]):
        for column in range(extents[1]):
            starts, ends, count = [], [], 1
            for axis, place in enumerate((row, column)):
                size = x.shape[2 + axis]
                start = place * stride[axis] - pad[axis]
                end = min(start + kernel[axis], size + pad[axis])
                count *= end - start
                starts.append(max(start, 0))
                ends.append(min(end, size))
            window = x[:, :, starts[0] : ends[0], starts[1] : ends[1]]
            if window.size == 0:
                return None
            y[:, :, row, column] = window.sum((2, 3)) / count if average else window.max((2, 3))
    return y


def _cases() -> list[tuple[Any, ...]]:
    """Return cases, with kernels larger than paddings as Caffe requires."""
    rng = np.random.default_rng(12)
    cases: list[tuple[Any, ...]] = []
    while len(cases) < 300:
        kernel, stride, size = ((int(a), int(b)) for a, b in rng.integers((1, 1), (6, 6), (3, 2)))
        pad = tuple(int(rng.integers(0, taps)) * int(rng.integers(0, 2)) for taps in kernel)
        if all(size[axis] + 2 * pad[axis] >= kernel[axis] for axis in (0, 1)):
            cases.append((size, kernel, stride, pad, bool(rng.integers(2)), bool(rng.integers(4) == 0)))
    return cases


@pytest.mark.ci
def test_poolings(tmp_path: Path) -> None:
    padded_on_one_axis = nonsense = 0
    for size, kernel, stride, pad, average, floor in _cases():
        x = random(2, 3, *size)
        settings = " ".join(
            f"{name}_h: {value[0]} {name}_w: {value[1]}"
            for name, value in (("kernel", kernel), ("stride", stride), ("pad", pad))
        )
        settings += f" pool: {'AVE' if average else 'MAX'}" + (" round_mode: FLOOR" if floor else "")
        text = image(*x.shape) + layer("Pooling", "y", "data", f"pooling_param {{ {settings} }}")
        expected = caffes_pooling(x, kernel, stride, pad, average, floor)
        if expected is None:
            nonsense += 1
            with pytest.raises(UnsupportedError, match="last window"):
                converters.read_network(write(tmp_path, text))
            continue
        found = result(tmp_path, text, x)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6, err_msg=settings + f" of {size}")
        padded_on_one_axis += bool(pad[0]) != bool(pad[1])
    assert padded_on_one_axis > 50
    assert nonsense > 0


@pytest.mark.parametrize("kind", ["Convolution", "Deconvolution"])
def test_convolutions(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(13)
    for _ in range(60):
        kernel, stride, dilation, size = ((int(a), int(b)) for a, b in rng.integers((1, 1), (4, 4), (4, 2)))
        size = (size[0] + 4, size[1] + 4)
        pad = tuple(int(rng.integers(0, taps)) * int(rng.integers(0, 2)) for taps in kernel)
        x = random(1, 2, *size)
        reach = [(taps - 1) * step + 1 for taps, step in zip(kernel, dilation, strict=True)]
        if kind == "Convolution":
            extents = [(size[i] + 2 * pad[i] - reach[i]) // stride[i] + 1 for i in (0, 1)]
        else:
            extents = [(size[i] - 1) * stride[i] + reach[i] - 2 * pad[i] for i in (0, 1)]
        if min(extents) < 1:
            continue
        weight = random(*((3, 2) if kind == "Convolution" else (2, 3)), *kernel, seed=3)
        bias = random(3, seed=4)
        settings = (
            f"num_output: 3 kernel_h: {kernel[0]} kernel_w: {kernel[1]} stride_h: {stride[0]} stride_w: {stride[1]} "
            f"pad_h: {pad[0]} pad_w: {pad[1]} dilation: {dilation[0]} dilation: {dilation[1]}"
        )
        text = image(*x.shape) + layer(kind, "y", "data", f"convolution_param {{ {settings} }}")
        expected = np.zeros((1, 3, *extents)) + bias.reshape(-1, 1, 1)
        # For each result, add the product of each tap and its pixel.
        for row in range(extents[0] if kind == "Convolution" else size[0]):
            for column in range(extents[1] if kind == "Convolution" else size[1]):
                for i in range(kernel[0]):
                    for j in range(kernel[1]):
                        r = row * stride[0] - pad[0] + i * dilation[0]
                        c = column * stride[1] - pad[1] + j * dilation[1]
                        if kind == "Convolution" and 0 <= r < size[0] and 0 <= c < size[1]:
                            expected[0, :, row, column] += weight[:, :, i, j] @ x[0, :, r, c]
                        elif kind == "Deconvolution" and 0 <= r < extents[0] and 0 <= c < extents[1]:
                            expected[0, :, r, c] += weight[:, :, i, j].T @ x[0, :, row, column]
        found = result(tmp_path, text, x, {"y": [weight, bias]})
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4, err_msg=settings)
