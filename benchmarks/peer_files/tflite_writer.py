"""Write networks as TensorFlow Lite files (float32), so that LiteRT runs the same graph and weights.

LiteRT's package provides Python classes for its file format; this module creates their objects.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from mpscnn.converters.onnx_writer.window import Axis
from mpscnn.graph.network import Network
from peer_files.layer import PeerLayer, Shape, peer_layers

_ENGINE = "LiteRT"
_VERSION = 3  # the version of the file format
_KINDS = {"float32": schema.TensorType.FLOAT32, "int32": schema.TensorType.INT32}
_NEURONS = {
    "": schema.ActivationFunctionType.NONE,
    "relu": schema.ActivationFunctionType.RELU,
    "relu6": schema.ActivationFunctionType.RELU6,
}


def write_tflite(network: Network, input_shape: Shape, path: Path) -> None:
    """Write the network for inputs of this shape. Raises UnsupportedError for a layer that this writer lacks."""
    file = _File()
    source = network.input.name
    values = {source: file.tensor(source, input_shape)}
    for layer in peer_layers(network, input_shape[0]):
        if layer.operation not in _LAYERS:
            raise layer.refuse(_ENGINE, layer.operation)
        inputs = [values[name] for name in layer.inputs]
        values[layer.name] = file.tensor(layer.name, layer.shape)
        fused = not layer.neuron or (layer.neuron in _NEURONS and layer.operation in _WITH_NEURON)
        result = values[layer.name] if fused else file.tensor(f"{layer.name}.linear", layer.shape)
        _LAYERS[layer.operation](file, layer, inputs, result)
        if not fused:
            _neuron(file, layer, result, values[layer.name])
    outputs = [values[name] for name in network.to_dict()["outputs"]]
    path.write_bytes(file.content([values[source]], outputs))


class _File:
    """A TensorFlow Lite file that is being built."""

    def __init__(self) -> None:
        self._buffers = [schema.BufferT()]  # the format requires that the first buffer is empty
        self._tensors: list[Any] = []
        self._codes: list[int] = []
        self._operators: list[Any] = []

    def tensor(self, name: str, shape: Shape, kind: str = "float32", buffer: int = 0) -> int:
        self._tensors.append(schema.TensorT(shape=list(shape), type=_KINDS[kind], buffer=buffer, name=name))
        return len(self._tensors) - 1

    def constant(self, values: NDArray[Any], name: str) -> int:
        self._buffers.append(schema.BufferT(data=np.ascontiguousarray(values).reshape(-1).view(np.uint8)))
        return self.tensor(name, values.shape, values.dtype.name, len(self._buffers) - 1)

    def weights(self, layer: PeerLayer, weight: NDArray[np.float32]) -> list[int]:
        """Add a layer's weight and bias, and return their indices.

        A missing bias becomes zeros, since LiteRT requires one.
        """
        bias = layer.weights.get("bias", np.zeros(layer.shape[-1], np.float32))
        return [self.constant(weight, f"{layer.name}.weight"), self.constant(bias, f"{layer.name}.bias")]

    def add(self, operator: str, inputs: list[int], output: int, kind: str = "", **options: Any) -> None:
        """Add an operator. `options` are the fields of the format's options for its `kind`, such as "Pool2D"."""
        code = getattr(schema.BuiltinOperator, operator)
        if code not in self._codes:
            self._codes.append(code)
        added = schema.OperatorT(opcodeIndex=self._codes.index(code), inputs=inputs, outputs=[output])
        if kind:
            added.builtinOptionsType = getattr(schema.BuiltinOptions, f"{kind}Options")
            added.builtinOptions = getattr(schema, f"{kind}OptionsT")(**options)
        self._operators.append(added)

    def content(self, inputs: list[int], outputs: list[int]) -> bytes:
        graph = schema.SubGraphT(
            tensors=self._tensors, inputs=inputs, outputs=outputs, operators=self._operators
        )
        # Newer operators have higher versions. Versions 1 to 3 suffice for the options used here.
        codes = [
            schema.OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=code, version=_versions(code))
            for code in self._codes
        ]
        model = schema.ModelT(version=_VERSION, operatorCodes=codes, subgraphs=[graph], buffers=self._buffers)
        builder = flatbuffers.Builder()
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())


def _versions(code: int) -> int:
    """Return an operator's version: the lowest one that has the options used here."""
    operators = schema.BuiltinOperator
    dilated_or_aligned = (
        operators.DEPTHWISE_CONV_2D,
        operators.RESIZE_BILINEAR,
        operators.RESIZE_NEAREST_NEIGHBOR,
    )
    if code == operators.TRANSPOSE_CONV:  # version 3 is the first with a bias
        return 3
    return 2 if code in dilated_or_aligned else 1


def _neuron(file: _File, layer: PeerLayer, x: int, output: int) -> None:
    """Write an activation as separate operators."""
    if layer.neuron == "hard_swish":
        file.add("HARD_SWISH", [x], output, "HardSwish")
    elif layer.neuron == "sigmoid":
        file.add("LOGISTIC", [x], output)
    elif layer.neuron == "swish":
        gate = file.tensor(f"{layer.name}.gate", layer.shape)
        file.add("LOGISTIC", [x], gate)
        file.add("MUL", [x, gate], output, "Mul")
    elif layer.neuron == "hard_sigmoid":
        shifted = file.tensor(f"{layer.name}.shifted", layer.shape)
        three, sixth = (
            file.constant(np.float32(value).reshape(1), f"{layer.name}.{role}")
            for role, value in (("shift", 3), ("scale", 1 / 6))
        )
        file.add("ADD", [x, three], shifted, "Add", fusedActivationFunction=_NEURONS["relu6"])
        file.add("MUL", [shifted, sixth], output, "Mul")
    else:
        raise layer.refuse(_ENGINE, f"{layer.neuron} after {layer.operation}")


def _padded(file: _File, layer: PeerLayer, inputs: list[int], fill: float = 0.0) -> tuple[list[int], int]:
    """Return an operator's inputs and its padding, SAME or VALID. Other padding becomes a separate operator PAD."""
    window = layer.window
    if not any(window.pads):
        return inputs, int(schema.Padding.VALID)
    if all(_is_same(axis) for axis in (window.vertical, window.horizontal)):
        return inputs, int(schema.Padding.SAME)
    top, left, bottom, right = window.pads
    batch, height, width, channels = layer.input_shapes[0]
    wide = file.tensor(f"{layer.name}.wide", (batch, height + top + bottom, width + left + right, channels))
    sides = np.array([(0, 0), (top, bottom), (left, right), (0, 0)], np.int32)
    operands = [*inputs, file.constant(sides, f"{layer.name}.sides")]
    if fill == 0:
        file.add("PAD", operands, wide, "Pad")
    else:
        value = file.constant(np.float32(fill).reshape(1), f"{layer.name}.fill")
        file.add("PADV2", [*operands, value], wide, "PadV2")
    return [wide], int(schema.Padding.VALID)


def _is_same(axis: Axis) -> bool:
    total = max((-(-axis.size // axis.stride) - 1) * axis.stride + axis.reach - axis.size, 0)
    return (axis.before, axis.after) == (total // 2, total - total // 2)


def _convolution(file: _File, layer: PeerLayer, inputs: list[int], output: int) -> None:
    window, weight = layer.window, layer.weights["weight"]
    inputs, padding = _padded(file, layer, inputs)
    options: dict[str, Any] = {
        "padding": padding,
        "strideH": window.strides[0],
        "strideW": window.strides[1],
        "dilationHFactor": window.dilations[0],
        "dilationWFactor": window.dilations[1],
        "fusedActivationFunction": _fused(layer),
    }
    if layer.is_depthwise:
        inputs = inputs + file.weights(layer, weight.transpose(3, 1, 2, 0))
        options["depthMultiplier"] = layer.shape[3] // layer.input_shapes[0][3]
        file.add("DEPTHWISE_CONV_2D", inputs, output, "DepthwiseConv2D", **options)
    elif layer.attributes["groups"] == 1:
        file.add("CONV_2D", inputs + file.weights(layer, weight), output, "Conv2D", **options)
    else:
        raise layer.refuse(_ENGINE, "a convolution in groups")


def _fully_connected(file: _File, layer: PeerLayer, inputs: list[int], output: int) -> None:
    weight = layer.weights["weight"]
    inputs = inputs + file.weights(layer, weight.reshape(len(weight), -1))
    file.add("FULLY_CONNECTED", inputs, output, "FullyConnected", fusedActivationFunction=_fused(layer))


def _transposed_convolution(file: _File, layer: PeerLayer, inputs: list[int], output: int) -> None:
    _, (down, right) = layer.unpadded_transposed(_ENGINE)
    shape = file.constant(np.array(layer.shape, np.int32), f"{layer.name}.shape")
    weight, bias = file.weights(layer, layer.weights["weight"])
    operands = [shape, weight, *inputs, bias]
    options = {"padding": int(schema.Padding.VALID), "strideH": down, "strideW": right}
    file.add("TRANSPOSE_CONV", operands, output, "TransposeConv", **options)


def _pooling(file: _File, layer: PeerLayer, inputs: list[int], output: int) -> None:
    kind = layer.attributes["kind"]
    if layer.attributes["global"] and kind == "average":
        axes = file.constant(np.array([1, 2], np.int32), f"{layer.name}.axes")
        file.add("MEAN", [*inputs, axes], output, "Reducer", keepDims=True)
    elif kind == "max" and not layer.attributes["global"]:
        (height, width), (down, right) = layer.window.kernel, layer.window.strides
        sizes = {"filterHeight": height, "filterWidth": width, "strideH": down, "strideW": right}
        inputs, padding = _padded(file, layer, inputs, float(np.finfo(np.float32).min))
        file.add("MAX_POOL_2D", inputs, output, "Pool2D", padding=padding, **sizes)
    else:
        raise layer.refuse(_ENGINE, f"{kind} pooling like this")


def _arithmetic(operator: str, kind: str) -> Callable[[_File, PeerLayer, list[int], int], None]:
    def write(file: _File, layer: PeerLayer, inputs: list[int], output: int) -> None:
        layer.require_plain_arithmetic(_ENGINE)
        file.add(operator, inputs, output, kind, fusedActivationFunction=_fused(layer))

    return write


def _fused(layer: PeerLayer) -> int:
    """Return the code of the activation that the operator applies itself."""
    return int(_NEURONS.get(layer.neuron, _NEURONS[""]))


def _concatenation(file: _File, layer: PeerLayer, inputs: list[int], output: int) -> None:
    axis = layer.attributes["axis"] % len(layer.shape)
    file.add("CONCATENATION", inputs, output, "Concatenation", axis=axis)


def _reshape(file: _File, layer: PeerLayer, inputs: list[int], output: int) -> None:
    shape = file.constant(np.array(layer.shape, np.int32), f"{layer.name}.shape")
    file.add("RESHAPE", [*inputs, shape], output, "Reshape", newShape=list(layer.shape))


def _resize(file: _File, layer: PeerLayer, inputs: list[int], output: int) -> None:
    kind, alignment = layer.resize_kind(_ENGINE).split(", ")
    size = file.constant(np.array(layer.shape[1:3], np.int32), f"{layer.name}.size")
    if kind == "nearest":
        file.add("RESIZE_NEAREST_NEIGHBOR", [*inputs, size], output, "ResizeNearestNeighbor")
    else:
        options = {"alignCorners": alignment == "corners", "halfPixelCenters": alignment == "half_pixel"}
        file.add("RESIZE_BILINEAR", [*inputs, size], output, "ResizeBilinear", **options)


def _channels(file: _File, layer: PeerLayer, inputs: list[int], output: int) -> None:
    first, _ = layer.channels(_ENGINE)
    begin = file.constant(np.array([0, 0, 0, first][-len(layer.shape) :], np.int32), f"{layer.name}.begin")
    size = file.constant(np.array(layer.shape, np.int32), f"{layer.name}.size")
    file.add("SLICE", [*inputs, begin, size], output, "Slice")


def _channel_shuffle(file: _File, layer: PeerLayer, inputs: list[int], output: int) -> None:
    """Write a channel shuffle: reshape the channels to (groups, channels of a group), and swap these axes."""
    *others, channels = layer.shape
    groups, rank = layer.attributes["groups"], len(layer.shape)
    cut = (*others, groups, channels // groups)
    turned = (*others, channels // groups, groups)
    order = np.array([*range(rank - 1), rank, rank - 1], np.int32)
    names = ("cut", "turned")
    values = [
        file.tensor(f"{layer.name}.{name}", shape) for name, shape in zip(names, (cut, turned), strict=True)
    ]
    shape = file.constant(np.array(cut, np.int32), f"{layer.name}.groups")
    file.add("RESHAPE", [*inputs, shape], values[0], "Reshape", newShape=list(cut))
    axes = file.constant(order, f"{layer.name}.axes")
    file.add("TRANSPOSE", [values[0], axes], values[1], "Transpose")
    _reshape(file, layer, values[1:], output)


def _softmax(file: _File, _layer: PeerLayer, inputs: list[int], output: int) -> None:
    file.add("SOFTMAX", inputs, output, "Softmax", beta=1.0)


_WITH_NEURON = ("convolution", "fully_connected", "add", "multiply")
_LAYERS: dict[str, Callable[[_File, PeerLayer, list[int], int], None]] = {
    "convolution": _convolution,
    "transposed_convolution": _transposed_convolution,
    "fully_connected": _fully_connected,
    "pooling": _pooling,
    "add": _arithmetic("ADD", "Add"),
    "multiply": _arithmetic("MUL", "Mul"),
    "concatenation": _concatenation,
    "reshape": _reshape,
    "resize": _resize,
    "slice": _channels,
    "channel_shuffle": _channel_shuffle,
    "softmax": _softmax,
}
