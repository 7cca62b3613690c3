"""Convert Caffe's SSD detectors: PriorBox layers become anchors, and DetectionOutput becomes detection settings."""

from __future__ import annotations

import math
from bisect import bisect, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.budget import Budget, Cost
from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.caffe.file import CaffeLayer
from mpscnn.converters.reading.graph.builder import Builder
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.vision.detector import DetectionHead

KINDS = ("PriorBox", "DetectionOutput")
"""The types of layers that compute boxes. They become settings instead of layers."""

_HEADS = ("boxes", "scores")
# The elements of arrays that an anchor takes while it is computed.
_ELEMENTS_PER_ANCHOR = 16
_SAME_RATIO = 1e-6  # ratios that differ by less are one
_VARIANCES = [0.1, 0.1, 0.2, 0.2]
_MIN_SCORE = 1e-6  # the minimum score threshold, which must be above 0 in mpscnn


@dataclass(frozen=True)
class Head:
    """An output of a detector.

    Attributes:
        name: "boxes" or "scores".
        bottom: the blob (a named tensor of Caffe) with its numbers.
        columns: how many numbers it has for each anchor.
    """

    name: str
    bottom: str
    columns: int

    @property
    def blob(self) -> str:
        """The name of the blob for this output."""
        return f"{self.bottom}/{self.name}"

    def made(self, b: Builder) -> list[str]:
        """Reshape the blob to a tensor (n, anchors, columns)."""
        return [ops.reshape(b, b.tensor(self.bottom), [0, -1, self.columns])]


@dataclass
class Priors:
    """The anchor boxes that PriorBox layers compute, and the settings of the detection that uses them.

    Args:
        budget: counts the anchors before they are computed.
    """

    budget: Budget
    boxes: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    """The anchors of each blob: (n, 4) left, top, right, bottom in fractions of the input."""
    variances: list[float] = field(default_factory=lambda: list(_VARIANCES))
    heads: list[Head] = field(default_factory=list)
    """The outputs of the network: boxes and scores."""
    _settings: dict[str, Any] = field(default_factory=dict)
    _anchors: NDArray[np.float32] | None = None

    def has(self, layer: CaffeLayer) -> bool:
        """Return True if the first input of a layer is anchors."""
        return bool(layer.bottoms) and layer.bottoms[0] in self.boxes

    def join(self, layer: CaffeLayer) -> None:
        """Concatenate the anchors that a Concat layer reads."""
        if any(bottom not in self.boxes for bottom in layer.bottoms):
            raise UnsupportedError("joins anchors and something else")
        self._count(sum(len(self.boxes[bottom]) for bottom in layer.bottoms))
        self.boxes[layer.tops[0]] = np.concatenate([self.boxes[bottom] for bottom in layer.bottoms])

    def add(self, b: Builder, layer: CaffeLayer) -> None:
        """Add the anchors of a PriorBox layer: for each pixel of a map, boxes of several sizes and shapes."""
        p = layer.parameters
        if len(layer.bottoms) != 2 or not layer.tops:
            raise WeightsError(f"damaged: it has {len(layer.bottoms)} inputs")
        feature, image = (b.fixed_shape(b.tensor(bottom)) for bottom in layer.bottoms)
        if len(feature) != 4 or len(image) != 4:
            raise UnsupportedError(f"its inputs are {feature} and {image}; supported are images")
        (rows, columns), size = feature[2:], _pair(p, "img", "img_size", image[2:])
        steps = _pair(p, "step", "step", (size[0] / rows, size[1] / columns))
        smallest, largest, ratios = list(p.min_size), list(p.max_size), _ratios(layer)
        self._count(rows * columns * len(smallest) * (len(ratios) + bool(largest)))
        shapes = _shapes(smallest, largest, ratios)
        offset = p.offset if p.has("offset") else 0.5
        y = (np.arange(rows) + offset) * steps[0] / size[0]
        x = (np.arange(columns) + offset) * steps[1] / size[1]
        centers = np.stack(np.meshgrid(x, y), axis=-1)[:, :, None, :]
        half = np.array(shapes)[None, None] / 2.0 / (size[1], size[0])
        boxes = np.concatenate([centers - half, centers + half], axis=-1).reshape(-1, 4)
        self.boxes[layer.tops[0]] = boxes.clip(0.0, 1.0) if p.clip else boxes
        given = [float(one) for one in p.variance] or list(_VARIANCES)
        self.variances = given * 4 if len(given) == 1 else given

    def _count(self, anchors: int) -> None:
        elements = _ELEMENTS_PER_ANCHOR * anchors
        self.budget.spend(Cost(elements, elements))

    def detect(self, layer: CaffeLayer) -> None:
        """Convert a DetectionOutput layer to detection settings. The network ends before this layer."""
        p = layer.parameters
        if len(layer.bottoms) < 3 or layer.bottoms[2] not in self.boxes:
            raise UnsupportedError("its third input is not what PriorBox layers compute")
        boxes = self.boxes[layer.bottoms[2]]
        code = p.code_type or "CORNER"
        if code not in ("CENTER_SIZE", "2") or p.variance_encoded_in_target or len(self.variances) != 4:
            raise UnsupportedError(f"boxes coded as {code} are not supported; CENTER_SIZE is")
        if p.nms_param.has("eta") and p.nms_param.eta != 1.0:
            raise UnsupportedError(f"a threshold of the suppression that changes (eta: {p.nms_param.eta})")
        if (p.has("share_location") and not p.share_location) or p.background_label_id > 0:
            raise UnsupportedError(
                "boxes of each class, or a background other than class 0, are not supported"
            )
        self.heads = [Head(*one) for one in zip(_HEADS, layer.bottoms, (4, p.num_classes), strict=False)]
        suppression = {
            "iou_threshold": p.nms_param.nms_threshold or 0.3,
            "score_threshold": max(p.confidence_threshold, _MIN_SCORE),
            "max_candidates": max(p.nms_param.top_k, 0),
        }
        if p.keep_top_k > 0:
            suppression["max_detections"] = p.keep_top_k
        self._settings = {
            "boxes": {"order": "xy", "variances": self.variances},
            "scores": {"kind": "probability", "background": p.background_label_id == 0},
            "suppression": suppression,
        }
        centers, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2.0, boxes[:, 2:] - boxes[:, :2]
        self._anchors = np.ascontiguousarray(np.concatenate([centers, sizes], axis=1), np.float32)

    def detection(self, boxes: str, scores: str) -> DetectionHead | None:
        """Return the detection settings for outputs of these names; None without a DetectionOutput layer."""
        if self._anchors is None:
            return None
        settings = {"version": 1, "anchors": {"rule": "stored"}, **self._settings}
        settings["boxes"] = settings["boxes"] | {"output": boxes}
        settings["scores"] = settings["scores"] | {"output": scores}
        return DetectionHead(settings, self._anchors)


def _pair(p: object, name: str, single: str, default: Sequence[float]) -> tuple[float, float]:
    vertical, horizontal, both = (float(getattr(p, one)) for one in (f"{name}_h", f"{name}_w", single))
    if both > 0.0:
        return both, both
    return (vertical or default[0]), (horizontal or default[1])


def _ratios(layer: CaffeLayer) -> list[float]:
    p = layer.parameters
    flips = p.flip if p.has("flip") else True
    ratios = [1.0]
    known = [1.0]  # sorted
    for given in p.aspect_ratio:
        if not (math.isfinite(given) and given > 0.0):
            raise WeightsError(f"damaged: an aspect ratio of {given}")
        place = bisect(known, given)
        if all(abs(given - one) >= _SAME_RATIO for one in known[max(place - 1, 0) : place + 1]):
            added = [given, 1.0 / given] if flips else [given]
            ratios += added
            for one in added:
                insort(known, one)
    return ratios


def _shapes(smallest: list[float], largest: list[float], ratios: list[float]) -> list[tuple[float, float]]:
    """Return (width, height) of the anchors in pixels, in the order of the file's predictions."""
    if not smallest or (largest and len(largest) != len(smallest)) or min(smallest) <= 0.0:
        raise WeightsError(f"damaged: anchors of the sizes {smallest[:5]} and {largest[:5]}")
    shapes = []
    for place, size in enumerate(smallest):
        shapes.append((size, size))
        if largest:
            side = math.sqrt(size * largest[place])
            shapes.append((side, side))
        shapes += [(size * math.sqrt(ratio), size / math.sqrt(ratio)) for ratio in ratios if ratio != 1.0]
    return shapes
