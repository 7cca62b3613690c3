"""Write the results of photos as lines of JSON or as comma-separated values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mpscnn._private.json_text import json_row
from mpscnn._private.report import Cell, csv_text
from mpscnn.errors import Error, ImageError
from mpscnn.vision.detection import Detections
from mpscnn.vision.photo_result import PhotoResult
from mpscnn.vision.results import Classification
from mpscnn.vision.segmentation import Segmentation

#: The names of a failed photo's error: the message, and the class in `mpscnn.errors`.
ERROR, KIND = "error", "error_kind"

_COLUMNS = {
    "classification": Classification.columns,
    "detection": Detections.columns,
    "segmentation": Segmentation.columns,
}


def photo_error_text(path: str, error: Exception) -> str:
    """Return an error message that names the photo."""
    # Only an ImageError names the photo; other errors come from the network.
    return str(error) if isinstance(error, ImageError) else f"{path}: {error}"


def error_fields(path: str, error: Error) -> dict[str, str]:
    """Return the message of a photo's error and the error's class, by the names that rows have for them."""
    return {ERROR: photo_error_text(path, error), KIND: type(error).__name__}


def result_object(
    model: str, path: str, result: PhotoResult, written: Mapping[str, str], moment: Mapping[str, float] | None
) -> dict[str, Any]:
    """Return the result of a photo, or of a video's frame at `moment`, as an object of JSON."""
    origin = {"image": path} if moment is None else {"video": path, **moment}
    return {**origin, "model": model, **result.to_dict(), **written}


def failure_object(origin: Mapping[str, str], path: str, error: Error) -> dict[str, Any]:
    """Return the error of a photo as an object of JSON. `origin` has the model, device and precision."""
    return {"image": path, **origin, **error_fields(path, error)}


class CsvTable:
    """The rows of a CSV table: one for each class, object or area, and one for a photo that failed.

    Args:
        task: the task of the model, as `Model.task`.
        calibrated: whether the model is a calibrated classifier. Then the table has a column "unfamiliar", and a row
            without a class for a photo whose set is empty.
    """

    def __init__(self, task: str, *, calibrated: bool) -> None:
        self._columns = _COLUMNS[task]
        self._more = ("unfamiliar",) if calibrated else ()

    def head(self, moment: Mapping[str, float] | None = None) -> tuple[str, ...]:
        """Return the names of the columns: those of photos, or of a video's frames if `moment` is given."""
        origin = ("image",) if moment is None else ("video", *moment)
        return (*origin, *self._columns, *self._more, ERROR, KIND)

    def rows(
        self, path: str, result: PhotoResult, moment: Mapping[str, float] | None = None
    ) -> list[tuple[Cell, ...]]:
        """Return the rows of a result, whose columns `head` then names: those of tracked objects are more."""
        self._columns = result.columns
        at = () if moment is None else moment.values()
        rows = result.rows()
        if self._more:
            rows = rows or [("",) * len(self._columns)]
        more = [getattr(result, name) for name in self._more]
        return [(path, *at, *row, *more, "", "") for row in rows]

    def failure(self, path: str, error: Error) -> tuple[Cell, ...]:
        """Return the row of a photo that failed."""
        return (path, *("" for _ in (*self._columns, *self._more)), *error_fields(path, error).values())


class RowText:
    """Turns results into the text of a file: lines of JSON if `as_json`, otherwise the rows of a CSV table.

    Args:
        task: the task of the model, as `Model.task`.
        origin: the model, device and precision, for photos that failed.
        calibrated: as for `CsvTable`.
        as_json: whether the file has lines of JSON.
    """

    def __init__(self, task: str, origin: Mapping[str, str], *, calibrated: bool, as_json: bool) -> None:
        self._origin = origin
        self._table = None if as_json else CsvTable(task, calibrated=calibrated)

    def head(self, moment: Mapping[str, float] | None = None) -> str:
        """Return the first line of the file, which names the columns; "" for lines of JSON."""
        return "" if self._table is None else csv_text([self._table.head(moment)])

    def result(
        self,
        path: str,
        result: PhotoResult,
        written: Mapping[str, str],
        moment: Mapping[str, float] | None = None,
    ) -> str:
        """Return the text for a result. `written` has the files that were made for the photo."""
        if self._table is not None:
            return csv_text(self._table.rows(path, result, moment))
        return f"{json_row(result_object(self._origin['model'], path, result, written, moment))}\n"

    def failure(self, path: str, error: Error) -> str:
        """Return the text for a photo that failed."""
        if self._table is not None:
            return csv_text([self._table.failure(path, error)])
        return f"{json_row(failure_object(self._origin, path, error))}\n"
