"""Compute features of photos once with a backbone, and store them in a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.files import replace_atomically
from mpscnn._private.npy_file import map_array
from mpscnn.errors import WeightsError
from mpscnn.graph.network import Network
from mpscnn.runtime.program import named_results
from mpscnn.training.batches import EpochData
from mpscnn.training.distillation import Distillation
from mpscnn.training.image_folder import ImageFolder
from mpscnn.training.variant_store import BATCH, VariantStore


class StoredFeatures(EpochData):
    """Stored outputs of one layer for several variants of each photo. An epoch uses one variant of each.

    Args:
        path: a file from `store_features`. It is memory-mapped.
        classes: the classes of the photos. Or other labels, float32 (photos, columns), where NaN is not known: batches
            then have weights (photos, columns), which are 0 there.
        seed: the random seed of the order and of the choice of variants.
        class_weights: the weight of the losses of each class. Batches then have these weights, too.
        labels: the labels of the variants from `store_features`, if they differ from those of the photos.
        scaled: a function of float labels, which returns what the loss compares.
        taught: how a teacher's answers count, and their file from `Teacher.store_answers`. Batches then have the labels
            and weights of `Distillation.targets`.

    Raises:
        WeightsError: the file is missing or damaged, or has another number of photos.
    """

    def __init__(
        self,
        path: Path,
        classes: NDArray[Any],
        *,
        seed: int,
        class_weights: NDArray[np.float32] | None = None,
        labels: Path | None = None,
        taught: tuple[Distillation, Path] | None = None,
        scaled: Callable[[NDArray[np.float32]], NDArray[np.float32]] | None = None,
    ) -> None:
        self._scaled = scaled
        self._arrays: NDArray[np.float16] = map_array(path, WeightsError)
        self.classes, self._seed, self._weights = classes, seed, class_weights
        self._labels: NDArray[np.float32] | None = None
        if labels is not None:
            self._labels = map_array(labels, WeightsError)
        self._distillation = None if taught is None else taught[0]
        answers = None if taught is None else taught[1]
        self._answers: NDArray[np.float32] | None = (
            None if answers is None else map_array(answers, WeightsError)
        )
        for file, found in ((path, self._arrays), (labels, self._labels), (answers, self._answers)):
            if found is None:
                continue
            if found.ndim < 3 or not found.shape[0] or found.shape[:2] != (len(self._arrays), len(classes)):
                raise WeightsError(f"{file}: holds {found.shape}, not values of {len(classes)} photos")

    def __len__(self) -> int:
        return len(self.classes)

    def batches(
        self, size: int, *, epoch: int | None = None, first: int = 0
    ) -> Iterator[tuple[NDArray[Any], ...]]:
        """Yield batches as `EpochData.batches` does.

        Without an epoch, the features are those of the unchanged photos.
        """
        views, count = self._arrays.shape[:2]
        order: NDArray[np.int64] = np.arange(count)
        view: NDArray[np.int64] = np.zeros(count, np.int64)
        if epoch is not None:
            random = np.random.default_rng([self._seed, epoch])
            order = random.permutation(count)
            view = np.asarray(random.integers(0, views, count))
        for begin in range(first * size, count, size):
            chosen = order[begin : begin + size]
            features = self._arrays[view[chosen], chosen].astype(np.float32)
            classes: NDArray[Any] = self.classes[chosen]
            if self._labels is not None and epoch is not None:
                classes = self._labels[view[chosen], chosen]
            if self.classes.ndim == 2:
                classes = classes if self._scaled is None else self._scaled(classes)
                known = ~np.isnan(classes)
                yield features, np.where(known, classes, np.float32(0)), known.astype(np.float32)
                continue
            weights: NDArray[np.float32] | None = None
            if self._weights is not None:
                weights = classes @ self._weights if classes.ndim == 2 else self._weights[classes]
            if self._distillation is not None and self._answers is not None:
                answers = self._answers[view[chosen], chosen]
                yield features, *self._distillation.targets(classes, answers, weights)
            elif weights is None:
                yield features, classes
            else:
                yield features, classes, weights


def store_features(
    photos: ImageFolder,
    network: Network,
    paths: Mapping[str, Path],
    *,
    views: int,
    device: str,
    threads: int | Literal["auto"],
    labels: Path | None = None,
) -> Iterator[int]:
    """Write the results of some layers to files, one for each layer: float16 (views, photos, ...).

    Older files are replaced when the new ones are complete. Yields the number of variants in each batch, after the
    batch was written. All variants of a photo are made at once, so the photo is decoded once.

    Args:
        photos: the photos; the first variant is unchanged.
        network: a network whose outputs (or input) are stored.
        paths: the files, by the names of these tensors.
        labels: a file for the labels of the variants, float32 (views, photos, classes), if they differ from `targets`.

    Raises:
        ImageError: a photo cannot be read.
        WeightsError: the files cannot be written, for example because the disk is full, or a result is not finite or
            beyond float16's range.
    """
    program = network.compile(device=device, precision="float32")
    session = program.session(threads=threads)
    with ExitStack() as stack:
        files = {
            name: stack.enter_context(replace_atomically(path, WeightsError)) for name, path in paths.items()
        }
        count = len(photos)
        stores = {
            name: VariantStore(
                file, "<f2", (views, count, *(extent or 0 for extent in network[name].shape[1:]))
            )
            for name, file in files.items()
        }
        shares = None
        if labels is not None:
            file = stack.enter_context(replace_atomically(labels, WeightsError))
            shares = VariantStore(file, "<f4", (views, count, len(photos.labels)))
        begin = 0
        for inputs, targets in photos.views(views, max(1, BATCH // views)):
            if shares is not None:
                shares.write(begin, targets if targets.ndim == 3 else np.eye(len(photos.labels))[targets])
            images = inputs.reshape(-1, *inputs.shape[2:])
            found = {network.input.name: images, **named_results(session, images)}
            for name, store in stores.items():
                store.write(
                    begin, _halves(name, found[name]).reshape(*inputs.shape[:2], *found[name].shape[1:])
                )
            begin += len(inputs)
            yield len(images)


def _halves(name: str, values: NDArray[np.float32]) -> NDArray[np.float16]:
    if not np.abs(values).max() < np.finfo(np.float16).max:
        raise WeightsError(f"the backbone's layer {name!r} is not finite, or beyond float16's range")
    return values.astype("<f2")
