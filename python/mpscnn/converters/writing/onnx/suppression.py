"""Write the choice of a detector's boxes with ONNX' operator NonMaxSuppression."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mpscnn.converters.writing.onnx.builder import Builder, Value
from mpscnn.errors import ParameterError, UnsupportedError
from mpscnn.graph.network import Network
from mpscnn.vision.detector import LARGEST_LOG_SIZE, Detector

BOXES, CLASSES, SCORES = "detection_boxes", "detection_classes", "detection_scores"
"""The outputs of a file that chooses boxes."""
_LAYER, _HEAD_AXES = "suppression", 3
_SWAPPED = [1, 0, 3, 2]  # x and y, width and height
_FLOAT, _INT64 = 1, 7  # ONNX' numbers of element types


def choose_boxes(builder: Builder, network: Network, heads: Mapping[str, Value], origin: str) -> None:
    """Add the operators that choose the boxes of one image, whose results become the outputs of the graph.

    Args:
        builder: the graph, with all outputs of the network.
        network: the network.
        heads: the results of the graph by the names of the network's outputs.
        origin: the name of the file, for messages.

    Raises:
        ParameterError: the network is not a detector.
        UnsupportedError: NonMaxSuppression cannot express how the detector chooses boxes.
    """
    head = network.detection
    if head is None:
        raise ParameterError(
            f"network {network.name!r} is not a detector, so suppression has no meaning; leave it out"
        )
    boxes, scores = (heads[head.output(part)] for part in ("boxes", "scores"))
    if wrong := [value.shape for value in (boxes, scores) if len(value.shape) != _HEAD_AXES]:
        raise UnsupportedError(
            f"{origin}: suppression is written for outputs (n, boxes, numbers), got {wrong[0]}"
        )
    _, height, width, _ = network.input.shape
    detector = head.detector((height or 0, width or 0))
    _require_known(detector, sorted({group for group, _ in head.outputs()} - {"boxes", "scores"}), origin)
    _Choice(builder, detector).write(boxes.name, scores.name)


def _require_known(detector: Detector, details: list[str], origin: str) -> None:
    """Raise UnsupportedError for settings that the operator cannot express."""
    given = detector.settings["suppression"]
    lacking = [f"{name} {given[name]!r}" for name in ("max_candidates", "max_per_level") if given[name]]
    if given["method"] != "hard":
        lacking.append(f"method {given['method']!r}")
    if not given["per_class"] and given["classes_per_box"] > 1:
        lacking.append(f"classes_per_box {given['classes_per_box']}")
    if lacking := [*lacking, *details]:
        raise UnsupportedError(
            f"{origin}: ONNX' NonMaxSuppression has no {' and no '.join(lacking)}: change the detector's settings "
            "(`mpscnn info MODEL --set detection=settings.json`), or write the file without suppression"
        )


class _Choice:
    """Adds the operators. Boxes are (1, boxes, 4) and scores (1, classes, boxes), both float32."""

    def __init__(self, builder: Builder, detector: Detector) -> None:
        self._builder, self._detector, self._settings = builder, detector, detector.settings

    def write(self, boxes: str, scores: str) -> None:
        suppression = self._settings["suppression"]
        edges, scores = self._edges(boxes), self._probabilities(scores)
        limit = suppression["max_per_class"] if suppression["per_class"] else suppression["max_detections"]
        if not suppression["per_class"]:  # each box has its best class only
            best = self._add("Squeeze", self._add("ArgMax", scores, axis=1), self._integers([0, 1]))
            scores = self._add("ReduceMax", scores, axes=[1])
        chosen = self._add(
            "NonMaxSuppression",
            edges,
            scores,
            self._integers([limit]),
            self._floats([suppression["iou_threshold"]]),
            # ONNX omits scores that are equal to its threshold.
            self._floats([np.nextafter(np.float32(suppression["score_threshold"]), np.float32(-1))]),
        )
        found, boxes_found = self._add("GatherND", scores, chosen), self._column(chosen, 2)
        classes = self._column(chosen, 1) if suppression["per_class"] else self._taken(best, boxes_found)
        most = self._integers([suppression["max_detections"]])
        count = self._add("Min", self._add("Shape", found), most)
        values, order = self._builder.add_several("TopK", [found, count], _LAYER, 2, axis=0)
        flat = self._add("Squeeze", edges, self._integers([0]))
        self._builder.replace_outputs(
            {
                BOXES: (self._taken(flat, self._taken(boxes_found, order)), _FLOAT, ("objects", 4)),
                CLASSES: (self._taken(classes, order), _INT64, ("objects",)),
                SCORES: (values, _FLOAT, ("objects",)),
            }
        )

    def _probabilities(self, scores: str) -> str:
        given = self._settings["scores"]
        scores = self._add("Cast", scores, to=_FLOAT)
        if given["kind"] != "probability":
            kind = given["kind"]
            scores = (
                self._add("Sigmoid", scores) if kind == "sigmoid" else self._add("Softmax", scores, axis=2)
            )
        if given["background"]:
            last = np.iinfo(np.int64).max
            scores = self._add("Slice", scores, *map(self._integers, ([1], [last], [2])))
        return self._add("Transpose", scores, perm=[0, 2, 1])

    def _edges(self, boxes: str) -> str:
        """Return the left, top, right and bottom edges of all boxes, computed in the order of cpp/vision/boxes.cpp."""
        coding = self._settings["boxes"]
        boxes = self._add("Cast", boxes, to=_FLOAT)
        if coding["order"] == "yx":
            boxes = self._add("Gather", boxes, self._integers(_SWAPPED), axis=2)
        if self._settings["anchors"]["rule"] != "none":
            boxes = self._decoded(boxes, coding)
        if coding["clip"]:
            boxes = self._add("Clip", boxes, *(self._stored(np.float32(limit)) for limit in (0, 1)))
        return boxes

    def _decoded(self, codes: str, coding: Mapping[str, Any]) -> str:
        anchors = self._detector.anchors
        codes = self._add("Mul", codes, self._floats(coding["variances"]))
        centres, logs = (
            self._add("Gather", codes, self._integers(places), axis=2) for places in ([0, 1], [2, 3])
        )
        sizes = self._stored(np.ascontiguousarray(anchors[:, 2:]))
        centres = self._add("Mul", centres, sizes)
        centres = self._add("Add", centres, self._stored(np.ascontiguousarray(anchors[:, :2])))
        if coding["max_log_size"] < LARGEST_LOG_SIZE:
            logs = self._add("Min", logs, self._stored(np.float32(coding["max_log_size"])))
        halves = self._add("Mul", self._add("Mul", self._add("Exp", logs), sizes), self._floats([0.5]))
        edges = (self._add(operator, centres, halves) for operator in ("Sub", "Add"))
        return self._add("Concat", *edges, axis=2)

    def _column(self, table: str, number: int) -> str:
        return self._add("Gather", table, self._stored(np.int64(number)), axis=1)

    def _taken(self, values: str, places: str) -> str:
        return self._add("Gather", values, places, axis=0)

    def _add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        return self._builder.add(operator, inputs, _LAYER, **attributes)

    def _floats(self, values: list[float]) -> str:
        return self._stored(np.array(values, np.float32))

    def _integers(self, values: list[int]) -> str:
        return self._stored(np.array(values, np.int64))

    def _stored(self, values: Any) -> str:
        return self._builder.stored(np.asarray(values), f"{_LAYER}.constant")
