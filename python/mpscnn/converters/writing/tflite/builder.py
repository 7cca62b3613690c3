"""Build a TensorFlow Lite graph: tensors, constants and operators."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.layer_names import LayerNames
from mpscnn.converters.reading.tflite.flatbuffer_builder import Data, Field, Fields, Number, flatbuffer
from mpscnn.converters.reading.tflite.names import CUSTOM, element_type_number, operator_number
from mpscnn.converters.values.integer_limits import Grid
from mpscnn.converters.writing.tflite.options import version_of, written_options
from mpscnn.converters.writing.tflite.shared_memory import Step, overwriting

Array = NDArray[Any]

_VERSION = 3
_IDENTIFIER = b"TFL3"
_ALIGNMENT = 16  # LiteRT maps files and reads constants where they lie
_BYTE = 127  # the largest operator number that fits into the schema's first field for it
_SHARED_SIZE = 1024  # constants of up to this many bytes are compared, so that equal ones are stored once
_SIGNATURE = "serving_default"


@dataclass(frozen=True)
class Value:
    """A tensor of the graph.

    Attributes:
        number: the number of the tensor.
        shape: the shape for one image. The first axis is the batch, unless a writer has transposed it.
        dtype: the type of its elements.
        grid: the quantization of a tensor of 8-bit integers with one scale; None for other tensors.
    """

    number: int
    shape: tuple[int, ...]
    dtype: str = "float32"
    grid: Grid | None = None


@dataclass
class _Tensor:
    name: str
    shape: tuple[int, ...]
    dtype: str
    buffer: int = 0
    scales: Array | None = None
    zero_points: Array | None = None
    axis: int = 0
    has_free_batch: bool = False
    is_variable: bool = False

    def written(self) -> Fields:
        fields: dict[int, Field] = {
            0: np.asarray(self.shape, np.int32),
            1: Number("b", element_type_number(self.dtype)),
            2: Number("I", self.buffer),
            3: self.name,
        }
        if self.scales is not None and self.zero_points is not None:
            fields[4] = {
                2: self.scales.astype(np.float32),
                3: self.zero_points.astype(np.int64),
                6: Number("i", self.axis),
            }
        if self.is_variable:
            fields[5] = Number("?", True)
        if self.has_free_batch:
            fields[7] = np.asarray([-1, *self.shape[1:]], np.int32)
        return fields


class Builder:
    """Collects the tensors, constants and operators of a graph.

    Attributes:
        has_free_batch: whether inputs and outputs may have any number of images.
    """

    def __init__(self) -> None:
        self.has_free_batch = True
        #: The layers whose activation clips to the range of their integers, which needs no operator.
        self.limited: set[str] = set()
        #: The operand of each reshape, by the number of its result.
        self.reshape_sources: dict[int, Value] = {}
        self._names = LayerNames()
        self._tensors: list[_Tensor] = []
        self._buffers: list[Fields] = [{}]
        self._operators: list[dict[int, Field]] = []
        self._codes: dict[tuple[str, int], int] = {}
        self._shared: dict[Any, Value] = {}
        self._inputs: list[Value] = []
        self._outputs: list[tuple[str, Value]] = []

    # ---- Tensors ---------------------------------------------------------------------------------------------------

    def reserve(self, names: Sequence[str]) -> None:
        """Keep these names for `rename`."""
        self._names.take(names)

    def tensor(
        self, name: str, shape: Sequence[int], dtype: str = "float32", grid: Grid | None = None
    ) -> Value:
        """Add a tensor that an operator will compute. It gets a number after its name if the name is taken."""
        made = _Tensor(self._names.unique(name), tuple(int(extent) for extent in shape), dtype)
        if grid is not None:
            made.scales, made.zero_points = np.asarray([grid.step]), np.asarray([grid.zero_point])
        self._tensors.append(made)
        return Value(len(self._tensors) - 1, made.shape, dtype, grid)

    def rename(self, value: Value, name: str) -> None:
        """Give a tensor a name of `reserve`."""
        self._tensors[value.number].name = name

    def constant(
        self,
        values: Array,
        name: str,
        *,
        scales: Array | None = None,
        zero_points: Array | None = None,
        axis: int = 0,
    ) -> Value:
        """Add a constant.

        Args:
            values: the elements. Their type is that of the tensor.
            name: the name of the tensor.
            scales, zero_points: the quantization of integers: one number, or one for each index of `axis`.
            axis: the axis that has several scales.
        """
        content = np.ascontiguousarray(values)
        key = None
        if content.nbytes <= _SHARED_SIZE and scales is None:
            key = content.dtype.name, content.shape, content.tobytes()
            if key in self._shared:
                return self._shared[key]
        made = self.tensor(name, content.shape, content.dtype.name)
        self._buffers.append({0: Data(content.reshape(-1).view(np.uint8).data, _ALIGNMENT)})
        entry = self._tensors[made.number]
        entry.buffer = len(self._buffers) - 1
        entry.scales, entry.zero_points, entry.axis = scales, zero_points, axis
        if key is not None:
            self._shared[key] = made
        return made

    def state(self, name: str, shape: Sequence[int]) -> Value:
        """Add a state of a recurrent operator, which is zero before the first run."""
        made = self.tensor(name, shape)
        self._tensors[made.number].is_variable = True
        return made

    def input(
        self, name: str, shape: Sequence[int], dtype: str = "float32", grid: Grid | None = None
    ) -> Value:
        """Add an input of the graph, which has a name of `reserve`."""
        made = self.tensor(name, shape, dtype, grid)
        self.rename(made, name)
        self._inputs.append(made)
        return made

    def output(self, name: str, value: Value) -> None:
        """Add an output of the graph. `name` is the name that programs find it by."""
        self._outputs.append((name, value))

    def name_of(self, value: Value) -> str:
        """Return the name of a tensor."""
        return self._tensors[value.number].name

    # ---- Operators -------------------------------------------------------------------------------------------------

    def add(
        self, kind: str, inputs: Sequence[Value | None], results: Sequence[Value], **options: Any
    ) -> None:
        """Add an operator that computes `results`. An input of None is left out."""
        fields = self._operator(
            kind, inputs, results, of_integers=any(one is not None and one.grid for one in inputs)
        )
        if options:
            table, fields[4] = written_options(kind, options)
            fields[3] = Number("B", table)
        self._operators.append(fields)

    def add_custom(
        self, kind: str, inputs: Sequence[Value], results: Sequence[Value], options: bytes
    ) -> None:
        """Add a custom operator with its own options."""
        fields = self._operator(f"{_CUSTOM}{kind}", inputs, results, of_integers=False)
        self._operators.append({**fields, 5: Data(options, _ALIGNMENT)})

    def _operator(
        self, kind: str, inputs: Sequence[Value | None], results: Sequence[Value], *, of_integers: bool
    ) -> dict[int, Field]:
        code = kind, version_of(kind, of_integers=of_integers)
        numbers = [-1 if value is None else value.number for value in inputs]
        return {
            0: Number("I", self._codes.setdefault(code, len(self._codes))),
            1: np.asarray(numbers, np.int32),
            2: np.asarray([value.number for value in results], np.int32),
        }

    def _copy_overwritten(self) -> None:
        """Copy the operands that LiteRT would let an operator overwrite too early. A border of no elements copies."""
        kept = {value.number for value in (*self._inputs, *(value for _, value in self._outputs))}
        kept |= {number for number, one in enumerate(self._tensors) if one.buffer or one.is_variable}
        sizes = [math.prod(one.shape) * np.dtype(one.dtype).itemsize for one in self._tensors]
        found = list(overwriting(self._steps(), kept, sizes))
        for added, (place, number) in enumerate(found):
            given = self._tensors[number]
            copied = replace(given, name=self._names.unique(f"{given.name}/copy"))
            self._tensors.append(copied)
            original, copy = (
                Value(one, given.shape, given.dtype) for one in (number, len(self._tensors) - 1)
            )
            borders = self.constant(np.zeros((len(given.shape), 2), np.int32), f"{copied.name}/padding")
            operator = self._operator("PAD", [original, borders], [copy], of_integers=False)
            self._operators.insert(place + added, operator)
            reads = self._operators[place + added + 1][1]
            reads[reads == number] = copy.number  # type: ignore[index]

    def _steps(self) -> list[Step]:
        kinds = [kind for kind, _ in self._codes]
        return [
            Step(kinds[fields[0].value], fields[1].tolist(), fields[2].tolist())  # type: ignore[union-attr,index]
            for fields in self._operators
        ]

    # ---- The file --------------------------------------------------------------------------------------------------

    def file(self, description: str, metadata: Mapping[str, bytes]) -> bytes:
        """Return the bytes of the file, without the archive at its end.

        Args:
            description: the name of the network.
            metadata: the content of further buffers by name.
        """
        self._copy_overwritten()
        if self.has_free_batch:
            for value in (*self._inputs, *(value for _, value in self._outputs)):
                self._tensors[value.number].has_free_batch = True
        entries: list[Fields] = []
        for name, content in metadata.items():
            entries.append({0: name, 1: Number("I", len(self._buffers))})
            self._buffers.append({0: Data(content, _ALIGNMENT)})
        inputs = [(self._tensors[value.number].name, value) for value in self._inputs]
        graph: Fields = {
            0: [tensor.written() for tensor in self._tensors],
            1: np.asarray([value.number for value in self._inputs], np.int32),
            2: np.asarray([value.number for _, value in self._outputs], np.int32),
            3: self._operators,
            4: "main",
        }
        signature: Fields = {
            0: [_mapped(*entry) for entry in inputs],
            1: [_mapped(*entry) for entry in self._outputs],
            2: _SIGNATURE,
            4: Number("I", 0),
        }
        root: Fields = {
            0: Number("I", _VERSION),
            1: [_code(kind, version) for kind, version in self._codes],
            2: [graph],
            3: description,
            4: self._buffers,
            6: entries,
            7: [signature],
        }
        return flatbuffer(root, _IDENTIFIER)


_CUSTOM = "CUSTOM "


def _code(kind: str, version: int) -> Fields:
    number = CUSTOM if kind.startswith(_CUSTOM) else operator_number(kind)
    fields: dict[int, Field] = {
        0: Number("b", min(number, _BYTE)),
        2: Number("i", version),
        3: Number("i", number),
    }
    return {**fields, 1: kind.removeprefix(_CUSTOM)} if number == CUSTOM else fields


def _mapped(name: str, value: Value) -> Fields:
    return {0: name, 1: Number("I", value.number)}
