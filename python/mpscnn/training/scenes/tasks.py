"""The differences between training a detector and a segmenter: the network, the loss, and the measure."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mpscnn.errors import ParameterError
from mpscnn.graph.network import Network
from mpscnn.graph.training_arrays import loss_kind, loss_settings
from mpscnn.training.own_loss import Loss, own_loss, require_loss
from mpscnn.training.scenes.average_precision import AveragePrecision, FoundObjects
from mpscnn.training.scenes.object_matches import MeasuredObjects, ObjectConfusion
from mpscnn.training.scenes.photos import MaskPhotos, ObjectPhotos, ScenePhotos

_BATCH = 16
_MIN_SCORE, _MAX_DETECTIONS = 0.01, 100
#: Photos without objects teach, too: at least this number of their anchors counts.
_MIN_NEGATIVES = 8
#: The names of losses of segmenters.
_LOSSES = ("softmax_cross_entropy", "focal", "dice")


class SceneTask(ABC):
    """State what a training on scenes needs.

    Attributes:
        phase: "detector" or "segmenter".
        labels: the names of the classes.
        training, validation: the photos.
        network: the network to train. Layers without weights are new.
        loss: the loss, as for `Trainer`.
        weighted: whether the photos have weights of their losses.
    """

    phase: Literal["detector", "segmenter"]
    loss: Loss
    weighted: bool

    def __init__(
        self,
        network: Network,
        labels: Sequence[str],
        training: ScenePhotos,
        validation: ScenePhotos,
        *,
        loss: Loss | None = None,
    ) -> None:
        self.network, self.labels = network, list(labels)
        self.loss = self._chosen(loss)
        self.training, self.validation = training, validation

    @abstractmethod
    def _chosen(self, loss: Loss | None) -> Loss:
        """Return the loss that the user chose, or the default. Raises ParameterError for a loss of another task."""

    @abstractmethod
    def measure(self, network: Network, *, device: str, threads: Any) -> Any:
        """Measure a network on the validation photos: `MeasuredObjects`, or a confusion matrix of pixels."""

    @abstractmethod
    def score(self, measured: Any) -> float:
        """Return the number by which epochs are compared, 0 to 1: mAP at 0.5, or the mean IoU."""

    @abstractmethod
    def files(self) -> Iterator[tuple[str, str]]:
        """Yield the path of each file with data, and a text with its labels, for `describe_run`."""

    def _results(self, network: Network, device: str, threads: Any) -> Iterator[tuple[Any, tuple[Any, ...]]]:
        session = network.compile(device=device, precision="float32").session(threads=threads)
        for inputs, *labels in self.validation.batches(_BATCH):
            yield session.run(inputs), tuple(labels)


class DetectorTask(SceneTask):
    """The training of a detector by the multibox loss."""

    phase = "detector"
    weighted = False
    training: ObjectPhotos
    validation: ObjectPhotos

    def _chosen(self, loss: Loss | None) -> Loss:
        if loss is not None and loss_kind(loss) != "multibox":
            raise ParameterError(f"loss: a detector is trained with 'multibox', got {loss!r}")
        given = loss if isinstance(loss, Mapping) else {"kind": "multibox"}
        return {"min_negatives": _MIN_NEGATIVES, **given}

    def measure(self, network: Network, *, device: str, threads: Any) -> MeasuredObjects:
        """Compare the objects that the network finds on the validation photos with the true ones."""
        head = network.detection
        assert head is not None
        height, width = (extent or 0 for extent in network.input.shape[1:3])
        detector = head.detector((height, width))
        classes, shown = len(self.labels), detector.settings["suppression"]["score_threshold"]
        measured = MeasuredObjects(AveragePrecision(classes), ObjectConfusion(classes, shown))
        for results, (labels,) in self._results(network, device, threads):
            boxes, scores = (np.asarray(results[head.output(part)]) for part in ("boxes", "scores"))
            for row, true in enumerate(labels):
                found = detector.run(
                    boxes[row],
                    scores[row],
                    score_threshold=_MIN_SCORE,
                    max_detections=_MAX_DETECTIONS,
                )
                measured.add(
                    FoundObjects(
                        np.array([one.box for one in found], np.float64).reshape(-1, 4),
                        np.array([one.score for one in found], np.float64),
                        np.array([one.index for one in found], np.int64),
                    ),
                    np.asarray(true["boxes"], np.float64),
                    np.asarray(true["classes"], np.int64),
                )
        return measured

    def score(self, measured: MeasuredObjects) -> float:
        """Return the mAP at an IoU of 0.5; 0 if no validation photo has an object."""
        return float(np.nan_to_num(measured.precision.map50))

    def files(self) -> Iterator[tuple[str, str]]:
        """Yield the photos with their boxes and classes."""
        for photos in (self.training, self.validation):
            for photo in photos.objects.photos:
                yield photo.path, f"{photo.path!r} {photo.boxes.tolist()} {photo.classes.tolist()}"


class SegmenterTask(SceneTask):
    """The training of a segmenter by a loss of the pixels that its mask does not ignore."""

    phase = "segmenter"
    weighted = True
    training: MaskPhotos
    validation: MaskPhotos

    def _chosen(self, loss: Loss | None) -> Loss:
        if loss is None:
            loss = "softmax_cross_entropy"
        require_loss(loss, _LOSSES, "a segmenter")
        if own_loss(loss) is not None:
            return loss
        settings = loss_settings(self.network, loss)
        if settings["kind"] == "dice":
            return settings
        return {"reduction": "sum_by_nonzero_weights", **settings}

    def measure(self, network: Network, *, device: str, threads: Any) -> NDArray[np.int64]:
        """Return the number of pixels of the validation photos by true and found class."""
        classes = len(self.labels)
        confusion = np.zeros((classes, classes), np.int64)
        for results, (labels, weights) in self._results(network, device, threads):
            found = np.asarray(results).argmax(-1)
            counted = weights > 0
            pairs = labels[counted] * classes + found[counted]
            confusion += np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
        return confusion

    def score(self, measured: NDArray[np.int64]) -> float:
        """Return the mean intersection over union of the classes that have pixels."""
        both = np.diagonal(measured).astype(np.float64)
        union = measured.sum(0) + measured.sum(1) - both
        seen = union > 0
        return float((both[seen] / union[seen]).mean()) if seen.any() else 0.0

    def files(self) -> Iterator[tuple[str, str]]:
        """Yield the photos and their masks."""
        for photos in (self.training, self.validation):
            for photo in photos.masked.photos:
                yield photo.path, repr(photo.path)
                if photo.drawn is None:
                    yield photo.mask, repr(photo.mask)
                else:
                    yield photo.path, f"{photo.drawn.shapes} {photo.drawn.classes.tolist()}"
