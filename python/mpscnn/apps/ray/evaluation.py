"""Evaluate a model on many machines. Each machine counts its own photos, and the counts are added."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mpscnn.apps.ray.cluster import nodes
from mpscnn.apps.ray.rows import error_from_row, result_from_row
from mpscnn.apps.ray.sources import Source, from_paths
from mpscnn.errors import UnsupportedError
from mpscnn.evaluation.classifier import RANKS, Evaluation, Ranked, evaluation_of
from mpscnn.evaluation.detector import DetectorEvaluation, evaluate_with
from mpscnn.evaluation.labels import LabelEvaluation
from mpscnn.evaluation.labels import evaluate_with as evaluate_labels_with
from mpscnn.evaluation.photo_stream import Failed
from mpscnn.evaluation.segmenter import (
    SegmenterEvaluation,
    classes_of_segmenter,
    segmenter_evaluation_of,
)
from mpscnn.model import Model

_MASK = "path of the mask"


class RowsOf(Protocol):
    """A function that computes the photos of a source, and yields one row for each in order."""

    def __call__(
        self, source: Source, options: Mapping[str, Any], /, *, mask: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield a row for each photo. With `mask`, a column of true masks, rows have pixel counts, not areas."""


def classifier_evaluation(
    ray: Any, rows: RowsOf, model: Model, samples: Sequence[tuple[str, int]], failed: Failed
) -> Evaluation:
    """Evaluate a classifier like `mpscnn.evaluate`, on files with their classes."""
    source = from_paths(ray, [path for path, _ in samples], {}, len(nodes(ray)))

    def ranked() -> Iterator[Ranked]:
        for (path, true), row in zip(samples, rows(source, {"top": RANKS}), strict=True):
            yield path, true, error_from_row(row) or [entry["index"] for entry in row["predictions"]]

    return evaluation_of(model, ranked(), failed)


def detector_evaluation(
    ray: Any, rows: RowsOf, model: Model, photos: Path | None, annotations: Path, failed: Failed
) -> DetectorEvaluation:
    """Evaluate a detector like `mpscnn.evaluate_detector`."""
    return evaluate_with(_finder(ray, rows, failed), model, photos, annotations)


def label_evaluation(
    ray: Any, rows: RowsOf, model: Model, photos: Path, table: Path, failed: Failed
) -> LabelEvaluation:
    """Evaluate a model of tags, numbers or points like `mpscnn.evaluate`."""
    return evaluate_labels_with(_finder(ray, rows, failed), model, photos, table)


def _finder(ray: Any, rows: RowsOf, failed: Failed) -> Callable[..., Iterator[tuple[int, Any]]]:
    """Return a function that yields the result of each photo that can be read, with the photo's number."""

    def find(samples: Iterable[tuple[Any, int]], **options: Any) -> Iterator[tuple[int, Any]]:
        listed = list(samples)
        source = from_paths(ray, [str(path) for path, _ in listed], {}, len(nodes(ray)))
        for (path, number), row in zip(listed, rows(source, options), strict=True):
            error = error_from_row(row)
            if error is None:
                yield number, result_from_row(row)
            else:
                failed(path, error)

    return find


def segmenter_evaluation(
    ray: Any, rows: RowsOf, model: Model, samples: Sequence[tuple[str, str]], failed: Failed
) -> SegmenterEvaluation:
    """Evaluate a segmenter like `mpscnn.evaluate_segmenter`. The machines read the masks."""
    classes = classes_of_segmenter(model)
    if any(not isinstance(mask, str) for _, mask in samples):
        raise UnsupportedError(
            "with --ray, masks are pictures; outlines of objects are measured on one machine"
        )
    masks = [os.fsencode(mask) for _, mask in samples]
    source = from_paths(ray, [path for path, _ in samples], {_MASK: masks}, len(nodes(ray)))

    def counts() -> Iterator[NDArray[np.int64]]:
        for (path, _), row in zip(samples, rows(source, {}, mask=_MASK), strict=True):
            error = error_from_row(row)
            if error is not None:
                failed(path, error)
                continue
            pairs = np.zeros((classes + 1, classes + 1), np.int64)
            for one in row["pairs"]:
                pairs[one["true"], one["found"]] = one["pixels"]
            yield pairs

    return segmenter_evaluation_of(model, counts())
