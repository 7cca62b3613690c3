"""The base class of the results of all tasks for one photo."""

from __future__ import annotations

from typing import Any, ClassVar

from mpscnn._private.json_text import json_line
from mpscnn._private.report import Cell, Drawable


class PhotoResult(Drawable):
    """The results for one photo, and information about the computation."""

    _other_names: ClassVar[tuple[tuple[str, str], ...]] = (
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
        """Return `to_dict` as JSON on one line, with null for NaN and infinities."""
        return json_line(self.to_dict())


def refuse_name(index: object, names: str) -> None:
    """Raise TypeError for a text as the index of a result. `names` are attributes of results of this kind."""
    if isinstance(index, str):
        raise TypeError(
            f"a result has entries by number, got {index!r:.100}; {names} are attributes of the result"
        )
