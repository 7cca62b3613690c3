"""Convert convolutions whose weights the network computes."""

from __future__ import annotations

import math

import numpy as np

from mpscnn.converters.budget import Cost
from mpscnn.converters.onnx_reader.attention_masks import constant_of_node
from mpscnn.converters.onnx_reader.context import Context
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.unsupported import CHOOSE_SIZE, ONE_IMAGE
from mpscnn.converters.window_sizes import same_padding
from mpscnn.errors import UnsupportedError, WeightsError

_MAX_TAPS = 1024  # the maximum number of tensors that a layer joins


def convolution_of_two(c: Context, node: Node) -> FileTensor:
    """Convert Conv with computed weights, which needs a batch of 1.

    The windows of the image become the columns of a matrix, by which the matrix of the weights is multiplied.
    """
    x, weight = c.tensor(node.inputs[0]), c.value(node.inputs[1])
    batch = c.arranger.batch
    if batch is not None and batch.high != 1:
        raise UnsupportedError(
            f"its weights {weight.shown} are computed for each image of a batch: {ONE_IMAGE}"
        )
    if node.inputs[1] not in c.file.makers:
        raise UnsupportedError(
            f"its weights {weight.shown} are an input of the file: store them as a constant"
        )
    if x.rank != weight.rank or x.rank not in (3, 4):
        raise UnsupportedError(
            f"its weights are {weight.shown} and its input is {x.shown}; supported are images"
        )
    if None in (*x.shape[1:], *weight.shape):
        raise UnsupportedError(f"its weights are {weight.shown} and its input is {x.shown}: {CHOOSE_SIZE}")
    groups, shape = node.integer("group", 1), [extent or 1 for extent in weight.shape]
    (images, channels, *_), (filters, own, *kernel) = x.trial_shapes()[1], shape
    if groups < 1 or filters % groups or channels != own * groups:
        raise WeightsError(f"damaged: its weights are {weight.shown} in {groups} groups for {x.shown}")
    columns, size = _columns(node, x, kernel)
    taps = math.prod(kernel)
    columns = columns.reshape([images, groups, own * taps, math.prod(size)])
    matrix = weight.reshape([1, groups, filters // groups, own * taps])
    y = (matrix @ columns).reshape([images, filters, *size])
    if node.input(2) is None:
        return y
    extents = [1, filters, *[1] * len(size)]
    if c.is_constant(node.inputs[2]):
        numbers = c.constants.real(node.inputs[2], "its biases").reshape(extents)
        return y.combine("add", constant_of_node(c, node, numbers, "bias", None), "/biased")
    return y.combine("add", c.value(node.inputs[2]).reshape(extents), "/biased")


def _columns(node: Node, x: FileTensor, kernel: list[int]) -> tuple[FileTensor, list[int]]:
    """Return the elements of all windows (images, channels, taps, *size), and the size of the result."""
    count = len(kernel)
    strides, dilations = (node.integers(name, [1] * count) for name in ("strides", "dilations"))
    if math.prod(kernel) > _MAX_TAPS:
        raise UnsupportedError(
            f"its weights are computed, and its windows {kernel} have more than {_MAX_TAPS} taps"
        )
    extents = [extent or 1 for extent in x.shape[2:]]
    before, after = _padding(node, extents, kernel, strides, dilations)
    for axis, sides in enumerate(zip(before, after, strict=True), start=2):
        if any(sides):
            x = x.pad(axis, sides, {"mode": "constant", "value": 0.0})
    padded = [extent + sum(sides) for extent, *sides in zip(extents, before, after, strict=True)]
    reach = [(taps - 1) * step + 1 for taps, step in zip(kernel, dilations, strict=True)]
    size = [(extent - one) // stride + 1 for extent, one, stride in zip(padded, reach, strides, strict=True)]
    if min(size) < 1:
        raise WeightsError(f"damaged: its windows {kernel} are larger than {x.shown}")
    x.arranger.budget.spend(Cost.of_layers(2 * count * math.prod(kernel)))
    parts = []
    for tap in np.ndindex(*kernel):
        part = x
        for axis, (place, step, stride, results) in enumerate(
            zip(tap, dilations, strides, size, strict=True), start=2
        ):
            first = place * step
            part = part.slice_axis(axis, range(first, first + (results - 1) * stride + 1, stride))
        parts.append(part)
    first_part, *others = parts
    return (first_part.stack(others, 2) if others else first_part.wrap(first_part.expand_dims([2]))), size


def _padding(
    node: Node, extents: list[int], kernel: list[int], strides: list[int], dilations: list[int]
) -> tuple[list[int], list[int]]:
    automatic, count = node.text("auto_pad", "NOTSET"), len(kernel)
    if automatic in ("NOTSET", "VALID"):
        pads = node.integers("pads", [0] * (2 * count)) if automatic == "NOTSET" else [0] * (2 * count)
        return pads[:count], pads[count:]
    if automatic not in ("SAME_UPPER", "SAME_LOWER"):
        raise WeightsError(f"damaged: its auto_pad is {automatic!r}")
    sides = [
        same_padding(extent, stride, (taps - 1) * step + 1, more_first=automatic == "SAME_LOWER")
        for extent, taps, stride, step in zip(extents, kernel, strides, dilations, strict=True)
    ]
    return [before for before, _ in sides], [after for _, after in sides]
