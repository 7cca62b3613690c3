"""Print results of photos as text, JSON or CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import typer

from mpscnn._private.printable import printable
from mpscnn._private.report import Cell, csv_text
from mpscnn.apps.cli.output import report, show, show_as_is, show_json
from mpscnn.errors import Error
from mpscnn.model import Model
from mpscnn.vision.photo_result import PhotoResult
from mpscnn.vision.result_rows import CsvTable, RowText, failure_object, photo_error_text, result_object


class Form(Enum):
    """The output format."""

    text = "text"
    json = "json"
    csv = "csv"


def output_format(as_json: bool, as_csv: bool) -> Form:
    """Return the output format that --json and --csv select."""
    if as_json and as_csv:
        raise typer.BadParameter("choose one", param_hint="--json, --csv")
    return Form.json if as_json else Form.csv if as_csv else Form.text


def origin_of(model: Model) -> dict[str, str]:
    """Return the name, the device and the precision of a model, by the names that results have for them."""
    program = model.program
    return {"model": model.name, "device": program.device, "precision": program.precision}


def text_of_rows(model: Model, output: Path) -> RowText:
    """Return what turns the results of a model into the text of a file of rows."""
    calibrated, as_json = model.calibration is not None, output.suffix.lower() == ".jsonl"
    return RowText(model.task, origin_of(model), calibrated=calibrated, as_json=as_json)


class ResultPrinter:
    """Prints the results of photos one by one: one JSON object a line, a CSV table, or text.

    Args:
        model: the model that computes the results.
        form: the output format.
        text: returns the lines for a photo's path and its result.
    """

    def __init__(self, model: Model, form: Form, text: Callable[[str, Any], list[str]]) -> None:
        self._model = model
        self._form = form
        self._text = text
        self._table = CsvTable(model.task, calibrated=model.calibration is not None)
        self._begun = False

    def show(
        self,
        path: str,
        result: PhotoResult,
        written: Mapping[str, str],
        moment: Mapping[str, float] | None = None,
    ) -> None:
        """Print the result of a photo, and the files that were written for it.

        `moment` is the position of a video's frame; None for a photo.
        """
        if self._form is Form.json:
            show_json(result_object(self._model.name, path, result, written, moment))
        elif self._form is Form.csv:
            self._show_rows(self._table.rows(path, result, moment), moment)
        else:
            name = path if moment is None else f"{path}, {moment['time']:.3f} s"
            show(*self._text(name, result), *(f"  {file}" for file in written.values()))

    def fail(self, path: str, error: Error) -> None:
        """Report a failed photo on stderr. With --json and --csv, print a row with the error, too."""
        report(photo_error_text(path, error))
        if self._form is Form.json:
            show_json(failure_object(origin_of(self._model), path, error))
        elif self._form is Form.csv:
            self._show_rows([self._table.failure(path, error)])

    def _show_rows(self, rows: Iterable[Sequence[Cell]], moment: Mapping[str, float] | None = None) -> None:
        head = [] if self._begun else [self._table.head(moment)]
        self._begun = True
        cells = [[printable(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
        show_as_is(csv_text([*head, *cells]))


def head_line(path: str, result: PhotoResult, *remarks: str) -> str:
    """Return the first line of a photo's printed result."""
    about = (f"{result.milliseconds:.1f} ms", result.device, result.precision, *remarks)
    return f"{path}  ({', '.join(about)})"
