"""What TensorFlow Lite's operators are as layers: one function for each kind.

They raise UnsupportedError and WeightsError with a reason only; who calls them knows file and layer.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mpscnn.converters.tflite import static_shapes
from mpscnn.converters.tflite.arithmetic import ARITHMETIC
from mpscnn.converters.tflite.context import Handler, Reader
from mpscnn.converters.tflite.detection import detection_head
from mpscnn.converters.tflite.file import FileOperator
from mpscnn.converters.tflite.flatbuffer import Table
from mpscnn.converters.tflite.parts import PARTS
from mpscnn.converters.unsupported import CHOOSE_SIZE
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layers.layer_maker import Tensor


def _window(options: Table, size: tuple[int, int], dilation_fields: tuple[int, int] | None) -> dict[str, Any]:
    """Padding and strides, which convolutions and poolings have at the same fields.

    A window of one pixel never needs padding: its policy is normalised to "valid".
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


def _convolution(c: Reader, operator: FileOperator) -> None:
    options = c.options(operator)
    outputs, height, width, inputs = c.weight_shape(operator)
    x, window = _spread(c, operator, _window(options, (height, width), (4, 5)))
    groups = (x.shape[-1] or 0) // inputs
    activation = c.activation(operator, 3)
    name = c.layer_name(operator)
    y = c.network.conv2d(
        x, outputs, (height, width), groups=groups, activation=activation, name=name, **window
    )
    c.set_weights(operator, name, (0, 1, 2, 3))
    c.result(operator, y)


def _depthwise(c: Reader, operator: FileOperator) -> None:
    options = c.options(operator)
    _, height, width, outputs = c.weight_shape(operator)
    x, window = _spread(c, operator, _window(options, (height, width), (5, 6)))
    activation = c.activation(operator, 4)
    name = c.layer_name(operator)
    y = c.network.depthwise_conv2d(
        x,
        (height, width),
        multiplier=outputs // (x.shape[-1] or 1),
        activation=activation,
        name=name,
        **window,
    )
    c.set_weights(operator, name, (3, 1, 2, 0))  # [1][kh][kw][out] in the file
    c.result(operator, y)


def _transposed_convolution(c: Reader, operator: FileOperator) -> None:
    """Its inputs are the result's shape, weights [out][kernel height][kernel width][in], the image and biases."""
    options = c.options(operator)
    x = c.value(operator.inputs[2])
    outputs, height, width, _ = c.weight_shape(operator)
    size = c.constants.integers(operator.inputs[0], "the result's shape")
    if len(size) != 4 or None in x.shape[1:]:
        raise UnsupportedError(f"makes {size} of {x.shape}")
    activation, name = c.activation(operator, 3), c.layer_name(operator)
    y = c.network.conv2d_transpose(
        x,
        outputs,
        (height, width),
        strides=(options.integer(2), options.integer(1)),
        padding="same" if options.integer(0, "b") == 0 else "valid",
        output_size=(size[1], size[2]),
        activation=activation,
        name=name,
    )
    c.constants.set_weight(c.network, f"{name}.weight", operator.inputs[1], (0, 1, 2, 3))
    if len(operator.inputs) > 3 and operator.inputs[3] >= 0:
        c.network.graph.set_weight(name, "bias", c.constants.real(operator.inputs[3], "its biases"))
    c.result(operator, y)


# ---- Dilation written with batches -------------------------------------------------------------------------


def _space_to_batch(c: Reader, operator: FileOperator) -> None:
    """With BATCH_TO_SPACE_ND behind a convolution it is that convolution's dilation, as older files write it."""
    x = c.value(operator.inputs[0])
    block = c.constants.integers(operator.inputs[1], "its block")
    pads = c.constants.integers(operator.inputs[2], "its padding")
    user = c.only_user(operator.outputs[0])
    if len(block) != 2 or len(pads) != 4 or user is None or user.kind not in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        raise UnsupportedError("only around a convolution, as its dilation, is it supported")
    c.spread[operator.outputs[0]] = (x, (block[0], block[1]), pads)


def _spread(c: Reader, operator: FileOperator, window: dict[str, Any]) -> tuple[Tensor, dict[str, Any]]:
    """The image of a convolution and its window, dilated if batches were made before it."""
    spread = c.spread.get(operator.inputs[0])
    if spread is None:
        return c.value(operator.inputs[0]), window
    x, block, pads = spread
    user = c.only_user(operator.outputs[0])
    if user is None or user.kind != "BATCH_TO_SPACE_ND":
        raise UnsupportedError("its input are batches of blocks, which BATCH_TO_SPACE_ND must join behind it")
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
    return x, window | {"padding": ((top, bottom), (left, right)), "dilation": block}


def _batch_to_space(c: Reader, operator: FileOperator) -> None:
    if operator.inputs[0] not in c.joined:
        raise UnsupportedError("only behind a convolution, as its dilation, is it supported")
    c.result(operator, c.value(operator.inputs[0]))


def _pool(c: Reader, operator: FileOperator) -> None:
    options = c.options(operator)
    x = c.value(operator.inputs[0])
    size = (options.integer(4), options.integer(3))
    activation = c.activation(operator, 5)
    name = c.layer_name(operator)
    is_max = operator.kind == "MAX_POOL_2D"
    window = _window(options, size, None)
    one_window = window["padding"] == "valid" or all(
        stride >= extent for stride, extent in zip(window["strides"], size, strict=True)
    )
    if size == x.shape[1:3] and one_window:
        y = (c.network.global_max_pool2d if is_max else c.network.global_average_pool2d)(x, name=name)
    else:
        pool = c.network.max_pool2d if is_max else c.network.average_pool2d
        y = pool(x, size, name=name, **window)
    if activation is not None:
        y = c.network.activation(y, activation, name=c.layer_name(operator, "/activation"))
    c.result(operator, y)


def _fully_connected(c: Reader, operator: FileOperator) -> None:
    """The features of an image may be those of several positions: (n, positions, features)."""
    x = c.value(operator.inputs[0])
    units, features = c.weight_shape(operator)
    options = operator.options
    if options and options.integer(1, "b"):
        raise UnsupportedError("its weights are shuffled, which is not supported")
    activation, keeps_axes = c.activation(operator, 0), bool(options and options.boolean(2))
    *positions, last = x.shape[1:]
    if keeps_axes and last != features:
        raise WeightsError(f"damaged: weights for {features} features, but its input is {x.shape}")
    if None in x.shape[1:] and not (keeps_axes and len(x.shape) == 4):
        raise UnsupportedError(
            f"its input {x.shape} has a free size, but its weights are for a fixed one: {CHOOSE_SIZE}"
        )
    count = math.prod(extent or 0 for extent in x.shape[1:])
    if features < 1 or count % features:
        raise WeightsError(f"damaged: weights for {features} features, but its input is {x.shape}")
    if count != features and not keeps_axes:
        raise UnsupportedError(
            f"changes the batch: {x.shape} has {count // features} times its {features} features"
        )
    name = c.layer_name(operator)
    if keeps_axes and (None in positions or count != features):
        if len(x.shape) != 4:
            rows = [1, count // features, features]
            x = c.network.reshape(x, rows, name=c.layer_name(operator, "/positions"))
        y = c.network.conv2d(x, units, 1, padding="valid", activation=activation, name=name)
        c.set_weights(operator, name, (0, 1), (units, 1, 1, features))
    else:
        if len(x.shape) != 2:
            x = c.network.flatten(x, name=c.layer_name(operator, "/flatten"))
        y = c.network.dense(x, units, activation=activation, name=name)
        c.set_weights(operator, name, (0, 1))
    result = (*positions, units) if keeps_axes else (units,)
    if y.shape[1:] != result:
        y = c.network.reshape(y, [extent or 0 for extent in result], name=c.layer_name(operator, "/reshape"))
    c.result(operator, y)


def _concatenation(c: Reader, operator: FileOperator) -> None:
    if c.activation(operator, 1) is not None:
        raise UnsupportedError("it ends with an activation, which is not supported")
    parts = [c.value(index) for index in operator.inputs]
    axis, rank = c.options(operator).integer(0), len(parts[0].shape)
    axis = (
        -1 if axis == rank - 1 else axis
    )  # the channels' axis has one number, so that architectures compare
    c.result(operator, c.network.concat(parts, axis=axis, name=c.layer_name(operator)))


# ---- Shapes ------------------------------------------------------------------------------------------------


def _reshape(c: Reader, operator: FileOperator) -> None:
    """The new shape is the second input's, the options', or the result's. The batch stays first."""
    x = c.value(operator.inputs[0])
    target = list(c.file.tensors[operator.outputs[0]].shape)
    if operator.kind == "RESHAPE" and len(operator.inputs) > 1:
        if c.constants.find(operator.inputs[1]) is not None or None in x.shape[1:]:
            target = c.constants.integers(operator.inputs[1], "the new shape")
    elif operator.kind == "RESHAPE" and operator.options and operator.options.has(0):
        target = [int(extent) for extent in operator.options.numbers(0, "<i4")[:9]]
    _reshape_to(c, operator, x, target)


def _squeeze(c: Reader, operator: FileOperator) -> None:
    x = c.value(operator.inputs[0])
    axes = [int(axis) for axis in operator.options.numbers(0, "<i4")[:9]] if operator.options else []
    if not axes:  # all extents of 1
        _reshape_to(c, operator, x, list(c.file.tensors[operator.outputs[0]].shape))
        return
    dropped = {axis % len(x.shape) for axis in axes}
    extents = list(enumerate([_batch(c, operator), *x.shape[1:]]))
    if any(extents[axis][1] != 1 for axis in dropped):
        raise WeightsError(f"damaged: leaves out axes {sorted(dropped)} of {x.shape}, which must be 1")
    target = [
        static_shapes.FREE if extent is None else extent for axis, extent in extents if axis not in dropped
    ]
    if 0 in dropped:
        raise UnsupportedError(f"changes the batch, {x.shape} to {target}")
    _reshape_to(c, operator, x, target)


def _expand(c: Reader, operator: FileOperator) -> None:
    x = c.value(operator.inputs[0])
    (axis,) = c.constants.integers(operator.inputs[1], "the new axis")
    target = [
        _batch(c, operator),
        *(static_shapes.FREE if extent is None else extent for extent in x.shape[1:]),
    ]
    if axis % (len(target) + 1) == 0:
        raise UnsupportedError("changes the batch")
    target.insert(axis % (len(target) + 1), 1)
    _reshape_to(c, operator, x, target)


def _batch(c: Reader, operator: FileOperator) -> int:
    """The file's, which stands for any: shapes in the file are written with it."""
    return (c.file.tensors[operator.inputs[0]].shape or (1,))[0]


def _reshape_to(c: Reader, operator: FileOperator, x: Tensor, target: list[int]) -> None:
    """Adds a reshape to a shape with batch, of which an extent may be -1: what is left."""
    batch, extents = _batch(c, operator), x.shape[1:]
    free = None in extents
    target = [-1 if extent == static_shapes.FREE else extent for extent in target]
    if not free and target.count(-1) == 1:
        known = math.prod(extent for extent in target if extent != -1)
        left = batch * math.prod(extent or 0 for extent in extents) // max(known, 1)
        target = [left if extent == -1 else extent for extent in target]
    if not target or target[0] != batch:
        free_size = f"; the size of the image is free: {CHOOSE_SIZE}" if free else ""
        raise UnsupportedError(f"changes the batch, {(batch, *extents)} to {tuple(target)}{free_size}")
    if free and target.count(-1) != 1:
        raise UnsupportedError(f"makes {tuple(target)} of {x.shape}, whose size is free: {CHOOSE_SIZE}")
    c.result(operator, c.network.reshape(x, target[1:], name=c.layer_name(operator)))


def _pad(c: Reader, operator: FileOperator) -> None:
    sides = np.reshape(c.constants.integers(operator.inputs[1], "the padding"), (-1, 2)).tolist()
    if len(sides) != 4 or any(sides[0]):
        raise UnsupportedError("pads the batch, or something other than images")
    value = 0.0
    if len(operator.inputs) > 2:
        value = float(c.constants.real(operator.inputs[2], "the padding's value").reshape(-1)[0])
    names = (("top", "bottom"), ("left", "right"), ("front", "back"))
    attributes = {
        name: amount
        for pair, side in zip(names, sides[1:], strict=True)
        for name, amount in zip(pair, side, strict=True)
    }
    x = c.value(operator.inputs[0])
    c.result(
        operator, c.network.layer("padding", [x], attributes | {"value": value}, name=c.layer_name(operator))
    )


def _resize(c: Reader, operator: FileOperator) -> None:
    options = c.options(operator)
    height, width = c.constants.integers(operator.inputs[1], "the new size")
    x = c.value(operator.inputs[0])
    if static_shapes.FREE in (height, width):
        raise UnsupportedError(f"its new size depends on that of the image, which is free: {CHOOSE_SIZE}")
    if x.shape[1:3] == (height, width):  # every sample lies on a pixel
        c.result(operator, x)
        return
    bilinear = operator.kind == "RESIZE_BILINEAR"
    corners, centers = (options.boolean(field + (2 if bilinear else 0)) for field in (0, 1))
    y = c.network.resize(
        x,
        (height, width),
        method="bilinear" if bilinear else "nearest",
        alignment="corners" if corners else "half_pixel" if centers else "asymmetric",
        name=c.layer_name(operator),
    )
    c.result(operator, y)


# ---- Others ------------------------------------------------------------------------------------------------


def _prelu(c: Reader, operator: FileOperator) -> None:
    x = c.value(operator.inputs[0])
    slope = c.constants.real(operator.inputs[1], "its slopes")
    if slope.size != x.shape[-1]:
        raise UnsupportedError(f"slopes of shape {slope.shape}; only one per channel is supported")
    name = c.layer_name(operator)
    c.result(operator, c.network.activation(x, "prelu", name=name))
    c.network.graph.set_weight(name, "slope", slope.reshape(-1))


def _final_argmax(c: Reader, operator: FileOperator) -> None:
    """Left out at the end of a file: the network's output is the scores, whose greatest `Model.segment` takes."""
    x = c.value(operator.inputs[0])
    axes = c.constants.integers(operator.inputs[1], "the axis")
    last = len(x.shape) - 1
    if operator.outputs[0] not in c.results or len(axes) != 1 or axes[0] % len(x.shape) != last:
        raise UnsupportedError("only the largest channel, as the file's result, is supported")
    c.result(operator, x)


def _detection(c: Reader, operator: FileOperator) -> None:
    """The network ends at the heads; what the operator does with them becomes the network's `detection`."""
    if len(operator.outputs) != len(c.file.outputs) or set(operator.outputs) != c.results:
        raise UnsupportedError("its results must be the file's, and all of them")
    c.heads = [c.value(index) for index in operator.inputs[:2]]
    anchors = c.constants.real(operator.inputs[2], "its anchors")
    heads = [(head.name, head.shape) for head in c.heads]
    c.detection = detection_head(operator.custom_options, heads, anchors)


def _same_value(c: Reader, operator: FileOperator) -> None:
    """QUANTIZE and DEQUANTIZE change how a value is stored, which a float network does not do."""
    index = operator.inputs[0]
    if c.constants.find(index) is None:
        c.result(operator, c.value(index))
    else:
        c.constants.compute(operator.outputs[0], c.constants.real(index, "its input"))


def _refused(reason: str) -> Handler:
    def refuse(_: Reader, __: FileOperator) -> None:
        raise UnsupportedError(reason)

    return refuse


_RECURRENT = (
    "BIDIRECTIONAL_SEQUENCE_LSTM",
    "BIDIRECTIONAL_SEQUENCE_RNN",
    "LSTM",
    "RNN",
    "SVDF",
    "UNIDIRECTIONAL_SEQUENCE_LSTM",
    "UNIDIRECTIONAL_SEQUENCE_RNN",
)
OPERATORS: dict[str, Handler] = {
    **ARITHMETIC,
    **PARTS,
    **dict.fromkeys(_RECURRENT, _refused("recurrent layers are not supported")),
    **dict.fromkeys(("IF", "WHILE", "CALL"), _refused("control flow is not supported")),
    "ARG_MAX": _final_argmax,
    "AVERAGE_POOL_2D": _pool,
    "BATCH_TO_SPACE_ND": _batch_to_space,
    "CONCATENATION": _concatenation,
    "CONV_2D": _convolution,
    "CUSTOM TFLite_Detection_PostProcess": _detection,
    "DEPTHWISE_CONV_2D": _depthwise,
    "DEQUANTIZE": _same_value,
    "EXPAND_DIMS": _expand,
    "FULLY_CONNECTED": _fully_connected,
    "MAX_POOL_2D": _pool,
    "PAD": _pad,
    "PADV2": _pad,
    "PRELU": _prelu,
    "QUANTIZE": _same_value,
    "RESHAPE": _reshape,
    "RESIZE_BILINEAR": _resize,
    "RESIZE_NEAREST_NEIGHBOR": _resize,
    "SPACE_TO_BATCH_ND": _space_to_batch,
    "SQUEEZE": _squeeze,
    "TRANSPOSE_CONV": _transposed_convolution,
}
"""By the file's name for them."""
