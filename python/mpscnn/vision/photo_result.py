"""The base class of the results of all tasks, which converts them to dictionaries, JSON and CSV."""

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
    """The results for one photo, and information about the computation."""

    device: str
    precision: str
    reason: str
    milliseconds: float
    columns: ClassVar[tuple[str, ...]]
    """The names of the columns of `rows`."""

    def rows(self) -> list[tuple[Cell, ...]]:
        """Return the results as rows with `columns`."""
        raise NotImplementedError

    def _found(self) -> dict[str, Any]:
        """Return the results for `to_dict`."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Return the results with the device, the precision and the milliseconds, for `json.dumps`.

        Photos, class numbers of pixels, and scores of pixels are not included.
        """
        return {
            "device": self.device,
            "precision": self.precision,
            "milliseconds": round(self.milliseconds, 3),
            **self._found(),
        }

    def to_json(self) -> str:
        """Return `to_dict` as JSON on one line."""
        return json.dumps(self.to_dict())

    def to_pandas(self) -> Any:
        """Return `rows` as a pandas.DataFrame. Raises UnsupportedError without pandas."""
        try:
            pandas = import_module("pandas")
        except ImportError as error:
            raise UnsupportedError(f"to_pandas needs pandas: pip install pandas ({error})") from error
        return pandas.DataFrame(self.rows(), columns=list(self.columns))

    def to_csv(self) -> str:
        """Return `rows` as comma-separated values. The first line has the columns' names."""
        return csv_text([self.columns, *self.rows()])


def csv_text(rows: Iterable[Sequence[Cell]]) -> str:
    """Return rows as comma-separated values. Floats have as many digits as it takes to read the same float again."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
