"""Convert TFLite_Detection_PostProcess, the custom operator at the end of SSD networks, to detection settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.finishing.metadata_entries import OUTPUTS
from mpscnn.converters.reading.tflite.file import read_tflite
from mpscnn.converters.reading.tflite.operation import Operation
from mpscnn.converters.reading.tflite.row_calls import Batched, Given
from mpscnn.converters.values.rows import Row, ignores
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.vision.detector import DetectionHead

OPERATOR = "TFLite_Detection_PostProcess"

Head = tuple[str, tuple[int | None, ...]]


def detection_head(
    given: Mapping[str, Any], heads: Sequence[Head], anchors: NDArray[np.float32]
) -> DetectionHead:
    """Return the detection settings for the operator.

    Args:
        given: the operator's options.
        heads: the name and shape of the boxes, and of the scores, which are probabilities.
        anchors: the anchors (n, 4): centre y, centre x, height, width.
    """
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


def _variances(given: Mapping[str, Any]) -> list[float]:
    scales = [float(given[name]) for name in ("x_scale", "y_scale", "w_scale", "h_scale")]
    if not all(scale > 0.0 for scale in scales):
        raise WeightsError(f"damaged: its scales are {scales}, expected numbers above 0")
    return [1.0 / scale for scale in scales]


def _suppression(given: Mapping[str, Any]) -> dict[str, Any]:
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


@ignores("_output_quantized", "_support_output_type_float_in_quantized_op")
def _detection(
    op: Operation, boxes: Batched, scores: Batched, anchors: Given, *, max_detections: int,
    max_classes_per_detection: int, nms_score_threshold: float, nms_iou_threshold: float, num_classes: int,
    x_scale: float, y_scale: float, w_scale: float, h_scale: float, detections_per_class: int = 100,
    use_regular_nms: bool = False,
) -> None:  # fmt: skip
    """Convert the detection operator: its inputs become the outputs, and its options `Network.detection`."""
    outputs, results = op.stated.outputs, op.c.file.outputs
    if len(outputs) != len(results) or set(outputs) != set(results):
        raise UnsupportedError("its results must be the file's, and all of them")
    op.c.heads = [boxes, scores]
    if names := op.c.file.metadata.own_names(OUTPUTS):  # mpscnn's own entries have the settings
        op.c.heads = [op.c.tensor_of(name) for name in names]
        return
    given = {
        "max_detections": max_detections,
        "max_classes_per_detection": max_classes_per_detection,
        "nms_score_threshold": nms_score_threshold,
        "nms_iou_threshold": nms_iou_threshold,
        "num_classes": num_classes,
        "x_scale": x_scale,
        "y_scale": y_scale,
        "w_scale": w_scale,
        "h_scale": h_scale,
        "detections_per_class": detections_per_class,
        "use_regular_nms": use_regular_nms,
    }
    heads = [(head.name, head.shape) for head in op.c.heads]
    op.c.detection = detection_head(given, heads, anchors.real("its anchors"))


DETECTION: dict[str, Row] = {f"CUSTOM {OPERATOR}": _detection}
