"""Small TensorFlow Lite files, written table by table as the schema numbers the fields."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

_TYPES = {"float32": 0, "int32": 2, "uint8": 3}

Field = tuple[int, str, Any]


@dataclass
class Tensor:
    """`data`: of a constant."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    data: Any = None


@dataclass
class Operator:
    """`options`: fields of the built-in options table; `custom`: name and bytes of a custom operator."""

    code: int
    inputs: Sequence[int]
    outputs: Sequence[int]
    options_type: int = 0
    options: Sequence[Field] = ()
    custom: tuple[str, bytes] | None = None


def constant(name: str, values: Any, dtype: str = "float32") -> Tensor:
    """A tensor with these values."""
    array = np.asarray(values, dtype)
    return Tensor(name, array.shape, dtype, array)


def write_tflite(
    tensors: Sequence[Tensor], operators: Sequence[Operator], inputs: Sequence[int], outputs: Sequence[int]
) -> bytes:
    """One subgraph; skips the test where flatbuffers is not installed."""
    flatbuffers = pytest.importorskip("flatbuffers", reason="needs flatbuffers")
    builder = flatbuffers.Builder(1024)

    def table(fields: Sequence[Field]) -> int:
        builder.StartObject(1 + max((slot for slot, _, _ in fields), default=0))
        for slot, kind, value in fields:
            getattr(builder, f"Prepend{kind}Slot")(slot, value, 0)
        return int(builder.EndObject())

    def reference(slot: int, offset: int) -> Field:
        return slot, "UOffsetTRelative", offset

    def integers(values: Sequence[int]) -> int:
        return int(builder.CreateNumpyVector(np.asarray(values, np.int32)))

    def tables(offsets: Sequence[int]) -> int:
        builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        return int(builder.EndVector())

    def buffer(data: Any) -> int:
        if data is None:
            return table(())
        raw = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
        return table([reference(0, builder.CreateNumpyVector(raw))])

    buffers = [buffer(None)] + [buffer(tensor.data) for tensor in tensors if tensor.data is not None]
    tensor_tables, next_buffer = [], 1
    for tensor in tensors:
        shape, name = integers(tensor.shape), builder.CreateString(tensor.name)
        index = 0 if tensor.data is None else next_buffer
        next_buffer += tensor.data is not None
        tensor_tables.append(
            table(
                [
                    reference(0, shape),
                    (1, "Int8", _TYPES[tensor.dtype]),
                    (2, "Uint32", index),
                    reference(3, name),
                ]
            )
        )
    codes = [_operator_code(builder, table, reference, operator) for operator in operators]
    operator_tables = []
    for index, operator in enumerate(operators):
        fields = [
            (0, "Uint32", index),
            reference(1, integers(operator.inputs)),
            reference(2, integers(operator.outputs)),
        ]
        if operator.options_type:
            fields += [(3, "Uint8", operator.options_type), reference(4, table(operator.options))]
        if operator.custom:
            raw = np.frombuffer(operator.custom[1], np.uint8)
            fields.append(reference(5, builder.CreateNumpyVector(raw)))
        operator_tables.append(table(fields))
    graph = table(
        [
            reference(0, tables(tensor_tables)),
            reference(1, integers(inputs)),
            reference(2, integers(outputs)),
            reference(3, tables(operator_tables)),
        ]
    )
    root = table(
        [
            (0, "Uint32", 3),
            reference(1, tables(codes)),
            reference(2, tables([graph])),
            reference(4, tables(buffers)),
        ]
    )
    builder.Finish(root, b"TFL3")
    return bytes(builder.Output())


def _operator_code(
    builder: Any,
    table: Callable[[Sequence[Field]], int],
    reference: Callable[[int, int], Field],
    operator: Operator,
) -> int:
    fields: list[Field] = [(0, "Int8", operator.code), (2, "Int32", 1), (3, "Int32", operator.code)]
    if operator.custom:
        fields.append(reference(1, builder.CreateString(operator.custom[0])))
    return table(fields)
