"""Measure how well a detector finds labelled objects: COCO's mean average precision."""

from __future__ import annotations

import contextlib
import io
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from os import PathLike
from typing import Any

import numpy as np

from mpscnn._private.installation import install_command
from mpscnn._private.names import first_repeated, shown_names
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn.converters.finishing.photo_settings import labelled_classes
from mpscnn.errors import ParameterError, UnsupportedError
from mpscnn.evaluation.classifier import require_task
from mpscnn.evaluation.detector_truth import Truth, read_truth
from mpscnn.evaluation.object_report import ClassPrecisions, ObjectReport
from mpscnn.evaluation.photo_stream import Failed, readable_results
from mpscnn.model import Model
from mpscnn.training.scenes.average_precision import FoundObjects
from mpscnn.training.scenes.labelled import LabelledPhoto, ObjectCounts, count_objects
from mpscnn.training.scenes.object_matches import ObjectConfusion, ObjectMatches, PrecisionCurve

_MIN_SCORE = 0.01
_MAX_DETECTIONS = 100
_FIGURES = ("map", "map50", "map75", "map_small", "map_medium", "map_large")


@dataclass(frozen=True)
class DetectorEvaluation(ObjectReport):
    """A detector's results on labelled photos by COCO's measures, 0 to 1.

    A measure over no objects is undefined, and NaN.
    """

    images: int
    map: float
    """The average precision: the mean over classes, and over thresholds of the intersection over union from 0.5 to
    0.95.
    """
    map50: float
    """The average precision at an intersection over union of 0.5."""
    map75: float
    map_small: float
    """`map` for objects of at most 32 x 32 pixels."""
    map_medium: float
    map_large: float
    """`map` for objects of at least 96 x 96 pixels."""
    recall: float
    """The share of objects that are found with at most 100 detections a photo, averaged like `map`."""
    by_class: Mapping[str, float]
    """`map` of each class of the annotations."""
    missing: tuple[str, ...]
    """Classes of the annotations that the model lacks. Their objects count as not found."""
    seconds: float
    """The seconds for all photos, including decoding and preprocessing."""
    counts: ObjectCounts = field(default_factory=ObjectCounts)
    """The numbers of photos without objects, and of objects that are crowds, difficult or without an area."""
    matches: ObjectMatches = field(default_factory=ObjectMatches, compare=False, repr=False)
    """The found and the true objects, compared: the confusion matrix and the curves."""

    @property
    def images_per_second(self) -> float:
        """Photos per second, including decoding and preprocessing."""
        return self.images / self.seconds

    def _entries(self) -> list[ClassPrecisions]:
        """Return the classes, the one with the highest precision first."""
        curves = {curve.label: curve for curve in self.matches.curves}
        matched = {one.label: one for one in self.matches.classes}
        return [
            ClassPrecisions.of(precision, float(curves[label].by_recall().mean()), matched[label])
            if label in matched
            else ClassPrecisions(label, precision, math.nan)
            for label, precision in sorted(
                self.by_class.items(), key=lambda item: math.inf if math.isnan(item[1]) else -item[1]
            )
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the values for JSON."""
        own = {name: value for name, value in vars(self).items() if name != "matches"}
        figures = {**own, "missing": list(self.missing), "counts": asdict(self.counts)}
        return {**figures, **(self._figures() if self.matches.labels else {})}

    def _sentences(self) -> list[str]:
        return [repr(self)[1:-1], *self.notes]

    @property
    def notes(self) -> list[str]:
        """Sentences about what the annotations have besides ordinary objects."""
        counts = self.counts
        notes = {
            "photos have no objects, so each detection on them is wrong": counts.without_objects,
            "objects are crowds: no detection in them is wrong": counts.crowds,
            "objects are difficult, and are left out": counts.difficult,
            "objects have a box without an area, and are left out": counts.dropped,
        }
        return [f"{count:,} {text}" for text, count in notes.items() if count]

    def __repr__(self) -> str:
        return f"<DetectorEvaluation of {self.images:,} images: {precision_text(self.map, self.map50)}>"


def precision_text(mean: float, at_half: float) -> str:
    """Return both of COCO's mean average precisions as text, with the IoU that each is measured at."""
    if math.isnan(mean):
        return "mAP undefined, because the photos have no objects"
    return f"mAP {mean:.3f} at IoU 0.5 to 0.95, {at_half:.3f} at IoU 0.5"


@accept_foreign_arguments
def evaluate_detector(
    model: Model,
    photos: str | PathLike[str] | None,
    annotations: str | PathLike[str],
    *,
    score_threshold: float = _MIN_SCORE,
    inflight: int = 3,
    failed: Failed | None = None,
) -> DetectorEvaluation:
    """Detect objects on photos, and compare them with annotations by COCO's measures, by means of pycocotools.

    Classes are matched by name, ignoring case. If the model has no labels, they are matched by order if there are as
    many as the model has and COCO's list has the order of their numbers, otherwise by number, where COCO's first is 1.
    Boxes are in pixels of the upright photo.

    Args:
        model: a detector.
        photos: the folder with the photos. If it has several parts of a data set, those for test are measured, or
            else those for validation. None: the photos of a data.yaml.
        annotations: the annotations that `train_detector` reads: a .json file of COCO, a folder of .xml files of Pascal
            VOC, or a folder of .txt files or a data.yaml of YOLO.
        score_threshold: the smallest probability. COCO's measures need nearly all detections.
        inflight: the number of photos in progress, see `mpscnn.Runner`.
        failed: a function that is called with a photo and the error if the photo cannot be read. The photo is not
            counted. None: the error is raised.

    Raises:
        ShapeError: the model is not a detector.
        ImageError: the folder has no photos.
        ParameterError: the annotations are missing or damaged, have no class of the model or one name for two
            classes, do not tell which class is which for a model without names, or state another size for a photo.
        UnsupportedError: pycocotools is not installed.
    """

    def find(samples: Iterable[tuple[Any, int]], **options: Any) -> Iterator[tuple[int, Any]]:
        return readable_results(model, samples, inflight, failed, **options)

    return evaluate_with(find, model, photos, annotations, score_threshold)


def evaluate_with(
    find: Callable[..., Iterable[tuple[int, Any]]],
    model: Model,
    photos: str | PathLike[str] | None,
    annotations: str | PathLike[str],
    score_threshold: float = _MIN_SCORE,
) -> DetectorEvaluation:
    """Evaluate a detector like `evaluate_detector`, with a function that finds the objects.

    `find` gets pairs of a photo and its number in COCO's file, and options for `Model.detect`.
    """
    require_task(model, "detection")
    truth = read_truth(photos, annotations)
    dataset = truth.dataset
    categories = _categories(model, truth, annotations)
    require_pycocotools()
    results: list[dict[str, Any]] = []
    seen: list[int] = []
    labels = [str(entry["name"]) for entry in dataset["categories"]]
    confusion = ObjectConfusion(len(labels), max(model._score_threshold, score_threshold))
    started = time.perf_counter()
    options = {"score_threshold": score_threshold, "max_detections": _MAX_DETECTIONS}
    for image, found in find(truth.samples, **options):
        truth.add_seen(image, found.photo_size)
        seen.append(image)
        known_objects = [one for one in found if one.index in categories]
        _count(confusion, truth.labelled[image], found.photo_size, known_objects, categories)
        for one in known_objects:
            left, top, right, bottom = one.box
            results.append(
                {
                    "image_id": image,
                    "category_id": categories[one.index],
                    "bbox": [left, top, right - left, bottom - top],
                    "score": one.score,
                }
            )
    seconds = time.perf_counter() - started
    if not seen:
        raise ParameterError("no photo to evaluate with")
    figures, recall, by_category, curves = _measured(dataset, results, seen, labels)
    names = {entry["id"]: entry["name"] for entry in dataset["categories"]}
    known = set(categories.values())
    return DetectorEvaluation(
        images=len(seen),
        **dict(zip(_FIGURES, figures, strict=True)),
        recall=recall,
        by_class={names[number]: value for number, value in by_category.items()},
        missing=tuple(name for number, name in names.items() if number not in known),
        seconds=seconds,
        counts=count_objects(truth.labelled[image] for image in seen),
        matches=ObjectMatches(tuple(labels), confusion.threshold, confusion.counts, curves),
    )


def _count(
    confusion: ObjectConfusion,
    photo: LabelledPhoto,
    size: tuple[int, int],
    found: Sequence[Any],
    categories: Mapping[int, int],
) -> None:
    """Count the objects of a photo, of which the (width, height) is `size`. Category numbers begin with 1."""
    confusion.add(
        FoundObjects(
            np.array([tuple(one.box) for one in found], np.float64).reshape(-1, 4),
            np.array([one.score for one in found], np.float64),
            np.array([categories[one.index] - 1 for one in found], np.int64),
        ),
        photo.boxes_in_pixels(size),
        photo.classes,
        difficult=photo.difficult,
        crowds=photo.crowds,
    )


def require_pycocotools() -> None:
    """Raise UnsupportedError if pycocotools is not installed."""
    try:
        import pycocotools  # noqa: F401
    except ImportError as error:
        raise UnsupportedError(
            f"evaluating a detector needs pycocotools: {install_command('evaluate')} ({error})"
        ) from error


def _categories(model: Model, truth: Truth, path: object) -> dict[int, int]:
    """Return the number in `Truth.dataset` of each class of the model that the annotations have."""
    dataset = truth.dataset
    names = [entry["name"].casefold() for entry in dataset["categories"]]
    numbers = [entry["id"] for entry in dataset["categories"]]
    if (twice := first_repeated(names)) is not None:
        raise ParameterError(f"{path}: two categories have the name {twice!r}, ignoring case")
    by_name = dict(zip(names, numbers, strict=True))
    if model.labels is None:
        classes = labelled_classes(model.network)
        ids = numbers if truth.ids is None else truth.ids
        if classes == len(numbers):
            if not truth.listed_by_id:
                raise ParameterError(
                    f"{path}: lists its classes in another order than that of their numbers, and {model.name} has no "
                    "names, so it is not clear which are the same: load the model with labels="
                )
            return dict(enumerate(numbers))
        if min(ids) < 1 or classes is None or max(ids) > classes:
            raise ParameterError(
                f"{path}: has {len(ids)} classes with the numbers {shown_names([*map(str, ids)])}, and {model.name} "
                f"has {classes} without names, so it is not clear which are the same: load the model with labels="
            )
        return {given - 1: number for given, number in zip(ids, numbers, strict=True)}
    found = {
        index: by_name[name.casefold()]
        for index, name in enumerate(model.labels)
        if name.casefold() in by_name
    }
    if not found:
        raise ParameterError(
            f"{path}: has none of the classes of {model.name}, but {', '.join(sorted(by_name))}"
        )
    return found


def _measured(
    dataset: dict[str, Any], results: list[dict[str, Any]], images: Sequence[int], labels: Sequence[str]
) -> tuple[list[float], float, dict[int, float], list[PrecisionCurve]]:
    """Return COCO's precision figures, its recall, and the average precision and the curve of each category."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = dataset
        truth.createIndex()
        found = truth.loadRes(results) if results else COCO()  # loadRes does not accept an empty list
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.params.imgIds = sorted(images)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    precision = evaluation.eval["precision"]  # axes: [threshold][recall][category][area][max detections]
    by_category = {}
    for place, number in enumerate(evaluation.params.catIds):
        values = precision[:, :, place, 0, -1]
        by_category[int(number)] = float(values.mean()) if (values > -1).any() else math.nan
    # pycocotools writes -1 for a measure over no objects.
    figures = [float(value) if value >= 0 else math.nan for value in evaluation.stats]
    return figures[:6], figures[8], by_category, _curves(evaluation, labels)


def _curves(evaluation: Any, labels: Sequence[str]) -> list[PrecisionCurve]:
    """Return the curve of each category at an intersection over union of 0.5, from pycocotools' matches."""
    parameters, curves = evaluation.params, []
    per_category = len(parameters.areaRng) * len(parameters.imgIds)
    for place, label in enumerate(labels):
        begin = place * per_category  # the first range of areas has all of them
        photos = [one for one in evaluation.evalImgs[begin : begin + len(parameters.imgIds)] if one]
        scores = np.concatenate([*(np.array(one["dtScores"], np.float64) for one in photos), np.zeros(0)])
        right = np.concatenate([*(one["dtMatches"][0] > 0 for one in photos), np.zeros(0, bool)])
        counted = ~np.concatenate([*(one["dtIgnore"][0] for one in photos), np.zeros(0)]).astype(bool)
        scores, right = scores[counted], right[counted]
        order = np.argsort(-scores, kind="stable")
        objects = sum(int((np.array(one["gtIgnore"]) == 0).sum()) for one in photos)
        curves.append(PrecisionCurve(label, objects, scores[order], right[order]))
    return curves
