"""The base class of the results of all tasks for one photo."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

from mpscnn._private.expected_names import accept_foreign_arguments
from mpscnn._private.files import replace_atomically
from mpscnn._private.json_text import json_line
from mpscnn._private.report import Cell, Tabular
from mpscnn.errors import ParameterError

__all__ = ["PhotoResult"]


class PhotoResult(Tabular):
    """The results for one photo, and information about the computation."""

    _other_names: ClassVar[tuple[tuple[str, str], ...]] = (
        ("draw", "plot render"),
        ("to_json", "tojson json"),
        ("milliseconds", "speed latency"),
    )

    device: str
    precision: str
    reason: str
    milliseconds: float
    columns: ClassVar[tuple[str, ...]]
    """The names of the columns of `rows`."""

    def rows(self) -> list[tuple[Cell, ...]]:
        """Return the results as rows with `columns`."""
        raise NotImplementedError

    def _named_rows(self) -> tuple[tuple[str, ...], list[tuple[Cell, ...]]]:
        return self.columns, self.rows()

    def draw(self) -> Any:
        """Return the photo with the results, as a Pillow image."""
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

    @accept_foreign_arguments
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture of `draw()`, in the format of the suffix: .png, .jpg and others that Pillow writes.

        Raises ParameterError for another suffix, or if the file cannot be written, and the errors of `draw`.
        """
        picture = self.draw()
        with replace_atomically(Path(path), ParameterError) as file:
            try:
                picture.save(file)
            except ValueError as error:
                raise ParameterError(f"{os.fspath(path)}: {error}") from error

    def to_json(self) -> str:
        """Return `to_dict` as JSON on one line, with null for NaN and infinities."""
        return json_line(self.to_dict())
