"""Convert the labels of a detector, boxes and classes of objects, to targets for its loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.errors import ParameterError, ShapeError
from mpscnn.graph.network import Network
from mpscnn.graph.training_arrays import BOX_NUMBERS, is_object_list, to_array
from mpscnn.vision.detector import require_threshold


class DetectorLabels:
    """Converts labels to targets by the anchors of a network's `detection`.

    Args:
        network: a network with one image of fixed size as input.
        prediction: the shape of the loss's prediction: (batch, anchors, 4 + columns).
        layers: the layers that compute boxes and scores.
        iou_threshold: an anchor is assigned to an object if they overlap by at least this (intersection over union).

    Raises:
        ParameterError: the network has no `detection`, or one whose scores are not a softmax with a background class;
            or the threshold is not above 0 and at most 1.
        ShapeError: the network has another number of boxes than the detection has anchors.
    """

    def __init__(
        self, network: Network, prediction: Sequence[int], layers: Sequence[str], iou_threshold: float
    ) -> None:
        if network.detection is None:
            raise ParameterError(
                f"network {network.name!r} has no detection, by whose anchors the multibox loss is computed; "
                "mpscnn.models.ssd_head() makes one"
            )
        height, width = network.input.shape[1:3]
        if height is None or width is None:
            raise ShapeError(
                f"network {network.name!r}: anchors need an input of a fixed size, got {network.input.shape}"
            )
        self._detector = network.detection.detector((height, width))
        scores = self._detector.settings["scores"]
        kind = "softmax" if layers[1] == scores["output"] else "probability"
        if scores["kind"] != kind or not scores["background"]:
            raise ParameterError(
                f"network {network.name!r}: the multibox loss is that of scores of the kind {kind!r} with a "
                f"background, its detection says {scores['kind']!r} "
                f"{'with' if scores['background'] else 'without'} one"
            )
        anchors = len(self._detector.anchors)
        if prediction[1] != anchors:
            raise ShapeError(
                f"network {network.name!r} has {prediction[1]} boxes, its detection {anchors} anchors for an input of "
                f"{height} x {width}"
            )
        self._shape = (anchors, int(prediction[2]))
        self._threshold = require_threshold("loss: iou_threshold", iou_threshold)

    def targets(self, labels: Any, images: int) -> NDArray[np.float32]:
        """Return targets (images, anchors, 4 + columns), as `Detector.targets` computes them for each image.

        Args:
            labels: "boxes" (k, 4) and "classes" (k,) of each image, or targets.
            images: the number of images in the batch.

        Raises:
            ShapeError: another number of images, or arrays that do not fit each other.
            ParameterError: a box is outside of the image or has no area, or a class does not exist. The message names
                the image.
        """
        if not is_object_list(labels):
            return self._given_targets(labels, images)
        if len(labels) != images:
            raise ShapeError(f"there are {images} images and labels of {len(labels)}")
        targets = np.empty((images, *self._shape), np.float32)
        for i, objects in enumerate(labels):
            if objects.keys() != {"boxes", "classes"}:
                raise ParameterError(
                    f"labels of image {i} must have 'boxes' and 'classes', got {sorted(map(str, objects))}"
                )
            try:
                targets[i] = self._detector.targets(
                    objects["boxes"],
                    objects["classes"],
                    columns=self._shape[1] - BOX_NUMBERS,
                    iou_threshold=self._threshold,
                )
            except (ParameterError, ShapeError) as error:
                raise type(error)(f"labels of image {i}: {error}") from None
        return targets

    def _given_targets(self, labels: Any, images: int) -> NDArray[np.float32]:
        array = to_array("labels", labels)
        if array.dtype.kind != "f" or array.shape != (images, *self._shape):
            raise ShapeError(
                "labels must be a list with a mapping of 'boxes' and 'classes' for each image, or targets, floats of "
                f"the shape {(images, *self._shape)}, got {array.dtype} of the shape {array.shape}"
            )
        return np.ascontiguousarray(array, np.float32)


def assigned_scores(
    prediction: NDArray[np.float32], targets: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the scores and true classes of the anchors that are assigned to an object."""
    classes = targets[..., BOX_NUMBERS:]
    learns = classes[..., 1:].sum(-1) > 0
    return prediction[..., BOX_NUMBERS:][learns], classes[learns]
