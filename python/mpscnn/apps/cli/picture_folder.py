"""The folder for the pictures that a command writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mpscnn._private.files import writing
from mpscnn.errors import ImageError, ParameterError
from mpscnn.vision.photo_list import STDIN

if TYPE_CHECKING:
    from PIL import Image as PillowImage


class PictureFolder:
    """A folder of results named like the photos, made when it is not there.

    Args:
        path: the folder.
        photos: what is read; none of it is overwritten.
    """

    def __init__(self, path: Path, photos: Sequence[str]) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
            reason = getattr(error, "strerror", None) or error
            raise ParameterError(f"{path}: cannot be a folder for pictures: {reason}") from error
        self._taken = {Path(photo).resolve() for photo in photos}

    def save(self, picture: PillowImage.Image, photo: str, suffix: str) -> Path:
        """Write "<photo's name><suffix>.png", with a number where a photo of that name came before."""
        stem = ("stdin" if photo == STDIN else Path(photo).stem) + suffix
        target, count = self.path / f"{stem}.png", 1
        while target.resolve() in self._taken:
            count += 1
            target = self.path / f"{stem}-{count}.png"
        self._taken.add(target.resolve())
        with writing(target, ImageError):
            picture.save(target)
        return target
