"""Photos with the points of a table: data for `mpscnn.train`, whose points move with the variants of the photos."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.errors import ParameterError
from mpscnn.training.image_folder import ImageFolder
from mpscnn.training.label_table import LabelTable
from mpscnn.training.labelled_folder import LabelledFolder
from mpscnn.training.photo_views import PhotoFile
from mpscnn.vision.photo import open_photo

_SIDE = re.compile(r"(?<![a-z])(left|right|l|r)(?![a-z])|(left|right)", re.IGNORECASE)
_OTHER = {"left": "right", "right": "left", "l": "r", "r": "l"}


class PointFolder(LabelledFolder):
    """Photos with points. `targets` are x and y of each point in shares of the upright photo's width and height.

    In a mirrored variant the points named left and right change places, and a left point without a right one is not
    known there. Points outside of a variant are not known, either.

    Args:
        folder, table, options: as for `LabelledFolder`. The fit of `preprocess` must be "stretch".

    Raises ParameterError for points outside of their photos.
    """

    def __init__(self, folder: Path, table: LabelTable, **options: Any) -> None:
        super().__init__(folder, table, **options)
        self._transform = self._transform or _unchanged  # it gets upright photos, so `View` is of these
        self._partners = _partners(table.parts)
        with ThreadPoolExecutor(self._threads, "mpscnn-photos") as pool:
            self.sizes = np.array(list(pool.map(_size, self.paths)), np.float32)
        if np.nanmax(self.targets) <= 1:
            raise ParameterError(
                "the points must be in pixels of the photos; the table has shares from 0 to 1"
            )
        self.targets = np.asarray(self.targets / np.tile(self.sizes, len(table.parts)), np.float32)
        outside = np.argwhere((self.targets < -_BEYOND) | (self.targets > 1 + _BEYOND))
        for row, column in outside[:1]:
            raise ParameterError(
                f"{self.paths[row]}: {self.labels[column]!r} is {table.values[row, column]:g}, outside of the photo of "
                f"{self.sizes[row, 0]:g} x {self.sizes[row, 1]:g} pixels"
            )

    @property
    def varies_labels(self) -> bool:
        """True if photos have variants."""
        return self._augmentation is not None

    def _with(self, chosen: NDArray[np.int64]) -> ImageFolder:
        part = super()._with(chosen)
        assert isinstance(part, PointFolder)
        assert self.sizes is not None
        part.sizes = self.sizes[chosen]
        return part

    def _read_variant(self, file: PhotoFile, epoch: int | None, index: int, row: NDArray[np.float32]) -> Any:
        """Read a photo, and return its points in the variant."""
        if epoch is None or self._augmentation is None:
            super()._read_variant(file, epoch, index, row)
            return self.targets[index]
        random = np.random.default_rng([self._seed, epoch + 1, index])
        view = self._reader.read(file, row, self._augmentation, random, self._transform)
        points = view.places(self.targets[index].reshape(-1, 2), self._reader.shape[:2])
        if view.is_flipped:
            unknown = np.full((1, 2), np.nan, np.float32)
            points = np.concatenate([points, unknown])[self._partners]
        points[((points < 0) | (points > 1)).any(1)] = np.nan
        return points.ravel()

    def _shares(self, chosen: NDArray[np.int64], mixed: Sequence[Any]) -> NDArray[np.float32]:
        """Return the points of variants."""
        return np.stack(mixed).reshape(len(chosen), -1)


#: The largest distance of a point from the photo, as a share of its side: tools round.
_BEYOND = 0.01


def _unchanged(photo: Any) -> Any:
    return photo


def _size(path: str) -> tuple[int, int]:
    return open_photo(path).size


def _partners(names: Sequence[str]) -> list[int]:
    """Return the number of the point that each becomes in a mirrored photo. -1: it has a side and no partner."""

    def swapped(found: re.Match[str]) -> str:
        other = _OTHER[found[0].lower()]
        return other.upper() if found[0].isupper() else other.capitalize() if found[0][0].isupper() else other

    mirrored = [_SIDE.sub(swapped, name) for name in names]
    return [names.index(name) if name in names else -1 for name in mirrored]
