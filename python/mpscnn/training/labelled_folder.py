"""Photos with the tags, numbers or points of a table. They are data for `mpscnn.train`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.arguments import is_finite_number
from mpscnn._private.names import shown_names
from mpscnn.errors import ImageError, ParameterError
from mpscnn.training.image_folder import ImageFolder, Mixed
from mpscnn.training.label_table import LabelTable
from mpscnn.training.split_folders import TRAIN, VALIDATION, split_kind


class LabelledFolder(ImageFolder):
    """The photos of a table of labels. `targets` are its values, float32 (photos, columns), with NaN if not known.

    Args:
        folder: the folder with the photos.
        table: the photos and their labels.
        options: those of `ImageFolder`.
    """

    #: (width, height) of each upright photo (photos, 2), for points; None for other labels.
    sizes: NDArray[np.float32] | None = None

    def __init__(self, folder: Path, table: LabelTable, **options: Any) -> None:
        self.table = table
        super().__init__(folder, **options)

    def _listed(self) -> tuple[Sequence[str], Sequence[str], NDArray[Any]]:
        return self.table.labels, self.table.paths, self.table.values

    def split(self, share: float | None) -> tuple[ImageFolder, ImageFolder]:
        """Split the photos into two parts, for training and for validation.

        Args:
            share: the share for validation, above 0 and below 1; None: the photos in folders named val or valid, if all
                are in such folders or in train or test, otherwise a fifth. The seed decides which. The last photo of a
                tag, and the last two with a number, always train.

        Raises:
            ParameterError: the share is out of its range.
            ImageError: one of the parts has no photo, or nothing to learn for a label.
        """
        if share is not None and (not is_finite_number(share) or not 0 < share < 1):
            raise ParameterError(
                f"the share for validation must be a number above 0 and below 1, got {share!r}"
            )
        kinds = [self._kind(path) for path in self.paths]
        if share is None and None not in kinds and {TRAIN, VALIDATION} <= {*kinds}:
            training, held = (np.flatnonzero([kind == one for kind in kinds]) for one in (TRAIN, VALIDATION))
        else:
            training, held = self._drawn(0.2 if share is None else share)
        if not len(training) or not len(held):
            raise ImageError(f"{self.path}: has {len(self)} photos, too few to train and to validate")
        learned = self.targets[training]
        same = ~(np.nanmax(learned, 0, initial=-np.inf) > np.nanmin(learned, 0, initial=np.inf))
        if few := [label for label, is_same in zip(self.labels, same, strict=True) if is_same]:
            raise ImageError(
                f"{self.path}: the photos to train with have no two values of {shown_names(few)}; move photos from "
                "validation to training, or add photos"
            )
        validation = self._with(held)
        validation._augmentation = validation._transform = None
        return self._with(training), validation

    def _drawn(self, share: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the photos to train with and those for validation, drawn at random."""
        # A number needs two photos that train. A tag needs one with it and one without it.
        of_tags = not self.table.parts
        needed = [self.targets == 0, self.targets == 1] if of_tags else [~np.isnan(self.targets)]
        counted = np.concatenate(needed, 1)
        left, least = counted.sum(0), 1 if of_tags else 2
        held: list[int] = []
        for index in np.random.default_rng([self._seed, 0]).permutation(len(self)).tolist():
            if len(held) < round(share * len(self)) and not (counted[index] & (left <= least)).any():
                held.append(index)
                left -= counted[index]
        return np.setdiff1d(np.arange(len(self)), held), np.asarray(sorted(held), np.int64)

    def _kind(self, path: str) -> str | None:
        names = Path(os.path.relpath(path, self.path)).parts[:-1]
        return next(filter(None, map(split_kind, names)), None)

    def _shares(self, chosen: NDArray[np.int64], mixed: Sequence[Mixed]) -> NDArray[np.float32]:
        """Return the labels of photos that were mixed with others: sums of those of both."""
        others = np.asarray([other for other, _ in mixed], np.int64)
        share = np.asarray([[one] for _, one in mixed], np.float32)
        return np.asarray(share * self.targets[chosen] + (1 - share) * self.targets[others], np.float32)
