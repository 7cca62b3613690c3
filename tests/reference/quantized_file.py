"""Compute the integers of quantised TensorFlow Lite files, operator by operator, straight from the file."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mpscnn.converters.reading.tflite.file import FileOperator, FileTensor, TfliteFile
from mpscnn.converters.reading.tflite.flatbuffer import Table

from . import quantized
from .quantized import Integers, Quantization

Limits = tuple[float, float] | None
_ACTIVATIONS: dict[int, Limits] = {0: None, 1: (0.0, math.inf), 2: (-1.0, 1.0), 3: (0.0, 6.0)}
_CLAMPS: dict[str, Limits] = {
    "RELU": (0.0, math.inf),
    "RELU6": (0.0, 6.0),
    "RELU_0_TO_1": (0.0, 1.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
}


def quantization_of(tensor: FileTensor) -> Quantization:
    """Return the quantization of a tensor, which must have one scale."""
    assert tensor.quantization is not None
    assert tensor.quantization.scales.size == 1
    scale, zero_point = tensor.quantization.scales[0], tensor.quantization.zero_points[0]
    return Quantization(float(scale), int(zero_point), tensor.dtype.name)


def run(file: TfliteFile, *inputs: Any) -> dict[int, Integers]:
    """Return the integers of the inputs and of all computed tensors, by the tensors' numbers in the file."""
    values = {index: np.asarray(x, np.int64) for index, x in zip(file.inputs, inputs, strict=True)}
    for operator in file.operators:
        values[operator.outputs[0]] = _OPERATORS[operator.kind](file, operator, values)
    return values


Values = dict[int, Integers]


def _options(operator: FileOperator) -> Table:
    assert operator.options is not None
    return operator.options


def _elements(file: TfliteFile, index: int) -> Any:
    elements = file.tensors[index].elements
    assert elements is not None
    return elements.read()


def _quantizations(file: TfliteFile, operator: FileOperator, count: int) -> list[Quantization]:
    """Return the quantizations of the first `count` operands and of the result."""
    return [quantization_of(file.tensors[index]) for index in (*operator.inputs[:count], operator.outputs[0])]


def _window(options: Table) -> dict[str, Any]:
    same = options.integer(0, "b") == 0
    return {
        "padding": "same" if same else "valid",
        "stride_x": options.integer(1),
        "stride_y": options.integer(2),
    }


def _product(
    file: TfliteFile,
    operator: FileOperator,
    x: Integers,
    weight: Any,
    attributes: dict[str, Any],
    activation: int,
) -> Integers:
    of_weight = file.tensors[operator.inputs[1]].quantization
    assert of_weight is not None
    biased = len(operator.inputs) > 2 and operator.inputs[2] >= 0
    source, result = (
        quantization_of(file.tensors[index]) for index in (operator.inputs[0], operator.outputs[0])
    )
    return quantized.convolution(
        x,
        source,
        weight,
        of_weight.scales,
        of_weight.zero_points,
        _elements(file, operator.inputs[2]) if biased else 0,
        result,
        attributes,
        _ACTIVATIONS[activation],
        dense=operator.kind == "FULLY_CONNECTED",
    )


def _convolution(file: TfliteFile, operator: FileOperator, values: Values) -> Integers:
    options, x = _options(operator), values[operator.inputs[0]]
    weight = _elements(file, operator.inputs[1])
    depthwise = operator.kind == "DEPTHWISE_CONV_2D"
    attributes, first = _window(options), 5 if depthwise else 4
    if depthwise:
        weight = weight.transpose(3, 1, 2, 0)  # the file has [1][kernel height][kernel width][out]
        attributes["groups"] = x.shape[-1]
    attributes |= {
        "kernel_height": weight.shape[1],
        "kernel_width": weight.shape[2],
        "dilation_x": options.integer(first, "i", 1),
        "dilation_y": options.integer(first + 1, "i", 1),
    }
    return _product(file, operator, x, weight, attributes, options.integer(4 if depthwise else 3, "b"))


def _dense(file: TfliteFile, operator: FileOperator, values: Values) -> Integers:
    weight = _elements(file, operator.inputs[1])
    x = values[operator.inputs[0]].reshape(-1, 1, 1, weight.shape[1])
    activation = _options(operator).integer(0, "b")
    y = _product(file, operator, x, weight[:, None, None, :], {}, activation)
    return y.reshape(file.tensors[operator.outputs[0]].shape)


def _matrix_product(file: TfliteFile, operator: FileOperator, values: Values) -> Integers:
    """Multiply matrices, of which the second one is constant: weights [in][out]."""
    weight, x = _elements(file, operator.inputs[1]).T, values[operator.inputs[0]]
    y = _product(file, operator, x.reshape(-1, 1, 1, x.shape[-1]), weight[:, None, None, :], {}, 0)
    return y.reshape(file.tensors[operator.outputs[0]].shape)


def _pool(file: TfliteFile, operator: FileOperator, values: Values) -> Integers:
    options = _options(operator)
    attributes = _window(options) | {
        "kernel_width": options.integer(3),
        "kernel_height": options.integer(4),
    }
    result = quantization_of(file.tensors[operator.outputs[0]])
    limits = result.clamped(_ACTIVATIONS[options.integer(5, "b")])
    pool = quantized.max_pool if operator.kind == "MAX_POOL_2D" else quantized.average_pool
    return pool(values[operator.inputs[0]], attributes, limits)


def _of_two(file: TfliteFile, operator: FileOperator, values: Values) -> Integers:
    compute = {"MUL": quantized.multiply, "SUB": quantized.subtract}.get(operator.kind, quantized.add)
    a, b = (_operand(file, index, values) for index in operator.inputs)
    of_a, of_b, result = _quantizations(file, operator, 2)
    activation = operator.options.integer(0, "b") if operator.options else 0
    return compute(a, of_a, b, of_b, result, _ACTIVATIONS[activation])


def _operand(file: TfliteFile, index: int, values: Values) -> Integers:
    """Return the integers of an operand, which may be a constant."""
    return values[index] if index in values else np.asarray(_elements(file, index), np.int64)


def _transpose(file: TfliteFile, operator: FileOperator, values: Values) -> Integers:
    return values[operator.inputs[0]].transpose(_elements(file, operator.inputs[1]))


def _slice(file: TfliteFile, operator: FileOperator, values: Values) -> Integers:
    """Return a part, which STRIDED_SLICE gives by its end and steps, and SLICE by its size."""
    first, second = (_elements(file, index).tolist() for index in operator.inputs[1:3])
    steps: list[int | None] = [None] * len(first)
    if operator.kind == "STRIDED_SLICE":
        steps = _elements(file, operator.inputs[3]).tolist()
    else:
        second = [start + extent for start, extent in zip(first, second, strict=True)]
    return values[operator.inputs[0]][tuple(map(slice, first, second, steps))]


def _gather(file: TfliteFile, operator: FileOperator, values: Values) -> Integers:
    return values[operator.inputs[0]].take(_elements(file, operator.inputs[1]), _options(operator).integer(0))


def _tile(file: TfliteFile, operator: FileOperator, values: Values) -> Integers:
    return np.tile(values[operator.inputs[0]], _elements(file, operator.inputs[1]))


def _softmax(file: TfliteFile, operator: FileOperator, values: Values) -> Integers:
    source, result = _quantizations(file, operator, 1)
    assert (result.scale, result.zero_point) == (1.0 / 256.0, result.limits[0])
    return quantized.softmax(values[operator.inputs[0]], source, _options(operator).number(0, "f"))


def _resize(file: TfliteFile, operator: FileOperator, values: Values) -> Integers:
    options = _options(operator)
    height, width = (int(extent) for extent in _elements(file, operator.inputs[1]))
    x, nearest = values[operator.inputs[0]], operator.kind == "RESIZE_NEAREST_NEIGHBOR"
    if nearest:
        corners, half_pixels = options.boolean(0), options.boolean(1)
        return quantized.resize_nearest(x, (height, width), corners=corners, half_pixels=half_pixels)
    return quantized.resize_bilinear(
        x,
        (height, width),
        file.tensors[operator.inputs[0]].dtype.name,
        corners=options.boolean(2),
        half_pixels=options.boolean(3),
    )


def _concatenation(file: TfliteFile, operator: FileOperator, values: Values) -> Integers:
    return np.concatenate(_joined(file, operator, values), _options(operator).integer(0))


def _pack(file: TfliteFile, operator: FileOperator, values: Values) -> Integers:
    return np.stack(_joined(file, operator, values), _options(operator).integer(1))


def _joined(file: TfliteFile, operator: FileOperator, values: Values) -> list[Integers]:
    *own, result = _quantizations(file, operator, len(operator.inputs))
    operands = [_operand(file, index, values) for index in operator.inputs]
    return [quantized.joined(x, source, result) for x, source in zip(operands, own, strict=True)]


def _requantized(file: TfliteFile, operator: FileOperator, values: Values) -> Integers:
    return quantized.requantized(values[operator.inputs[0]], *_quantizations(file, operator, 1))


def _absolute(file: TfliteFile, operator: FileOperator, values: Values) -> Integers:
    return quantized.absolute(values[operator.inputs[0]], *_quantizations(file, operator, 1))


def _reshape(file: TfliteFile, operator: FileOperator, values: Values) -> Integers:
    return values[operator.inputs[0]].reshape(file.tensors[operator.outputs[0]].shape)


def _logistic(file: TfliteFile, operator: FileOperator, values: Values) -> Integers:
    return quantized.logistic(values[operator.inputs[0]], _quantizations(file, operator, 1)[0])


def _hard_swish(file: TfliteFile, operator: FileOperator, values: Values) -> Integers:
    return quantized.hard_swish(values[operator.inputs[0]], *_quantizations(file, operator, 1))


def _clamped(file: TfliteFile, operator: FileOperator, values: Values) -> Integers:
    source, result = _quantizations(file, operator, 1)
    return quantized.rectified(values[operator.inputs[0]], source, result, _CLAMPS[operator.kind])


def _pad(file: TfliteFile, operator: FileOperator, values: Values) -> Integers:
    sides = [(int(before), int(behind)) for before, behind in _elements(file, operator.inputs[1])]
    zero = _quantizations(file, operator, 1)[1].zero_point
    return np.pad(values[operator.inputs[0]], sides, constant_values=zero)


def _mean(file: TfliteFile, operator: FileOperator, values: Values) -> Integers:
    axes = tuple(int(axis) for axis in _elements(file, operator.inputs[1]).reshape(-1))
    reduce = quantized.mean if operator.kind == "MEAN" else quantized.total
    result = reduce(values[operator.inputs[0]], axes, *_quantizations(file, operator, 1))
    return result.reshape(file.tensors[operator.outputs[0]].shape)


def _argument(file: TfliteFile, operator: FileOperator, values: Values) -> Integers:
    return np.argmax(values[operator.inputs[0]], axis=int(_elements(file, operator.inputs[1]).item()))


_OPERATORS: dict[str, Callable[[TfliteFile, FileOperator, Values], Integers]] = {
    "ABS": _absolute,
    "ADD": _of_two,
    "ADD_N": _of_two,
    "ARG_MAX": _argument,
    "AVERAGE_POOL_2D": _pool,
    "BATCH_MATMUL": _matrix_product,
    "CONCATENATION": _concatenation,
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "FULLY_CONNECTED": _dense,
    "GATHER": _gather,
    "HARD_SWISH": _hard_swish,
    "LOGISTIC": _logistic,
    "MAX_POOL_2D": _pool,
    "MEAN": _mean,
    "MUL": _of_two,
    "PACK": _pack,
    "PAD": _pad,
    "QUANTIZE": _requantized,
    "RELU": _clamped,
    "RELU6": _clamped,
    "RELU_0_TO_1": _clamped,
    "RELU_N1_TO_1": _clamped,
    "RESHAPE": _reshape,
    "RESIZE_BILINEAR": _resize,
    "RESIZE_NEAREST_NEIGHBOR": _resize,
    "SLICE": _slice,
    "SOFTMAX": _softmax,
    "SQUEEZE": _reshape,
    "STRIDED_SLICE": _slice,
    "SUB": _of_two,
    "SUM": _mean,
    "TILE": _tile,
    "TRANSPOSE": _transpose,
}
