"""Measure what a classifier's results need to say how unusual a photo is, and which classes are possible."""

from __future__ import annotations

from copy import copy
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

#: The limit of the photos that are kept. Each makes the model file larger by the features of one photo.
_MOST_PHOTOS = 2000
#: The number of the neighbour that `cpp/vision/calibration.h` measures the distance to.
_NEIGHBOURS = 10


def calibration_of(model: Model, samples: Any, *, inflight: int, failed: Failed | None) -> Calibration:
    """Return the calibration of a classifier. See `Model.calibrate`."""
    if model.answers is not None:
        raise UnsupportedError(
            f"network {model.name!r} has {model.answers['kind']} and no classes, which calibrate needs"
        )
    pairs = checked_samples(model, samples, failed)
    own = copy(
        model
    )  # with the network and the preprocessing of the file, which users can change in the model
    for name in ("network", "preprocess"):
        own.__dict__.pop(name, None)
    layer, (output,) = feature_layer(own.network), own._outputs
    kept: list[NDArray[np.float32]] = []
    probabilities: list[float] = []
    every = 1
    extractor = own.features([output, layer])
    for photo, true, found in iterate_results(extractor, pairs, inflight, own.run_options):
        if isinstance(found, BaseException):
            if failed is None or not isinstance(found, Error):
                raise found
            failed(photo, found)
            continue
        ranked, *_ = own._core.rank(own.program._program, found[output])
        if len(probabilities) % every == 0:
            kept.append(np.asarray(found[layer], np.float32).reshape(-1))
        if len(kept) == 2 * _MOST_PHOTOS:  # the memory does not depend on the number of photos
            kept, every = kept[::2], 2 * every
        probabilities.append(next(share for _, index, share in ranked if index == true))
    if len(probabilities) <= _NEIGHBOURS:
        raise ParameterError(
            f"calibrate needs more than {_NEIGHBOURS} photos with their classes, got {len(probabilities)}"
        )
    spread = np.linspace(0, len(kept) - 1, min(len(kept), _MOST_PHOTOS)).round().astype(int)
    features = np.stack([kept[i] for i in spread])
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
