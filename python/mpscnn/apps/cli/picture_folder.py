"""Write the pictures of a command to a folder or file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from mpscnn._private.files import is_folder, real_path, replace_atomically
from mpscnn.apps.cli.existing_outputs import require_new
from mpscnn.errors import ImageError, ParameterError
from mpscnn.vision.photo_list import STDIN

if TYPE_CHECKING:
    from PIL import Image as PillowImage


#: An output with one of these suffixes is a file, any other a folder.
PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


#: Suffixes of files with results, which are no names for folders of pictures.
_RESULTS = (".csv", ".html", ".json", ".jsonl", ".md", ".pdf", ".svg", ".txt", ".xml", ".yaml")


class PictureFolder:
    """A folder for pictures named like the photos. It is created if needed. It may be a file for a single picture.

    Args:
        path: the folder, or the name of a picture such as out.png.
        photos: the input photos, which are never overwritten.
        suffixes: the ends of the names of each photo's pictures, as `save` gets them.
        overwrite: whether pictures that exist are replaced. Otherwise they are refused, before anything is computed.
    """

    def __init__(
        self, path: Path, photos: Sequence[str], suffixes: Sequence[str], *, overwrite: bool
    ) -> None:
        self.path = path
        self._taken = {_real(photo) for photo in photos}
        self._first: dict[str, int] = {}  # the first number that may be free, by the name without it
        self._is_file = path.suffix.lower() in PICTURES and not is_folder(path)
        if self._is_file:
            if len(photos) > 1:
                raise ParameterError(f"{path}: one picture cannot show {len(photos)} photos: give a folder")
            if _real(path) in self._taken:
                raise ParameterError(f"{path}: is the photo itself, which is not overwritten")
            if not is_folder(path.parent):
                raise ParameterError(f"{path}: there is no folder {path.parent}")
            self._require_new(photos, suffixes, overwrite)
            return
        if path.name == STDIN or (path.suffix.lower() in _RESULTS and not is_folder(path)):
            raise ParameterError(
                f"{path}: pictures are written to a folder or a picture, such as out.png; "
                "--output FILE.jsonl and FILE.csv write the results"
            )
        try:
            path.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:  # ValueError: the name has a zero byte
            reason = getattr(error, "strerror", None) or error
            raise ParameterError(f"{path}: cannot be a folder for pictures: {reason}") from error
        self._require_new(photos, suffixes, overwrite)

    def _require_new(self, photos: Sequence[str], suffixes: Sequence[str], overwrite: bool) -> None:
        """Raise ParameterError for a picture that exists, unless pictures may be replaced."""
        if overwrite:
            return
        taken, first = set(self._taken), dict(self._first)
        for photo in photos:
            for suffix in suffixes:
                require_new(overwrite, self._new_name(photo, suffix))
        self._taken, self._first = taken, first

    def save(self, picture: PillowImage.Image, photo: str, suffix: str) -> Path:
        """Save a picture as "<photo's name><suffix>.png", with a number if that name is taken. Return its path.

        If the output is one file, the first picture gets that name, and further pictures of the photo add their suffix.
        """
        target = self._new_name(photo, suffix)
        with replace_atomically(target, ImageError) as file:
            picture.save(file)
        return target

    def _new_name(self, photo: str, suffix: str) -> Path:
        """Return a name that no photo and no other picture has."""
        target = next(name for name in self._names(photo, suffix) if _real(name) not in self._taken)
        self._taken.add(_real(target))
        return target

    def _names(self, photo: str, suffix: str) -> Iterator[Path]:
        """Yield possible names of a picture, the best one first."""
        stem, folder = "stdin" if photo == STDIN else Path(photo).stem, self.path
        if self._is_file:
            yield self.path
            stem, folder = self.path.stem, self.path.parent
        yield folder / f"{stem}{suffix}.png"
        for number in count(self._first.get(stem + suffix, 2)):
            self._first[stem + suffix] = number + 1
            yield folder / f"{stem}{suffix}-{number}.png"


def _real(path: str | Path) -> str:
    """Return the path without links; for a chain of links that is too long, the path as it is."""
    try:
        return real_path(path)
    except OSError:
        return str(path)
