"""Compute anchors, box coding and suppression in plain loops and float64. Boxes are (left, top, right, bottom)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def scale_anchors(
    size: tuple[int, int],
    strides: Sequence[int],
    *,
    min_scale: float = 0.2,
    max_scale: float = 0.95,
    aspect_ratios: Sequence[float] = (1.0, 2.0, 0.5, 3.0, 0.3333),
    reduce_lowest: bool = True,
    interpolated_ratio: float = 1.0,
) -> Array:
    """Return anchors by TensorFlow's rule: (n, 4) with centre x, centre y, width and height."""
    height, width = size
    scales = [
        min_scale + (max_scale - min_scale) * i / (len(strides) - 1) if len(strides) > 1 else min_scale
        for i in range(len(strides))
    ] + [1.0]
    shorter = min(size)
    anchors = []
    for i, stride in enumerate(strides):
        boxes = [(scales[i], ratio) for ratio in aspect_ratios]
        if interpolated_ratio:
            boxes.append((math.sqrt(scales[i] * scales[i + 1]), interpolated_ratio))
        if i == 0 and reduce_lowest:
            boxes = [(0.1, 1.0), (scales[0], 2.0), (scales[0], 0.5)]
        rows, columns = math.ceil(height / stride), math.ceil(width / stride)
        for row in range(rows):
            for column in range(columns):
                for scale, ratio in boxes:
                    anchors.append(
                        (
                            (column + 0.5) / columns,
                            (row + 0.5) / rows,
                            scale * math.sqrt(ratio) * shorter / width,
                            scale / math.sqrt(ratio) * shorter / height,
                        )
                    )
    return np.array(anchors)


def size_anchors(
    size: tuple[int, int],
    strides: Sequence[int],
    sizes: Sequence[Sequence[tuple[float, float]]],
    *,
    centers: str = "stride",
    clip: bool = False,
) -> Array:
    """Return anchors like `scale_anchors`, of the given `sizes`: (width, height) in pixels for each map."""
    height, width = size
    anchors = []
    for stride, boxes in zip(strides, sizes, strict=True):
        rows, columns = math.ceil(height / stride), math.ceil(width / stride)
        for row in range(rows):
            for column in range(columns):
                x = (column + 0.5) * stride / width if centers == "stride" else (column + 0.5) / columns
                y = (row + 0.5) * stride / height if centers == "stride" else (row + 0.5) / rows
                anchors += [(x, y, box_width / width, box_height / height) for box_width, box_height in boxes]
    result = np.array(anchors)
    return np.clip(result, 0.0, 1.0) if clip else result


def decode(
    codes: Array, anchors: Array, variances: Sequence[float], order: str, max_log_size: float = 40.0
) -> Array:
    """Return the boxes that the network's numbers stand for: x, y, width, height, or y, x, height, width for "yx"."""
    boxes = []
    for code, (x, y, width, height) in zip(codes.tolist(), anchors.tolist(), strict=True):
        code_x, code_y, code_width, code_height = (
            (code[1], code[0], code[3], code[2]) if order == "yx" else code
        )
        center_x = code_x * variances[0] * width + x
        center_y = code_y * variances[1] * height + y
        half_width = math.exp(min(code_width * variances[2], max_log_size)) * width / 2
        half_height = math.exp(min(code_height * variances[3], max_log_size)) * height / 2
        boxes.append(
            (center_x - half_width, center_y - half_height, center_x + half_width, center_y + half_height)
        )
    return np.array(boxes).reshape(-1, 4)


def probabilities(scores: Array, kind: str, background: bool) -> Array:
    """Return the probabilities of the classes without the background."""
    if kind == "sigmoid":
        scores = 1.0 / (1.0 + np.exp(-scores))
    elif kind == "softmax":
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        scores = powers / powers.sum(axis=1, keepdims=True)
    return scores[:, 1:] if background else scores


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Return intersection / union, or 0 if both are empty."""

    def area(left: float, top: float, right: float, bottom: float) -> float:
        return max(0.0, right - left) * max(0.0, bottom - top)

    common = area(max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
    union = area(*a) + area(*b) - common
    return common / union if union > 0 else 0.0


def best_of_levels(scores: Array, levels: Sequence[int], maximum: int) -> Array:
    """Return the scores (boxes, classes) with zeros except for the best pairs of each level of boxes."""
    kept, first = np.zeros_like(scores), 0
    for count in levels:
        pairs = [(box, label) for box in range(first, first + count) for label in range(scores.shape[1])]
        for pair in sorted(pairs, key=lambda pair: (-scores[pair], pair))[:maximum]:
            kept[pair] = scores[pair]
        first += count
    return kept


def suppress(
    boxes: Array, scores: Sequence[float], settings: dict[str, Any], maximum: int
) -> list[tuple[int, float]]:
    """Return (box, score) of the boxes that stay, best first. Each box has one score. All pairs are compared."""
    left = {i: score for i, score in enumerate(scores) if score >= settings["score_threshold"]}
    if settings["max_candidates"]:
        ranked = sorted(left, key=lambda i: (-left[i], i))[: settings["max_candidates"]]
        left = {i: left[i] for i in ranked}
    kept: list[tuple[int, float]] = []
    while left and len(kept) < maximum:
        best = min(left, key=lambda i: (-left[i], i))
        kept.append((best, left.pop(best)))
        for i in list(left):
            overlap = iou(boxes[best], boxes[i])
            if settings["method"] == "gaussian":
                left[i] *= math.exp(-(overlap**2) / settings["sigma"])
            elif overlap > settings["iou_threshold"]:
                left[i] *= 0.0 if settings["method"] == "hard" else 1.0 - overlap
            if left[i] < settings["score_threshold"] or (
                settings["method"] == "hard" and overlap > settings["iou_threshold"]
            ):
                del left[i]
    return kept


def detect(boxes: Array, classes: Array, settings: dict[str, Any]) -> list[tuple[int, int, float]]:
    """Return (box, class, score), best first. `settings` is the "suppression" of a model file with all its entries."""
    found: list[tuple[int, int, float]] = []
    maximum = settings["max_detections"]
    if settings["per_class"]:
        for label in range(classes.shape[1]):
            kept = suppress(boxes, classes[:, label].tolist(), settings, settings["max_per_class"])
            found += [(box, label, score) for box, score in kept]
        found.sort(key=lambda entry: (-entry[2], entry[0], entry[1]))
        return found[:maximum]
    best = classes.max(axis=1).tolist()
    for box, score in suppress(boxes, best, settings, maximum):
        factor = score / best[box]
        ranked = sorted(range(classes.shape[1]), key=lambda label: (-classes[box, label], label))
        for label in ranked[: settings["classes_per_box"]]:
            if classes[box, label] * factor >= settings["score_threshold"]:
                found.append((box, label, float(classes[box, label] * factor)))
    return sorted(found, key=lambda entry: (-entry[2], entry[0], entry[1]))


def matched(anchors: Array, boxes: Array, threshold: float) -> list[int | None]:
    """Return the object that each anchor learns by Liu et al. 2016. docs/detection.md says how ties are resolved."""
    edges = [(x - w / 2, y - h / 2, x + w / 2, y + h / 2) for x, y, w, h in anchors.tolist()]
    overlaps = [[iou(box, edge) for edge in edges] for box in boxes.tolist()]
    result: list[int | None] = []
    for anchor in range(len(edges)):
        best = max(range(len(overlaps)), key=lambda i: (overlaps[i][anchor], -i), default=None)
        result.append(best if best is not None and overlaps[best][anchor] >= threshold else None)
    taken: set[int] = set()
    for i in sorted(range(len(overlaps)), key=lambda i: (-max(overlaps[i]), i)):
        free = [k for k in range(len(edges)) if k not in taken and overlaps[i][k] > 0]
        if free:
            best = max(free, key=lambda k: (overlaps[i][k], -k))
            taken.add(best)
            result[best] = i
    return result
