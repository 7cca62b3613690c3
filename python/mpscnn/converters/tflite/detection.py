"""Convert TFLite_Detection_PostProcess, the custom operator at the end of SSD networks, to detection settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.tflite.file import read_tflite
from mpscnn.converters.tflite.flexbuffer import Number, read_map
from mpscnn.converters.tflite.metadata import OUTPUTS
from mpscnn.converters.tflite.operation import Handler, Operation
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.vision.detector import DetectionHead

OPERATOR = "TFLite_Detection_PostProcess"

_REQUIRED = (
    "max_detections",
    "max_classes_per_detection",
    "nms_score_threshold",
    "nms_iou_threshold",
    "num_classes",
    "x_scale",
    "y_scale",
    "w_scale",
    "h_scale",
)
_OPTIONAL: dict[str, Number] = {"detections_per_class": 100, "use_regular_nms": False}

Head = tuple[str, tuple[int | None, ...]]


def detection_head(options: bytes, heads: Sequence[Head], anchors: NDArray[np.float32]) -> DetectionHead:
    """Return the detection settings for the operator.

    Args:
        options: the operator's custom options, a FlexBuffers map.
        heads: the name and shape of the boxes, and of the scores, which are probabilities.
        anchors: the anchors (n, 4): centre y, centre x, height, width.
    """
    given = _read(options)
    (boxes, box_shape), (scores, score_shape) = heads
    if len(box_shape) != 3 or box_shape[2] != 4 or len(score_shape) != 3 or box_shape[1] != score_shape[1]:
        raise WeightsError(f"damaged: boxes {box_shape} and scores {score_shape} do not fit")
    if anchors.shape != (box_shape[1], 4):
        raise WeightsError(f"damaged: anchors {anchors.shape} for {box_shape[1]} boxes")
    columns, classes = score_shape[2], int(given["num_classes"])
    if columns not in (classes, classes + 1):
        raise WeightsError(f"damaged: {columns} columns of scores for {classes} classes")
    return DetectionHead(
        {
            "version": 1,
            "boxes": {"output": boxes, "order": "yx", "variances": _variances(given)},
            "scores": {"output": scores, "kind": "probability", "background": columns == classes + 1},
            "anchors": {"rule": "stored"},
            "suppression": _suppression(given),
        },
        np.ascontiguousarray(anchors[:, [1, 0, 3, 2]]),
    )


def _read(options: bytes) -> dict[str, Number]:
    given = _OPTIONAL | read_map(options)
    missing = [name for name in _REQUIRED if name not in given]
    if missing:
        raise WeightsError(f"damaged: its options lack {', '.join(missing)}")
    return given


def _variances(given: dict[str, Number]) -> list[float]:
    scales = [float(given[name]) for name in ("x_scale", "y_scale", "w_scale", "h_scale")]
    if not all(scale > 0.0 for scale in scales):
        raise WeightsError(f"damaged: its scales are {scales}, expected numbers above 0")
    return [1.0 / scale for scale in scales]


def _suppression(given: dict[str, Number]) -> dict[str, Any]:
    """Return the settings of non-maximum suppression.

    The operator's regular mode suppresses boxes within each class. Its fast mode suppresses across classes, by each
    box's best class.
    """
    common: dict[str, Any] = {
        "iou_threshold": float(given["nms_iou_threshold"]),
        "score_threshold": float(given["nms_score_threshold"]),
        "max_detections": int(given["max_detections"]),
    }
    if given["use_regular_nms"]:
        return common | {"per_class": True, "max_per_class": int(given["detections_per_class"])}
    return common | {"per_class": False, "classes_per_box": int(given["max_classes_per_detection"])}


def own_heads(path: Path) -> list[str]:
    """Return the names of a detector's outputs in a file that mpscnn has written; an empty list for other files."""
    return read_tflite(path).metadata.own_names(OUTPUTS)


def _detection(o: Operation) -> None:
    """Convert the detection operator: its inputs become the outputs, and its options `Network.detection`."""
    results = o.c.file.outputs
    if len(o.outputs) != len(results) or set(o.outputs) != set(results):
        raise UnsupportedError("its results must be the file's, and all of them")
    o.c.heads = [o.tensor(place) for place in (0, 1)]
    if names := o.c.file.metadata.own_names(OUTPUTS):  # mpscnn's own entries have the settings
        o.c.heads = [o.c.tensor_of(name) for name in names]
        return
    anchors = o.real(2, "its anchors")
    heads = [(head.name, head.shape) for head in o.c.heads]
    o.c.detection = detection_head(o.operator.custom_options, heads, anchors)


DETECTION: dict[str, Handler] = {f"CUSTOM {OPERATOR}": _detection}
