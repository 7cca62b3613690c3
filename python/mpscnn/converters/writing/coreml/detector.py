"""Write detectors as Core ML pipelines: a network with boxes and confidences, then non-maximum suppression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mpscnn.converters.finishing.photo_settings import labelled_classes
from mpscnn.converters.reading.coreml.pipeline import EDGES
from mpscnn.converters.writing.coreml.read_detector import remove_added_layers
from mpscnn.errors import ParameterError, UnsupportedError, WeightsError
from mpscnn.graph.network import Network
from mpscnn.vision.detector import LARGEST_LOG_SIZE, DetectionHead

# The outputs of the whole pipeline (keys), by which Apple's Vision recognises a detector, and of the network (values).
_RAW = {"confidence": "raw_confidence", "coordinates": "raw_coordinates"}
# The descriptions of the pipeline's outputs, which Xcode shows.
_DESCRIPTIONS = {
    "confidence": "The confidence of each class (columns) for each box (rows), 0 to 1",
    "coordinates": (
        "Centre x, centre y, width and height of each box, as fractions of the image, from its upper left corner"
    ),
}
# The matrix that computes centre x, centre y, width and height (its columns) from left, top, right and bottom.
_CENTRES = np.array([[0.5, 0, -1, 0], [0, 0.5, 0, -1], [0.5, 0, 1, 0], [0, 0.5, 0, 1]], np.float32)


class DetectorPostProcessing:
    """The part of a Core ML model that follows a detector's network.

    Args:
        network: a network with `detection`.
        size: (height, width) of the input; None: that of the network.
        origin: the name of the file to write, for messages.

    Attributes:
        network: the network to write, without the layers that reading a Core ML model added.

    Raises:
        UnsupportedError: Core ML does not suppress boxes in the detector's way. ParameterError: labels or settings that
            are wrong. WeightsError: settings that name an output which the network does not have.
    """

    def __init__(self, network: Network, size: tuple[int, int] | None, origin: str) -> None:
        head: DetectionHead | None = network.detection
        assert head is not None
        height, width = size if size is not None else network.input.shape[1:3]
        made = head.detector((int(height or 0), int(width or 0)))
        self._settings, self._anchors = made.settings, made.anchors
        names = [tensor.name for tensor in network.outputs]
        wanted = [head.output(part) for part in ("boxes", "scores")]
        missing = next((name for name in wanted if name not in names), None)
        if missing is not None:
            raise WeightsError(
                f"{origin}: the detector's settings name the output {missing!r}, which the network does not have"
            )
        details = [name for name in ("angles", "keypoints", "masks") if name in head.settings]
        if details:
            raise UnsupportedError(
                f"{origin}: Core ML's suppression of boxes keeps no {' and '.join(details)}: remove the detector's "
                "settings (in Python `network.detection = None`) to write all outputs of the network as they are"
            )
        self._places = tuple(map(names.index, wanted))
        self.network, self._are_centres = remove_added_layers(network, *self._places)
        self._labels = network.labels
        suppression = self._settings["suppression"]
        if suppression["method"] != "hard":
            raise UnsupportedError(
                f"{origin}: Core ML has no suppression of boxes by the method {suppression['method']!r}: set 'method' "
                "to 'hard' in the detector's settings (`mpscnn info MODEL --set detection=settings.json`)"
            )
        if suppression["per_class"] and suppression["max_per_class"] < suppression["max_detections"]:
            raise UnsupportedError(
                f"{origin}: Core ML limits the boxes of a photo, and not those of each class: set 'max_per_class' to "
                "'max_detections' in the detector's settings (`mpscnn info MODEL --set detection=settings.json`)"
            )
        self._classes = labelled_classes(network) or 0
        if self._labels is not None and len(self._labels) != self._classes:
            raise ParameterError(f"{origin}: {len(self._labels)} labels for {self._classes} classes")
        self._rows = 0

    def outputs(self, mb: Any, values: Sequence[Any]) -> list[Any]:
        """Add the boxes and confidences to a program, one row for each box, and return them.

        Args:
            mb: coremltools' builder of programs.
            values: the outputs of the network.
        """
        self._rows = int(values[self._places[0]].shape[-2])
        boxes, scores = (
            mb.reshape(x=values[place], shape=[int(extent) for extent in values[place].shape[-2:]])
            for place in self._places
        )
        confidence, coordinates = self._confidence(mb, scores), self._coordinates(mb, boxes)
        return [
            mb.identity(x=value, name=_RAW[name])
            for name, value in (("confidence", confidence), ("coordinates", coordinates))
        ]

    def _confidence(self, mb: Any, scores: Any) -> Any:
        kind = self._settings["scores"]["kind"]
        if kind == "sigmoid":
            scores = mb.sigmoid(x=scores)
        elif kind == "softmax":
            scores = mb.softmax(x=scores, axis=-1)
        if not self._settings["scores"]["background"]:
            return scores
        return mb.slice_by_index(
            x=scores, begin=[0, 1], end=[0, 0], begin_mask=[True, False], end_mask=[True, True]
        )

    def _coordinates(self, mb: Any, boxes: Any) -> Any:
        coding = self._settings["boxes"]
        if self._are_centres:
            return boxes
        order = [1, 0, 3, 2] if coding["order"] == "yx" else [0, 1, 2, 3]
        if self._settings["anchors"]["rule"] == "none":
            edges = mb.clip(x=boxes, alpha=0.0, beta=1.0) if coding["clip"] else boxes
            return mb.matmul(x=edges, y=_CENTRES[order])
        factors = np.diag(np.float32(coding["variances"]))[order]
        codes = mb.matmul(x=boxes, y=factors)
        places, sizes = self._anchors[:, :2], self._anchors[:, 2:]
        centres, extents = mb.split(x=codes, split_sizes=[2, 2], axis=1)
        centres = mb.add(x=mb.mul(x=centres, y=sizes), y=places)
        if coding["max_log_size"] < LARGEST_LOG_SIZE:
            extents = mb.minimum(x=extents, y=np.float32(coding["max_log_size"]))
        extents = mb.mul(x=mb.exp(x=extents), y=sizes)
        found = mb.concat(values=[centres, extents], axis=1)
        if not coding["clip"]:
            return found
        edges = mb.clip(x=mb.matmul(x=found, y=EDGES), alpha=0.0, beta=1.0)
        return mb.matmul(x=edges, y=_CENTRES)

    def pipeline(self, tools: Any, model: Any) -> Any:
        """Return the pipeline of a network's model and non-maximum suppression, in the form that Vision expects."""
        part = model.get_spec()
        part.description.metadata.Clear()  # it has the date, and equal networks give equal files
        version = part.specificationVersion
        spec = tools.proto.Model_pb2.Model(specificationVersion=version)
        spec.description.input.add().CopyFrom(part.description.input[0])
        spec.description.input[0].shortDescription = "The photo in which objects are found"
        suppression = tools.proto.Model_pb2.Model(specificationVersion=version)
        columns = {"confidence": self._classes, "coordinates": 4}
        for name, raw in _RAW.items():
            output = next(one for one in part.description.output if one.name == raw)
            self._describe(tools, output, columns[name], fixed=True)
            suppression.description.input.add().CopyFrom(output)
            result = suppression.description.output.add(name=name)
            self._describe(tools, result, columns[name], fixed=False)
            result.shortDescription = _DESCRIPTIONS[name]
            spec.description.output.add().CopyFrom(result)
        held, settings = suppression.nonMaximumSuppression, self._settings["suppression"]
        held.iouThreshold = float(f"{settings['iou_threshold']:.7g}")  # rounded to the digits of a float32
        held.confidenceThreshold = float(f"{settings['score_threshold']:.7g}")
        held.pickTop.perClass = settings["per_class"]
        held.confidenceInputFeatureName = _RAW["confidence"]
        held.coordinatesInputFeatureName = _RAW["coordinates"]
        held.confidenceOutputFeatureName, held.coordinatesOutputFeatureName = "confidence", "coordinates"
        held.iouThresholdInputFeatureName = "iouThreshold"
        held.confidenceThresholdInputFeatureName = "confidenceThreshold"
        if self._labels is not None:
            held.stringClassLabels.vector.extend(self._labels)
        for one in (spec, suppression):
            for name, what in (
                ("iouThreshold", f"Boxes that overlap more are suppressed (default: {held.iouThreshold:g})"),
                ("confidenceThreshold", f"The lowest confidence (default: {held.confidenceThreshold:g})"),
            ):
                given = one.description.input.add(name=name, shortDescription=what)
                given.type.doubleType.SetInParent()
                given.type.isOptional = True
        spec.pipeline.names.extend(["network", "suppression"])
        spec.pipeline.models.extend([part, suppression])
        return tools.models.MLModel(spec, weights_dir=model.weights_dir, skip_model_load=True)

    def _describe(self, tools: Any, output: Any, columns: int, *, fixed: bool) -> None:
        """Set the shape of an output with a row for each box.

        With `fixed` these are all boxes of the network, otherwise the boxes that remain after suppression.
        """
        array = output.type.multiArrayType
        array.Clear()
        array.dataType = tools.proto.FeatureTypes_pb2.ArrayFeatureType.FLOAT32
        if fixed:
            array.shape.extend([self._rows, columns])
            return
        maximum = self._settings["suppression"]["max_detections"]
        array.shapeRange.sizeRanges.add(lowerBound=0, upperBound=maximum)
        array.shapeRange.sizeRanges.add(lowerBound=columns, upperBound=columns)
