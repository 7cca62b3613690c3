"""What TensorFlow Lite's operators are as layers: one function for each kind.

They raise UnsupportedError and WeightsError with a reason only; who calls them knows file and layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mpscnn.converters.layer_names import LayerNames, shown
from mpscnn.converters.tflite import static_shapes
from mpscnn.converters.tflite.constant_operands import add_constant
from mpscnn.converters.tflite.constants import Constants
from mpscnn.converters.tflite.detection import detection_head
from mpscnn.converters.tflite.file import FileOperator, TfliteFile
from mpscnn.converters.tflite.flatbuffer import Table
from mpscnn.converters.tflite.names import activation_name
from mpscnn.converters.unsupported import CHOOSE_SIZE
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.vision.detector import DetectionHead

_ACTIVATIONS: dict[str, Activation] = {"NONE": None, "RELU": "relu", "RELU6": "relu6", "TANH": "tanh"}


class OperatorReader:
    """A network in the making, and what of a file its layers are made of."""

    def __init__(self, network: Network, file: TfliteFile, constants: Constants, names: LayerNames) -> None:
        self.network = network
        self.file = file
        self.constants = constants
        self.names = names
        self.values: dict[int, Tensor] = {}
        self.detection: DetectionHead | None = None
        self.heads: list[Tensor] = []
        self.results = frozenset(file.outputs)

    def value(self, index: int) -> Tensor:
        """What the network computes for a tensor of the file."""
        if index not in self.values:
            name = shown(self.file.tensors[index].name) if index >= 0 else "which is absent,"
            if index >= 0 and self.constants.find(index) is not None:
                raise UnsupportedError(f"its operand {name} is a constant, which is not supported here")
            raise UnsupportedError(f"its operand {name} is the result of no layer")
        return self.values[index]

    def result(self, operator: FileOperator, value: Tensor) -> None:
        """Sets what the network computes for the operator's first result."""
        self.values[operator.outputs[0]] = value

    def name_of(self, operator: FileOperator) -> str:
        """What the file calls an operator: its result's name, if it has one."""
        return self.file.tensors[operator.outputs[0]].name if operator.outputs else "?"

    def layer_name(self, operator: FileOperator, suffix: str = "") -> str:
        """The result's name in the file, made unique; `;` separates names that TensorFlow merged."""
        stem = self.file.tensors[operator.outputs[0]].name.split(";")[0]
        return self.names.unique((stem or operator.kind.lower()) + suffix)

    def activation(self, operator: FileOperator, field: int) -> Activation:
        """The activation that the operator ends with."""
        name = activation_name(operator.options.integer(field, "b") if operator.options else 0)
        if name not in _ACTIVATIONS:
            raise UnsupportedError(f"it ends with the activation {name}, which is not supported yet")
        return _ACTIVATIONS[name]

    def options(self, operator: FileOperator) -> Table:
        """The operator's own options."""
        if operator.options is None:
            raise WeightsError("damaged: it has no options")
        return operator.options

    def weight_shape(self, operator: FileOperator) -> tuple[int, ...]:
        """Of input 1, a constant."""
        return self.constants.stored(operator.inputs[1], "its weights").shape

    def set_weights(
        self,
        operator: FileOperator,
        layer: str,
        order: tuple[int, ...],
        shape: tuple[int, ...] | None = None,
    ) -> None:
        """Inputs 1 and 2 as weight and bias; `order` and `shape` as of `Constants.set_weight`."""
        self.constants.set_weight(self.network, f"{layer}.weight", operator.inputs[1], order, shape)
        if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
            bias = self.constants.real(operator.inputs[2], "its biases")
            self.network.graph.set_weight(layer, "bias", bias)


Reader = OperatorReader


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
    x = c.value(operator.inputs[0])
    outputs, height, width, inputs = c.weight_shape(operator)
    groups = (x.shape[-1] or 0) // inputs
    activation = c.activation(operator, 3)
    name = c.layer_name(operator)
    window = _window(options, (height, width), (4, 5))
    y = c.network.conv2d(
        x, outputs, (height, width), groups=groups, activation=activation, name=name, **window
    )
    c.set_weights(operator, name, (0, 1, 2, 3))
    c.result(operator, y)


def _depthwise(c: Reader, operator: FileOperator) -> None:
    options = c.options(operator)
    x = c.value(operator.inputs[0])
    _, height, width, outputs = c.weight_shape(operator)
    activation = c.activation(operator, 4)
    name = c.layer_name(operator)
    y = c.network.depthwise_conv2d(
        x,
        (height, width),
        multiplier=outputs // (x.shape[-1] or 1),
        activation=activation,
        name=name,
        **_window(options, (height, width), (5, 6)),
    )
    c.set_weights(operator, name, (3, 1, 2, 0))  # [1][kh][kw][out] in the file
    c.result(operator, y)


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


def _add(c: Reader, operator: FileOperator) -> None:
    a, b = operator.inputs
    activation = c.activation(operator, 0)
    constant = next((index for index in (a, b) if c.constants.find(index) is not None), None)
    if constant is None:
        x, y = c.value(a), c.value(b)
        if len(x.shape) != len(y.shape):
            raise UnsupportedError(f"adds tensors of {len(x.shape)} and of {len(y.shape)} axes")
        result = c.network.add(x, y, activation=activation, name=c.layer_name(operator))
    else:
        x, values = c.value(a if constant == b else b), c.constants.real(constant, "its operand")
        name = c.layer_name(operator)
        result = add_constant(c.network, x, values, activation=activation, name=name)
    c.result(operator, result)


def _concatenation(c: Reader, operator: FileOperator) -> None:
    if c.activation(operator, 1) is not None:
        raise UnsupportedError("it ends with an activation, which is not supported")
    parts = [c.value(index) for index in operator.inputs]
    axis, rank = c.options(operator).integer(0), len(parts[0].shape)
    axis = (
        -1 if axis == rank - 1 else axis
    )  # the channels' axis has one number, so that architectures compare
    c.result(operator, c.network.concat(parts, axis=axis, name=c.layer_name(operator)))


def _softmax(c: Reader, operator: FileOperator) -> None:
    beta = c.options(operator).number(0, "f", 1.0)
    if beta != 1.0:
        raise UnsupportedError(f"its beta is {beta}; only 1 is supported")
    c.result(operator, c.network.softmax(c.value(operator.inputs[0]), name=c.layer_name(operator)))


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


def _activation_layer(c: Reader, operator: FileOperator) -> None:
    function: Activation = {"LOGISTIC": "sigmoid", "RELU": "relu", "RELU6": "relu6"}.get(operator.kind)
    if operator.kind == "LEAKY_RELU":
        function = {"kind": "relu", "a": c.options(operator).number(0, "f")}
    c.result(
        operator, c.network.activation(c.value(operator.inputs[0]), function, name=c.layer_name(operator))
    )


def _prelu(c: Reader, operator: FileOperator) -> None:
    x = c.value(operator.inputs[0])
    slope = c.constants.real(operator.inputs[1], "its slopes")
    if slope.size != x.shape[-1]:
        raise UnsupportedError(f"slopes of shape {slope.shape}; only one per channel is supported")
    name = c.layer_name(operator)
    c.result(operator, c.network.activation(x, "prelu", name=name))
    c.network.graph.set_weight(name, "slope", slope.reshape(-1))


def _global_mean(c: Reader, operator: FileOperator) -> None:
    axes = sorted(axis % 4 for axis in c.constants.integers(operator.inputs[1], "the axes"))
    x = c.value(operator.inputs[0])
    if axes != [1, 2] or len(x.shape) != 4:
        raise UnsupportedError(
            f"a mean of {x.shape} over axes {axes}; only height and width are supported yet"
        )
    name = c.layer_name(operator)
    y = c.network.global_average_pool2d(x, name=name)
    keeps = c.options(operator).boolean(0)
    c.result(operator, y if keeps else c.network.flatten(y, name=c.layer_name(operator, "/flatten")))


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


OPERATORS: dict[str, Callable[[OperatorReader, FileOperator], None]] = {
    "ADD": _add,
    "ARG_MAX": _final_argmax,
    "AVERAGE_POOL_2D": _pool,
    "CONCATENATION": _concatenation,
    "CONV_2D": _convolution,
    "CUSTOM TFLite_Detection_PostProcess": _detection,
    "DEPTHWISE_CONV_2D": _depthwise,
    "DEQUANTIZE": _same_value,
    "EXPAND_DIMS": _expand,
    "FULLY_CONNECTED": _fully_connected,
    "LEAKY_RELU": _activation_layer,
    "LOGISTIC": _activation_layer,
    "MAX_POOL_2D": _pool,
    "MEAN": _global_mean,
    "PAD": _pad,
    "PADV2": _pad,
    "PRELU": _prelu,
    "QUANTIZE": _same_value,
    "RELU": _activation_layer,
    "RELU6": _activation_layer,
    "RESHAPE": _reshape,
    "RESIZE_BILINEAR": _resize,
    "RESIZE_NEAREST_NEIGHBOR": _resize,
    "SOFTMAX": _softmax,
    "SQUEEZE": _squeeze,
}
"""By the file's name for them."""
