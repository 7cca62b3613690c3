"""Classify, detect or segment one photo, in a session or in a runner."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from mpscnn import _core
from mpscnn._private.arguments import are_numbers, is_finite_number, whole_number, whole_number_in
from mpscnn.errors import ParameterError
from mpscnn.vision.detection import Detections
from mpscnn.vision.detector import limits
from mpscnn.vision.found_object import detection_of
from mpscnn.vision.results import Classification, Prediction, answered, set_threshold
from mpscnn.vision.segmentation import Segmentation

if TYPE_CHECKING:
    from mpscnn.runtime.program import Program
    from mpscnn.vision.calibration import Calibration
    from mpscnn.vision.photo import KeptPhoto, Photo

_LARGEST = 2**31 - 1  # the largest number that the core takes

EndCallback = Callable[[], object] | None
"""A function that is called when the result of a frame is delivered."""

Result = TypeVar("Result")


class PhotoModel(Protocol):
    """The part of `Model` that the tasks need."""

    _core: _core.Model

    @property
    def labels(self) -> list[str] | None:
        """The names of the classes."""

    @property
    def answers(self) -> dict[str, Any] | None:
        """The meaning of a classifier's numbers; None: classes."""

    @property
    def program(self) -> Program:
        """The compiled network."""

    @property
    def _calibration(self) -> Calibration | None:
        """The result of `Model.calibrate`; None for a model that is not calibrated."""


@dataclass(frozen=True)
class PhotoTask(Generic[Result]):
    """A task with its options, which can be applied to any number of photos."""

    run: Callable[[_core.Session, _core.Pixels], Any]
    """Run the task on a photo, and wait."""
    submit: Callable[[_core.Runner, _core.Frame, _core.Pixels, EndCallback], None]
    """Submit the task on a photo to a runner."""
    result: Callable[[Any, Photo, float, KeptPhoto], Result]
    """Build the result for the user from the core's result, the photo, the milliseconds, and the photo to keep."""


def classification_task(
    model: PhotoModel, *, top: int | None = None, coverage: float | None = None
) -> PhotoTask[Classification]:
    """Return the task of `Model.classify`."""
    if top is not None and coverage is not None:
        raise ParameterError("give one of top and coverage: both say which classes a result has")
    core, wanted = model._core, 0 if top is None else whole_number("top", top, maximum=_LARGEST)
    labels, answers = model.labels or (), model.answers
    count = wanted if answers is None else 0  # answers need all numbers
    calibration = model._calibration
    right = None if calibration is None else calibration.probabilities
    least = -math.inf if coverage is None else set_threshold(right, coverage)

    def result(found: Any, photo: Photo, milliseconds: float, shown: KeptPhoto) -> Classification:
        ranked, scores_are, unfamiliar = found
        predictions = tuple(
            Prediction(_class_name(labels, index), probability, index)
            for _, index, probability in ranked
            if probability >= least
        )
        named: dict[str, Any] = {}
        if answers is not None:
            predictions, named = answered(answers, predictions, wanted, photo.size)
        complete = coverage is None and (
            not wanted or len(predictions) < wanted or len(predictions) == len(labels)
        )
        return Classification(
            predictions,
            *_origin(model),
            milliseconds,
            shown.photo,
            photo_checksum=shown.checksum,
            scores_are=scores_are,
            has_all_classes=complete,
            **named,
            unfamiliar=None if math.isnan(unfamiliar) else unfamiliar,
            right_probabilities=right,
        )

    return PhotoTask(
        run=lambda session, photo: core.classify(session, photo, count),
        submit=lambda runner, slot, photo, on_end: runner.classify(slot, core, photo, count, on_end),
        result=result,
    )


def detection_task(
    model: PhotoModel,
    *,
    score_threshold: float | None = None,
    iou_threshold: float | None = None,
    max_detections: int | None = None,
    classes: Sequence[str | int] | None = None,
    tiles: int | None = None,
    overlap: float | None = None,
) -> PhotoTask[Detections]:
    """Return the task of `Model.detect`."""
    score, iou, maximum = limits(score_threshold, iou_threshold, max_detections)
    shown_classes = None if classes is None else _class_numbers(model, classes)
    # Other classes do not count for `max_detections`. So the core finds the model's own number of objects first.
    core, parts = model._core, _tile_arguments(tiles, overlap)
    wanted = (score, iou, maximum if shown_classes is None else 0, *parts)
    labels = model.labels or ()

    def result(found: Any, photo: Photo, milliseconds: float, shown: KeptPhoto) -> Detections:
        if shown_classes is not None:
            found = [entry for entry in found if entry[1] in shown_classes][: maximum or None]
        detections = tuple(detection_of(entry, _class_name(labels, entry[1])) for entry in found)
        return Detections(
            detections,
            photo.size,
            *_origin(model),
            milliseconds,
            shown.photo,
            photo_checksum=shown.checksum,
        )

    return PhotoTask(
        run=lambda session, photo: core.detect(session, photo, *wanted),
        submit=lambda runner, slot, photo, on_end: runner.detect(slot, core, photo, *wanted, on_end),
        result=result,
    )


def _tile_arguments(tiles: int | None, overlap: float | None) -> tuple[int, float]:
    """Return the side of tiles and their overlap for the core, where 0 is the default and -1 is no overlap."""
    if overlap is not None and not (is_finite_number(overlap) and 0 <= overlap < 1):
        raise ParameterError(f"overlap must be from 0 to below 1, got {overlap!r}")
    if tiles is None:
        if overlap is not None:
            raise ParameterError("overlap is for tiles: give their size, too, such as tiles=400")
        return 0, 0.0
    side = whole_number("tiles", tiles, maximum=_LARGEST)
    return side, 0.0 if overlap is None else float(overlap) or -1.0


def _class_name(labels: Sequence[str], index: int) -> str:
    return labels[index] if index < len(labels) else f"class {index}"


def _class_numbers(model: PhotoModel, classes: Sequence[str | int]) -> frozenset[int]:
    """Return the numbers of classes given by name or number. Raise ParameterError for an unknown name.

    If all labels are numbers, a text is a name and never the number of a class.
    """
    if not isinstance(classes, Iterable):
        raise ParameterError(f"classes must be names or numbers of classes, got {classes!r}")
    labels = model.labels or []
    numbers = set()
    for one in [classes] if isinstance(classes, str) else classes:
        if isinstance(one, str) and one in labels:
            numbers |= {index for index, label in enumerate(labels) if label == one}
            continue
        number = _class_number_in(one, labels) if isinstance(one, str) else one
        if number is None:
            from mpscnn._private.names import did_you_mean

            raise ParameterError(
                f"{model.program.name}: there is no class {one!r:.100}{did_you_mean(str(one)[:100], labels)}"
            )
        numbers.add(whole_number("a class", number, 0, len(labels) - 1 if labels else None))
    return frozenset(numbers)


def _class_number_in(text: str, labels: Sequence[str]) -> int | None:
    return None if are_numbers(labels) else whole_number_in(text)


def segmentation_task(
    model: PhotoModel, *, scores: bool = False, tiles: int | None = None, overlap: float | None = None
) -> PhotoTask[Segmentation]:
    """Return the task of `Model.segment`."""
    core, parts = model._core, _tile_arguments(tiles, overlap)
    classes = int(next(iter(model.program.outputs.values()))[-1] or 0)
    known = model.labels or ()
    names = tuple(_class_name(known, index) for index in range(classes))
    scored = classes if scores else 0

    def result(found: Any, _: Photo, milliseconds: float, shown: KeptPhoto) -> Segmentation:
        labels, values = found
        return Segmentation(
            labels,
            names,
            *_origin(model),
            milliseconds,
            values,
            shown.photo,
            photo_checksum=shown.checksum,
        )

    return PhotoTask(
        run=lambda session, photo: core.segment(session, photo, scored, *parts),
        submit=lambda runner, slot, photo, on_end: runner.segment(slot, core, photo, scored, *parts, on_end),
        result=result,
    )


TASKS: dict[str, Callable[..., PhotoTask[Any]]] = {
    "classification": classification_task,
    "detection": detection_task,
    "segmentation": segmentation_task,
}
"""The task functions by `Model.task`."""


def option_names(task: Callable[..., PhotoTask[Any]]) -> tuple[str, ...]:
    """Return the names of the options that a function of `TASKS` has."""
    parameters = inspect.signature(task).parameters.values()
    return tuple(parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY)


def _origin(model: PhotoModel) -> tuple[str, str, str]:
    program = model.program
    return program.device, program.precision, program.reason
