"""Measure what a classifier's results need to say how unusual a photo is, and which classes are possible."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.errors import Error, ParameterError, UnsupportedError
from mpscnn.evaluation.classifier import checked_samples
from mpscnn.evaluation.photo_stream import Failed, iterate_results
from mpscnn.graph.class_head import feature_layer
from mpscnn.vision.calibration import Calibration

if TYPE_CHECKING:
    from mpscnn.model import Model

#: With more photos, `unfamiliar` hardly tells more: docs/evaluation.md has the numbers.
_MOST_PHOTOS = 2000
#: The number of the neighbour that `cpp/vision/calibration.h` measures the distance to.
_NEIGHBOURS = 10
_BATCH = 16


def calibration_of(model: Model, samples: Any, *, inflight: int, failed: Failed | None) -> Calibration:
    """Return the calibration of a classifier. See `Model.calibrate`."""
    if model.answers is not None:
        raise UnsupportedError(
            f"network {model.name!r} has {model.answers['kind']} and no classes, which calibrate needs"
        )
    pairs = checked_samples(model, samples, failed)
    layer = feature_layer(model.network)
    photos: list[Any] = []
    probabilities: list[float] = []
    for photo, true, found in iterate_results(model, pairs, inflight):
        if isinstance(found, BaseException):
            if failed is None or not isinstance(found, Error):
                raise found
            failed(photo, found)
            continue
        photos.append(photo)
        probabilities.append(float(found.probabilities[true]))
    if len(photos) <= _NEIGHBOURS:
        raise ParameterError(
            f"calibrate needs more than {_NEIGHBOURS} photos with their classes, got {len(photos)}"
        )
    spread = np.linspace(0, len(photos) - 1, min(len(photos), _MOST_PHOTOS)).round().astype(int)
    extractor = model.features(layer)
    parts = [
        extractor.run([photos[i] for i in spread[start : start + _BATCH]])[layer]
        for start in range(0, len(spread), _BATCH)
    ]
    features = np.concatenate(parts).reshape(len(spread), -1).astype(np.float32)
    return Calibration(layer, features, _distances(features), np.sort(np.array(probabilities, np.float32)))


def detector_threshold(
    model: Model, photos: Any, annotations: Any, precision: float, *, inflight: int, failed: Failed | None
) -> float:
    """Return the score threshold with which a detector has a precision. See `Model.calibrate`."""
    from mpscnn.evaluation.detector import evaluate_detector

    found = evaluate_detector(model, photos, annotations, inflight=inflight, failed=failed)
    return found.matches.threshold_for(precision)


def _distances(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the distances (n,) of features (n, width) to the tenth nearest other ones, in increasing order."""
    found = np.empty(len(features), np.float32)
    for i, one in enumerate(features):
        squares = np.square(features - one).sum(1)
        found[i] = np.sqrt(np.partition(squares, _NEIGHBOURS)[_NEIGHBOURS])  # the photo itself is one with 0
    return np.sort(found)
