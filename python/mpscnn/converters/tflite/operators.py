"""Convert TensorFlow Lite's operators to layers: one function for each kind.

They raise UnsupportedError and WeightsError with only a reason. The caller adds the names of file and layer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.tflite import integer_forms
from mpscnn.converters.tflite.arithmetic import ARITHMETIC
from mpscnn.converters.tflite.array_ops import ARRAY_OPS
from mpscnn.converters.tflite.context import Handler, Made, Reader
from mpscnn.converters.tflite.detection import detection_head
from mpscnn.converters.tflite.file import FileOperator
from mpscnn.converters.tflite.flatbuffer import Table
from mpscnn.converters.tflite.indexing import INDEXING
from mpscnn.converters.tflite.logic import LOGIC
from mpscnn.converters.tflite.matrices import MATRICES
from mpscnn.converters.tflite.mediapipe import MEDIAPIPE
from mpscnn.converters.tflite.recurrent import RECURRENT
from mpscnn.converters.tflite.reductions import REDUCTIONS
from mpscnn.converters.tflite.slicing import PARTS
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layer_arguments import Activation
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


def _convolution(c: Reader, operator: FileOperator) -> Made:
    """Convert CONV_2D, and DEPTHWISE_CONV_2D to a convolution with a group for each channel.

    Images that a reshape merged with the batch become groups of channels, which have the same weights.
    """
    is_depthwise = operator.kind == "DEPTHWISE_CONV_2D"
    # Depthwise weights are [1][kernel height][kernel width][out] in the file.
    order = (3, 1, 2, 0) if is_depthwise else (0, 1, 2, 3)
    outputs, height, width, inputs = c.weight_shape(operator, order)
    window = _window(c.options(operator), (height, width), (5, 6) if is_depthwise else (4, 5))
    x, window, images = _spread(c, operator, window)
    activation = c.fused_activation(operator, c.activation(operator, 4 if is_depthwise else 3))
    groups, name = (x.shape[-1] or 0) // inputs, c.layer_name(operator)
    y = c.network.conv2d(
        x, outputs * images, (height, width), groups=groups, activation=activation, name=name, **window
    )
    if images == 1:
        c.set_weights(operator, name, order)
        return y
    weight = c.constants.real(operator.inputs[1], "its weights").transpose(order)
    c.constants.count(4 * weight.size * images)
    c.network.graph.set_weight(name, "weight", np.tile(weight, (images, 1, 1, 1)))
    if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
        biases = c.constants.real(operator.inputs[2], "its biases")
        c.network.graph.set_weight(name, "bias", np.tile(biases, images))
    return c.of_tensor(y).channels_as_images(3, images)


def _transposed_convolution(c: Reader, operator: FileOperator) -> Made:
    """Convert TRANSPOSE_CONV. Its inputs are the result's shape, weights [out][height][width][in], image, and bias."""
    options = c.options(operator)
    x = c.value(operator.inputs[2])
    outputs, height, width, _ = c.weight_shape(operator)
    size = c.constants.integers(operator.inputs[0], "the result's shape")
    if len(size) != 4 or None in x.shape[1:]:
        raise UnsupportedError(f"makes {size} of {x.shape}")
    activation = c.fused_activation(operator, c.activation(operator, 3))
    strides = (options.integer(2), options.integer(1))
    is_same = options.integer(0, "b") == 0
    if all(map(c.has_integers, (operator.inputs[2], operator.outputs[0]))):
        extents = zip(x.shape[1:3], strides, (height, width), size[1:3], strict=True)
        reach = [(one or 0) * stride - stride + taps - end for one, stride, taps, end in extents]
        first, second = (max(total, 0) // 2 if is_same else 0 for total in reach)
        pads, result = (first, second), (size[1], size[2])
        return integer_forms.transposed_convolution(c, operator, strides, result, pads, activation)
    name = c.layer_name(operator)
    y = c.network.conv2d_transpose(
        x,
        outputs,
        (height, width),
        strides=strides,
        padding="same" if is_same else "valid",
        output_size=(size[1], size[2]),
        activation=activation,
        name=name,
    )
    c.constants.set_weight(c.network, f"{name}.weight", operator.inputs[1], (0, 1, 2, 3))
    if len(operator.inputs) > 3 and operator.inputs[3] >= 0:
        c.network.graph.set_weight(name, "bias", c.constants.real(operator.inputs[3], "its biases"))
    return y


# ---- Dilation written with batches -------------------------------------------------------------------------


def _space_to_batch(c: Reader, operator: FileOperator) -> None:
    """Convert SPACE_TO_BATCH_ND, a convolution and BATCH_TO_SPACE_ND to a dilated convolution (used by old files)."""
    x = c.value(operator.inputs[0])
    block = c.constants.integers(operator.inputs[1], "its block")
    pads = c.constants.integers(operator.inputs[2], "its padding")
    user = c.only_user(operator.outputs[0])
    if len(block) != 2 or len(pads) != 4 or user is None or user.kind not in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        raise UnsupportedError("only around a convolution, as its dilation, is it supported")
    c.spread[operator.outputs[0]] = (x, (block[0], block[1]), pads)


def _spread(c: Reader, operator: FileOperator, window: dict[str, Any]) -> tuple[Tensor, dict[str, Any], int]:
    """Return the input and window of a convolution, after merging SPACE_TO_BATCH_ND before it.

    The last result is the number of images that became channels, see `FileTensor.images_as_channels`.
    """
    index = operator.inputs[0]
    spread = c.spread.get(index)
    if spread is None:
        given = c.seen(index)
        whole, images = given.images_as_channels(3)
        if images > 1 and any(map(c.has_integers, operator.inputs[:2])):
            raise UnsupportedError(f"changes the batch of {given.shown}, which is supported in floats only")
        return c.tensor(whole), window, images
    x, block, pads = spread
    user = c.only_user(operator.outputs[0])
    if user is None or user.kind != "BATCH_TO_SPACE_ND":
        raise UnsupportedError("its input are batches of blocks, which BATCH_TO_SPACE_ND must join after it")
    crops = c.constants.integers(user.inputs[2], "the borders")
    stride, dilation = window["strides"], window["dilation"]
    if (
        tuple(c.constants.integers(user.inputs[1], "the block")) != block
        or len(crops) != 4
        or window["padding"] != "valid"
        or (*stride, *dilation) != (1, 1, 1, 1)
    ):
        raise UnsupportedError("batches of blocks around a convolution with padding, strides or dilation")
    top, bottom, left, right = (pad - crop for pad, crop in zip(pads, crops, strict=True))
    if min(top, bottom, left, right) < 0:
        raise UnsupportedError(f"its borders {crops} are larger than its padding {pads}")
    c.joined.add(operator.outputs[0])
    return x, window | {"padding": ((top, bottom), (left, right)), "dilation": block}, 1


def _batch_to_space(c: Reader, operator: FileOperator) -> Made:
    if operator.inputs[0] not in c.joined:
        raise UnsupportedError("it is supported only after a convolution, as its dilation")
    return c.value(operator.inputs[0])


def _root_mean_square(
    c: Reader, operator: FileOperator, x: Tensor, size: tuple[int, int], window: dict[str, Any]
) -> Tensor:
    """Convert L2_POOL_2D: the root of the mean square of each window. TensorFlow divides by the number of pixels."""
    square, root = ({"kind": "power", "a": 1.0, "b": 0.0, "c": power} for power in (2.0, 0.5))
    y = c.network.activation(x, square, name=c.layer_name(operator, "/squares"))
    y = c.network.average_pool2d(y, size, name=c.layer_name(operator, "/mean"), **window)
    return c.network.activation(y, root, name=c.layer_name(operator, "/root"))


def _pool(c: Reader, operator: FileOperator) -> Made:
    options = c.options(operator)
    whole, images = c.seen(operator.inputs[0]).images_as_channels(3)
    x = c.tensor(whole)
    size = (options.integer(4), options.integer(3))
    activation = c.fused_activation(operator, c.activation(operator, 5))
    name = c.layer_name(operator)
    is_max = operator.kind == "MAX_POOL_2D"
    window = _window(options, size, None)
    one_window = window["padding"] == "valid" or all(
        stride >= extent for stride, extent in zip(window["strides"], size, strict=True)
    )
    if size == x.shape[1:3] and one_window and operator.kind != "L2_POOL_2D":
        y = (c.network.global_max_pool2d if is_max else c.network.global_average_pool2d)(x, name=name)
    elif operator.kind == "L2_POOL_2D":
        y = _root_mean_square(c, operator, x, size, window)
    else:
        pool = c.network.max_pool2d if is_max else c.network.average_pool2d
        y = pool(x, size, name=name, **window)
    if activation is not None:
        c.note_integers(operator.outputs[0], y)
        y = c.network.activation(y, activation, name=c.layer_name(operator, "/activation"))
    return c.of_tensor(y).channels_as_images(3, images)


def _resize(c: Reader, operator: FileOperator) -> Made:
    options = c.options(operator)
    height, width = c.constants.integers(operator.inputs[1], "its new size")
    x = c.value(operator.inputs[0])
    bilinear = operator.kind == "RESIZE_BILINEAR"
    corners, centers = (options.boolean(field + (2 if bilinear else 0)) for field in (0, 1))
    if corners and centers:
        raise UnsupportedError(
            "it aligns both the corners and the centers of pixels, which contradict each other"
        )
    if x.shape[1:3] == (height, width):  # a resize to the same size changes nothing
        return x
    return c.network.resize(
        x,
        (height, width),
        method="bilinear" if bilinear else "nearest",
        alignment="corners" if corners else "half_pixel" if centers else "asymmetric",
        name=c.layer_name(operator),
    )


# ---- Others ------------------------------------------------------------------------------------------------


def _prelu(c: Reader, operator: FileOperator) -> Made:
    """Convert PRELU: one slope, or one for each channel, becomes a PReLU layer; others a product with min(x, 0)."""
    slope = c.constants.real(operator.inputs[1], "its slopes")
    x = c.seen(operator.inputs[0])
    if all(map(c.has_integers, (*operator.inputs[:2], operator.outputs[0]))):
        return _prelu_by_parts(c, operator, x, slope)
    if slope.size == 0 or slope.ndim > x.rank or slope.size not in (1, slope.shape[-1]):
        return _prelu_by_parts(c, operator, x, slope)
    tensor = c.value(operator.inputs[0])
    channels = tensor.shape[-1] or 0
    if slope.size not in (1, channels):
        raise WeightsError(f"damaged: slopes of shape {slope.shape} for {x.shown}")
    name = c.layer_name(operator)
    y = c.network.activation(tensor, "prelu", name=name)
    c.network.graph.set_weight(name, "slope", np.resize(slope, channels))
    return y


def _prelu_by_parts(
    c: Reader, operator: FileOperator, x: FileTensor, slope: NDArray[np.float32]
) -> FileTensor:
    low: Activation = {"kind": "clamp", "a": -float(np.finfo(np.float32).max), "b": 0.0}
    below = x.map(low, "/below")
    above = x.map("relu", "/above")
    slopes = c.constant(slope, x.rank, c.file.tensors[operator.inputs[1]].name)
    c.note_integers(operator.inputs[1], slopes.tensor)
    c.note_integers(operator.inputs[0], below.tensor)
    c.note_integers(operator.outputs[0], above.tensor)
    scaled = below.combine("multiply", slopes, "/scaled")
    c.note_integers(operator.outputs[0], scaled.tensor)
    return above.combine("add", scaled, "", c.fused_activation(operator, None))


def _detection(c: Reader, operator: FileOperator) -> None:
    """Convert the detection operator: its inputs become the outputs, and its options `Network.detection`."""
    if len(operator.outputs) != len(c.file.outputs) or set(operator.outputs) != c.results:
        raise UnsupportedError("its results must be the file's, and all of them")
    c.heads = [c.value(index) for index in operator.inputs[:2]]
    anchors = c.constants.real(operator.inputs[2], "its anchors")
    heads = [(head.name, head.shape) for head in c.heads]
    c.detection = detection_head(operator.custom_options, heads, anchors)


OPERATORS: dict[str, Handler] = {
    **ARITHMETIC,
    **PARTS,
    **ARRAY_OPS,
    **INDEXING,
    **MATRICES,
    **MEDIAPIPE,
    **LOGIC,
    **RECURRENT,
    **REDUCTIONS,
    "AVERAGE_POOL_2D": _pool,
    "BATCH_TO_SPACE_ND": _batch_to_space,
    "CONV_2D": _convolution,
    "CUSTOM TFLite_Detection_PostProcess": _detection,
    "DEPTHWISE_CONV_2D": _convolution,
    "L2_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
    "PRELU": _prelu,
    "RESIZE_BILINEAR": _resize,
    "RESIZE_NEAREST_NEIGHBOR": _resize,
    "SPACE_TO_BATCH_ND": _space_to_batch,
    "TRANSPOSE_CONV": _transposed_convolution,
}
"""The functions that convert operators, by TensorFlow Lite's name of the operator."""
