"""Convert Core ML's pipelines of a network and non-maximum suppression to detectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mpscnn.converters.finishing.photo_settings import MAX_LABELS
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.coreml.features import class_labels
from mpscnn.converters.reading.coreml.schema import OTHER_MODELS
from mpscnn.converters.reading.graph.walk import Walk
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.network import Network
from mpscnn.vision.detector import DetectionHead

PostProcessing = Callable[[Walk, Sequence[str]], None]
"""A function that adds operators after a model's output blobs, which it gets in the order of the outputs."""

EDGES = np.array([[1, 0, 1, 0], [0, 1, 0, 1], [-0.5, 0, 0.5, 0], [0, -0.5, 0, 0.5]], np.float32)
"""The matrix that computes left, top, right and bottom (its columns) from centre x, centre y, width and height."""
VECTORIZER = "featureVectorizer"
_MIN_SCORE = 1e-6  # the minimum score threshold, which must be above 0 in mpscnn
_MAX_BOXES = 300


@dataclass(frozen=True)
class Parts:
    """The models of a pipeline.

    Attributes:
        network: the message of the model that is a network.
        suppression: the message of the non-maximum suppression after it; None if there is none.
        left_out: the messages of feature vectorizers that are not needed.
    """

    network: Any
    suppression: Any | None
    left_out: Sequence[Any]


def _left_out(parts: Sequence[Any], networks: Sequence[str]) -> list[Any]:
    """Return the feature vectorizers of a pipeline that only join the pipeline's inputs to an input of the network.

    The network runs without them if its caller joins the numbers.
    """
    made = {message.name for part in parts for message in part.description.output}
    start = next((i for i, part in enumerate(parts) if any(part.has(kind) for kind in networks)), 0)
    read = {message.name for message in parts[start].description.input} if parts else set()
    return [
        part
        for part in parts[:start]
        if part.has(VECTORIZER)
        and read.issuperset(message.name for message in part.description.output)
        and made.isdisjoint(message.name for message in part.description.input)
    ]


def vectorizer_note(vectorizer: Any) -> str:
    """Return the note of a network whose feature vectorizer is left out, with the order and sizes of its inputs.

    The order is that of the vectorizer's own list. That of the model's description may be another one.
    """
    joined = ", ".join(
        f"{quote_name(column.inputColumn)} ({column.inputDimensions})"
        for column in vectorizer.featureVectorizer.inputList
    )
    made = ", ".join(quote_name(message.name) for message in vectorizer.description.output)
    return f"the {VECTORIZER} before the network is left out: the input {made} joins {joined}"


_OF_APPLE = {
    "visionFeaturePrint": "train a classifier on the same photos instead (mpscnn train)",
    "audioFeaturePrint": "export a network from the framework that trained it",
}


def refuse_networks_of_apple(kinds: Sequence[str]) -> None:
    """Raise UnsupportedError if a kind of model is a network of Apple's systems, as in files of Create ML."""
    for kind, advice in _OF_APPLE.items():
        if kind in kinds:
            raise UnsupportedError(
                f"its network ({kind}) lies in Apple's systems and not in the file, which holds only the layers that "
                f"Create ML has trained: {advice}"
            )


def pipeline_parts(pipeline: Any, networks: Sequence[str]) -> Parts:
    """Return the parts of a pipeline.

    Args:
        pipeline: the message of the pipeline.
        networks: the names of the fields of a model's message that hold a network.

    Raises UnsupportedError with the names of other parts.
    """
    models = list(pipeline.models)
    skipped = _left_out(models, networks)
    numbers = set(map(id, skipped))
    parts = [part for part in models if id(part) not in numbers]
    others = [kind for part in parts for kind in OTHER_MODELS if part.has(kind)]
    if others:
        refuse_networks_of_apple(others)
        raise UnsupportedError(
            f"it is a pipeline with {', '.join(sorted(set(others)))}, which is not supported"
        )
    found = [part for part in parts if any(part.has(kind) for kind in networks)]
    suppressions = [part for part in parts if part.has("nonMaximumSuppression")]
    if len(found) != 1 or len(suppressions) > 1 or len(found) + len(suppressions) != len(parts):
        raise UnsupportedError(
            f"it is a pipeline of {len(parts)} models; supported are a network, and a suppression of boxes after it"
        )
    if suppressions and parts[-1].nonMaximumSuppression is not suppressions[0].nonMaximumSuppression:
        raise UnsupportedError("it is a pipeline with a suppression of boxes before the network")
    return Parts(found[0], suppressions[0].nonMaximumSuppression if suppressions else None, skipped)


def boxes_and_scores(part: Any, suppression: Any) -> tuple[int, int]:
    """Return the positions of boxes and scores among the outputs of the network."""
    names = [message.name for message in part.description.output]
    wanted = (suppression.coordinatesInputFeatureName, suppression.confidenceInputFeatureName)
    for name in wanted:
        if name not in names:
            raise WeightsError(
                f"damaged: the suppression reads {quote_name(name)}, which the network does not give"
            )
    return names.index(wanted[0]), names.index(wanted[1])


def detector_post_processing(places: tuple[int, int], suppression: Any) -> PostProcessing:
    """Return a function that converts a detector's outputs: boxes to edges, and both to (batch, boxes, columns).

    Core ML counts a box only for its best class. So if boxes are suppressed within each class, the other scores of a
    box become 0.

    Args:
        places: the positions of boxes and scores among the outputs of the network.
        suppression: the message of the non-maximum suppression.
    """
    per_class = bool(suppression.pickTop.perClass)

    def end(walk: Walk, outputs: Sequence[str]) -> None:
        boxes, scores = (outputs[place] for place in places)
        b = walk.builder

        def rows(blob: str, columns: int | None) -> str:
            x = b.tensor(blob)
            shape = b.fixed_shape(x)
            # Old files store boxes and scores as images, with axes of extent 1 that are removed here.
            while len(shape) > 3 and 1 in shape[1:]:
                axis = shape.index(1, 1)
                shape = (*shape[:axis], *shape[axis + 1 :])
            if len(shape) not in (2, 3) or (columns is not None and shape[-1] != columns):
                raise UnsupportedError(f"boxes or scores of the shape {shape}; expected rows of boxes")
            return ops.reshape(b, x, [1 if len(shape) == 2 else 0, *shape[-2:]])

        def best(x: str) -> str:
            if not per_class:
                return x
            count = b.fixed_shape(x)[-1]
            if count > MAX_LABELS:
                raise UnsupportedError(f"scores of {count} classes; supported are {MAX_LABELS}")
            classes = np.arange(count, dtype=np.float32)
            place = ops.cast(b, ops.arg_max(b, x, axis=-1, keepdims=1), to=1)
            distance = ops.absolute(b, ops.subtract(b, place, b.weight("classes", classes)))
            return ops.multiply(b, x, ops.relu(b, ops.subtract(b, 1.0, distance)))

        def edges() -> Sequence[str]:
            return [ops.matmul(b, rows(boxes, 4), b.weight("edges", EDGES))]

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
    """Set the detection settings and the labels of a network.

    Args:
        network: the network, whose outputs are edges and scores.
        places: the positions of boxes and scores among its outputs.
        description: the description of the pipeline, which may limit the number of boxes.
        suppression: the message of the non-maximum suppression.
        origin: the name of the file, for error messages.
    """
    limits = [
        int(one.type.multiArrayType.shapeRange.sizeRanges[0].upperBound)
        for one in description.output
        if one.type.multiArrayType.shapeRange.sizeRanges
    ]
    maximum = min((limit for limit in limits if limit > 0), default=_MAX_BOXES)
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
                "score_threshold": max(float(suppression.confidenceThreshold), _MIN_SCORE),
                "max_per_class": maximum,
                "max_detections": maximum,
            },
        }
    )
    network.labels = class_labels(suppression, origin)
