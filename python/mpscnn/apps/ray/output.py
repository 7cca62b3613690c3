"""Write rows to one file in their order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from mpscnn._private.files import replace_atomically
from mpscnn._private.json_text import json_line
from mpscnn._private.report import Cell, csv_text
from mpscnn.apps.ray.cluster import import_arrow
from mpscnn.apps.ray.rows import IMAGE, error_from_row, result_from_row, row_to_json, task_of
from mpscnn.errors import ParameterError
from mpscnn.vision.result_rows import CsvTable

#: Suffixes of the files that can be written.
ENDINGS = (".parquet", ".jsonl", ".csv")


class _Write(Protocol):
    def __call__(self, table: Any, /) -> None:
        """Append a table of rows."""


def check_output(path: Path, endings: tuple[str, ...] = ENDINGS) -> None:
    """Raise ParameterError if the file has another suffix. Call it before the computation."""
    if path.suffix.lower() not in endings:
        raise ParameterError(f"{path}: expected a name that ends in {', '.join(endings)}")


@contextmanager
def writer(path: Path) -> Iterator[_Write]:
    """Open a file in the format of its suffix, and yield a function that writes rows. The file appears when complete.

    Raises ParameterError if it cannot be written, before the first row is computed.
    """
    check_output(path)
    with replace_atomically(path, ParameterError) as file:
        ending = path.suffix.lower()
        if ending == ".parquet":
            with _parquet(file) as write:
                yield write
        elif ending == ".jsonl":
            yield lambda table: _write_lines(file, table)
        else:
            yield _CsvFile(file)


@contextmanager
def _parquet(file: Any) -> Iterator[_Write]:
    pa = import_arrow()
    opened: list[Any] = []

    def write(table: Any) -> None:
        if not opened:
            opened.append(pa.parquet.ParquetWriter(file, table.schema))
        opened[0].write_table(table)

    try:
        yield write
    finally:
        for one in opened:
            one.close()


def _write_lines(file: Any, table: Any) -> None:
    for row in table.to_pylist():
        file.write(json_line(row_to_json(row)).encode() + b"\n")


class _CsvFile:
    """Writes one line for each class, object or area, and for each failed photo."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._table: CsvTable | None = None

    def __call__(self, table: Any, /) -> None:
        rows: list[Sequence[Cell]] = []
        if self._table is None:
            names = table.column_names
            self._table = CsvTable(task_of(names), calibrated="unfamiliar" in names)
            rows.append(self._table.head())
        for row in table.to_pylist():
            error = error_from_row(row)
            if error is None:
                rows += self._table.rows(row[IMAGE], result_from_row(row))
            else:
                rows.append(self._table.failure(row[IMAGE], error))
        self._file.write(csv_text(rows).encode("utf-8", "backslashreplace"))
