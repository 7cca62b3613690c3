"""Write a TensorFlow Lite file again from what is read of it, for a check in LiteRT."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mpscnn.converters.opening.file_bytes import FileBytes
from mpscnn.converters.reading.tflite.file import read_tflite
from mpscnn.converters.reading.tflite.flatbuffer import Table
from mpscnn.converters.reading.tflite.flatbuffer_builder import Data, Field, Fields, Number, flatbuffer
from mpscnn.converters.reading.tflite.operators import ROWS
from mpscnn.errors import UnsupportedError

_VERSION, _ALIGNMENT = 3, 64
# The options of operators that are lists of numbers, by the number of the options' type: RESHAPE and SQUEEZE.
_LISTS = {17: 0, 30: 0}
_KINDS = {1: "B", 2: "H", 4: "I", 8: "Q"}


def cut_tflite(path: Path, signature: str | None = None) -> bytes:
    """Return a TensorFlow Lite file with the operators that the outputs of a file need.

    Its metadata, signatures, other subgraphs, and buffers that no operator reads are left out.

    Args:
        path: the file, which the reader has accepted.
        signature: as for `read_tflite`.

    Raises UnsupportedError for an operator that mpscnn does not read, and the errors of the reader.
    """
    file = read_tflite(path, signature)
    root = Table.root(FileBytes(path))
    graph = root.tables(2)[file.subgraph]
    buffers, codes = root.repeated_tables(4), root.tables(1)
    operators = graph.tables(3)
    wanted, kept = set(file.outputs), []
    for place in reversed(range(len(operators))):
        operator = file.operators[place]
        if wanted.isdisjoint(operator.outputs):
            continue
        if operator.kind not in ROWS:
            raise UnsupportedError(f"{path}: its operator {operator.kind} is not run")
        wanted.update(operator.inputs)
        kept.append(place)
    kept.reverse()
    used = sorted(
        {*file.inputs, *file.outputs}
        | {
            index
            for place in kept
            for index in (*file.operators[place].inputs, *file.operators[place].outputs)
        }
        - {-1}
    )
    numbers = {index: place for place, index in enumerate(used)} | {-1: -1}
    tensors = graph.tables(0)
    stored: list[Fields] = [{}]
    made_tensors = [_tensor(tensors[index], buffers, stored) for index in used]
    used_codes = sorted({operators[place].integer(0, "I") for place in kept})

    def renumbered(indices: Any) -> np.ndarray[Any, Any]:
        return np.array([numbers[index] for index in indices], "<i4")

    made_operators = [
        _operator(
            operators[place],
            used_codes.index(operators[place].integer(0, "I")),
            renumbered(file.operators[place].inputs),
            renumbered(file.operators[place].outputs),
        )
        for place in kept
    ]
    subgraph: Fields = {
        0: made_tensors,
        1: renumbered(file.inputs),
        2: renumbered(file.outputs),
        3: made_operators,
        4: "main",
    }
    whole: Fields = {
        0: Number("I", _VERSION),
        1: [_code(codes[number]) for number in used_codes],
        2: [subgraph],
        3: "mpscnn",
        4: stored,
    }
    return flatbuffer(whole, b"TFL3")


def _code(code: Table) -> Fields:
    made: dict[int, Field] = {
        0: Number("b", code.integer(0, "b")),
        2: Number("i", code.integer(2, "i", 1)),
        3: Number("i", code.integer(3, "i")),
    }
    if code.has(1):
        made[1] = code.text(1)
    return made


def _tensor(tensor: Table, buffers: list[Table], stored: list[Fields]) -> Fields:
    if tensor.has(6):
        raise UnsupportedError(f"its sparse tensor {tensor.text(3)!r} is not run by the check")
    made: dict[int, Field] = {
        0: tensor.numbers(0, "<i4"),
        1: Number("b", tensor.integer(1, "b")),
        3: tensor.text(3),
        5: Number("B", tensor.integer(5, "B")),
        8: Number("B", tensor.integer(8, "B")),
    }
    if tensor.has(7):
        made[7] = tensor.numbers(7, "<i4")
    content = buffers[tensor.integer(2, "I")].stretch(0)
    if content.size:
        made[2] = Number("I", len(stored))
        stored.append({0: Data(content.read(), _ALIGNMENT)})
    quantization = tensor.table(4)
    if quantization is not None and quantization.has(2):
        made[4] = {
            2: quantization.numbers(2, "<f4"),
            3: quantization.numbers(3, "<i8"),
            6: Number("i", quantization.integer(6)),
        }
    return made


def _operator(entry: Table, code: int, inputs: Any, outputs: Any) -> Fields:
    made: dict[int, Field] = {0: Number("I", code), 1: inputs, 2: outputs}
    for kind, options in ((3, 4), (9, 10)):
        table = entry.table(options)
        if table is not None and (number := entry.integer(kind, "B")):
            made[kind] = Number("B", number)
            made[options] = dict(_options(table, _LISTS.get(number) if kind == 3 else None))
    if entry.has(5):
        made[5] = Data(entry.numbers(5, "u1").tobytes(), 16)
        made[6] = Number("b", entry.integer(6, "b"))
    return made


def _options(table: Table, listed: int | None) -> Iterator[tuple[int, Field]]:
    """Yield the options of an operator: numbers, each with the bytes up to the next one, and a list of numbers."""
    for field, size in table.field_sizes().items():
        if field == listed:
            yield field, table.numbers(field, "<i4")
        else:
            kind = _KINDS[size]
            yield field, Number(kind, table.integer(field, kind))
