"""What a TensorFlow Lite file says: tensors, operators, constants. Nothing is interpreted here.

Field and enumeration numbers are those of TensorFlow's schema, tensorflow/compiler/mlir/lite/schema/schema.fbs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.flatbuffer import Table
from mpscnn.errors import UnsupportedError, WeightsError

_TYPES = {
    0: "<f4", 1: "<f2", 2: "<i4", 3: "u1", 4: "<i8", 6: "?", 7: "<i2", 9: "i1", 10: "<f8", 12: "<u8",
    15: "<u4", 16: "<u2",
}  # fmt: skip

_MAX_RANK = 8  # TensorFlow Lite's own kernels take up to 6 axes

OPERATOR_NAMES = {
    0: "ADD", 1: "AVERAGE_POOL_2D", 2: "CONCATENATION", 3: "CONV_2D", 4: "DEPTHWISE_CONV_2D", 6: "DEQUANTIZE",
    9: "FULLY_CONNECTED", 14: "LOGISTIC", 17: "MAX_POOL_2D", 18: "MUL", 19: "RELU", 20: "RELU_N1_TO_1", 21: "RELU6",
    22: "RESHAPE", 23: "RESIZE_BILINEAR", 25: "SOFTMAX", 28: "TANH", 32: "CUSTOM", 34: "PAD", 36: "GATHER",
    39: "TRANSPOSE", 40: "MEAN", 41: "SUB", 42: "DIV", 43: "SQUEEZE", 45: "STRIDED_SLICE", 53: "CAST", 54: "PRELU",
    56: "ARG_MAX", 60: "PADV2", 65: "SLICE", 67: "TRANSPOSE_CONV", 70: "EXPAND_DIMS", 77: "SHAPE", 83: "PACK",
    97: "RESIZE_NEAREST_NEIGHBOR", 98: "LEAKY_RELU", 114: "QUANTIZE", 117: "HARD_SWISH",
}  # fmt: skip


@dataclass(frozen=True)
class Quantization:
    """value = (stored - zero_point) * scale, for the whole tensor or along `axis`."""

    scales: NDArray[np.float32]
    zero_points: NDArray[np.int64]
    axis: int


@dataclass(frozen=True)
class FileTensor:
    """A tensor of the graph; `data` holds the elements of a constant, as stored."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    quantization: Quantization | None
    data: NDArray[np.generic] | None


@dataclass(frozen=True)
class FileOperator:
    """An operator: inputs and outputs are tensor numbers, -1 for an optional input that is absent."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Table | None
    custom_options: bytes = b""
    """Of an operator that is not TensorFlow Lite's own."""


@dataclass(frozen=True)
class TfliteFile:
    """The first subgraph of a file."""

    origin: str
    tensors: list[FileTensor]
    operators: list[FileOperator]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read_tflite(path: Path) -> TfliteFile:
    """Reads a file. Raises WeightsError when it is missing, damaged or something else."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror or error}") from error
    if content[4:8] != b"TFL3":
        raise WeightsError(f"{path}: is not a TensorFlow Lite file (no 'TFL3' mark at byte 4)")
    try:
        return _parse(content, str(path))
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error


def _parse(content: bytes, origin: str) -> TfliteFile:
    root = Table.root(content)
    subgraphs = root.tables(2)
    if len(subgraphs) != 1:
        raise UnsupportedError(
            f"{origin}: has {len(subgraphs)} subgraphs (control flow); only one is supported"
        )
    graph = subgraphs[0]
    buffers = root.tables(4)
    kinds = [_operator_kind(code) for code in root.tables(1)]
    tensors = [_tensor(entry, buffers) for entry in graph.tables(0)]
    operators = [_operator(entry, kinds, len(tensors)) for entry in graph.tables(3)]
    inputs, outputs = (_indices(graph, field, len(tensors)) for field in (1, 2))
    return TfliteFile(origin, tensors, operators, inputs, outputs)


def _operator_kind(code: Table) -> str:
    # The number moved from a byte to an int32 when it passed 127; old files have only the byte.
    number = max(code.integer(0, "b"), code.integer(3, "i"))
    if number == 32:
        return f"CUSTOM {code.text(1)}"
    return OPERATOR_NAMES.get(number, f"operator {number}")


def _operator(entry: Table, kinds: list[str], tensors: int) -> FileOperator:
    index = entry.integer(0, "I")
    if index >= len(kinds):
        raise WeightsError(f"damaged: an operator has the kind {index} of {len(kinds)}")
    inputs, outputs = (_indices(entry, field, tensors) for field in (1, 2))
    return FileOperator(kinds[index], inputs, outputs, entry.table(4), entry.numbers(5, "u1").tobytes())


def _indices(entry: Table, field: int, tensors: int) -> tuple[int, ...]:
    numbers = tuple(int(number) for number in entry.numbers(field, "<i4"))
    if any(not -1 <= number < tensors for number in numbers):
        raise WeightsError(f"damaged: it refers to tensor {max(numbers)} of {tensors}")
    return numbers


def _tensor(entry: Table, buffers: list[Table]) -> FileTensor:
    name, number = entry.text(3), entry.integer(1, "b")
    if number not in _TYPES:
        raise UnsupportedError(f"tensor {name!r} has elements of kind {number}, which are not supported")
    dtype = np.dtype(_TYPES[number])
    shape = tuple(int(extent) for extent in entry.numbers(0, "<i4"))
    if len(shape) > _MAX_RANK:
        raise WeightsError(f"damaged: tensor {name!r} has {len(shape)} axes")
    if any(extent < 0 for extent in shape):
        raise WeightsError(f"damaged: tensor {name!r} has the shape {shape}")
    return FileTensor(
        name, shape, dtype, _quantization(entry.table(4)), _constant(entry, buffers, name, shape, dtype)
    )


def _constant(
    entry: Table, buffers: list[Table], name: str, shape: tuple[int, ...], dtype: np.dtype[np.generic]
) -> NDArray[np.generic] | None:
    index = entry.integer(2, "I")
    if index >= len(buffers):
        raise WeightsError(f"damaged: tensor {name!r} refers to buffer {index} of {len(buffers)}")
    raw = buffers[index].numbers(0, "u1")
    if raw.size == 0:
        return None
    wanted = dtype.itemsize
    for extent in shape:
        wanted *= extent
    if raw.size != wanted:
        raise WeightsError(f"damaged: tensor {name!r} {shape} has {raw.size} bytes instead of {wanted}")
    return raw.view(dtype).reshape(shape)


def _quantization(entry: Table | None) -> Quantization | None:
    if entry is None:
        return None
    scales = np.asarray(entry.numbers(2, "<f4"), np.float32)
    zero_points = np.asarray(entry.numbers(3, "<i8"), np.int64)
    if scales.size == 0:
        return None
    if zero_points.size == 0:
        zero_points = np.zeros(scales.size, np.int64)
    if scales.size != zero_points.size:
        raise WeightsError(f"damaged: {scales.size} scales, but {zero_points.size} zero points")
    return Quantization(scales, zero_points, entry.integer(6))
