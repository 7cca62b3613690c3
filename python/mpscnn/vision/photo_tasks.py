"""What models do with one photo: classify, detect, segment; by a session that waits for it, or by a runner."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mpscnn import _core
from mpscnn._private.arguments import whole_number
from mpscnn.vision.detection import Box, Detection, Detections
from mpscnn.vision.detector import limits
from mpscnn.vision.results import Classification, Prediction
from mpscnn.vision.segmentation import Segmentation

if TYPE_CHECKING:
    from mpscnn.model import Model
    from mpscnn.vision.photo import Photo

__all__ = ["TASKS", "PhotoTask", "Result", "Told", "classifying", "detecting", "option_names", "segmenting"]

Told = Callable[[], object] | None
"""Called when a frame is handed out."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class PhotoTask(Generic[Result]):
    """One of them with its options, for any number of photos."""

    run: Callable[[_core.Session, _core.Pixels], Any]
    """What the core finds on a photo."""
    submit: Callable[[_core.Runner, _core.Frame, _core.Pixels, Told], None]
    """The same on a runner's threads."""
    result: Callable[[Any, Photo, float, Any], Result]
    """What the user gets: of what the core found, the photo, milliseconds, and the photo to be kept in it."""


def classifying(model: Model, *, top: int | None = None) -> PhotoTask[Classification]:
    """`Model.classify`."""
    core, count = model._core, 0 if top is None else whole_number("top", top)

    def result(found: Any, _: Photo, milliseconds: float, shown: Any) -> Classification:
        predictions = tuple(Prediction(label, probability, index) for label, index, probability in found)
        return Classification(predictions, *_origin(model), milliseconds, shown)

    return PhotoTask(
        run=lambda session, photo: core.classify(session, photo, count),
        submit=lambda runner, slot, photo, told: runner.classify(slot, core, photo, count, told),
        result=result,
    )


def detecting(
    model: Model,
    *,
    score_threshold: float | None = None,
    iou_threshold: float | None = None,
    max_detections: int | None = None,
) -> PhotoTask[Detections]:
    """`Model.detect`."""
    core, wanted = model._core, limits(score_threshold, iou_threshold, max_detections)

    def result(found: Any, photo: Photo, milliseconds: float, shown: Any) -> Detections:
        detections = tuple(Detection(label, value, Box(*box), index) for label, index, value, box, _ in found)
        return Detections(detections, photo.size, *_origin(model), milliseconds, shown)

    return PhotoTask(
        run=lambda session, photo: core.detect(session, photo, *wanted),
        submit=lambda runner, slot, photo, told: runner.detect(slot, core, photo, *wanted, told),
        result=result,
    )


def segmenting(model: Model, *, scores: bool = False) -> PhotoTask[Segmentation]:
    """`Model.segment`."""
    core = model._core
    classes = int(next(iter(model.program.outputs.values()))[-1] or 0)
    names = tuple(model.labels or [f"class {index}" for index in range(classes)])
    scored = classes if scores else 0

    def result(found: Any, _: Photo, milliseconds: float, shown: Any) -> Segmentation:
        labels, values = found
        return Segmentation(labels, names, *_origin(model), milliseconds, values, shown)

    return PhotoTask(
        run=lambda session, photo: core.segment(session, photo, scored),
        submit=lambda runner, slot, photo, told: runner.segment(slot, core, photo, scored, told),
        result=result,
    )


TASKS: dict[str, Callable[..., PhotoTask[Any]]] = {
    "classification": classifying,
    "detection": detecting,
    "segmentation": segmenting,
}
"""By `Model.task`."""


def option_names(task: Callable[..., PhotoTask[Any]]) -> tuple[str, ...]:
    """The options that one of `TASKS` has."""
    parameters = inspect.signature(task).parameters.values()
    return tuple(parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY)


def _origin(model: Model) -> tuple[str, str, str]:
    program = model.program
    return program.device, program.precision, program.reason
