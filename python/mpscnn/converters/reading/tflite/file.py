"""Parse a TensorFlow Lite file: tensors, operators and constants. Operators are not interpreted here.

Field numbers are those of TensorFlow's schema, tensorflow/compiler/mlir/lite/schema/schema.fbs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.finishing.left_out import left_out
from mpscnn.converters.opening.file_bytes import FileBytes, MemoryBytes
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading.tflite.flatbuffer import Stretch, Table
from mpscnn.converters.reading.tflite.metadata import NAME as METADATA
from mpscnn.converters.reading.tflite.metadata import NO_METADATA, OWN, Metadata, read_metadata
from mpscnn.converters.reading.tflite.names import CUSTOM, element_type_name, operator_name
from mpscnn.converters.reading.tflite.sparse import Sparsity, read_sparsity
from mpscnn.errors import ParameterError, UnsupportedError, WeightsError

_TYPES = {
    0: "<f4", 1: "<f2", 2: "<i4", 3: "u1", 4: "<i8", 6: "?", 7: "<i2", 9: "i1", 10: "<f8", 12: "<u8",
    15: "<u4", 16: "<u2",
}  # fmt: skip

_DEFAULT_SIGNATURE = "serving_default"
_MAX_RANK = 8  # TensorFlow Lite's own kernels take up to 6 axes


@dataclass(frozen=True)
class Quantization:
    """A quantization: value = (stored - zero_point) * scale, with one scale or one for each index of `axis`."""

    scales: NDArray[np.float32]
    zero_points: NDArray[np.int64]
    axis: int


@dataclass(frozen=True)
class Elements:
    """The elements of a constant. They are read from the file when they are needed."""

    bytes: Stretch
    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]

    @classmethod
    def of(cls, array: NDArray[np.generic]) -> Elements:
        """Return the elements of an array."""
        content = MemoryBytes(array.tobytes())
        return cls(Stretch(content, 0, len(content)), array.dtype, array.shape)

    def read(self) -> NDArray[np.generic]:
        """Return all elements as an array."""
        return np.frombuffer(self.bytes.read(), self.dtype).reshape(self.shape)


@dataclass(frozen=True)
class FileTensor:
    """A tensor of the graph."""

    name: str
    shape: tuple[int, ...]
    """The shape. For free extents it has an arbitrary number, usually 1."""
    dtype: np.dtype[np.generic]
    quantization: Quantization | None
    elements: Elements | None
    """The stored elements of a constant; None for other tensors."""
    free_axes: frozenset[int] = frozenset()
    sparsity: Sparsity | None = None
    """The positions of the stored elements of a sparse tensor; None: all elements are stored."""
    problem: str = ""
    """The reason why the elements cannot be read; empty if they can."""

    @property
    def extents(self) -> tuple[int | None, ...]:
        """The shape with None for extents that are free."""
        return tuple(None if axis in self.free_axes else extent for axis, extent in enumerate(self.shape))


@dataclass(frozen=True)
class FileOperator:
    """An operator. Inputs and outputs are tensor numbers, -1 for an optional input that is left out."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Table | None
    custom_options: bytes = b""
    """The options of a custom operator."""


@dataclass(frozen=True)
class TfliteFile:
    """One subgraph of a file."""

    origin: str
    tensors: list[FileTensor]
    operators: list[FileOperator]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    size: int
    """The size of the file in bytes."""
    metadata: Metadata = NO_METADATA
    subgraph: int = 0
    """The number of the subgraph in the file."""
    notes: Sequence[str] = ()
    """Sentences about parts of the file that are not read."""
    input_names: Mapping[int, str] = field(default_factory=dict)
    """The names of inputs in the signature, by tensor number; empty without a signature."""
    output_names: tuple[str, ...] = ()
    """The names of all outputs in the signature; empty without a signature."""

    @cached_property
    def users(self) -> dict[int, list[FileOperator]]:
        """For each tensor's number, the operators that read the tensor, in the order of the file."""
        users: dict[int, list[FileOperator]] = {}
        for operator in self.operators:
            for index in set(operator.inputs):
                users.setdefault(index, []).append(operator)
        return users

    @cached_property
    def makers(self) -> dict[int, FileOperator]:
        """The operator that computes a tensor, by tensor number."""
        return {index: operator for operator in self.operators for index in operator.outputs}


def read_tflite(path: Path, signature: str | None = None) -> TfliteFile:
    """Read a file.

    Args:
        path: the file.
        signature: the name of the signature to read; None: "serving_default", or the first one if there is none of this
            name.

    Raises WeightsError if the file is missing, damaged or not a TensorFlow Lite file, ParameterError if it does not
    have the signature, and UnsupportedError for tensors with too many axes and for lists that share places.
    """
    content = FileBytes(path)
    if content.read(4, 4) != b"TFL3":
        raise WeightsError(f"{path}: is not a TensorFlow Lite file (no 'TFL3' mark at byte 4)")
    try:
        return _parse(content, str(path), signature)
    except (ParameterError, UnsupportedError, WeightsError) as error:
        raise type(error)(f"{path}: {error}") from error


def _parse(content: FileBytes, origin: str, signature: str | None) -> TfliteFile:
    root = Table.root(content)
    subgraphs = root.tables(2)
    described = {entry.text(2): entry for entry in root.tables(7)}
    signatures = {name: entry.integer(4, "I") for name, entry in described.items()}
    chosen = _signature(signatures, signature)
    number = _subgraph_number(signatures, len(subgraphs), chosen)
    graph = subgraphs[number]
    entries = root.repeated_tables(4)  # writers list the empty buffer for every tensor without elements
    contents = {entry: _buffer(entry) for entry in dict.fromkeys(entries)}
    buffers = [contents[entry] for entry in entries]
    kinds = [_operator_kind(code) for code in root.tables(1)]
    tensors = [_tensor(entry, buffers) for entry in graph.tables(0)]
    operators = [_operator(entry, kinds, len(tensors)) for entry in graph.tables(3)]
    inputs, outputs = (_indices(graph, field, len(tensors)) for field in (1, 2))
    if min(inputs + outputs, default=0) < 0 or len(set(inputs)) < len(inputs):
        raise WeightsError("damaged: an input or output is absent, or is one twice")
    metadata = _metadata(root, buffers, content)
    named_inputs, named_outputs = (
        _places(described.get(chosen or ""), slot, len(tensors)) for slot in (0, 1)
    )
    named_outputs = _in_order(named_outputs, outputs)
    outputs = tuple(index for _, index in named_outputs) or outputs
    others = [quote_name(name) for name in signatures if name != chosen]
    return TfliteFile(
        origin,
        tensors,
        operators,
        inputs,
        outputs,
        len(content),
        metadata,
        number,
        left_out("other signatures", others),
        {index: name for name, index in named_inputs},
        tuple(name for name, _ in named_outputs),
    )


def _in_order(named: Sequence[tuple[str, int]], outputs: Sequence[int]) -> list[tuple[str, int]]:
    """Return a signature's outputs in the order of the subgraph's, and those that the subgraph does not list last."""
    left = list(named)
    found = []
    for index in outputs:
        entry = next((entry for entry in left if entry[1] == index), None)
        if entry is not None:
            left.remove(entry)
            found.append(entry)
    return found + left


def _places(signature: Table | None, slot: int, tensors: int) -> list[tuple[str, int]]:
    """Return the names and tensor numbers of a signature's inputs (slot 0) or outputs (slot 1)."""
    listed = [] if signature is None else signature.tables(slot)
    found = [(entry.text(0), entry.integer(1, "I")) for entry in listed]
    for name, index in found:
        if index >= tensors:
            raise WeightsError(
                f"damaged: its signature says that {quote_name(name)} is tensor {index} of {tensors}"
            )
    return found


def _metadata(root: Table, buffers: list[Stretch | None], content: FileBytes) -> Metadata:
    stored: dict[str, Stretch] = {}
    for entry in root.tables(6):
        name, index = entry.text(0), entry.integer(1, "I")
        if name != METADATA and not name.startswith(OWN):
            continue
        found = buffers[index] if index < len(buffers) else None
        if found is None:
            raise WeightsError(f"damaged: its metadata are buffer {index} of {len(buffers)}")
        stored.setdefault(name, found)
    described = stored.pop(METADATA, None)
    metadata = NO_METADATA if described is None else read_metadata(described.read(), content.path)
    return replace(
        metadata, own={name: own.read().decode("utf-8", "replace") for name, own in stored.items()}
    )


def _signature(signatures: Mapping[str, int], wanted: str | None) -> str | None:
    """Return the signature to read: `wanted`, "serving_default", or the first of the first subgraph; None: no one."""
    if wanted is not None and wanted not in signatures:
        known = ", ".join(quote_name(key) for key in list(signatures)[:8]) or "none"
        raise ParameterError(f"it has no signature {quote_name(wanted)}; its signatures: {known}")
    if wanted is not None or _DEFAULT_SIGNATURE in signatures:
        return wanted or _DEFAULT_SIGNATURE
    return min(signatures, key=lambda name: signatures[name], default=None)


def _subgraph_number(signatures: Mapping[str, int], count: int, chosen: str | None) -> int:
    """Return the number of a signature's subgraph. Other subgraphs are bodies of operators such as WHILE."""
    if not count:
        raise WeightsError("damaged: has no subgraph")
    number = 0 if chosen is None else signatures[chosen]
    if number >= count:
        raise WeightsError(f"damaged: its signature is of subgraph {number} of {count}")
    return number


def _operator_kind(code: Table) -> str:
    # The number moved from a byte to an int32 when it passed 127; old files have only the byte.
    number = max(code.integer(0, "b"), code.integer(3, "i"))
    return f"CUSTOM {code.text(1)}" if number == CUSTOM else operator_name(number)


def _operator(entry: Table, kinds: list[str], tensors: int) -> FileOperator:
    index = entry.integer(0, "I")
    if index >= len(kinds):
        raise WeightsError(f"damaged: an operator has the kind {index} of {len(kinds)}")
    inputs, outputs = (_indices(entry, field, tensors) for field in (1, 2))
    return FileOperator(kinds[index], inputs, outputs, entry.table(4), entry.numbers(5, "u1").tobytes())


def _indices(entry: Table, field: int, tensors: int) -> tuple[int, ...]:
    numbers = tuple(int(number) for number in entry.numbers(field, "<i4"))
    for number in numbers:
        if not -1 <= number < tensors:
            raise WeightsError(f"damaged: it refers to tensor {number} of {tensors}")
    return numbers


def _tensor(entry: Table, buffers: list[Stretch | None]) -> FileTensor:
    name, kind = entry.text(3), entry.integer(1, "b")
    shape, signature = _extents(entry, 0, name), _extents(entry, 7, name)
    if any(extent < 0 for extent in shape):
        raise WeightsError(f"damaged: tensor {quote_name(name)} has the shape {shape}")
    if signature and len(signature) != len(shape):
        raise WeightsError(f"damaged: tensor {quote_name(name)} has the shapes {shape} and {signature}")
    dtype = np.dtype(_TYPES.get(kind, "V1"))
    index = entry.integer(2, "I")
    if index >= len(buffers):
        raise WeightsError(f"damaged: tensor {quote_name(name)} refers to buffer {index} of {len(buffers)}")
    raw, elements, problem, sparsity = buffers[index], None, "", None
    if kind not in _TYPES:
        problem = f"has elements of type {element_type_name(kind)}, which are not supported"
    elif raw is None:
        problem = "has its elements after the file's FlatBuffer, which is not supported"
    else:
        described = entry.table(6)
        if described is not None and raw.size:
            sparsity = read_sparsity(described, len(shape))
            elements = _constant(raw, name, (raw.size // dtype.itemsize,), dtype)
        else:
            elements = _constant(raw, name, shape, dtype)
    return FileTensor(
        name,
        shape,
        dtype,
        _quantization(entry.table(4)),
        elements,
        frozenset(axis for axis, extent in enumerate(signature) if extent < 0),
        sparsity,
        problem and f"tensor {quote_name(name)} {problem}",
    )


def _extents(entry: Table, field: int, name: str) -> tuple[int, ...]:
    numbers = entry.numbers(field, "<i4")
    if len(numbers) > _MAX_RANK:
        raise UnsupportedError(
            f"tensor {quote_name(name)} has {len(numbers)} axes; supported are {_MAX_RANK}"
        )
    return tuple(int(number) for number in numbers)


def _buffer(entry: Table) -> Stretch | None:
    """Return the data of a constant; None if it lies after the FlatBuffer, as in files of more than 2 GB."""
    return None if entry.integer(1, "Q") > 1 else entry.stretch(0)


def _constant(
    raw: Stretch, name: str, shape: tuple[int, ...], dtype: np.dtype[np.generic]
) -> Elements | None:
    if raw.size == 0:
        return None
    wanted = dtype.itemsize
    for extent in shape:
        wanted *= extent
    if raw.size != wanted:
        raise WeightsError(
            f"damaged: tensor {quote_name(name)} {shape} has {raw.size} bytes instead of {wanted}"
        )
    return Elements(raw, dtype, shape)


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
    limits = np.iinfo(np.int32)
    if zero_points.size and (zero_points.min() < limits.min or zero_points.max() > limits.max):
        raise WeightsError("damaged: a zero point has more than 32 bits")
    return Quantization(scales, zero_points, entry.integer(6))
