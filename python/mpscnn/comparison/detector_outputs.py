"""Decode the outputs of two detectors, so that detectors whose outputs have different codings can be compared.

A file of Core ML stores boxes without anchors and scores without a background. Its raw outputs therefore differ from
those of the network that was written, although both find the same objects.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mpscnn.comparison.sides import WRITTEN, Side
from mpscnn.comparison.trace import Array, Trace, Value
from mpscnn.converters.reading.coreml.pipeline import EDGES
from mpscnn.converters.writing.coreml.read_detector import remove_added_layers
from mpscnn.errors import ParameterError, ShapeError, UnsupportedError, WeightsError

if TYPE_CHECKING:
    from pathlib import Path

    from mpscnn.graph.network import Network
    from mpscnn.vision.detector import DetectionHead, Detector


@dataclass(frozen=True, eq=False)
class DetectorOutputs:
    """The meaning of a detector's outputs.

    Args:
        head: the detection settings.
        places: the positions of the boxes and the scores among the outputs.
        shapes: the shapes of all outputs; None is a free extent.
        are_centres: whether a box is its centre and size instead of what the settings say.
    """

    head: DetectionHead
    places: tuple[int, int]
    shapes: tuple[tuple[int | None, ...], ...]
    are_centres: bool

    def fits(self, trace: Trace) -> bool:
        """Return True if the trace has these outputs. A file's own engine may have others, such as final objects."""
        raw = {value.name: value.array.shape for value in trace.values}
        return len(trace.outputs) == len(self.shapes) and all(
            len(raw[name]) == len(shape) and all(map(_agrees, raw[name], shape))
            for name, shape in zip(trace.outputs, self.shapes, strict=True)
        )

    def decoded(self, trace: Trace, inputs: list[Array]) -> Trace:
        """Return a trace whose outputs are the boxes and scores that the raw outputs mean.

        The boxes (n, boxes, 4) are left, top, right and bottom as fractions of the input. The scores (n, boxes,
        classes) are probabilities.
        """
        raw = {value.name: value for value in trace.values}
        height, width = inputs[0].shape[1:3]
        detector = self.head.detector((height, width))
        boxes, scores = (raw[trace.outputs[place]].array for place in self.places)
        found = (
            Value("boxes", "detection", self._edges(detector, _rows(boxes))),
            Value("scores", "detection", _probabilities(detector, _rows(scores))),
        )
        layers = tuple(value for value in trace.values if value.name not in trace.outputs)
        return Trace((*layers, *found), tuple(value.name for value in found))

    def _edges(self, detector: Detector, rows: Array) -> Array:
        if self.are_centres:
            return rows @ EDGES
        # The detector refuses numbers that are not finite. A comparison shows them.
        finite = np.isfinite(rows).all(axis=-1, keepdims=True)
        decoded = np.stack([detector.decode(one) for one in np.where(finite, rows, np.float32(0.0))])
        return np.where(finite, decoded, np.float32(np.nan))


def decoded_sides(first: Side, second: Side) -> tuple[tuple[Side, Side], tuple[DetectorOutputs, ...]]:
    """Return the sides, and the meaning of their outputs if they are detectors whose outputs have different codings.

    The layers that reading a file of Core ML adds are then removed, because they only change the coding. The meaning
    is empty for other sides: their outputs are compared as they are.
    """
    own = (first.network, second.network)
    if all(network is None or network.detection is None for network in own):
        return (first, second), ()
    found_a, found_b = _meaning(first), _meaning(second)
    if found_a is None or found_b is None:
        return (first, second), ()
    (plain_a, a), (plain_b, b) = found_a, found_b
    if _have_equal_settings(a.head, b.head) and (plain_a is None) == (plain_b is None):
        return (first, second), ()
    sides = (
        side if plain is None else replace(side, network=plain)
        for side, plain in ((first, plain_a), (second, plain_b))
    )
    return (next(sides), next(sides)), (a, b)


def _meaning(side: Side) -> tuple[Network | None, DetectorOutputs] | None:
    """Return a detector without the layers that reading added, or None if it added none, and its outputs' meaning.

    The result is None for other networks, and for detectors with angles, keypoints or masks. Those have one coding
    only. The settings of a file that runs in its own engine are read from the file.
    """
    network = side.network or _read_for_settings(side.path)
    head = None if network is None else network.detection
    if network is None or head is None or len(head.outputs()) > 2:
        return None
    names = [tensor.name for tensor in network.outputs]
    wanted = [head.output(part) for part in ("boxes", "scores")]
    if missing := set(wanted) - set(names):
        raise ParameterError(
            f"compare: the detector's settings of {side.name} name the output {min(missing)!r}, which the network does "
            f"not have: its outputs are {', '.join(names)}"
        )
    boxes, scores = map(names.index, wanted)
    plain, are_centres = remove_added_layers(network, boxes, scores)
    shapes = tuple(tensor.shape for tensor in plain.outputs)
    return (None if plain is network else plain), DetectorOutputs(head, (boxes, scores), shapes, are_centres)


def _read_for_settings(path: Path | None) -> Network | None:
    """Return the network of an ONNX or TensorFlow Lite file; None for another file, or one that mpscnn cannot read."""
    if path is None or path.suffix.lower() not in WRITTEN.values():
        return None
    from mpscnn.converters import read_network

    try:
        return read_network([path])
    except (UnsupportedError, WeightsError):
        return None


def _agrees(extent: int, stated: int | None) -> bool:
    return stated in (None, extent)


def _have_equal_settings(a: DetectionHead, b: DetectionHead) -> bool:
    if any(a.settings.get(group) != b.settings.get(group) for group in ("boxes", "scores", "anchors")):
        return False
    if a.anchors is None or b.anchors is None:
        return a.anchors is b.anchors
    return np.array_equal(a.anchors, b.anchors)


def _rows(array: Array) -> Array:
    """Return the rows of boxes of each image, (n, boxes, columns)."""
    kept = [extent for extent in array.shape[1:-1] if extent != 1]
    if len(kept) > 1:
        raise ShapeError(f"compare: a detector's output has the shape {array.shape}; expected rows of boxes")
    return array.reshape(len(array), kept[0] if kept else 1, array.shape[-1])


def _probabilities(detector: Detector, rows: Array) -> Array:
    scores = detector.settings["scores"]
    with np.errstate(invalid="ignore"):  # a comparison shows numbers that are not finite as they are
        if scores["kind"] == "sigmoid":
            rows = np.exp(-np.logaddexp(np.float32(0.0), -rows))
        elif scores["kind"] == "softmax":
            powers = np.exp(rows - rows.max(axis=-1, keepdims=True))
            rows = powers / powers.sum(axis=-1, keepdims=True)
    return np.ascontiguousarray(rows[..., int(scores["background"]) :], np.float32)
