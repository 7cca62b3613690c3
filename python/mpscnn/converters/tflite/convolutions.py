"""Convert TensorFlow Lite's convolutions, poolings and resizes of images."""

from __future__ import annotations

from typing import Any

import numpy as np

from mpscnn.converters.image_blocks import channels_as_images, images_as_channels
from mpscnn.converters.tflite import integer_forms
from mpscnn.converters.tflite.flatbuffer import Table
from mpscnn.converters.tflite.operation import Handler, Made, Operation
from mpscnn.converters.window_sizes import crop, left_out
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layers.layer_maker import Tensor


def _window(options: Table, size: tuple[int, int], dilation_fields: tuple[int, int] | None) -> dict[str, Any]:
    """Return padding and strides, which are in the same fields for convolutions and poolings.

    A 1x1 window never needs padding. Its padding is always called "valid", so that architectures can be compared.
    """
    same = options.integer(0, "b") == 0 and size != (1, 1)
    window: dict[str, Any] = {
        "padding": "same" if same else "valid",
        "strides": (options.integer(2), options.integer(1)),
    }
    if dilation_fields:
        horizontal, vertical = dilation_fields
        window["dilation"] = (options.integer(vertical, "i", 1), options.integer(horizontal, "i", 1))
    return window


def _convolution(o: Operation) -> Made:
    """Convert CONV_2D, and DEPTHWISE_CONV_2D to a convolution with a group for each channel.

    Images that a reshape merged with the batch become groups of channels, which have the same weights.
    """
    is_depthwise = o.kind == "DEPTHWISE_CONV_2D"
    # Depthwise weights are [1][kernel height][kernel width][out] in the file.
    order = (3, 1, 2, 0) if is_depthwise else (0, 1, 2, 3)
    outputs, height, width, inputs = o.weight_shape(order)
    window = _window(o.options, (height, width), (5, 6) if is_depthwise else (4, 5))
    x, window, images = _spread(o, window)
    activation = o.fused_activation(o.activation(4 if is_depthwise else 3))
    groups, name = (x.shape[-1] or 0) // inputs, o.name()
    y = o.network.conv2d(
        x, outputs * images, (height, width), groups=groups, activation=activation, name=name, **window
    )
    if images == 1:
        o.set_weights(name, order)
        return y
    weight = o.real(1, "its weights").transpose(order)
    o.c.constants.count(4 * weight.size * images)
    o.network.graph.set_weight(name, "weight", np.tile(weight, (images, 1, 1, 1)))
    if o.has(2):
        o.network.graph.set_weight(name, "bias", np.tile(o.real(2, "its biases"), images))
    return channels_as_images(o.of_tensor(y), 3, images)


def _transposed_convolution(o: Operation) -> Made:
    """Convert TRANSPOSE_CONV. Its inputs are the result's shape, weights [out][height][width][in], image, and bias."""
    options = o.options
    x = o.tensor(2)
    outputs, height, width, _ = o.weight_shape()
    size, others = o.extents(0, "the result's shape")  # the batch may be free
    if len(size) != 4 or None in x.shape[1:] or size[1:] != others[1:]:
        raise UnsupportedError(f"makes {size} of {x.shape}")
    activation = o.fused_activation(o.activation(3))
    strides = (options.integer(2), options.integer(1))
    is_same = options.integer(0, "b") == 0
    if o.are_integers(2):
        extents = zip(x.shape[1:3], strides, (height, width), size[1:3], strict=True)
        first, second = (
            crop(left_out(one or 0, stride, taps, end or 0)).before if is_same else 0
            for one, stride, taps, end in extents
        )
        pads, result = (first, second), (size[1], size[2])
        return integer_forms.transposed_convolution(o, strides, result, pads, activation)
    name = o.name()
    y = o.network.conv2d_transpose(
        x,
        outputs,
        (height, width),
        strides=strides,
        padding="same" if is_same else "valid",
        output_size=(size[1], size[2]),
        activation=activation,
        name=name,
    )
    o.c.constants.set_weight(o.network, f"{name}.weight", o.inputs[1], (0, 1, 2, 3))
    if o.has(3):
        o.network.graph.set_weight(name, "bias", o.real(3, "its biases"))
    return y


# ---- Dilation written with batches -------------------------------------------------------------------------


def _space_to_batch(o: Operation) -> Made:
    """Convert SPACE_TO_BATCH_ND, a convolution and BATCH_TO_SPACE_ND to a dilated convolution (used by old files).

    The convolution gets the image, and finds the blocks and the padding at this operator.
    """
    block, pads = o.integers(1, "its block"), o.integers(2, "its padding")
    user = o.only_user
    if len(block) != 2 or len(pads) != 4 or user is None or user.kind not in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        raise UnsupportedError("only around a convolution, as its dilation, is it supported")
    return o.tensor()


def _spread(o: Operation, window: dict[str, Any]) -> tuple[Tensor, dict[str, Any], int]:
    """Return the input and window of a convolution, after merging SPACE_TO_BATCH_ND before it.

    The last result is the number of images that became channels, see `FileTensor.images_as_channels`.
    """
    before, after = o.maker(0), o.only_user
    if before is None or before.kind != "SPACE_TO_BATCH_ND":
        whole, images = images_as_channels(o.x(), 3)
        if images > 1 and any(o.c.integers.of(index) for index in o.inputs[:2]):
            raise UnsupportedError(f"changes the batch of {o.x().shown}, which is supported in floats only")
        return o.c.tensor(whole), window, images
    if after is None or after.kind != "BATCH_TO_SPACE_ND":
        raise UnsupportedError("its input are batches of blocks, which BATCH_TO_SPACE_ND must join after it")
    (block, pads), (joined, crops) = (
        [Operation(o.c, one).integers(place, what) for place, what in ((1, "the block"), (2, "the borders"))]
        for one in (before, after)
    )
    if (
        joined != block
        or len(crops) != 4
        or window["padding"] != "valid"
        or (*window["strides"], *window["dilation"]) != (1, 1, 1, 1)
    ):
        raise UnsupportedError("batches of blocks around a convolution with padding, strides or dilation")
    top, bottom, left, right = (pad - crop for pad, crop in zip(pads, crops, strict=True))
    if min(top, bottom, left, right) < 0:
        raise UnsupportedError(f"its borders {crops} are larger than its padding {pads}")
    padding = ((top, bottom), (left, right))
    return o.tensor(), window | {"padding": padding, "dilation": (block[0], block[1])}, 1


def _batch_to_space(o: Operation) -> Made:
    before = o.maker(0)
    first = None if before is None else o.c.file.makers.get(before.inputs[0])
    if first is None or first.kind != "SPACE_TO_BATCH_ND":
        raise UnsupportedError("it is supported only after a convolution, as its dilation")
    return o.tensor()


def _root_mean_square(o: Operation, x: Tensor, size: tuple[int, int], window: dict[str, Any]) -> Tensor:
    """Convert L2_POOL_2D: the root of the mean square of each window. TensorFlow divides by the number of pixels."""
    square, root = ({"kind": "power", "a": 1.0, "b": 0.0, "c": power} for power in (2.0, 0.5))
    y = o.network.activation(x, square, name=o.name("/squares"))
    y = o.network.average_pool2d(y, size, name=o.name("/mean"), **window)
    return o.network.activation(y, root, name=o.name("/root"))


def _pool(o: Operation) -> Made:
    options = o.options
    whole, images = images_as_channels(o.x(), 3)
    x = o.c.tensor(whole)
    size = (options.integer(4), options.integer(3))
    activation = o.fused_activation(o.activation(5))
    name = o.name()
    is_max = o.kind == "MAX_POOL_2D"
    window = _window(options, size, None)
    one_window = window["padding"] == "valid" or all(
        stride >= extent for stride, extent in zip(window["strides"], size, strict=True)
    )
    if size == x.shape[1:3] and one_window and o.kind != "L2_POOL_2D":
        y = (o.network.global_max_pool2d if is_max else o.network.global_average_pool2d)(x, name=name)
    elif o.kind == "L2_POOL_2D":
        y = _root_mean_square(o, x, size, window)
    else:
        pool = o.network.max_pool2d if is_max else o.network.average_pool2d
        y = pool(x, size, name=name, **window)
    if activation is not None:
        o.note_result(y)
        y = o.network.activation(y, activation, name=o.name("/activation"))
    return channels_as_images(o.of_tensor(y), 3, images)


def _resize(o: Operation) -> Made:
    options = o.options
    height, width = o.integers(1, "its new size")
    x = o.tensor()
    bilinear = o.kind == "RESIZE_BILINEAR"
    corners, centers = (options.boolean(field + (2 if bilinear else 0)) for field in (0, 1))
    if corners and centers:
        raise UnsupportedError(
            "it aligns both the corners and the centers of pixels, which contradict each other"
        )
    if x.shape[1:3] == (height, width):  # a resize to the same size changes nothing
        return x
    return o.network.resize(
        x,
        (height, width),
        method="bilinear" if bilinear else "nearest",
        alignment="corners" if corners else "half_pixel" if centers else "asymmetric",
        name=o.name(),
    )


CONVOLUTIONS: dict[str, Handler] = {
    "AVERAGE_POOL_2D": _pool,
    "BATCH_TO_SPACE_ND": _batch_to_space,
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "L2_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
    "RESIZE_BILINEAR": _resize,
    "RESIZE_NEAREST_NEIGHBOR": _resize,
    "SPACE_TO_BATCH_ND": _space_to_batch,
    "TRANSPOSE_CONV": _transposed_convolution,
}
