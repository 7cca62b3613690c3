"""Convert results to rows of a table and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mpscnn import errors
from mpscnn._private.report import Cell
from mpscnn.apps.ray.cluster import import_arrow
from mpscnn.vision.answers import LabelledPoint, Number
from mpscnn.vision.box import Box
from mpscnn.vision.detection import Detections
from mpscnn.vision.found_object import Detection, Keypoint, Point
from mpscnn.vision.object_mask import mask_from_coco
from mpscnn.vision.photo_result import PhotoResult
from mpscnn.vision.result_rows import ERROR, KIND
from mpscnn.vision.results import Classification, Prediction
from mpscnn.vision.segmentation import Area

#: The column with the photos' names.
IMAGE = "image"
#: The name of a photo whose name is null in the source.
NO_NAME = "(no name)"


def result_columns(task: str, layers: Sequence[str] = (), *, calibrated: bool = False) -> Any:
    """Return the names and Arrow types of the result columns.

    `task` is a model's task, "features" with `layers`, or "masks": pixel counts by true class and found class.
    `calibrated` says whether a classifier is calibrated, see `Model.calibrate`.
    """
    pa = import_arrow()
    text, whole, real = pa.string(), pa.int64(), pa.float64()
    labelled = [("label", text), ("index", whole)]
    size = [("width", whole), ("height", whole)]
    details: list[tuple[str, Any]] = [(name, pa.list_(pa.list_(real))) for name in ("corners", "keypoints")]
    details.append(("segmentation", pa.struct([("size", pa.list_(whole)), ("counts", text)])))
    found: dict[str, list[tuple[str, Any]]] = {
        "classification": [
            ("scores_are", text),
            ("predictions", pa.list_(pa.struct([("label", text), ("probability", real), ("index", whole)]))),
            ("tags", pa.list_(text)),
            ("numbers", pa.list_(pa.struct([("label", text), ("value", real), ("unit", text)]))),
            ("keypoints", pa.list_(pa.struct([("label", text), ("x", real), ("y", real)]))),
            *([("unfamiliar", real)] if calibrated else ()),
        ],
        "detection": [
            *size,
            (
                "detections",
                pa.list_(pa.struct([*labelled, ("score", real), ("box", pa.list_(real)), *details])),
            ),
        ],
        "segmentation": [
            *size,
            ("areas", pa.list_(pa.struct([*labelled, ("pixels", whole), ("fraction", real)]))),
        ],
        "features": [(layer, pa.list_(pa.float32())) for layer in layers],
        "masks": [("pairs", pa.list_(pa.struct([("true", whole), ("found", whole), ("pixels", whole)])))],
    }
    origin = [("model", text), ("device", text), ("precision", text), ("milliseconds", real)]
    return pa.schema([*origin, *found[task], (ERROR, text), (KIND, text)])


def kept_columns(source: Iterable[str], results: Iterable[str]) -> dict[str, str]:
    """Return new names for a source's columns. A name that results also have gets the prefix "source_".

    The keys are the source's names.
    """
    own = {IMAGE, *results}
    names = list(source)
    taken = own.union(names)
    kept: dict[str, str] = {}
    for name in names:
        kept[name] = name
        while name in own and kept[name] in taken:
            kept[name] = f"source_{kept[name]}"
        taken.add(kept[name])
    return kept


def row_from_result(result: PhotoResult) -> dict[str, Any]:
    """Return a result as a row. Boxes keep all digits, unlike those of `to_dict`."""
    record = result.to_dict()
    if isinstance(result, Detections):
        for entry, one in zip(record["detections"], result, strict=True):
            entry["box"] = list(one.box)
            entry["corners"] = [list(point) for point in one.corners] or None
            entry["keypoints"] = [list(point) for point in one.keypoints] or None
    return record


@dataclass(frozen=True, eq=False)
class Areas(PhotoResult):
    """The result of a segmentation without its label map, which rows do not hold."""

    size: tuple[int, int]
    areas: tuple[Area, ...]
    device: str
    precision: str
    reason: str
    milliseconds: float
    columns = ("label", "index", "pixels", "fraction")

    def rows(self) -> list[tuple[Cell, ...]]:
        """Return a row for each class on the photo."""
        return [(area.label, area.index, area.pixels, area.fraction) for area in self.areas]

    def _found(self) -> dict[str, Any]:
        return {"width": self.size[0], "height": self.size[1], "areas": [vars(area) for area in self.areas]}


def result_from_row(row: Mapping[str, Any]) -> PhotoResult:
    """Return the result that was stored in a row."""
    origin: tuple[Any, ...] = row["device"], row["precision"], "", row["milliseconds"]
    if "predictions" in row:
        predictions = tuple(Prediction(**entry) for entry in row["predictions"])
        tags, numbers, points = (row.get(name) for name in ("tags", "numbers", "keypoints"))
        return Classification(
            predictions,
            *origin,
            scores_are=row["scores_are"],
            tags=None if tags is None else tuple(tags),
            numbers=None if numbers is None else tuple(Number(**one) for one in numbers),
            keypoints=None if points is None else tuple(LabelledPoint(**one) for one in points),
            unfamiliar=row.get("unfamiliar"),
        )
    size = row["width"], row["height"]
    if "detections" in row:
        found = tuple(
            Detection(
                entry["label"],
                entry["score"],
                Box(*entry["box"]),
                entry["index"],
                tuple(Point(*one) for one in entry.get("corners") or ()),
                tuple(Keypoint(*one) for one in entry.get("keypoints") or ()),
                mask_from_coco(entry["segmentation"]) if entry.get("segmentation") else None,
            )
            for entry in row["detections"]
        )
        return Detections(found, size, *origin)
    return Areas(size, tuple(Area(**entry) for entry in row["areas"]), *origin)


def task_of(columns: Iterable[str]) -> str:
    """Return the model's task whose results are in a table with these columns."""
    tasks = {"predictions": "classification", "detections": "detection", "areas": "segmentation"}
    return next(tasks[name] for name in columns if name in tasks)


def error_from_row(row: Mapping[str, Any]) -> errors.Error | None:
    """Return the error that was stored in a row, or None."""
    if row[KIND] is None:
        return None
    kind: type[errors.Error] = getattr(errors, row[KIND])
    return kind(row[ERROR])


def row_to_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as commands print it with --json: rounded boxes, and no null values."""
    shown = {name: value for name, value in row.items() if value is not None}
    if shown.get("detections"):
        shown |= result_from_row(row).to_dict()
    return shown
