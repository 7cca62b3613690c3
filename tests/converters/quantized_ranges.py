"""Write TensorFlow Lite files of one operator, with any quantization of its operands and its result, or with floats.

There is a case for each operator that LiteRT computes in 8-bit integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from converters.tflite_writer import CODES, Field, Operator, Tensor, constant, quantized, write_tflite

X = (1, 4, 6, 8)
_WINDOW: list[Field] = [(0, "Int8", 1), (1, "Int32", 1), (2, "Int32", 1)]
_POOL: list[Field] = [*_WINDOW, (3, "Int32", 2), (4, "Int32", 2)]

Grid = tuple[float, int]
"""Scale and zero point."""


@dataclass
class Case:
    """An operator, and the shapes and settings of its file.

    Attributes:
        result: the shape of the result.
        inputs: the shapes of the tensors that it reads.
        settings: constants of 32-bit integers, which follow the inputs.
        first: how many of the settings precede the inputs instead.
        options: the type and the fields of the table of options.
        weights: the shape of the 8-bit weights, which follow the inputs; None if there are none.
        weights_axis: the axis of the output channels; negative if there is none.
        biases: the number of biases, which follow the weights.
        results: the number of results, which all have the shape `result`.
        activation: the number of the option that states the fused activation; None if the operator has no such option.
        versions: the operator's versions for uint8 and int8.
    """

    result: tuple[int, ...] = X
    inputs: Sequence[tuple[int, ...]] = (X,)
    settings: Sequence[Any] = ()
    first: int = 0
    options: tuple[int, Sequence[Field]] = (0, ())
    weights: tuple[int, ...] | None = None
    weights_axis: int = 0
    biases: int = 0
    results: int = 1
    activation: int | None = None
    versions: tuple[int, int] = field(default=(1, 2))


#: Operators without quantized results in LiteRT: comparisons, and operators on floats or longer integers only.
WITHOUT_RANGE = {
    "ADD_N", "ARG_MAX", "ARG_MIN", "CAST", "CEIL", "COS", "CUMSUM", "CUSTOM TFLite_Detection_PostProcess",
    "DENSIFY", "DEQUANTIZE", "EQUAL", "FAKE_QUANT", "FLOOR", "FLOOR_DIV", "FLOOR_MOD", "GREATER", "GREATER_EQUAL",
    "L2_POOL_2D", "LESS", "LESS_EQUAL", "LOCAL_RESPONSE_NORMALIZATION", "LOGICAL_AND", "LOGICAL_NOT", "LOGICAL_OR",
    "NOT_EQUAL", "ONE_HOT", "POW", "REDUCE_ALL", "REDUCE_ANY", "ROUND", "SIGN", "SIN", "SQUARE", "ZEROS_LIKE",
}  # fmt: skip

CASES = {
    "ABS": Case(options=(78, ())),
    "ADD": Case(inputs=(X, X), options=(11, ()), activation=0),
    "AVERAGE_POOL_2D": Case((1, 3, 5, 8), options=(5, _POOL), activation=5),
    "BATCH_MATMUL": Case((1, 4, 5), ((1, 4, 6), (1, 6, 5)), options=(101, ()), versions=(2, 2)),
    "BROADCAST_TO": Case(
        (1, 4, 6, 8), ((1, 4, 1, 8),), ([1, 4, 6, 8],), options=(104, ()), versions=(2, 2)
    ),
    "CONCATENATION": Case((1, 4, 6, 16), (X, X), options=(10, [(0, "Int32", 3)]), activation=1),
    "CONV_2D": Case(
        (1, 3, 5, 7), weights=(7, 2, 2, 8), biases=7, options=(1, [*_WINDOW, (4, "Int32", 1), (5, "Int32", 1)]),
        activation=3, versions=(1, 3),
    ),
    "DEPTHWISE_CONV_2D": Case(
        (1, 3, 5, 8), weights=(1, 2, 2, 8), biases=8, weights_axis=3,
        options=(2, [*_WINDOW, (3, "Int32", 1), (5, "Int32", 1), (6, "Int32", 1)]), activation=4, versions=(1, 3),
    ),
    "DEPTH_TO_SPACE": Case((1, 8, 12, 2), options=(94, [(0, "Int32", 2)]), versions=(1, 1)),
    "DIV": Case(inputs=(X, X), options=(29, ()), activation=0),
    "ELU": Case(versions=(1, 1)),
    "EXP": Case(options=(33, ())),
    "EXPAND_DIMS": Case((1, 1, 4, 48), ((1, 4, 48),), ([1],), options=(52, ()), versions=(1, 1)),
    "FULLY_CONNECTED": Case(
        (1, 7), ((1, 30),), weights=(7, 30), biases=7, options=(8, ()), activation=0, versions=(1, 4),
    ),
    "GATHER": Case((1, 4, 3, 8), settings=([5, 0, 2],), options=(23, [(0, "Int32", 2)])),
    "GATHER_ND": Case((1, 3, 8), settings=([[[0, 3, 1], [0, 0, 2], [0, 1, 5]]],), options=(83, ())),
    "GELU": Case(options=(116, ())),
    "HARD_SWISH": Case(versions=(1, 1)),
    "L2_NORMALIZATION": Case(options=(12, ()), activation=0),
    "LEAKY_RELU": Case(options=(75, [(0, "Float32", 0.25)])),
    "LOG": Case(),
    "LOGISTIC": Case(versions=(1, 2)),
    "LOG_SOFTMAX": Case((1, 8), ((1, 8),), options=(36, ())),
    "MAXIMUM": Case(inputs=(X, X), options=(39, ())),
    "MAX_POOL_2D": Case((1, 3, 5, 8), options=(5, _POOL), activation=5),
    "MEAN": Case((1, 1, 1, 8), settings=([1, 2],), options=(27, [(0, "Bool", True)])),
    "MINIMUM": Case(inputs=(X, X), options=(39, ())),
    "MIRROR_PAD": Case((1, 6, 8, 8), settings=([[0, 0], [1, 1], [1, 1], [0, 0]],), options=(77, [(0, "Int8", 0)])),
    "MUL": Case(inputs=(X, X), options=(21, ()), activation=0),
    "NEG": Case(options=(42, ()), versions=(1, 1)),
    "PACK": Case((1, 2, 4, 48), ((1, 4, 48), (1, 4, 48)), options=(59, [(0, "Int32", 2), (1, "Int32", 1)])),
    "PAD": Case((1, 6, 8, 8), settings=([[0, 0], [1, 1], [1, 1], [0, 0]],), options=(22, ())),
    "PRELU": Case(weights=(1, 1, 8), weights_axis=-1, versions=(1, 1)),
    "QUANTIZE": Case(options=(89, ())),
    "REDUCE_MAX": Case((1, 1, 1, 8), settings=([1, 2],), options=(27, [(0, "Bool", True)])),
    "REDUCE_MIN": Case((1, 1, 1, 8), settings=([1, 2],), options=(27, [(0, "Bool", True)])),
    "REDUCE_PROD": Case((1, 1, 6, 8), ((1, 2, 6, 8),), ([1],), options=(27, [(0, "Bool", True)])),
    "RELU": Case(),
    "RELU6": Case(),
    "RELU_0_TO_1": Case(versions=(1, 1)),
    "RELU_N1_TO_1": Case(versions=(1, 1)),
    "RESHAPE": Case((1, 24, 8), settings=([1, 24, 8],), options=(17, ()), versions=(1, 1)),
    "RESIZE_BILINEAR": Case((1, 7, 9, 8), settings=([7, 9],), options=(15, ())),
    "RESIZE_NEAREST_NEIGHBOR": Case((1, 7, 9, 8), settings=([7, 9],), options=(74, ())),
    "REVERSE_V2": Case(settings=([2],), options=(81, ()), versions=(1, 1)),
    "RSQRT": Case(),
    "SLICE": Case((1, 2, 3, 4), settings=([0, 1, 2, 3], [1, 2, 3, 4]), options=(48, ())),
    "SOFTMAX": Case((1, 8), ((1, 8),), options=(9, [(0, "Float32", 1.0)])),
    "SPACE_TO_DEPTH": Case((1, 2, 3, 32), options=(19, [(0, "Int32", 2)])),
    "SPLIT": Case((1, 4, 6, 4), settings=([3],), first=1, options=(35, [(0, "Int32", 2)]), results=2),
    "SPLIT_V": Case((1, 4, 6, 4), settings=([4, 4], [3]), options=(79, [(0, "Int32", 2)]), results=2),
    "SQRT": Case(),
    "SQUARED_DIFFERENCE": Case(inputs=(X, X), options=(76, ())),
    "SQUEEZE": Case((2, 4, 8), ((2, 4, 1, 8),), options=(30, ()), versions=(1, 1)),
    "STRIDED_SLICE": Case(
        (1, 2, 3, 4), settings=([0, 0, 0, 0], [1, 4, 6, 8], [1, 2, 2, 2]), options=(32, ()),
    ),
    "SUB": Case(inputs=(X, X), options=(28, ()), activation=0),
    "SUM": Case((1, 1, 6, 8), ((1, 2, 6, 8),), ([1],), options=(27, [(0, "Bool", True)])),
    "TANH": Case(),
    "TILE": Case((1, 8, 6, 8), settings=([1, 2, 1, 1],), options=(51, ()), versions=(1, 1)),
    "TRANSPOSE": Case((1, 8, 4, 6), settings=([0, 3, 1, 2],), options=(26, ())),
    "TRANSPOSE_CONV": Case(
        (1, 5, 7, 7), weights=(7, 2, 2, 8), settings=([1, 5, 7, 7],), first=1, options=(49, _WINDOW), activation=3,
        versions=(1, 2),
    ),
    "UNPACK": Case((1, 6, 8), options=(64, [(0, "Int32", 4), (1, "Int32", 1)]), results=4),
}  # fmt: skip
#: Operators that LiteRT computes only in floats and in integers without a scale.
FLOAT_CASES = {
    **dict.fromkeys(("CEIL", "COS", "FLOOR", "ROUND", "SIGN", "SIN", "SQUARE"), Case(versions=(1, 1))),
    **dict.fromkeys(("ADD_N", "FLOOR_DIV", "FLOOR_MOD", "POW"), Case(inputs=(X, X), versions=(1, 1))),
    "CUMSUM": Case(settings=([3],), options=(102, ()), versions=(1, 1)),
    "L2_POOL_2D": Case((1, 3, 5, 8), options=(5, _POOL), activation=5, versions=(1, 1)),
    "LOCAL_RESPONSE_NORMALIZATION": Case(options=(13, [(0, "Int32", 1)]), versions=(1, 1)),
}


def file_of(
    kind: str,
    dtype: str,
    source: Grid | list[Grid],
    result: Grid,
    *,
    activation: int = 0,
    seed: int = 0,
    version: int | None = None,
    case: Case | None = None,
) -> bytes:
    """Return a file of one operator.

    Args:
        kind: the operator: a key of `CASES`, or of `FLOAT_CASES` for types without a scale.
        dtype: the type of operands and results. All types except uint8 and int8 have no scale.
        source: the quantization of all operands, or of each.
        result: the quantization of the results.
        activation: the schema's number of the fused activation.
        seed: the seed of the weights.
        version: the operator's version; None: that of its case.
        case: a changed case; None: that of the tables.
    """
    case, draw = case or (CASES | FLOAT_CASES)[kind], np.random.default_rng(seed)
    sources = list(source) if isinstance(source, list) else [source] * len(case.inputs)
    tensors: list[Tensor] = []
    read: list[int] = []

    def add(tensor: Tensor) -> int:
        tensors.append(tensor)
        read.append(len(tensors) - 1)
        return read[-1]

    settings = [constant(f"setting{i}", numbers, "int32") for i, numbers in enumerate(case.settings)]
    for tensor in settings[: case.first]:
        add(tensor)
    if kind == "TRANSPOSE_CONV":
        _add_weights(case, dtype, draw, add, sources[0])
    given = [
        add(_tensor(f"x{i}", shape, dtype, own))
        for i, (shape, own) in enumerate(zip(case.inputs, sources, strict=True))
    ]
    if case.weights is not None and kind != "TRANSPOSE_CONV":
        _add_weights(case, dtype, draw, add, sources[0])
    for tensor in settings[case.first :]:
        add(tensor)
    outputs = []
    for number in range(case.results):
        tensors.append(_tensor(f"y{number}", case.result, dtype, result))
        outputs.append(len(tensors) - 1)
    number, fields = case.options
    if activation:
        assert case.activation is not None
        fields = [*fields, (case.activation, "Int8", activation)]
    version = version or case.versions[0 if dtype == "uint8" else 1]
    operator = Operator(CODES[kind], read, outputs, number, fields, version=version)
    return write_tflite(tensors, [operator], given, outputs)


def _tensor(name: str, shape: tuple[int, ...], dtype: str, grid: Grid) -> Tensor:
    tensor = Tensor(name, shape, dtype)
    return quantized(tensor, [grid[0]], [grid[1]]) if dtype in ("uint8", "int8") else tensor


def _add_weights(case: Case, dtype: str, draw: np.random.Generator, add: Any, source: Grid) -> None:
    assert case.weights is not None
    scale, middle = 0.01, 128 if dtype == "uint8" else 0
    integers, biases = draw.integers(-90, 91, case.weights), draw.integers(-2000, 2000, case.biases)
    if dtype == "float32":
        add(constant("weights", integers * scale))
        if case.biases:
            add(constant("biases", biases * scale * source[0]))
        return
    values = (integers + middle).astype(dtype)
    add(quantized(constant("weights", values, dtype), [scale], [middle], max(case.weights_axis, 0)))
    if case.biases:
        add(quantized(constant("biases", biases, "int32"), [scale * source[0]], [0]))
