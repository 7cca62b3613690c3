"""Convert convolutions whose weights the network computes."""

from __future__ import annotations

import math

import numpy as np

from mpscnn.converters.opening.budget import Cost
from mpscnn.converters.opening.unsupported import CHOOSE_SIZE, ONE_IMAGE
from mpscnn.converters.reading.onnx.attention_masks import constant_of_node
from mpscnn.converters.reading.onnx.context import Context
from mpscnn.converters.reading.onnx.node import Node
from mpscnn.converters.reading.onnx.window import Window
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.converters.values.window_sizes import same_padding
from mpscnn.errors import UnsupportedError, WeightsError

_MAX_TAPS = 1024  # the maximum number of tensors that a layer joins


def convolution_of_two(
    c: Context, node: Node, names: tuple[str, str, str | None], window: Window, groups: int
) -> FileTensor:
    """Convert Conv with computed weights, which needs a batch of 1.

    The windows of the image become the columns of a matrix, by which the matrix of the weights is multiplied.
    `names` are those of the image, the weights and the biases.
    """
    of_image, of_weights, of_biases = names
    x, weight = c.tensor(of_image), c.value(of_weights)
    batch = c.arranger.batch
    if batch is not None and batch.high != 1:
        raise UnsupportedError(
            f"its weights {weight.shown} are computed for each image of a batch: {ONE_IMAGE}"
        )
    if of_weights not in c.file.makers:
        raise UnsupportedError(
            f"its weights {weight.shown} are an input of the file: store them as a constant"
        )
    if x.rank != weight.rank or x.rank not in (3, 4):
        raise UnsupportedError(
            f"its weights are {weight.shown} and its input is {x.shown}; supported are images"
        )
    if None in (*x.shape[1:], *weight.shape):
        raise UnsupportedError(f"its weights are {weight.shown} and its input is {x.shown}: {CHOOSE_SIZE}")
    shape = [extent or 1 for extent in weight.shape]
    (images, channels, *_), (filters, own, *kernel) = x.trial_shapes()[1], shape
    if groups < 1 or filters % groups or channels != own * groups:
        raise WeightsError(f"damaged: its weights are {weight.shown} in {groups} groups for {x.shown}")
    columns, size = _columns(window, x, kernel)
    taps = math.prod(kernel)
    columns = columns.reshape([images, groups, own * taps, math.prod(size)])
    matrix = weight.reshape([1, groups, filters // groups, own * taps])
    y = (matrix @ columns).reshape([images, filters, *size])
    if of_biases is None:
        return y
    extents = [1, filters, *[1] * len(size)]
    if c.is_constant(of_biases):
        numbers = c.constants.real(of_biases, "its biases").reshape(extents)
        return y.combine("add", constant_of_node(c, node, numbers, "bias", None), "/biased")
    return y.combine("add", c.value(of_biases).reshape(extents), "/biased")


def _columns(window: Window, x: FileTensor, kernel: list[int]) -> tuple[FileTensor, list[int]]:
    """Return the elements of all windows (images, channels, taps, *size), and the size of the result."""
    count = len(kernel)
    strides, dilations = (
        [1] * count if stated is None else list(stated) for stated in (window.strides, window.dilations)
    )
    if math.prod(kernel) > _MAX_TAPS:
        raise UnsupportedError(
            f"its weights are computed, and its windows {kernel} have more than {_MAX_TAPS} taps"
        )
    extents = [extent or 1 for extent in x.shape[2:]]
    before, after = _padding(window, extents, kernel, strides, dilations)
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
    window: Window, extents: list[int], kernel: list[int], strides: list[int], dilations: list[int]
) -> tuple[list[int], list[int]]:
    automatic, count = window.auto_pad, len(kernel)
    if automatic in ("NOTSET", "VALID"):
        pads = window.pads if automatic == "NOTSET" and window.pads is not None else (0,) * (2 * count)
        return list(pads[:count]), list(pads[count:])
    sides = [
        same_padding(extent, stride, (taps - 1) * step + 1, more_first=automatic == "SAME_LOWER")
        for extent, taps, stride, step in zip(extents, kernel, strides, dilations, strict=True)
    ]
    return [before for before, _ in sides], [after for _, after in sides]
