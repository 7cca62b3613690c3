"""Convert the raw outputs of single-shot detectors to boxes (docs/detection.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn._private.arguments import is_finite_number, name_list, pair, whole_number
from mpscnn._private.arrays import as_array
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn._private.settings import as_json
from mpscnn.errors import ParameterError, ShapeError
from mpscnn.vision.found_object import Detection, detection_of

#: The default of "max_log_size", with which sizes are as large as numbers can be (cpp/vision/boxes.h).
LARGEST_LOG_SIZE = 40.0
# The settings that name outputs with more about an object than its box.
_DETAILS = (
    ("angles", "output"),
    ("keypoints", "output"),
    ("masks", "coefficients"),
    ("masks", "prototypes"),
)


@dataclass(frozen=True, eq=False)
class DetectionHead:
    """The settings that turn a network's outputs into boxes. `Network.detection` and model files hold them."""

    settings: Mapping[str, Any]
    """The settings, as for `Detector`."""
    anchors: NDArray[np.float32] | None = None
    """The anchors (n, 4) for the rule "stored"; None for other rules."""

    def detector(self, input_size: tuple[int, int]) -> Detector:
        """Return a `Detector` for outputs that your program computes. Raises the errors of `Detector`."""
        return Detector(self.settings, input_size, anchors=self.anchors)

    def output(self, part: str) -> str:
        """Return the name of the output that has the "boxes" or the "scores"."""
        return str(_entry(self.settings, part, "output", part))

    def outputs(self) -> dict[tuple[str, str], str]:
        """Return the names of all outputs that the settings name. The keys are the groups and keys of the settings."""
        known = {(part, "output"): self.output(part) for part in ("boxes", "scores")}
        return known | {
            (group, key): str(_entry(self.settings, group, key, ""))
            for group, key in _DETAILS
            if group in self.settings
        }

    def with_outputs(self, names: Mapping[str, str]) -> DetectionHead:
        """Return the head with other names of outputs. `names` has the new name of each output.

        Raises ParameterError if an output is not in `names`.
        """
        settings = {
            key: dict(value) if isinstance(value, Mapping) else value for key, value in self.settings.items()
        }
        for (group, key), name in self.outputs().items():
            entries = settings.setdefault(group, {})
            if not isinstance(entries, dict) or name not in names:
                raise ParameterError(f"detection: {group}: there is no output {name!r}")
            entries[key] = names[name]
        return replace(self, settings=settings)

    def with_limits(
        self,
        score_threshold: float | None = None,
        iou_threshold: float | None = None,
        max_detections: int | None = None,
    ) -> DetectionHead:
        """Return the head with other limits of the suppression, as for `Model.detect`; None keeps a limit.

        Raises ParameterError for a limit that is out of its range.
        """
        limits(score_threshold, iou_threshold, max_detections)
        given = {
            "score_threshold": score_threshold,
            "iou_threshold": iou_threshold,
            "max_detections": max_detections,
        }
        changed = {name: value for name, value in given.items() if value is not None}
        suppression = {**self.settings.get("suppression", {}), **changed}
        return replace(self, settings={**self.settings, "suppression": suppression})

    def __repr__(self) -> str:
        described = [f"{part} {self.output(part)!r}" for part in ("boxes", "scores")]
        return f"<DetectionHead: anchors {_entry(self.settings, 'anchors', 'rule', '?')}, {', '.join(described)}>"


def _entry(settings: Mapping[str, Any], group: str, key: str, default: str) -> object:
    """Return one of the settings, which may be invalid."""
    entries = settings.get(group)
    return entries.get(key, default) if isinstance(entries, Mapping) else default


class Detector:
    """Converts the raw outputs of a single-shot detector to boxes, for programs that run the network themselves.

    Boxes are (left, top, right, bottom) as fractions of the network's input. Several threads may use a detector.

    Args:
        settings: anchors, box coding, kind of the scores and suppression, as in a model file under "mpscnn.detection"
            (docs/detection.md).
        input_size: (height, width) of the network's input.
        anchors: (n, 4) centre x, centre y, width and height of each anchor, only for the anchor rule "stored".

    Raises:
        ParameterError: the settings are invalid. ShapeError: the anchors have another shape.
    """

    @accept_foreign_arguments
    def __init__(
        self, settings: Mapping[str, Any], input_size: tuple[int, int], *, anchors: Any = None
    ) -> None:
        stored = None if anchors is None else _table("anchors", anchors)
        height, width = pair("input_size", input_size)
        self._given = settings, (height, width), stored
        self._core = _core.Detector(as_json("detection", settings), height, width, stored)

    def __reduce__(self) -> tuple[Any, ...]:
        settings, input_size, anchors = self._given
        return _detector, (dict(settings), input_size, anchors)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings with all defaults."""
        settings: dict[str, Any] = json.loads(self._core.describe())
        return settings

    @property
    def anchors(self) -> NDArray[np.float32]:
        """The anchors (n, 4) in the order of the network's boxes; none for the rule "none".

        The four numbers are centre x, centre y, width and height.
        """
        return self._core.anchors()

    def __repr__(self) -> str:
        settings = self.settings
        return (
            f"<Detector: {len(self.anchors)} anchors ({settings['anchors']['rule']}), {settings['scores']['kind']} "
            f"scores, {settings['suppression']['method']} suppression>"
        )

    def decode(self, boxes: Any) -> NDArray[np.float32]:
        """Decode the network's box outputs to boxes (n, 4), without selecting among them.

        Raises ShapeError if their number differs from that of the anchors, and ParameterError for NaN and infinities.
        """
        return self._core.decode(_table("boxes", boxes))

    def targets(
        self, boxes: Any, classes: Any, *, columns: int, iou_threshold: float = 0.5
    ) -> NDArray[np.float32]:
        """Return the training targets for an image with labelled objects (docs/detection.md#targets).

        Args:
            boxes: (k, 4) left, top, right and bottom of each object, as fractions of the network's input; k may be 0.
            classes: (k,) the objects' class numbers from 0 on, without the background.
            columns: the number of columns of the network's scores, including the background.
            iou_threshold: an anchor is assigned to an object if they overlap by at least this. The best anchor of each
                object is always assigned.

        Returns:
            (anchors, 4 + columns): the four numbers of each anchor's box, and 1 for its class; the background is the
            first column.

        Raises:
            ShapeError: the arrays do not fit each other.
            ParameterError: a box is outside of the image or has no area, a class does not exist, the threshold is not
                above 0 and at most 1, or the settings have no anchors or no background.
        """
        threshold = require_threshold("iou_threshold", iou_threshold)
        numbers = as_array("classes", classes)
        if numbers.size == 0:
            numbers = np.zeros(len(numbers), np.int32)
        if numbers.dtype.kind not in "iu":
            raise ParameterError(f"classes must be whole numbers, got {numbers.dtype}")
        table = as_array("boxes", boxes)
        if table.size == 0:
            table = np.zeros((0, 4), np.float32)
        if numbers.size and not (numbers.min() >= 0 and numbers.max() < 2**31):
            raise ParameterError(f"classes must be numbers from 0 on, got {numbers.min()} to {numbers.max()}")
        return self._core.targets(
            _table("boxes", table), numbers.astype(np.int32), whole_number("columns", columns), threshold
        )

    def run(
        self,
        boxes: Any,
        scores: Any,
        *,
        score_threshold: float | None = None,
        iou_threshold: float | None = None,
        max_detections: int | None = None,
        labels: Sequence[str] | None = None,
    ) -> list[Detection]:
        """Return the objects on one image, the most probable first.

        Args:
            boxes: the network's boxes, (n, 4) or (1, n, 4).
            scores: the network's scores, (n, columns) or (1, n, columns).
            score_threshold, iou_threshold, max_detections: replace those of the settings.
            labels: the names of the classes, without the background.

        Raises:
            ShapeError: the arrays do not fit each other or the anchors.
            ParameterError: the arrays have NaN or infinities, the number of labels is wrong, or an argument is out of
                range.
        """
        box_table, score_table = _table("boxes", boxes), _table("scores", scores)
        classes = score_table.shape[1] - bool(self.settings["scores"]["background"])
        names = None if labels is None else name_list("labels", labels)
        if names is not None and len(names) != classes:
            raise ParameterError(f"{len(names)} labels for {classes} classes; the background has none")
        found = self._core.run(
            box_table, score_table, *limits(score_threshold, iou_threshold, max_detections)
        )
        return [detection_of(one, one[0] if names is None else names[one[1]]) for one in found]


def _detector(
    settings: Mapping[str, Any], input_size: tuple[int, int], anchors: NDArray[np.float32] | None
) -> Detector:
    return Detector(settings, input_size, anchors=anchors)


def require_threshold(name: str, value: object) -> float:
    """Return a threshold. Raises ParameterError unless it is above 0 and at most 1."""
    if is_finite_number(value) and 0 < value <= 1:
        return float(value)
    raise ParameterError(f"{name} must be above 0 and at most 1, got {value!r}")


def limits(
    score_threshold: float | None, iou_threshold: float | None, max_detections: int | None
) -> tuple[float, float, int]:
    """Return the arguments of a detection for the core, where 0 means the model's setting."""
    for name, value in (("score_threshold", score_threshold), ("iou_threshold", iou_threshold)):
        if value is not None:
            require_threshold(name, value)
    count = 0 if max_detections is None else whole_number("max_detections", max_detections, maximum=2**31 - 1)
    return float(score_threshold or 0.0), float(iou_threshold or 0.0), count


def _table(name: str, values: Any) -> NDArray[np.float32]:
    try:
        array = np.ascontiguousarray(as_array(name, values), np.float32)
    except (TypeError, ValueError) as error:
        raise ShapeError(f"{name}: cannot be read as numbers: {error}") from error
    if array.ndim == 3 and len(array) == 1:
        array = array[0]
    if array.ndim != 2:
        raise ShapeError(f"{name}: expected (boxes, columns) of one image, got {array.shape}")
    return array
