"""Split photos with objects or masks by the folders train and val that they are in."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from mpscnn.training.split_folders import TRAIN, VALIDATION, split_kind

__all__ = ["split_by_folder"]


class _Placed(Protocol):
    @property
    def path(self) -> str: ...


_Photo = TypeVar("_Photo", bound=_Placed)


def split_by_folder(folder: Path, photos: Sequence[_Photo]) -> tuple[list[_Photo], list[_Photo]] | None:
    """Return the photos for training and for validation, whose paths have a folder such as train, val or train2017.

    Photos in a folder test are left out. The result is None unless each photo is in such a folder, and there are some
    for training and some for validation.
    """
    parts: dict[str | None, list[_Photo]] = {}
    for photo in photos:
        names = Path(os.path.relpath(photo.path, folder)).parts[:-1]
        parts.setdefault(next(filter(None, map(split_kind, names)), None), []).append(photo)
    if None in parts or not {TRAIN, VALIDATION} <= {*parts}:
        return None
    return parts[TRAIN], parts[VALIDATION]
