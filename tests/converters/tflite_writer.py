"""Write small TensorFlow Lite files, table by table, with the field numbers of the schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from mpscnn.converters.reading.tflite import names

_TYPES = {
    "float32": 0,
    "float16": 1,
    "int32": 2,
    "uint8": 3,
    "int64": 4,
    "string": 5,
    "bool": 6,
    "int16": 7,
    "int8": 9,
    "int4": 17,
}

#: The number of each operator, by its name, and the type of its options where it has some.
CODES = {names.operator_name(code): code for code in range(256)}
OPTIONS = {
    "ADD": 11, "ARG_MAX": 40, "ARG_MIN": 57, "AVERAGE_POOL_2D": 5, "BATCH_MATMUL": 101, "BATCH_TO_SPACE_ND": 24,
    "CAST": 37, "CONCATENATION": 10, "CONV_2D": 1, "CUMSUM": 102, "DEPTHWISE_CONV_2D": 2, "DEPTH_TO_SPACE": 94,
    "DIV": 29, "EXPAND_DIMS": 52, "FAKE_QUANT": 58, "FULLY_CONNECTED": 8, "GATHER": 23, "GATHER_ND": 83,
    "L2_NORMALIZATION": 12, "L2_POOL_2D": 5, "LEAKY_RELU": 75, "LOCAL_RESPONSE_NORMALIZATION": 13,
    "LOG_SOFTMAX": 36, "MAXIMUM": 39, "MAX_POOL_2D": 5, "MEAN": 27, "MINIMUM": 39, "MIRROR_PAD": 77, "MUL": 21,
    "ONE_HOT": 61, "PACK": 59, "PAD": 22, "PADV2": 43, "REDUCE_ALL": 27, "REDUCE_ANY": 27, "REDUCE_MAX": 27,
    "REDUCE_MIN": 27, "REDUCE_PROD": 27, "RESHAPE": 17, "RESIZE_BILINEAR": 15, "RESIZE_NEAREST_NEIGHBOR": 74,
    "SLICE": 48, "SOFTMAX": 9, "SPACE_TO_DEPTH": 19, "SPLIT": 35, "SPLIT_V": 79, "SQUARED_DIFFERENCE": 76,
    "SQUEEZE": 30, "STRIDED_SLICE": 32, "SUB": 28, "SUM": 27, "TILE": 51, "TRANSPOSE": 26, "TRANSPOSE_CONV": 49,
    "UNPACK": 64,
}  # fmt: skip

Field = tuple[int, str, Any]


@dataclass
class Sparsity:
    """The form in which a sparse tensor is stored.

    Attributes:
        order: the order in which the axes are stored.
        blocks: the axes that are divided into blocks.
        levels: for each stored axis its extent, or the segments and positions of its nonzero parts.
        list_type: the type of segments and positions: 1 is int32, 2 uint16, 3 uint8.
    """

    order: Sequence[int]
    blocks: Sequence[int]
    levels: Sequence[int | tuple[Sequence[int], Sequence[int]]]
    list_type: int = 1


@dataclass
class Tensor:
    """A tensor of a file.

    Attributes:
        data: the elements of a constant; None for other tensors.
        quantization: scales and zero points.
        quantized_axis: the axis of the scales, if there are several.
        signature: the shape with -1 for free extents.
        sparsity: the form in which a sparse constant is stored; None for other tensors.
        is_variable: whether the tensor keeps its value between runs, such as a state.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    data: Any = None
    quantization: tuple[Sequence[float], Sequence[int]] | None = None
    quantized_axis: int = 0
    signature: tuple[int, ...] | None = None
    sparsity: Sparsity | None = None
    is_variable: bool = False


@dataclass
class Operator:
    """An operator of a file.

    Attributes:
        options: the fields of the table of built-in options.
        custom: the name and the bytes of a custom operator.
        intermediates: tensors whose quantization is that of numbers within the operator.
    """

    code: int
    inputs: Sequence[int]
    outputs: Sequence[int]
    options_type: int = 0
    options: Sequence[Field] = ()
    custom: tuple[str, bytes] | None = None
    version: int = 1
    intermediates: Sequence[int] = ()


@dataclass
class Subgraph:
    """A network of a file."""

    tensors: Sequence[Tensor]
    operators: Sequence[Operator]
    inputs: Sequence[int]
    outputs: Sequence[int]


@dataclass
class Signature:
    """A signature of a file.

    Attributes:
        subgraph: the index of the subgraph.
        inputs, outputs: the indices of tensors by the names in the signature.
    """

    subgraph: int
    inputs: Mapping[str, int]
    outputs: Mapping[str, int]


def constant(name: str, values: Any, dtype: str = "float32") -> Tensor:
    """Return a constant tensor with these values."""
    array = np.asarray(values, dtype)
    return Tensor(name, array.shape, dtype, array)


def strings(name: str, *values: str) -> Tensor:
    """Return a constant list of strings."""
    encoded = [value.encode() for value in values]
    ends = np.cumsum([4 * (len(values) + 2), *map(len, encoded)])
    header = np.array([len(values), *ends], "<i4").tobytes()
    return Tensor(name, (len(values),), "string", np.frombuffer(header + b"".join(encoded), np.uint8))


def quantized(tensor: Tensor, scales: Sequence[float], zero_points: Sequence[int], axis: int = 0) -> Tensor:
    """Return the tensor with a quantization, along an axis if there are several scales."""
    return replace(tensor, quantization=(scales, zero_points), quantized_axis=axis)


def write_tflite(
    tensors: Sequence[Tensor],
    operators: Sequence[Operator],
    inputs: Sequence[int],
    outputs: Sequence[int],
    *,
    repeat: Mapping[str, int] | None = None,
    share: bool = False,
    metadata: bytes | None = None,
) -> bytes:
    """Return the bytes of a file with one subgraph. The options are those of `write_subgraphs`."""
    subgraph = Subgraph(tensors, operators, inputs, outputs)
    return write_subgraphs([subgraph], repeat=repeat, share=share, metadata=metadata)


def write_metadata(
    mean: Sequence[float],
    deviation: Sequence[float],
    labels: str | None = None,
    *,
    name: str = "",
    description: str = "",
    limits: tuple[float, float] | None = None,
) -> bytes:
    """Return metadata for `write_tflite` with the normalization of an image, and the description of an output.

    Args:
        mean, deviation: the normalization.
        labels: the name of a file of labels.
        name, description: what the output is called.
        limits: the smallest and the largest value of the output.
    """
    writer = _Writer({}, False)
    builder = writer._builder
    lists = [builder.CreateNumpyVector(np.asarray(values, np.float32)) for values in (mean, deviation)]
    options = writer._table([_reference(0, lists[0]), _reference(1, lists[1])])
    unit = writer._table([(0, "Uint8", 1), _reference(1, options)])
    image = writer._table([_reference(4, writer._tables("metadata", [unit]))])
    files = []
    if labels is not None:
        files.append(writer._table([_reference(0, writer._string(labels)), (2, "Int8", 2)]))
    about = [_reference(6, writer._tables("metadata", files))]
    about += [
        _reference(place, writer._string(text)) for place, text in enumerate((name, description)) if text
    ]
    if limits is not None:
        largest, smallest = (
            builder.CreateNumpyVector(np.array([value], np.float32)) for value in reversed(limits)
        )
        about.append(_reference(5, writer._table([_reference(0, largest), _reference(1, smallest)])))
    result = writer._table(about)
    graph = writer._table(
        [
            _reference(2, writer._tables("metadata", [image])),
            _reference(3, writer._tables("metadata", [result])),
        ]
    )
    builder.Finish(writer._table([_reference(3, writer._tables("metadata", [graph]))]), b"M001")
    return bytes(builder.Output())


def write_subgraphs(
    subgraphs: Sequence[Subgraph],
    *,
    signatures: Mapping[str, int | Signature] | None = None,
    repeat: Mapping[str, int] | None = None,
    share: bool = False,
    metadata: bytes | None = None,
) -> bytes:
    """Return the bytes of a file. Skip the test if flatbuffers is not installed.

    Args:
        subgraphs: the subgraphs.
        signatures: for each signature's key the index of the subgraph, or a signature that names tensors.
        repeat: how often the last table of a list is listed again, by the list's name: "subgraphs", "tensors",
            "operators", "codes" or "buffers".
        share: whether equal strings, lists of integers, quantizations, buffers and operator codes are written once.
        metadata: the bytes of the entry TFLITE_METADATA.
    """
    return _Writer(repeat or {}, share).file(subgraphs, signatures or {}, metadata)


class _Writer:
    def __init__(self, repeat: Mapping[str, int], share: bool) -> None:
        flatbuffers = pytest.importorskip("flatbuffers", reason="needs flatbuffers")
        self._builder = flatbuffers.Builder(1024)
        self._repeat = repeat
        self._share = share
        self._written: dict[Any, int] = {}

    def file(
        self,
        subgraphs: Sequence[Subgraph],
        signatures: Mapping[str, int | Signature],
        metadata: bytes | None = None,
    ) -> bytes:
        self._buffers = [self._table(())]
        self._codes: list[int] = []
        graphs = [self._subgraph(subgraph) for subgraph in subgraphs]
        entries = []
        if metadata is not None:
            buffer = self._buffer(np.frombuffer(metadata, np.uint8))
            entries.append(
                self._table([_reference(0, self._string("TFLITE_METADATA")), (1, "Uint32", buffer)])
            )
        fields = [
            (0, "Uint32", 3),
            _reference(1, self._tables("codes", self._codes)),
            _reference(2, self._tables("subgraphs", graphs)),
            _reference(4, self._tables("buffers", self._buffers)),
        ]
        if entries:
            fields.append(_reference(6, self._tables("metadata", entries)))
        if signatures:
            defined = [self._signature(key, one) for key, one in signatures.items()]
            fields.append(_reference(7, self._tables("signatures", defined)))
        self._builder.Finish(self._table(fields), b"TFL3")
        return bytes(self._builder.Output())

    def _signature(self, key: str, signature: int | Signature) -> int:
        given = signature if isinstance(signature, Signature) else Signature(signature, {}, {})
        fields = [_reference(2, self._string(key)), (4, "Uint32", given.subgraph)]
        for slot, named in enumerate((given.inputs, given.outputs)):
            texts = [(self._string(name), index) for name, index in named.items()]
            if texts:
                entries = [self._table([_reference(0, text), (1, "Uint32", index)]) for text, index in texts]
                fields.append(_reference(slot, self._tables("names", entries)))
        return self._table(fields)

    def _subgraph(self, subgraph: Subgraph) -> int:
        tensors = [self._tensor(tensor) for tensor in subgraph.tensors]
        operators = [self._operator(operator) for operator in subgraph.operators]
        return self._table(
            [
                _reference(0, self._tables("tensors", tensors)),
                _reference(1, self._integers(subgraph.inputs)),
                _reference(2, self._integers(subgraph.outputs)),
                _reference(3, self._tables("operators", operators)),
            ]
        )

    def _tensor(self, tensor: Tensor) -> int:
        fields = [
            _reference(0, self._integers(tensor.shape)),
            (1, "Int8", _TYPES[tensor.dtype]),
            (2, "Uint32", self._buffer(tensor.data)),
            _reference(3, self._string(tensor.name)),
        ]
        if tensor.quantization:
            fields.append(_reference(4, self._quantization(*tensor.quantization, tensor.quantized_axis)))
        if tensor.is_variable:
            fields.append((5, "Bool", True))
        if tensor.sparsity:
            fields.append(_reference(6, self._sparsity(tensor.sparsity)))
        if tensor.signature:
            fields.append(_reference(7, self._integers(tensor.signature)))
        return self._table(fields)

    def _buffer(self, data: Any) -> int:
        if data is None:
            return 0
        raw = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)

        def add() -> int:
            self._buffers.append(self._table([_reference(0, self._builder.CreateNumpyVector(raw))]))
            return len(self._buffers) - 1

        return self._once(("buffer", raw.tobytes()), add)

    def _quantization(self, scales: Sequence[float], zero_points: Sequence[int], axis: int) -> int:
        def add() -> int:
            lists = [
                self._builder.CreateNumpyVector(np.asarray(values, dtype))
                for values, dtype in ((scales, np.float32), (zero_points, np.int64))
            ]
            fields = [_reference(2 + slot, offset) for slot, offset in enumerate(lists)]
            return self._table([*fields, (6, "Int32", axis)])

        return self._once(("quantization", tuple(scales), tuple(zero_points), axis), add)

    def _sparsity(self, sparsity: Sparsity) -> int:
        levels = []
        for level in sparsity.levels:
            if isinstance(level, int):
                levels.append(self._table([(1, "Int32", level)]))
                continue
            dtype = {1: np.int32, 2: np.uint16, 3: np.uint8}[sparsity.list_type]
            lists = [self._builder.CreateNumpyVector(np.asarray(values, dtype)) for values in level]
            tables = [self._table([_reference(0, one)]) for one in lists]
            fields: list[Field] = [(0, "Int8", 1)]
            for slot, table in zip((2, 4), tables, strict=True):
                fields += [(slot, "Uint8", sparsity.list_type), _reference(slot + 1, table)]
            levels.append(self._table(fields))
        listed = self._tables("levels", levels)
        return self._table(
            [
                _reference(0, self._integers(sparsity.order)),
                _reference(1, self._integers(sparsity.blocks)),
                _reference(2, listed),
            ]
        )

    def _operator(self, operator: Operator) -> int:
        fields = [
            (0, "Uint32", self._code(operator)),
            _reference(1, self._integers(operator.inputs)),
            _reference(2, self._integers(operator.outputs)),
        ]
        if operator.options_type:
            options = _reference(4, self._table(operator.options))
            fields += [(3, "Uint8", operator.options_type), options]
        if operator.custom:
            raw = np.frombuffer(operator.custom[1], np.uint8)
            fields.append(_reference(5, self._builder.CreateNumpyVector(raw)))
        if operator.intermediates:
            fields.append(_reference(8, self._integers(operator.intermediates)))
        return self._table(fields)

    def _code(self, operator: Operator) -> int:
        def add() -> int:
            byte = min(operator.code, 127)
            fields: list[Field] = [
                (0, "Int8", byte),
                (2, "Int32", operator.version),
                (3, "Int32", operator.code),
            ]
            if operator.custom:
                fields.append(_reference(1, self._string(operator.custom[0])))
            self._codes.append(self._table(fields))
            return len(self._codes) - 1

        return self._once(
            ("code", operator.code, operator.version, operator.custom and operator.custom[0]), add
        )

    def _once(self, key: Any, add: Callable[[], int]) -> int:
        if not self._share:
            return add()
        if key not in self._written:
            self._written[key] = add()
        return self._written[key]

    def _string(self, text: str) -> int:
        return self._once(("string", text), lambda: int(self._builder.CreateString(text)))

    def _integers(self, values: Sequence[int]) -> int:
        array = np.asarray(values, np.int32)
        return self._once(("integers", tuple(values)), lambda: int(self._builder.CreateNumpyVector(array)))

    def _tables(self, name: str, offsets: Sequence[int]) -> int:
        listed = [*offsets, *offsets[-1:] * self._repeat.get(name, 0)]
        self._builder.StartVector(4, len(listed), 4)
        for offset in reversed(listed):
            self._builder.PrependUOffsetTRelative(offset)
        return int(self._builder.EndVector())

    def _table(self, fields: Sequence[Field]) -> int:
        self._builder.StartObject(1 + max((slot for slot, _, _ in fields), default=0))
        for slot, kind, value in fields:
            getattr(self._builder, f"Prepend{kind}Slot")(slot, value, 0)
        return int(self._builder.EndObject())


def _reference(slot: int, offset: int) -> Field:
    return slot, "UOffsetTRelative", offset
