"""Convert convolutions and poolings."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.arrange import image_axes, image_rows
from mpscnn.converters.budget import Cost
from mpscnn.converters.image_blocks import channels_as_images, images_as_channels
from mpscnn.converters.layout import TO_NHWC, Axis, in_memory_order, product
from mpscnn.converters.max_unpooling import (
    Maxima,
    Windows,
    find_maxima,
    flat_positions,
    padding_before,
    unpool,
)
from mpscnn.converters.onnx_reader.computed_weights import convolution_of_two
from mpscnn.converters.onnx_reader.context import Context, Handler, Made
from mpscnn.converters.onnx_reader.known_results import Border, Deferred
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.unsupported import CHOOSE_SIZE, ONE_IMAGE
from mpscnn.converters.window_sizes import crop_to_size, same_padding
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layers.layer_maker import Tensor

Pair = tuple[int, int]


def _pairs(node: Node, name: str, default: int, rank: int) -> Pair:
    """Return (vertical, horizontal) of an attribute that has a number for each spatial axis."""
    values = node.integers(name, [default] * (rank - 2))
    if len(values) != rank - 2:
        raise WeightsError(f"damaged: its {name} are {values} for an input of {rank} axes")
    return (values[0], values[1]) if rank == 4 else (default, values[0])


def window(node: Node, x: FileTensor, kernel: Pair) -> dict[str, Any]:
    """Return kernel size, strides, dilation and padding of a node as attributes of mpscnn's operations."""
    strides, dilation = (_pairs(node, name, 1, x.rank) for name in ("strides", "dilations"))
    attributes = _of_both_axes(kernel, stride=strides, dilation=dilation)
    automatic = node.text("auto_pad", "NOTSET")
    if automatic == "VALID":
        return attributes
    if automatic == "SAME_UPPER":
        return attributes | {"padding": "same"}
    if automatic == "SAME_LOWER":
        return attributes | _same_lower(x, kernel, strides, dilation)
    if automatic != "NOTSET":
        raise WeightsError(f"damaged: its auto_pad is {automatic!r}")
    return attributes | _explicit(*_pads(node, x.rank))


def _of_both_axes(kernel: Pair, **others: Pair) -> dict[str, Any]:
    """Return the attributes of a window: the kernel's size, and others by their names without axis, such as stride."""
    attributes = {"kernel_height": kernel[0], "kernel_width": kernel[1]}
    for name, (vertical, horizontal) in others.items():
        attributes |= {f"{name}_y": vertical, f"{name}_x": horizontal}
    return attributes


def _pads(node: Node, rank: int) -> tuple[Pair, Pair]:
    """Return the padding as (top, left), (bottom, right)."""
    pads = node.integers("pads", [0] * (2 * (rank - 2)))
    if len(pads) != 2 * (rank - 2):
        raise WeightsError(f"damaged: its pads are {pads} for an input of {rank} axes")
    if rank == 3:
        return (0, pads[0]), (0, pads[1])
    return (pads[0], pads[1]), (pads[2], pads[3])


def _explicit(before: Pair, after: Pair) -> dict[str, Any]:
    if not any(before + after):
        return {}
    names = ("pad_top", "pad_left", "pad_bottom", "pad_right")
    return {"padding": "explicit", **dict(zip(names, before + after, strict=True))}


def _same_lower(x: FileTensor, kernel: Pair, strides: Pair, dilation: Pair) -> dict[str, Any]:
    """Return the padding of SAME_LOWER. It is that of "same", but an odd total has the additional pixel in front."""
    sizes = x.shape[2:] if x.rank == 4 else (1, x.shape[2])
    before, after = [], []
    for size, taps, stride, step in zip(sizes, kernel, strides, dilation, strict=True):
        if size is None:
            raise UnsupportedError(
                f"its auto_pad is SAME_LOWER, but the size of the image is free: {CHOOSE_SIZE}"
            )
        first, last = same_padding(size, stride, (taps - 1) * step + 1, more_first=True)
        before.append(first)
        after.append(last)
    return _explicit((before[0], before[1]), (after[0], after[1]))


def _weights(c: Context, node: Node, x: FileTensor) -> NDArray[np.float32]:
    """Return the weights of a convolution. The weights of a 1D convolution get a height of 1."""
    weight = c.constants.real_view(node.input(1), "its weights")
    if weight.ndim != x.rank or weight.ndim not in (3, 4):
        raise UnsupportedError(
            f"its weights have the shape {weight.shape} and its input is {x.shown}; supported are images "
            "(n, channels, height, width) and (n, channels, width)"
        )
    weight = weight[:, :, None] if weight.ndim == 3 else weight
    stated = _pairs(node, "kernel_shape", 1, x.rank) if node.has("kernel_shape") else weight.shape[2:]
    if tuple(stated) != weight.shape[2:]:
        raise WeightsError(f"damaged: its kernel_shape is {stated}, its weights are {weight.shape}")
    return weight


def _convolution(c: Context, node: Node) -> FileTensor:
    if not c.is_constant(node.inputs[1]):
        return convolution_of_two(c, node)
    x, images = images_as_channels(c.tensor(node.inputs[0]), 1)
    weight = _weights(c, node, x)
    groups = node.integer("group", 1) * images
    if images > 1:
        weight = c.constants.tile(weight, images)
    filters, inputs, height, width = weight.shape
    attributes = window(node, x, (height, width)) | {"output_channels": filters, "groups": groups}
    weight = weight.transpose(TO_NHWC)
    tensor, tail, lies = _operand(c, x, attributes)
    if product(tail) == inputs:
        weight = in_memory_order(weight, x.axes[1], tail, axis=3)
    name = c.layer_name(node)
    y = c.network.layer("convolution", [tensor], attributes, name=name)
    c.set_weight(name, "weight", weight, node.input(1) if images == 1 else None)
    if node.input(2) is not None:
        biases = c.constants.real_view(node.input(2), "its biases")
        biases = c.constants.tile(biases, images) if images > 1 else biases
        c.set_weight(name, "bias", biases, node.input(2) if images == 1 else None)
    if lies is None:
        return channels_as_images(x.wrap_image(y), 1, images)
    (new,) = c.arranger.atoms([filters])
    return replace(x, tensor=y, axes=(x.axes[0], new, *x.axes[2:]), order=lies + new)


def _padded(c: Context, node: Node) -> tuple[FileTensor, dict[str, Any]]:
    """Return the input of a pooling, and padding that is merged from a Pad with minus infinity before it.

    If a side of the Pad crops, the pooling must have no padding on that side.
    """
    border = c.read_instead(node.inputs[0], Border)
    if border is None:
        return c.tensor(node.inputs[0]), {}
    (top, left), (bottom, right) = _pads(node, border.x.rank)
    fits = all(
        own >= 0 and (own == 0 or added >= 0)
        for own, added in zip((top, left, bottom, right), border.sides, strict=True)
    )
    is_explicit = node.text("auto_pad", "NOTSET") == "NOTSET" and not node.flag("ceil_mode", default=False)
    if node.kind != "MaxPool" or not fits or not is_explicit:
        return c.value(node.inputs[0]), {}  # which raises an error
    above, before, below, after = border.sides
    return border.x, _explicit((top + above, left + before), (bottom + below, right + after))


def _operand(c: Context, x: FileTensor, attributes: dict[str, Any]) -> tuple[Tensor, Axis, Axis | None]:
    """Return the input of a convolution, the order of its channels, and the order of its pixels.

    Both orders list atoms in memory order. The order of pixels is None for the usual order of an image. Only pointwise
    convolutions get an unusual order of pixels, because their results do not depend on it.
    """
    if attributes["groups"] != 1:
        return x.image(), image_axes(x)[2], None
    height, width, channels = image_axes(x)
    count = len(x.order) - len(channels)
    is_pointwise = {
        "kernel_height": 1,
        "kernel_width": 1,
        "stride_y": 1,
        "stride_x": 1,
    }.items() <= attributes.items()
    plain = is_pointwise and "padding" not in attributes
    if plain and x.order[:count] != height + width and set(x.order[count:]) == set(channels):
        tensor, rest, tail = c.arranger.channels_last(x, channels)
        if len(tensor.shape) != 4:
            tensor = c.arranger.physical(x, (*image_rows(rest), tail))
        return tensor, tail, rest
    return *c.arranger.image_in_any_order(x), None


def transposed_convolution(c: Context, node: Node) -> FileTensor:
    """Convert ConvTranspose."""
    x = c.x(node)
    weight = _weights(c, node, x)
    groups = node.integer("group", 1)
    inputs, filters, height, width = weight.shape
    if groups < 1 or inputs % groups:
        raise WeightsError(f"damaged: weights {weight.shape} in {groups} groups")
    attributes = _transposed_window(node, x, (height, width))
    attributes |= {"output_channels": filters * groups, "groups": groups}
    grouped = c.constants.reshape(weight, (groups, inputs // groups, filters, height, width))
    ours = c.constants.reshape(
        grouped.transpose(0, 2, 3, 4, 1), (groups * filters, height, width, inputs // groups)
    )
    name = c.layer_name(node)
    y = c.network.layer("transposed_convolution", [x.image()], attributes, name=name)
    c.set_weight(name, "weight", ours, node.input(1))
    if node.input(2) is not None:
        c.set_weight(name, "bias", c.constants.real_view(node.input(2), "its biases"), node.input(2))
    return x.wrap_image(y)


def _transposed_window(node: Node, x: FileTensor, kernel: Pair) -> dict[str, Any]:
    """Return the window of ConvTranspose by one of ONNX' two rules.

    Either the pads determine the output size, or the output size (from output_shape or auto_pad) determines the pads.
    """
    strides, dilation = (_pairs(node, name, 1, x.rank) for name in ("strides", "dilations"))
    added = _pairs(node, "output_padding", 0, x.rank)
    automatic = node.text("auto_pad", "NOTSET")
    before, after = _pads(node, x.rank)
    sizes = x.shape[2:] if x.rank == 4 else (1, x.shape[2])
    reach = [(taps - 1) * step + 1 + more for taps, step, more in zip(kernel, dilation, added, strict=True)]
    wanted: list[int] | None = None
    if node.has("output_shape"):
        wanted = list(_pairs(node, "output_shape", 1, x.rank))
    elif automatic in ("SAME_UPPER", "SAME_LOWER"):
        if None in sizes:
            raise UnsupportedError(
                f"its auto_pad is {automatic}, but the size of the image is free: {CHOOSE_SIZE}"
            )
        wanted = [(size or 0) * stride for size, stride in zip(sizes, strides, strict=True)]
    if wanted is not None:
        cropped = crop_to_size(sizes, wanted, reach, strides, {"auto_pad": automatic})
        # Only with these values of auto_pad does ONNX say on which side to add. With strides above the kernel size,
        # there is a gap after each window, also after the last one.
        if any(one.added for one in cropped) and automatic not in ("SAME_UPPER", "SAME_LOWER"):
            raise UnsupportedError(f"its result is {wanted}, larger than all that its windows reach")
        added = (added[0] + cropped[0].added, added[1] + cropped[1].added)
        before, after = (cropped[0].before, cropped[1].before), (cropped[0].after, cropped[1].after)
    attributes = _of_both_axes(kernel, stride=strides, dilation=dilation, output_padding=added)
    return attributes | {"padding": "explicit"} | _explicit(before, after)


def _columns_to_image(c: Context, node: Node) -> FileTensor:
    """Convert Col2Im: a transposed convolution whose weights put each row of columns at its tap of the windows."""
    x = c.x(node)
    size, kernel = (
        c.constants.integers(node.input(place), what) for place, what in ((1, "its size"), (2, "its block"))
    )
    if len(size) != 2 or len(kernel) != 2 or x.rank != 3 or x.shape[1] is None:
        raise UnsupportedError(
            f"makes an image of {size} with blocks of {kernel} of {x.shown}; supported are images"
        )
    strides, dilations = (node.integers(name, [1, 1]) for name in ("strides", "dilations"))
    pads, taps = node.integers("pads", [0] * 4), math.prod(kernel)
    spans = [
        extent + pads[place] + pads[place + 2] - dilations[place] * (kernel[place] - 1) - 1
        for place, extent in enumerate(size)
    ]
    counts = [span // stride + 1 for span, stride in zip(spans, strides, strict=True)]
    if x.shape[1] % taps or math.prod(counts) != x.shape[2] or min(spans) < 0:
        raise WeightsError(f"damaged: makes an image of {size} with blocks of {kernel} of {x.shown}")
    rest = [span % stride for span, stride in zip(spans, strides, strict=True)]
    channels = x.shape[1] // taps
    c.constants.budget.spend(Cost(4 * channels * taps * taps, 4 * channels * taps * taps))
    weight = np.tile(np.eye(taps, dtype=np.float32), (channels, 1)).reshape(channels * taps, 1, *kernel)
    names = [f"{node.outputs[0]}/columns", f"{node.outputs[0]}/taps"]
    c.constants.put(names[1], weight)
    low, high = x.trial_shapes()
    c.values[names[0]] = x.reshape_to(*([one[0], one[1], *counts] for one in (low, high)))
    attributes = {
        "group": channels,
        "strides": strides,
        "dilations": dilations,
        "pads": pads,
        "output_padding": rest,
    }
    made = Node("ConvTranspose", names, node.outputs, attributes, node.name, node.layer)
    return transposed_convolution(c, made)


# ---- Poolings ------------------------------------------------------------------------------------------------------


def _pooling(c: Context, node: Node) -> Made:
    x, border = _padded(c, node)
    x, images = images_as_channels(x, 1)
    if images > 1 and node.kind == "MaxPool":
        c.refuse_results(node, 1, "where the maxima are in several images")
    image_axes(x)  # raises an error for other ranks than 3 and 4
    kernel = _pairs(node, "kernel_shape", 1, x.rank)
    attributes = window(node, x, kernel) | border | {"ceil_mode": node.flag("ceil_mode", default=False)}
    order = node.integer("p", 2) if node.kind == "LpPool" else 2
    if node.kind == "MaxPool":
        attributes["kind"] = "max"
        if len(node.outputs) > 1 and c.is_used(node.outputs[1]):
            return _pooling_with_positions(c, node, x, attributes)
    elif node.kind == "AveragePool":
        counts = node.flag("count_include_pad", default=False) and "padding" in attributes
        attributes |= {"kind": "average", "count_padding": counts}
        if (
            x.tensor.name in c.integers.of_tensors
            and "padding" not in attributes
            and kernel == tuple(x.shape[2:])
        ):
            # The result of a global average may have another quantization than the image, so it is used.
            attributes = {"kind": "average", "global": True}
    elif order == 2:
        attributes["kind"] = "l2_norm"
    else:
        return channels_as_images(_norm_pooling(c, node, x, attributes, order), 1, images)
    return channels_as_images(_pool(c, node, x, attributes), 1, images)


def _norm_pooling(
    c: Context, node: Node, x: FileTensor, attributes: dict[str, Any], order: int
) -> FileTensor:
    """Convert LpPool, the p-norm of each window.

    The sum of powers is computed as the average over a window, multiplied by the number of its taps.
    """
    if order < 1 or attributes["ceil_mode"]:
        raise UnsupportedError(f"a norm of order {order}, or of windows that are cut off, is not supported")
    count = attributes["kernel_height"] * attributes["kernel_width"]
    powers = x.map("absolute", "/absolute").map({"kind": "power", "a": 1.0, "c": float(order)}, "/powers")
    average = attributes | {"kind": "average", "count_padding": True}
    mean = c.network.layer("pooling", [powers.image()], average, name=c.layer_name(node, "/mean"))
    return x.wrap_image(mean).map({"kind": "power", "a": float(count), "c": 1.0 / order})


def _global_pooling(c: Context, node: Node) -> FileTensor:
    kind = "max" if node.kind == "GlobalMaxPool" else "average"
    x, images = images_as_channels(c.x(node), 1)
    return channels_as_images(_pool(c, node, x, {"kind": kind, "global": True}), 1, images)


def _pool(c: Context, node: Node, x: FileTensor, attributes: dict[str, Any]) -> FileTensor:
    y = c.network.layer("pooling", [x.image()], attributes, name=c.layer_name(node))
    c.integers.pooled[y.name] = x.tensor.name
    return x.wrap_image(y)


def _pooling_with_positions(
    c: Context, node: Node, x: FileTensor, attributes: dict[str, Any]
) -> list[FileTensor]:
    """Convert MaxPool whose second result is used, the positions of the maxima in the whole tensor."""
    if node.flag("storage_order", default=False):
        raise UnsupportedError("positions of maxima that count columns first are not supported")
    y = _pool(c, node, x, attributes)
    image, pooled = x.image(), y.image()
    kernel, strides, dilation = (
        (attributes[f"{name}_{first}"], attributes[f"{name}_{second}"])
        for name, first, second in (
            ("kernel", "height", "width"),
            ("stride", "y", "x"),
            ("dilation", "y", "x"),
        )
    )
    before = (attributes.get("pad_top", 0), attributes.get("pad_left", 0))
    if attributes.get("padding") == "same":
        before = padding_before(image, kernel, strides)
    windows = Windows.of(image, pooled, kernel, strides, dilation, before)
    positions = node.outputs[1]
    maxima = find_maxima(c.arranger, image, pooled, windows, windows.offsets)

    def flat() -> FileTensor:
        if c.arranger.batch is not None and c.arranger.batch.high != 1:
            raise UnsupportedError(f"positions of maxima count the images of the batch: {ONE_IMAGE}")
        return x.wrap_image(flat_positions(c.arranger, maxima)).mark_as_integers()

    c.known.deferred[positions] = Deferred(node, flat, maxima)
    return [y]


def _unpooling(c: Context, node: Node) -> FileTensor:
    """Convert MaxUnpool by the positions of a MaxPool."""
    x = c.x(node)
    maxima = c.read_instead(node.inputs[1], Maxima)
    if maxima is None:
        raise UnsupportedError("its positions are not those of a MaxPool, which is not supported")
    if node.input(2) is not None:
        wanted = c.constants.integers(node.input(2), "the new shape")[2:]
    else:
        before, after = _pads(node, x.rank)
        extents = x.shape[2:] if x.rank == 4 else (1, *x.shape[2:])
        wanted = [
            ((extent or 0) - 1) * stride - first - last + taps
            for extent, stride, first, last, taps in zip(
                extents,
                _pairs(node, "strides", 1, x.rank),
                before,
                after,
                _pairs(node, "kernel_shape", 1, x.rank),
                strict=True,
            )
        ]
    if tuple(wanted) != maxima.windows.size[4 - x.rank if node.input(2) is not None else 0 :]:
        raise UnsupportedError(
            f"makes an image of {tuple(wanted)} of one that was {maxima.windows.size}, which is not supported"
        )
    return x.wrap_image(unpool(c.arranger, x.image(), maxima))


WINDOWS: dict[str, Handler] = {
    "Col2Im": _columns_to_image,
    "Conv": _convolution,
    "ConvTranspose": transposed_convolution,
    "MaxPool": _pooling,
    "MaxUnpool": _unpooling,
    "AveragePool": _pooling,
    "LpPool": _pooling,
    "GlobalAveragePool": _global_pooling,
    "GlobalMaxPool": _global_pooling,
}
