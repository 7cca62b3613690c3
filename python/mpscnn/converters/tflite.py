"""TensorFlow Lite files as networks.

Quantised files become float networks: weights keep their integers with scale and zero point (so that nothing is lost
until a file is written), biases and constants are dequantised, and activations are not quantised any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters import static_shapes
from mpscnn.converters.flatbuffer import Table
from mpscnn.converters.tflite_detection import detection_head
from mpscnn.converters.tflite_file import FileOperator, FileTensor, TfliteFile
from mpscnn.detector import DetectionHead
from mpscnn.errors import ParameterError, ShapeError, UnsupportedError, WeightsError
from mpscnn.layer_arguments import Activation
from mpscnn.layers.layer_maker import Tensor
from mpscnn.network import Network

_MAX_SETTING = 2 * 8  # the padding of 8 axes, the longest list of integers among the operators
_ACTIVATIONS: dict[int, Activation] = {0: None, 1: "relu", 3: "relu6"}


def convert(files: Sequence[TfliteFile], name: str) -> Network:
    """One network from one file, or from several of which each continues where the one before ends.

    Raises UnsupportedError naming the operator that mpscnn lacks, WeightsError for a file that contradicts itself.
    """
    network = Network(input=_input_shapes(files[0]), name=name)
    values = list(network.inputs)
    for file in files:
        if len(values) != len(file.inputs):
            raise WeightsError(
                f"{file.origin}: has {len(file.inputs)} inputs, the part before it {len(values)} outputs"
            )
        converter = _FileConverter(network, file)
        values = converter.run(values)
        network.detection = converter.detection
    for value in values:
        network.output(value)
    return network


def _input_shapes(file: TfliteFile) -> dict[str, Sequence[int | None]]:
    shapes: dict[str, Sequence[int | None]] = {}
    for index in file.inputs:
        tensor = file.tensors[index]
        if len(tensor.shape) < 2:
            raise UnsupportedError(
                f"{file.origin}: input {tensor.name!r} has the shape {tensor.shape}, without a batch"
            )
        shapes["image" if len(file.inputs) == 1 and len(tensor.shape) == 4 else tensor.name] = tensor.shape[
            1:
        ]
    return shapes


class _FileConverter:
    """Adds one file's layers to a network."""

    def __init__(self, network: Network, file: TfliteFile) -> None:
        self.network = network
        self.file = file
        self.values: dict[int, Tensor] = {}
        self.constants: dict[int, NDArray[np.generic]] = {}
        self.names: set[str] = {tensor.name for tensor in network.inputs}
        self.detection: DetectionHead | None = None
        self.heads: list[Tensor] = []

    def run(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        for index, value in zip(self.file.inputs, inputs, strict=True):
            expected = self.file.tensors[index].shape[1:]
            if value.shape[1:] != expected:
                raise WeightsError(
                    f"{self.file.origin}: its input is {expected}, the part before it gives {value.shape[1:]}"
                )
            self.values[index] = value
        for operator in self.file.operators:
            self._convert_checked(operator)
        return self.heads or [self.value(index) for index in self.file.outputs]

    def _convert_checked(self, operator: FileOperator) -> None:
        try:
            self._convert(operator)
        except (UnsupportedError, WeightsError):
            raise
        except (ParameterError, ShapeError) as error:  # what the layer asks for is the file's fault
            raise WeightsError(f"{self.file.origin}: {error}") from error
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            # Operands that are missing, constants of another rank or size: more than is worth a check each.
            raise WeightsError(f"damaged: {self._where(operator)} contradicts itself: {error}") from error

    def _convert(self, operator: FileOperator) -> None:
        given = [self.constant(index) for index in operator.inputs if index >= 0]
        if operator.kind == "SHAPE":
            shape = self.file.tensors[operator.inputs[0]].shape
            self.constants[operator.outputs[0]] = np.array(shape, np.int64)
            return
        if given and all(constant is not None for constant in given):
            constants = [constant for constant in given if constant is not None]
            folded = static_shapes.fold(operator.kind, constants, operator.options)
            if folded is not None:
                self.constants[operator.outputs[0]] = folded
                return
        handler = _OPERATORS.get(operator.kind)
        if handler is None:
            name = self.file.tensors[operator.outputs[0]].name if operator.outputs else "?"
            raise UnsupportedError(f"{self.file.origin}: layer {name!r}: mpscnn has no {operator.kind} yet")
        handler(self, operator)

    # ---- Operands --------------------------------------------------------------------------------------

    def value(self, index: int) -> Tensor:
        if index not in self.values:
            name = self.file.tensors[index].name if index >= 0 else "?"
            raise UnsupportedError(
                f"{self.file.origin}: tensor {name!r} is used as a layer's input, but is no layer's result"
            )
        return self.values[index]

    def constant(self, index: int) -> NDArray[np.generic] | None:
        return self.constants.get(index, self.file.tensors[index].data)

    def integers(self, operator: FileOperator, position: int, what: str) -> list[int]:
        constant = self.constant(operator.inputs[position])
        if constant is None:
            raise UnsupportedError(
                f"{self._where(operator)}: {what} is computed by the network; only constants are supported"
            )
        if constant.size > _MAX_SETTING:
            raise WeightsError(f"damaged: {self._where(operator)}: {what} has {constant.size} numbers")
        return [int(number) for number in constant.reshape(-1)]

    def result(self, operator: FileOperator, value: Tensor) -> None:
        self.values[operator.outputs[0]] = value

    def layer_name(self, operator: FileOperator, suffix: str = "") -> str:
        """The result's name in the file, made unique; `;` separates names that TensorFlow merged."""
        stem = (self.file.tensors[operator.outputs[0]].name.split(";")[0] or operator.kind.lower()) + suffix
        name, count = stem, 1
        while name in self.names:
            count += 1
            name = f"{stem}_{count}"
        self.names.add(name)
        return name

    def activation(self, operator: FileOperator, field: int) -> Activation:
        number = operator.options.integer(field, "b") if operator.options else 0
        if number not in _ACTIVATIONS:
            raise UnsupportedError(
                f"{self._where(operator)}: activation function {number} is not supported yet"
            )
        return _ACTIVATIONS[number]

    def options(self, operator: FileOperator) -> Table:
        if operator.options is None:
            raise WeightsError(f"damaged: {self._where(operator)} has no options")
        return operator.options

    def _where(self, operator: FileOperator) -> str:
        name = self.file.tensors[operator.outputs[0]].name if operator.outputs else "?"
        return f"{self.file.origin}: layer {name!r} ({operator.kind})"

    # ---- Weights ---------------------------------------------------------------------------------------

    def set_weights(self, operator: FileOperator, layer: str, order: tuple[int, ...] | None = None) -> None:
        """Inputs 1 and 2 as weight and bias; `order` brings the weight's axes into mpscnn's order."""
        weight = self._constant_tensor(operator, 1)
        data = self.constant(operator.inputs[1])
        assert data is not None
        self._set_weight(f"{layer}.weight", data, weight, order)
        if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
            bias = self._constant_tensor(operator, 2)
            self.network.graph.set_weight(layer, "bias", self._dequantized(operator.inputs[2], bias))

    def _constant_tensor(self, operator: FileOperator, position: int) -> FileTensor:
        index = operator.inputs[position]
        if self.constant(index) is None:
            raise UnsupportedError(f"{self._where(operator)}: its weights are computed by the network")
        return self.file.tensors[index]

    def _set_weight(
        self, name: str, data: NDArray[np.generic], tensor: FileTensor, order: tuple[int, ...] | None
    ) -> None:
        layer, _, role = name.rpartition(".")
        axes = order or tuple(range(data.ndim))
        data = np.ascontiguousarray(data.transpose(axes))
        if data.dtype.kind == "f":
            kept = np.float16 if data.dtype == np.float16 else np.float32
            self.network.graph.set_weight(layer, role, data.astype(kept))
            return
        quantization = tensor.quantization
        if quantization is None or data.dtype not in (np.uint8, np.int8):
            raise UnsupportedError(
                f"{self.file.origin}: tensor {tensor.name!r}: weights of type {data.dtype} are not supported"
            )
        if quantization.scales.size > 1 and axes[0] != quantization.axis:
            raise UnsupportedError(
                f"{self.file.origin}: tensor {tensor.name!r} is quantised along axis {quantization.axis}, "
                "not along its outputs"
            )
        shift = 128 if data.dtype == np.int8 else 0  # int8 as uint8: both sides moved by 128
        stored = (data.astype(np.int16) + shift).astype(np.uint8)
        self.network.set_quantized_weight(
            name, stored, quantization.scales, (quantization.zero_points + shift).astype(np.float32)
        )

    def _dequantized(self, index: int, tensor: FileTensor) -> NDArray[np.float32]:
        data = self.constant(index)
        assert data is not None
        if data.dtype.kind == "f":
            return data.astype(np.float32)
        if tensor.quantization is None:
            raise WeightsError(f"{self.file.origin}: tensor {tensor.name!r} is {data.dtype} without a scale")
        scales = tensor.quantization.scales.astype(np.float64)
        real = (data.astype(np.float64) - tensor.quantization.zero_points) * scales
        return real.astype(np.float32)


# ---- Operators: (converter, operator) -> None -------------------------------------------------------------


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


def _convolution(c: _FileConverter, operator: FileOperator) -> None:
    options, weight = c.options(operator), c._constant_tensor(operator, 1)
    x = c.value(operator.inputs[0])
    outputs, height, width, inputs = weight.shape
    groups = (x.shape[-1] or 0) // inputs
    name = c.layer_name(operator)
    window = _window(options, (height, width), (4, 5))
    y = c.network.conv2d(
        x, outputs, (height, width), groups=groups, activation=c.activation(operator, 3), name=name, **window
    )
    c.set_weights(operator, name)
    c.result(operator, y)


def _depthwise(c: _FileConverter, operator: FileOperator) -> None:
    options, weight = c.options(operator), c._constant_tensor(operator, 1)
    x = c.value(operator.inputs[0])
    _, height, width, outputs = weight.shape
    name = c.layer_name(operator)
    window = _window(options, (height, width), (5, 6))
    y = c.network.depthwise_conv2d(
        x,
        (height, width),
        multiplier=outputs // (x.shape[-1] or 1),
        activation=c.activation(operator, 4),
        name=name,
        **window,
    )
    c.set_weights(operator, name, order=(3, 1, 2, 0))  # [1][kh][kw][out] in the file
    c.result(operator, y)


def _pool(c: _FileConverter, operator: FileOperator) -> None:
    options = c.options(operator)
    x = c.value(operator.inputs[0])
    size = (options.integer(4), options.integer(3))
    name, activation = c.layer_name(operator), c.activation(operator, 5)
    output = c.file.tensors[operator.outputs[0]].shape
    is_max = operator.kind == "MAX_POOL_2D"
    if size == x.shape[1:3] and output[1:3] == (1, 1):
        y = (c.network.global_max_pool2d if is_max else c.network.global_average_pool2d)(x, name=name)
    else:
        pool = c.network.max_pool2d if is_max else c.network.average_pool2d
        y = pool(x, size, name=name, **_window(options, size, None))
    if activation is not None:
        y = c.network.activation(y, activation, name=c.layer_name(operator, "/activation"))
    c.result(operator, y)


def _fully_connected(c: _FileConverter, operator: FileOperator) -> None:
    weight = c._constant_tensor(operator, 1)
    x = c.value(operator.inputs[0])
    name = c.layer_name(operator)
    if len(x.shape) != 2:
        x = c.network.flatten(x, name=f"{name}/flatten")
    y = c.network.dense(x, weight.shape[0], activation=c.activation(operator, 0), name=name)
    c.set_weights(operator, name)
    c.result(operator, y)


def _add(c: _FileConverter, operator: FileOperator) -> None:
    a, b = (c.value(index) for index in operator.inputs)
    c.result(operator, c.network.add(a, b, activation=c.activation(operator, 0), name=c.layer_name(operator)))


def _concatenation(c: _FileConverter, operator: FileOperator) -> None:
    if c.activation(operator, 1) is not None:
        raise UnsupportedError(f"{c._where(operator)}: a fused activation is not supported")
    parts = [c.value(index) for index in operator.inputs]
    axis, rank = c.options(operator).integer(0), len(parts[0].shape)
    axis = (
        -1 if axis == rank - 1 else axis
    )  # the channels' axis has one number, so that architectures compare
    c.result(operator, c.network.concat(parts, axis=axis, name=c.layer_name(operator)))


def _softmax(c: _FileConverter, operator: FileOperator) -> None:
    beta = c.options(operator).number(0, "f", 1.0)
    if beta != 1.0:
        raise UnsupportedError(f"{c._where(operator)}: beta {beta} is not supported")
    c.result(operator, c.network.softmax(c.value(operator.inputs[0]), name=c.layer_name(operator)))


def _reshape(c: _FileConverter, operator: FileOperator) -> None:
    """RESHAPE, SQUEEZE and EXPAND_DIMS: the file's static result shape says it all. The batch stays first."""
    x = c.value(operator.inputs[0])
    source, target = (c.file.tensors[index].shape for index in (operator.inputs[0], operator.outputs[0]))
    if operator.kind == "RESHAPE" and len(operator.inputs) > 1 and c.constant(operator.inputs[1]) is not None:
        target = _resolved(tuple(c.integers(operator, 1, "the new shape")), source)
    if not target or target[0] != source[0]:
        raise UnsupportedError(f"{c._where(operator)}: changes the batch, {source} to {target}")
    c.result(operator, c.network.reshape(x, target[1:], name=c.layer_name(operator)))


def _resolved(target: tuple[int, ...], source: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with its -1 replaced."""
    known = int(np.prod([extent for extent in target if extent != -1]))
    return tuple(int(np.prod(source)) // max(known, 1) if extent == -1 else extent for extent in target)


def _pad(c: _FileConverter, operator: FileOperator) -> None:
    sides = np.reshape(c.integers(operator, 1, "the padding"), (-1, 2)).tolist()
    if len(sides) != 4 or any(sides[0]):
        raise UnsupportedError(f"{c._where(operator)}: pads the batch, or something other than images")
    value = 0.0
    if len(operator.inputs) > 2:
        value = float(c._dequantized(operator.inputs[2], c.file.tensors[operator.inputs[2]]).reshape(-1)[0])
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


def _resize(c: _FileConverter, operator: FileOperator) -> None:
    options, (height, width) = c.options(operator), c.integers(operator, 1, "the new size")
    x = c.value(operator.inputs[0])
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


def _activation_layer(c: _FileConverter, operator: FileOperator) -> None:
    function: Activation = {"LOGISTIC": "sigmoid", "RELU": "relu", "RELU6": "relu6"}.get(operator.kind)
    if operator.kind == "LEAKY_RELU":
        function = {"kind": "relu", "a": c.options(operator).number(0, "f")}
    c.result(
        operator, c.network.activation(c.value(operator.inputs[0]), function, name=c.layer_name(operator))
    )


def _prelu(c: _FileConverter, operator: FileOperator) -> None:
    x = c.value(operator.inputs[0])
    slope = c._dequantized(operator.inputs[1], c._constant_tensor(operator, 1))
    if slope.size != x.shape[-1]:
        raise UnsupportedError(
            f"{c._where(operator)}: slopes of shape {slope.shape}; only one per channel is supported"
        )
    name = c.layer_name(operator)
    c.result(operator, c.network.activation(x, "prelu", name=name))
    c.network.graph.set_weight(name, "slope", slope.reshape(-1))


def _global_mean(c: _FileConverter, operator: FileOperator) -> None:
    axes = sorted(axis % 4 for axis in c.integers(operator, 1, "the axes"))
    x = c.value(operator.inputs[0])
    if axes != [1, 2] or len(x.shape) != 4:
        raise UnsupportedError(f"{c._where(operator)}: a mean over axes {axes} is not supported yet")
    name = c.layer_name(operator)
    y = c.network.global_average_pool2d(x, name=name)
    keeps = c.options(operator).boolean(0)
    c.result(operator, y if keeps else c.network.flatten(y, name=c.layer_name(operator, "/flatten")))


def _final_argmax(c: _FileConverter, operator: FileOperator) -> None:
    """Left out at the end of a file: the network's output is the scores, whose greatest `Model.segment` takes."""
    x = c.value(operator.inputs[0])
    axes = c.integers(operator, 1, "the axis")
    if (
        operator.outputs[0] not in c.file.outputs
        or len(axes) != 1
        or axes[0] % len(x.shape) != len(x.shape) - 1
    ):
        raise UnsupportedError(
            f"{c._where(operator)}: only the largest channel, as the file's result, is supported"
        )
    c.result(operator, x)


def _detection(c: _FileConverter, operator: FileOperator) -> None:
    """The network ends at the heads; what the operator does with them becomes the network's `detection`."""
    if sorted(operator.outputs) != sorted(c.file.outputs):
        raise UnsupportedError(f"{c._where(operator)}: its results must be the file's, and all of them")
    c.heads = [c.value(index) for index in operator.inputs[:2]]
    anchors = c._dequantized(operator.inputs[2], c._constant_tensor(operator, 2))
    c.detection = detection_head(
        operator.custom_options, [(head.name, head.shape) for head in c.heads], anchors, c._where(operator)
    )


def _same_value(c: _FileConverter, operator: FileOperator) -> None:
    """QUANTIZE and DEQUANTIZE change how a value is stored, which a float network does not do."""
    index = operator.inputs[0]
    constant = c.constant(index)
    if constant is None:
        c.result(operator, c.value(index))
    else:
        c.constants[operator.outputs[0]] = c._dequantized(index, c.file.tensors[index])


_OPERATORS: dict[str, Callable[[_FileConverter, FileOperator], None]] = {
    "ADD": _add,
    "ARG_MAX": _final_argmax,
    "AVERAGE_POOL_2D": _pool,
    "CONCATENATION": _concatenation,
    "CONV_2D": _convolution,
    "CUSTOM TFLite_Detection_PostProcess": _detection,
    "DEPTHWISE_CONV_2D": _depthwise,
    "DEQUANTIZE": _same_value,
    "EXPAND_DIMS": _reshape,
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
    "SQUEEZE": _reshape,
}
