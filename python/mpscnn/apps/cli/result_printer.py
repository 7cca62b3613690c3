"""Print results of photos as text, JSON or CSV."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

import typer

from mpscnn._private.printable import printable
from mpscnn._private.report import csv_text
from mpscnn.apps.cli.output import report, show, show_as_is, show_json
from mpscnn.errors import Error, ImageError
from mpscnn.model import Model
from mpscnn.vision.photo_result import PhotoResult


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
        kind, at = ("image", {}) if moment is None else ("video", moment)
        if self._form is Form.json:
            show_json({kind: path, **at, "model": self._model.name, **result.to_dict(), **written})
        elif self._form is Form.csv:
            head = [] if self._begun else [(kind, *at, *result.columns)]
            self._begun = True
            rows = [(path, *at.values(), *row) for row in result.rows()]
            cells = [[printable(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
            show_as_is(csv_text([*head, *cells]))
        else:
            name = path if moment is None else f"{path}, {moment['time']:.3f} s"
            show(*self._text(name, result), *(f"  {file}" for file in written.values()))

    def fail(self, path: str, error: Error) -> None:
        """Report a failed photo on stderr. With --json, print an object with the error instead of the result, too."""
        message = photo_error_text(path, error)
        report(message)
        if self._form is Form.json:
            program = self._model.program
            about = {"model": self._model.name, "device": program.device, "precision": program.precision}
            show_json({"image": path, **about, "error": str(message)})


def photo_error_text(path: str, error: Exception) -> Exception | str:
    """Return an error message that names the photo."""
    # Only an ImageError names the photo; other errors come from the network.
    return error if isinstance(error, ImageError) else f"{path}: {error}"


def head_line(path: str, result: PhotoResult, *remarks: str) -> str:
    """Return the first line of a photo's printed result."""
    about = (f"{result.milliseconds:.1f} ms", result.device, result.precision, *remarks)
    return f"{path}  ({', '.join(about)})"
