"""Write the operator that chooses a detector's boxes, TFLite_Detection_PostProcess."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mpscnn.converters.reading.tflite.detection import OPERATOR
from mpscnn.converters.reading.tflite.flexbuffer import Number, write_map
from mpscnn.converters.writing.tflite.arrays import gathered
from mpscnn.converters.writing.tflite.builder import Value
from mpscnn.converters.writing.tflite.layer import Layer
from mpscnn.graph.network import Network
from mpscnn.vision.detector import LARGEST_LOG_SIZE, Detector

_SWAPPED = [1, 0, 3, 2]  # x and y, width and height


def detector_of(network: Network, shape: Sequence[int]) -> Detector | None:
    """Return the detector of a network whose boxes the operator can choose; None for other networks.

    `shape` is that of the input.

    The operator knows anchors and the usual suppression of boxes only.
    """
    if network.detection is None:
        return None
    heads = sorted(network.detection.output(part) for part in ("boxes", "scores"))
    if heads != sorted(tensor.name for tensor in network.outputs):
        return None
    made = network.detection.detector((shape[1], shape[2]))
    suppression = made.settings["suppression"]
    coding = made.settings["boxes"]
    is_known = (
        suppression["method"] == "hard" and not suppression["max_candidates"] + suppression["max_per_level"]
    )
    is_known = is_known and not coding["clip"] and coding["max_log_size"] == LARGEST_LOG_SIZE
    return made if is_known and made.settings["anchors"]["rule"] != "none" else None


def choose_boxes(layer: Layer, detector: Detector, boxes: Value, scores: Value) -> dict[str, Value]:
    """Add the operator, and return its results by name.

    Args:
        layer: a stand-in for a layer, which names the operators.
        detector: the settings.
        boxes: (1, anchors, 4), floats.
        scores: (1, anchors, classes), floats.
    """
    settings = detector.settings
    if settings["boxes"]["order"] == "xy":
        boxes = gathered(layer, boxes, _SWAPPED, 2)
    if settings["scores"]["kind"] == "sigmoid":
        scores = layer.add("LOGISTIC", scores, like=scores)
    elif settings["scores"]["kind"] == "softmax":
        scores = layer.add("SOFTMAX", scores, like=scores, beta=1.0)
    anchors = layer.constant(np.ascontiguousarray(detector.anchors[:, _SWAPPED]), "anchors")
    options = _options(settings, scores.shape[2])
    count = int(options["max_detections"]) * int(options["max_classes_per_detection"])
    shapes = {"boxes": (1, count, 4), "classes": (1, count), "scores": (1, count), "count": (1,)}
    results = {name: layer.builder.tensor(f"{layer.name}/{name}", shape) for name, shape in shapes.items()}
    layer.builder.add_custom(OPERATOR, [boxes, scores, anchors], list(results.values()), write_map(options))
    return results


def _options(settings: Mapping[str, Any], columns: int) -> dict[str, Number]:
    suppression = settings["suppression"]
    names = ("x_scale", "y_scale", "w_scale", "h_scale")
    return {
        **{
            name: 1.0 / float(variance)
            for name, variance in zip(names, settings["boxes"]["variances"], strict=True)
        },
        "detections_per_class": int(suppression["max_per_class"]),
        "max_classes_per_detection": 1 if suppression["per_class"] else int(suppression["classes_per_box"]),
        "max_detections": int(suppression["max_detections"]),
        "nms_iou_threshold": float(suppression["iou_threshold"]),
        "nms_score_threshold": float(suppression["score_threshold"]),
        "num_classes": columns - bool(settings["scores"]["background"]),
        "use_regular_nms": bool(suppression["per_class"]),
    }
