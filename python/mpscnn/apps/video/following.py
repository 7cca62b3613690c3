"""Follow the objects of a video's frames, and count those that cross a line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from mpscnn._private.arguments import is_finite_number
from mpscnn.apps.video.tracker import LOWEST_SCORE, Tracker
from mpscnn.errors import ParameterError
from mpscnn.vision.box import Line
from mpscnn.vision.detection import Detections
from mpscnn.vision.found_object import Detection
from mpscnn.vision.tracked_detections import Crossings, TrackedDetections

if TYPE_CHECKING:
    from mpscnn.graph.features import FeatureExtractor
    from mpscnn.model import Model

Point = tuple[float, float]


def checked_line(line: Any) -> Line:
    """Return the ends of a line as floats. Raises ParameterError unless it is x1, y1, x2, y2 with two distinct ends."""
    numbers = tuple(line) if isinstance(line, (tuple, list)) else ()
    if len(numbers) == 2 and all(isinstance(end, (tuple, list)) for end in numbers):
        numbers = tuple(number for end in numbers for number in end)
    if len(numbers) != 4 or not all(is_finite_number(number) for number in numbers):
        raise ParameterError(f"count_line must be four numbers (x1, y1, x2, y2) in pixels, got {line!r:.100}")
    if numbers[:2] == numbers[2:]:
        raise ParameterError(f"count_line must have two distinct ends, got {line!r:.100}")
    x1, y1, x2, y2 = map(float, numbers)
    return x1, y1, x2, y2


class Following:
    """Gives the objects of consecutive frames identities, and counts how often they cross a line.

    Args:
        model: a detector.
        options: the options of `Model.detect`.
        count_line: the ends of the line in pixels of the upright frame; None: count nothing.

    Raises:
        ParameterError: the model is not a detector, or there is no such line.
    """

    def __init__(
        self, model: Model[Any] | FeatureExtractor, options: Mapping[str, Any], count_line: Any = None
    ) -> None:
        task = getattr(model, "task", "features")
        if task != "detection":
            raise ParameterError(
                f"track=True follows the objects of a detector, and the task of this model is {task}; "
                "`mpscnn models` lists detectors"
            )
        self._line = None if count_line is None else checked_line(count_line)
        threshold = options.get("score_threshold")
        if threshold is None:
            threshold = model._score_threshold  # type: ignore[union-attr]
        self._tracker = Tracker(threshold)
        self.options = {**options, "score_threshold": min(threshold, LOWEST_SCORE)}
        """The options for the model: it must find improbable objects, too, since they continue tracks."""
        self._counts: dict[str, Crossings] = {}
        self._places: dict[int, Point] = {}

    def follow(self, result: Detections) -> TrackedDetections:
        """Return the objects of the next frame that belong to tracks, with the counts so far."""
        found = self._tracker.update(result.detections)
        if self._line is not None:
            for one in found:
                self._count(one, self._line)
        given = {field.name: getattr(result, field.name) for field in fields(Detections)}
        given["detections"] = tuple(found)
        return TrackedDetections(**given, counts=dict(self._counts), count_line=self._line)

    def _count(self, one: Detection, line: Line) -> None:
        """Count a crossing if the centre of the object's box has crossed the line since it was last beside it."""
        assert one.track is not None
        left, top, right, bottom = one.box
        place = ((left + right) / 2, (top + bottom) / 2)
        first, second = line[:2], line[2:]
        side = _side(first, second, place)
        if side == 0:  # on the line, or on its continuation: the next frame tells
            return
        before = self._places.get(one.track)
        self._places[one.track] = place
        if before is None or side * _side(first, second, before) > 0:
            return
        if _side(before, place, first) * _side(before, place, second) > 0:
            return  # the way passes an end of the line
        number = self._counts.get(one.label, Crossings(0, 0))
        self._counts[one.label] = Crossings(number.left + (side < 0), number.right + (side > 0))


def _side(first: Point, second: Point, point: Point) -> float:
    """Return a number above 0 if the point is on the right of a line as seen from its first end, and below on its left.

    The y axis of photos points down.
    """
    (x1, y1), (x2, y2), (x, y) = first, second, point
    return (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1)
