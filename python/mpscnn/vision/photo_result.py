"""The base class of the results of all tasks: as dictionaries, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any, ClassVar

from mpscnn._private.expected_names import Expected
from mpscnn.errors import UnsupportedError

__all__ = ["Cell", "PhotoResult", "csv_text"]

Cell = str | int | float


class PhotoResult(Expected):
    """The results on one photo, and how they were computed."""

    device: str
    precision: str
    reason: str
    milliseconds: float
    columns: ClassVar[tuple[str, ...]]
    """Names of what a row has."""

    def rows(self) -> list[tuple[Cell, ...]]:
        """Return the results, as a table with `columns`."""
        raise NotImplementedError

    def _found(self) -> dict[str, Any]:
        """Return the same for `to_dict`."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Everything but photo and pixels, of types that `json.dumps` takes."""
        return {
            "device": self.device,
            "precision": self.precision,
            "milliseconds": round(self.milliseconds, 3),
            **self._found(),
        }

    def to_json(self) -> str:
        """`to_dict` as JSON on one line."""
        return json.dumps(self.to_dict())

    def to_pandas(self) -> Any:
        """Return `rows` as a pandas.DataFrame. Raises UnsupportedError without pandas."""
        try:
            pandas = import_module("pandas")
        except ImportError as error:
            raise UnsupportedError(f"to_pandas needs pandas: pip install pandas ({error})") from error
        return pandas.DataFrame(self.rows(), columns=list(self.columns))

    def to_csv(self) -> str:
        """`rows` as comma-separated values, with a line of their names first."""
        return csv_text([self.columns, *self.rows()])


def csv_text(rows: Iterable[Sequence[Cell]]) -> str:
    """Lines of comma-separated values. Floats have the digits that tell them from others."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
