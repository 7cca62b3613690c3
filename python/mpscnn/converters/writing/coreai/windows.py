"""Convert ONNX' convolutions and poolings to operations of Core AI."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mpscnn.converters.writing.convention import Write
from mpscnn.converters.writing.coreai.array_ops import sliced
from mpscnn.converters.writing.coreai.operator import Operator, shape_of, unsigned
from mpscnn.errors import UnsupportedError


def _convolution(op: Operator) -> Any:
    count = len(shape_of(op.inputs[1])) - 2
    pads = op.pads(count)
    x, weight = op.padded(op.x, pads[:count], pads[count:]), op.value(1)
    strides, dilations = op.integers("strides", [1] * count), op.integers("dilations", [1] * count)
    groups = np.array(int(op.attribute("group", 1)), np.uint32)
    if count == 1:  # a sequence is an image with one row
        x, weight = (op.reshaped(one, (*shape_of(one)[:2], 1, shape_of(one)[2])) for one in (x, weight))
        strides, dilations = [1, *strides], [1, *dilations]
    y = op.ai.conv2d(x, weight, unsigned(strides), unsigned(dilations), groups)
    if count == 1:
        y = op.reshaped(y, (*shape_of(y)[:2], shape_of(y)[3]))
    return _with_bias(op, y, 2)


def _with_bias(op: Operator, y: Any, place: int) -> Any:
    if not op.given(place):
        return y
    bias = op.constant(place)
    return op.two("add", y, bias.reshape(1, -1, *[1] * (len(shape_of(y)) - 2)))


def _transposed_convolution(op: Operator) -> Any:
    weight, x = shape_of(op.inputs[1]), op.x
    count = len(weight) - 2
    if count != 2:
        raise UnsupportedError("a transposed convolution of sequences, which Core AI does not have")
    pads, more = op.pads(2), op.integers("output_padding", [0, 0])
    groups = int(op.attribute("group", 1))
    strides, dilations = op.integers("strides", [1, 1]), op.integers("dilations", [1, 1])
    extents = [op.shape[0], weight[1] * groups]
    for axis, extent in enumerate(shape_of(x)[2:]):
        extents.append(
            (extent - 1) * strides[axis] + dilations[axis] * (weight[2 + axis] - 1) + 1 + more[axis]
        )
    whole = op.ai.conv_transpose2d(
        x, op.value(1), unsigned(strides), unsigned([0, 0]), unsigned(dilations), unsigned(more),
        np.array(groups, np.uint32),
    )  # fmt: skip
    whole = _with_bias(op, whole, 2)
    if not any(pads):
        return whole
    ranges = {axis + 2: range(pads[axis], extents[axis + 2] - pads[axis + 2]) for axis in range(2)}
    return sliced(op, whole, ranges)


def _max_pool(op: Operator) -> Any:
    kernel = op.integers("kernel_shape", ())
    if len(kernel) != 2:
        raise UnsupportedError("a pooling of sequences, which Core AI does not have")
    pads, dilations = op.pads(2), op.integers("dilations", [1, 1])
    strides, ceil = op.integers("strides", [1, 1]), bool(op.attribute("ceil_mode", 0))
    x = op.padded(op.x, pads[:2], pads[2:], value=-math.inf)
    return _pooled(op, x, kernel, strides, dilations, ceil=ceil)


def _pooled(
    op: Operator,
    x: Any,
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    *,
    ceil: bool,
) -> Any:
    extents = list(shape_of(x))
    for axis in range(2):
        reach = dilations[axis] * (kernel[axis] - 1) + 1
        steps = (extents[axis + 2] - reach) / strides[axis]
        extents[axis + 2] = (math.ceil(steps) if ceil else math.floor(steps)) + 1
    output = op.ai.TensorType(tuple(extents), op.dtype)
    windows = (unsigned(kernel), unsigned(strides), unsigned(dilations))
    return op.ai.maxpool2d(output, x, *windows, np.array(ceil))


def _average_pool(op: Operator) -> Any:
    """Convert an average: the sum of each window, divided by the number of elements that it covers."""
    kernel, pads = op.integers("kernel_shape", ()), op.pads(2)
    if len(kernel) != 2:
        raise UnsupportedError("a pooling of sequences, which Core AI does not have")
    strides, dilations = op.integers("strides", [1, 1]), op.integers("dilations", [1, 1])
    after, counts = [], []
    for axis, extent in enumerate(op.shape[2:]):
        before, beyond, stride = pads[axis], pads[axis + 2], strides[axis]
        reach = dilations[axis] * (kernel[axis] - 1) + 1
        room = extent + before + beyond - reach
        windows = (-(-room // stride) if op.attribute("ceil_mode", 0) else room // stride) + 1
        if (windows - 1) * stride >= extent + before:  # a window that begins after the image
            windows -= 1
        after.append(max((windows - 1) * stride + reach - extent - before, 0))
        places = np.arange(windows)[:, None] * stride - before + np.arange(kernel[axis]) * dilations[axis]
        low, high = (-before, extent + beyond) if op.attribute("count_include_pad", 0) else (0, extent)
        counts.append(((places >= low) & (places < high)).sum(axis=1))
    windows_of = tuple(op.of(unsigned(one)) for one in (kernel, strides, dilations))
    total = op.ai.sumpool2d(op.padded(op.x, pads[:2], after), *windows_of)
    shares = 1.0 / np.outer(*counts)
    if (shares == shares[0, 0]).all():
        return op.two("mul", total, float(shares[0, 0]))
    return op.two("mul", total, shares.astype(np.float32)[None, None])


def _global(kind: str) -> Write[Operator, Any]:
    return lambda op: getattr(op.ai, kind)(op.x, np.arange(2, len(op.shape), dtype=np.int32))


WINDOWS: dict[str, Write[Operator, Any]] = {
    "AveragePool": _average_pool,
    "Conv": _convolution,
    "ConvTranspose": _transposed_convolution,
    "GlobalAveragePool": _global("reduce_mean"),
    "GlobalMaxPool": _global("reduce_max"),
    "MaxPool": _max_pool,
}
"""The functions that convert these operators, by ONNX' name."""
