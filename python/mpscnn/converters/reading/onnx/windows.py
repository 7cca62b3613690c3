"""Convert convolutions and poolings."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.broadcast_views import is_filled
from mpscnn.converters.opening.budget import Cost
from mpscnn.converters.opening.unsupported import CHOOSE_SIZE, ONE_IMAGE
from mpscnn.converters.reading.onnx.computed_weights import convolution_of_two
from mpscnn.converters.reading.onnx.context import Context, Made
from mpscnn.converters.reading.onnx.known_results import Border, Deferred
from mpscnn.converters.reading.onnx.node import Node
from mpscnn.converters.reading.onnx.row_calls import Computed, ComputedFloats, takes_activation
from mpscnn.converters.reading.onnx.three_axes import in_two_axes, slice_of_depth
from mpscnn.converters.reading.onnx.window import AutoPad, Pair, Window, explicit, of_both_axes, pair
from mpscnn.converters.values.image_blocks import images_apart, images_as_channels
from mpscnn.converters.values.layout import TO_NHWC, Axis, in_memory_order, product
from mpscnn.converters.values.layout_pass import image_axes, image_rows
from mpscnn.converters.values.max_unpooling import (
    Maxima,
    Windows,
    find_maxima,
    flat_positions,
    padding_before,
    unpool,
)
from mpscnn.converters.values.rows import Ints, Name, Operand, Row
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.converters.values.window_sizes import crop_to_size
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layers.layer_maker import Tensor

_AXES_OF_IMAGES = 4


def _weights(c: Context, name: str, x: FileTensor, kernel: Ints | None) -> NDArray[np.float32]:
    """Return the weights of a convolution. The weights of a 1D convolution get a height of 1."""
    weight = c.constants.real_view(name, "its weights")
    if weight.ndim != x.rank or weight.ndim not in (3, 4, 5):
        raise UnsupportedError(
            f"its weights have the shape {weight.shape} and its input is {x.shown}; supported are images "
            "(n, channels, height, width), (n, channels, width) and (n, channels, depth, height, width)"
        )
    if kernel is not None and tuple(kernel) != weight.shape[2:]:
        raise WeightsError(f"damaged: its kernel_shape is {list(kernel)}, its weights are {weight.shape}")
    return weight[:, :, None] if weight.ndim == 3 else weight


@takes_activation
def _convolution(
    c: Context, node: Node, given: Name, w: Name, b: Name | None = None, *, kernel_shape: Ints | None = None,
    strides: Ints | None = None, dilations: Ints | None = None, group: int = 1, pads: Ints | None = None,
    auto_pad: AutoPad = "NOTSET",
) -> FileTensor:  # fmt: skip
    window = Window(strides, dilations, pads, auto_pad)
    if not c.is_constant(w):
        return convolution_of_two(c, node, (given, w, b), window, group)
    x = c.tensor(given)
    weight = _weights(c, w, x, kernel_shape)
    if x.rank <= _AXES_OF_IMAGES:
        return _convolved(c, x, weight, (w, b), window, group)
    own, window = slice_of_depth(weight, x, window)
    flat = in_two_axes(x, own.shape[2:], window)
    source = w if own is weight else None
    y = _convolved(c, flat.x, own.squeeze(flat.left_out + 2), (source, b), flat.window, group)
    return flat.restored(y)


def _convolved(
    c: Context, x: FileTensor, weight: NDArray[np.float32], sources: tuple[str | None, str | None],
    window: Window, group: int,
) -> FileTensor:  # fmt: skip
    """Add a convolution of an image. `sources` are the names of the constants with its weights and biases."""
    w, b = sources
    x, images = images_as_channels(x, 1)
    groups = group * images
    if images > 1:
        weight = c.constants.tile(weight, images)
    filters, inputs, height, width = weight.shape
    attributes = window.attributes(x, (height, width)) | {"output_channels": filters, "groups": groups}
    weight = weight.transpose(TO_NHWC)
    tensor, tail, lies = _operand(c, x, attributes)
    if product(tail) == inputs:
        weight = in_memory_order(weight, x.axes[1], tail, axis=3)
    name = c.arranger.name("")
    y = c.network.layer("convolution", [tensor], attributes, name=name)
    c.weights.set(name, "weight", weight, w if images == 1 else None)
    if b is not None:
        biases = c.constants.real_view(b, "its biases")
        biases = c.constants.tile(biases, images) if images > 1 else biases
        c.weights.set(name, "bias", biases, b if images == 1 else None)
    if lies is None:
        return images_apart(x.wrap_image(y), 1, images)
    (new,) = c.arranger.atoms([filters])
    return replace(x, tensor=y, axes=(x.axes[0], new, *x.axes[2:]), order=lies + new)


def _padded(
    c: Context, name: str, window: Window, kernel: Ints, *, ceil_mode: bool
) -> tuple[FileTensor, dict[str, Any]]:
    """Return the input of a maximum, and padding that is merged from a Pad with minus infinity before it.

    If a side of the Pad crops, the pooling must have no padding on that side. With `ceil_mode` the windows must end at
    the border's edge, because those that begin in padding are left out, and those that begin in a Pad are not.
    """
    border = c.read_instead(name, Border)
    if border is None:
        return c.tensor(name), {}
    (top, left), (bottom, right) = window.sides(border.x.rank)
    fits = all(
        own >= 0 and (own == 0 or added >= 0)
        for own, added in zip((top, left, bottom, right), border.sides, strict=True)
    )
    above, before, below, after = border.sides
    sides = (top + above, left + before), (bottom + below, right + after)
    fits = fits and window.auto_pad == "NOTSET"
    if not fits or (ceil_mode and not _ends_at_edge(border.x, window, kernel, sides)):
        return c.value(name), {}  # which raises an error
    return border.x, explicit(*sides)


def _ends_at_edge(x: FileTensor, window: Window, kernel: Ints, sides: tuple[Pair, Pair]) -> bool:
    """Return whether the windows of a padded input end at its last pixel, so that rounding up changes nothing."""
    extents = (1, *x.shape[2:]) if x.rank == 3 else x.shape[2:]
    taps = pair("kernel_shape", kernel, 1, x.rank)
    axes = zip(extents, *sides, taps, *window.both(x.rank), strict=True)
    return all(
        extent is not None and (extent + before + after - (count - 1) * dilation - 1) % stride == 0
        for extent, before, after, count, stride, dilation in axes
    )


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


@takes_activation
def _transposed_convolution(
    c: Context, x: Computed, w: Name, b: Name | None = None, *, kernel_shape: Ints | None = None,
    strides: Ints | None = None, dilations: Ints | None = None, group: int = 1, pads: Ints | None = None,
    auto_pad: AutoPad = "NOTSET", output_padding: Ints | None = None, output_shape: Ints | None = None,
) -> FileTensor:  # fmt: skip
    window, weight = Window(strides, dilations, pads, auto_pad), _weights(c, w, x, kernel_shape)
    if x.rank > _AXES_OF_IMAGES:
        flat = in_two_axes(x, weight.shape[2:], window)
        more = flat.kernel(output_padding or (0, 0, 0))
        if output_shape is not None or sum(more) != sum(output_padding or ()):
            raise UnsupportedError("states the shape of its result, which has three axes")
        narrow = weight.squeeze(flat.left_out + 2)
        return flat.restored(
            _transposed(c, flat.x, narrow, (w, b), flat.window, group, (more[0], more[1]), None)
        )
    added = pair("output_padding", output_padding, 0, x.rank)
    wanted = None if output_shape is None else pair("output_shape", output_shape, 1, x.rank)
    return _transposed(c, x, weight, (w, b), window, group, added, wanted)


def _transposed(
    c: Context, x: FileTensor, weight: NDArray[np.float32], sources: tuple[str | None, str | None],
    window: Window, groups: int, added: Pair, wanted: Pair | None,
) -> FileTensor:  # fmt: skip
    """Add a transposed convolution. `sources` are the names of the constants with its weights and biases."""
    x, images = images_as_channels(x, 1)
    inputs, filters, height, width = weight.shape
    if groups < 1 or inputs % groups:
        raise WeightsError(f"damaged: weights {weight.shape} in {groups} groups")
    if images > 1:
        weight = c.constants.tile(weight, images)
        inputs, groups, sources = inputs * images, groups * images, (None, sources[1])
    attributes = _transposed_window(x, (height, width), window, added, wanted)
    attributes |= {"output_channels": filters * groups, "groups": groups}
    grouped = c.constants.reshape(weight, (groups, inputs // groups, filters, height, width))
    ours = c.constants.reshape(
        grouped.transpose(0, 2, 3, 4, 1), (groups * filters, height, width, inputs // groups)
    )
    name = c.arranger.name("")
    y = c.network.layer("transposed_convolution", [x.image()], attributes, name=name)
    if is_filled(ours):
        # The engine needs three copies of such weights while it arranges them.
        c.constants.count_weight(2 * 4 * ours.size, is_filled=True)
    c.weights.set(name, "weight", ours, sources[0])
    if sources[1] is not None:
        biases = c.constants.real_view(sources[1], "its biases")
        biases = c.constants.tile(biases, images) if images > 1 else biases
        c.weights.set(name, "bias", biases, sources[1] if images == 1 else None)
    return images_apart(x.wrap_image(y), 1, images)


def _transposed_window(
    x: FileTensor, kernel: Pair, window: Window, added: Pair, wanted: Pair | None
) -> dict[str, Any]:
    """Return the window of ConvTranspose by one of ONNX' two rules.

    Either the pads determine the output size, or the output size (`wanted`, or by auto_pad) determines the pads.
    """
    strides, dilation = window.both(x.rank)
    automatic = window.auto_pad
    before, after = window.sides(x.rank)
    sizes = x.shape[2:] if x.rank == 4 else (1, x.shape[2])
    reach = [(taps - 1) * step + 1 + more for taps, step, more in zip(kernel, dilation, added, strict=True)]
    if wanted is None and automatic in ("SAME_UPPER", "SAME_LOWER"):
        if None in sizes:
            raise UnsupportedError(
                f"its auto_pad is {automatic}, but the size of the image is free: {CHOOSE_SIZE}"
            )
        wanted = ((sizes[0] or 0) * strides[0], (sizes[1] or 0) * strides[1])
    if wanted is not None:
        cropped = crop_to_size(sizes, wanted, reach, strides, {"auto_pad": automatic})
        # Only with these values of auto_pad does ONNX say on which side to add. With strides above the kernel size,
        # there is a gap after each window, also after the last one.
        if any(one.added for one in cropped) and automatic not in ("SAME_UPPER", "SAME_LOWER"):
            raise UnsupportedError(f"its result is {list(wanted)}, larger than all that its windows reach")
        added = (added[0] + cropped[0].added, added[1] + cropped[1].added)
        before, after = (cropped[0].before, cropped[1].before), (cropped[0].after, cropped[1].after)
    attributes = of_both_axes(kernel, stride=strides, dilation=dilation, output_padding=added)
    return attributes | {"padding": "explicit"} | explicit(before, after)


def _columns_to_image(
    c: Context, x: Computed, size: Annotated[Ints, Operand("its size")],
    kernel: Annotated[Ints, Operand("its block")], *, strides: Ints = (1, 1), dilations: Ints = (1, 1),
    pads: Ints = (0, 0, 0, 0),
) -> FileTensor:  # fmt: skip
    """Convert Col2Im: a transposed convolution whose weights put each row of columns at its tap of the windows."""
    if len(size) != 2 or len(kernel) != 2 or x.rank != 3 or x.shape[1] is None:
        raise UnsupportedError(
            f"makes an image of {list(size)} with blocks of {list(kernel)} of {x.shown}; supported are images"
        )
    taps = math.prod(kernel)
    spans = [
        extent + pads[place] + pads[place + 2] - dilations[place] * (kernel[place] - 1) - 1
        for place, extent in enumerate(size)
    ]
    counts = [span // stride + 1 for span, stride in zip(spans, strides, strict=True)]
    if x.shape[1] % taps or math.prod(counts) != x.shape[2] or min(spans) < 0:
        raise WeightsError(
            f"damaged: makes an image of {list(size)} with blocks of {list(kernel)} of {x.shown}"
        )
    rest = [span % stride for span, stride in zip(spans, strides, strict=True)]
    channels = x.shape[1] // taps
    c.constants.budget.spend(Cost(4 * channels * taps * taps, 4 * channels * taps * taps))
    weight = np.tile(np.eye(taps, dtype=np.float32), (channels, 1)).reshape(channels * taps, 1, *kernel)
    low, high = x.trial_shapes()
    image = x.reshape_to(*([one[0], one[1], *counts] for one in (low, high)))
    window = Window(strides, dilations, pads)
    return _transposed(c, image, weight, (None, None), window, channels, (rest[0], rest[1]), None)


# ---- Poolings ------------------------------------------------------------------------------------------------------


def _max_pool(
    c: Context, node: Node, given: Name, *, kernel_shape: Ints, strides: Ints | None = None,
    dilations: Ints | None = None, pads: Ints | None = None, auto_pad: AutoPad = "NOTSET",
    ceil_mode: bool = False, storage_order: bool = False,
) -> Made:  # fmt: skip
    window = Window(strides, dilations, pads, auto_pad)
    if (value := c.values.get(given)) is not None and value.rank > _AXES_OF_IMAGES:
        c.refuse_results(node, 1, "where the maxima are along three axes")
        attributes = {"ceil_mode": ceil_mode, "kind": "max"}
        return _pooled_in_two_axes(c, c.tensor(given), kernel_shape, window, attributes)
    x, border = _padded(c, given, window, kernel_shape, ceil_mode=ceil_mode)
    x, images = images_as_channels(x, 1)
    if images > 1:
        c.refuse_results(node, 1, "where the maxima are in several images")
    attributes = _pooled_window(x, kernel_shape, window) | border | {"ceil_mode": ceil_mode, "kind": "max"}
    if len(node.outputs) > 1 and c.is_used(node.outputs[1]):
        if storage_order:
            raise UnsupportedError("positions of maxima that count columns first are not supported")
        return _pooling_with_positions(c, node, x, attributes)
    return images_apart(_pool(c, x, attributes), 1, images)


def _average_pool(
    c: Context, given: ComputedFloats, *, kernel_shape: Ints, strides: Ints | None = None,
    dilations: Ints | None = None, pads: Ints | None = None, auto_pad: AutoPad = "NOTSET",
    ceil_mode: bool = False, count_include_pad: bool = False,
) -> Made:  # fmt: skip
    window = Window(strides, dilations, pads, auto_pad)
    if given.rank > _AXES_OF_IMAGES:
        attributes = {"ceil_mode": ceil_mode, "kind": "average", "count_padding": count_include_pad}
        return _pooled_in_two_axes(c, given, kernel_shape, window, attributes)
    x, images = images_as_channels(given, 1)
    attributes = _pooled_window(x, kernel_shape, window)
    counts = count_include_pad and "padding" in attributes
    attributes |= {"ceil_mode": ceil_mode, "kind": "average", "count_padding": counts}
    is_global = pair("kernel_shape", kernel_shape, 1, x.rank) == tuple(x.shape[2:])
    if x.tensor.name in c.integers.of_tensors and "padding" not in attributes and is_global:
        # The result of a global average may have another quantization than the image, so it is used.
        attributes = {"kind": "average", "global": True}
    return images_apart(_pool(c, x, attributes), 1, images)


def _norm_pool(
    c: Context, given: ComputedFloats, *, kernel_shape: Ints, strides: Ints | None = None,
    dilations: Ints | None = None, pads: Ints | None = None, auto_pad: AutoPad = "NOTSET",
    ceil_mode: bool = False, p: int = 2,
) -> Made:  # fmt: skip
    x, images = images_as_channels(given, 1)
    attributes = _pooled_window(x, kernel_shape, Window(strides, dilations, pads, auto_pad))
    attributes |= {"ceil_mode": ceil_mode}
    y = _pool(c, x, attributes | {"kind": "l2_norm"}) if p == 2 else _pooled_powers(x, attributes, p)
    return images_apart(y, 1, images)


def _pooled_in_two_axes(
    c: Context, x: FileTensor, kernel: Ints, window: Window, attributes: dict[str, Any]
) -> FileTensor:
    """Add a pooling of three axes. `attributes` are those without the window."""
    flat = in_two_axes(x, kernel, window)
    image, images = images_as_channels(flat.x, 1)
    own = _pooled_window(image, flat.kernel(kernel), flat.window)
    if "count_padding" in attributes:
        attributes = attributes | {"count_padding": attributes["count_padding"] and "padding" in own}
    return flat.restored(images_apart(_pool(c, image, own | attributes), 1, images))


def _pooled_window(x: FileTensor, kernel: Ints, window: Window) -> dict[str, Any]:
    image_axes(x)  # raises an error for other ranks than 3 and 4
    return window.attributes(x, pair("kernel_shape", kernel, 1, x.rank))


def _pooled_powers(x: FileTensor, attributes: dict[str, Any], order: int) -> FileTensor:
    """Convert LpPool, the p-norm of each window.

    The sum of powers is computed as the average over a window, multiplied by the number of its taps.
    """
    if order < 1 or attributes["ceil_mode"]:
        raise UnsupportedError(f"a norm of order {order}, or of windows that are cut off, is not supported")
    count = attributes["kernel_height"] * attributes["kernel_width"]
    powers = x.map("absolute", "/absolute").map({"kind": "power", "a": 1.0, "c": float(order)}, "/powers")
    average = attributes | {"kind": "average", "count_padding": True}
    mean = x.network.layer("pooling", [powers.image()], average, name=x.arranger.name("/mean"))
    return x.wrap_image(mean).map({"kind": "power", "a": float(count), "c": 1.0 / order})


def _global_pool(kind: str) -> Row:
    """Return the row of a global pooling."""

    def row(c: Context, given: Computed) -> FileTensor:
        if given.rank > _AXES_OF_IMAGES:
            return row(c, given.merge_axes(2, given.rank - 1)).expand_dims(range(2, given.rank - 2))
        x, images = images_as_channels(given, 1)
        return images_apart(_pool(c, x, {"kind": kind, "global": True}), 1, images)

    return row


def _pool(c: Context, x: FileTensor, attributes: dict[str, Any]) -> FileTensor:
    y = c.network.layer("pooling", [x.image()], attributes, name=c.arranger.name(""))
    c.integers.pooled[y.name] = x.tensor.name
    return x.wrap_image(y)


def _pooling_with_positions(
    c: Context, node: Node, x: FileTensor, attributes: dict[str, Any]
) -> list[FileTensor]:
    """Convert MaxPool whose second result is used, the positions of the maxima in the whole tensor."""
    y = _pool(c, x, attributes)
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


def _unpooling(
    c: Context, x: Computed, positions: Name, size: Annotated[Ints | None, Operand("the new shape")] = None,
    *, kernel_shape: Ints, strides: Ints | None = None, pads: Ints | None = None,
) -> FileTensor:  # fmt: skip
    """Convert MaxUnpool by the positions of a MaxPool."""
    maxima = c.read_instead(positions, Maxima)
    if maxima is None:
        raise UnsupportedError("its positions are not those of a MaxPool, which is not supported")
    if size is not None:
        wanted = list(size[2:])
    else:
        before, after = Window(pads=pads).sides(x.rank)
        extents = x.shape[2:] if x.rank == 4 else (1, *x.shape[2:])
        wanted = [
            ((extent or 0) - 1) * stride - first - last + taps
            for extent, stride, first, last, taps in zip(
                extents,
                pair("strides", strides, 1, x.rank),
                before,
                after,
                pair("kernel_shape", kernel_shape, 1, x.rank),
                strict=True,
            )
        ]
    if tuple(wanted) != maxima.windows.size[4 - x.rank if size is not None else 0 :]:
        raise UnsupportedError(
            f"makes an image of {tuple(wanted)} of one that was {maxima.windows.size}, which is not supported"
        )
    return x.wrap_image(unpool(c.arranger, x.image(), maxima))


WINDOWS: dict[str, Row] = {
    "AveragePool": _average_pool,
    "Col2Im": _columns_to_image,
    "Conv": _convolution,
    "ConvTranspose": _transposed_convolution,
    "GlobalAveragePool": _global_pool("average"),
    "GlobalMaxPool": _global_pool("max"),
    "LpPool": _norm_pool,
    "MaxPool": _max_pool,
    "MaxUnpool": _unpooling,
}
