"""Core ML's pipelines of a network and a suppression of boxes, as detectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mpscnn.converters.coreml.features import class_labels
from mpscnn.converters.coreml.schema import OTHER_MODELS
from mpscnn.converters.layer_names import shown
from mpscnn.converters.onnx_builder.walk import Walk
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.network import Network
from mpscnn.vision.detector import DetectionHead

Ending = Callable[[Walk, Sequence[str]], None]
"""Adds what follows the blobs that a model gives, in the order of its outputs."""

# Left, top, right and bottom of centre x, centre y, width and height: one column for each.
_EDGES = np.array([[1, 0, 1, 0], [0, 1, 0, 1], [-0.5, 0, 0.5, 0], [0, -0.5, 0, 0.5]], np.float32)
_LEAST_SCORE = 1e-6  # thresholds must be above 0
_MOST_BOXES = 300


def parts_of(pipeline: Any, networks: Sequence[str]) -> tuple[Any, Any | None]:
    """Return the network of a pipeline, and the suppression after it; None where there is none.

    Args:
        pipeline: the message.
        networks: the fields of a model that hold networks.

    Raises UnsupportedError for other parts, with their names.
    """
    parts = list(pipeline.models)
    others = [kind for part in parts for kind in OTHER_MODELS if part.HasField(kind)]
    if others:
        raise UnsupportedError(
            f"it is a pipeline with {', '.join(sorted(set(others)))}, which is not supported"
        )
    found = [part for part in parts if any(part.HasField(kind) for kind in networks)]
    suppressions = [part for part in parts if part.HasField("nonMaximumSuppression")]
    if len(found) != 1 or len(suppressions) > 1 or len(found) + len(suppressions) != len(parts):
        raise UnsupportedError(
            f"it is a pipeline of {len(parts)} models; supported are a network, and a suppression of boxes after it"
        )
    if suppressions and parts[-1].nonMaximumSuppression is not suppressions[0].nonMaximumSuppression:
        raise UnsupportedError("it is a pipeline with a suppression of boxes before the network")
    return found[0], suppressions[0].nonMaximumSuppression if suppressions else None


def boxes_and_scores(part: Any, suppression: Any) -> tuple[int, int]:
    """Return the places of boxes and scores among the outputs of the network."""
    names = [message.name for message in part.description.output]
    wanted = (suppression.coordinatesInputFeatureName, suppression.confidenceInputFeatureName)
    for name in wanted:
        if name not in names:
            raise WeightsError(
                f"damaged: the suppression reads {shown(name)}, which the network does not give"
            )
    return names.index(wanted[0]), names.index(wanted[1])


def ending_of(places: tuple[int, int]) -> Ending:
    """Adds the edges of boxes whose centres and sizes a network gives, and the axis of the batch.

    A box counts for its best class only, so its other scores become 0.
    """

    def end(walk: Walk, outputs: Sequence[str]) -> None:
        boxes, scores = (outputs[place] for place in places)
        b = walk.builder

        def rows(blob: str, columns: int | None) -> str:
            x = b.tensor(blob)
            shape = b.fixed(x)
            while len(shape) > 3 and 1 in shape[1:]:  # as images in old files
                axis = shape.index(1, 1)
                shape = (*shape[:axis], *shape[axis + 1 :])
            if len(shape) not in (2, 3) or (columns is not None and shape[-1] != columns):
                raise UnsupportedError(f"boxes or scores of the shape {shape}; expected rows of boxes")
            return b.reshaped(x, [1 if len(shape) == 2 else 0, *shape[-2:]])

        def best(x: str) -> str:
            classes = np.arange(b.fixed(x)[-1], dtype=np.float32)
            place = b.op("Cast", b.op("ArgMax", x, axis=-1, keepdims=1), to=1)
            distance = b.op("Abs", b.op("Sub", place, b.weight("classes", classes)))
            return b.op("Mul", x, b.op("Relu", b.op("Sub", b.number(1.0), distance)))

        def edges() -> Sequence[str]:
            return [b.op("MatMul", rows(boxes, 4), b.weight("edges", _EDGES))]

        walk.layer("nonMaximumSuppression", "boxes", [boxes], [boxes], edges, None)
        walk.layer(
            "nonMaximumSuppression",
            "scores",
            [scores],
            [scores],
            lambda: [best(rows(scores, None))],
            None,
        )

    return end


def make_detector(
    network: Network, places: tuple[int, int], description: Any, suppression: Any, origin: str
) -> None:
    """Says in a network how its outputs become boxes, and the names of their classes.

    Args:
        network: gives edges and scores.
        places: of its outputs with boxes and with scores.
        description: of the pipeline, which may limit the number of boxes.
        suppression: the message.
        origin: the file, for messages.
    """
    limits = [
        int(one.type.multiArrayType.shapeRange.sizeRanges[0].upperBound)
        for one in description.output
        if one.type.multiArrayType.shapeRange.sizeRanges
    ]
    most = min((limit for limit in limits if limit > 0), default=_MOST_BOXES)
    boxes, scores = (network.outputs[place].name for place in places)
    network.detection = DetectionHead(
        {
            "version": 1,
            "boxes": {"output": boxes, "order": "xy"},
            "scores": {"output": scores, "kind": "probability", "background": False},
            "anchors": {"rule": "none"},
            "suppression": {
                "per_class": bool(suppression.pickTop.perClass),
                "iou_threshold": float(suppression.iouThreshold),
                "score_threshold": max(float(suppression.confidenceThreshold), _LEAST_SCORE),
                "max_per_class": most,
                "max_detections": most,
            },
        }
    )
    network.labels = class_labels(suppression, origin)
