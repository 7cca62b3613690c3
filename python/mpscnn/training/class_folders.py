"""Find folders of photos by class, and report problems with them."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mpscnn._private.files import convert_read_errors, is_folder
from mpscnn.errors import ImageError
from mpscnn.vision.photo_file import suffixes
from mpscnn.vision.photo_list import photos_in

__all__ = ["ClassFolders", "list_class_folders", "shown_names"]

_MAX_NAMED = 5


@dataclass(frozen=True)
class ClassFolders:
    """The names of classes, and the photos of all classes with their class numbers."""

    labels: tuple[str, ...]
    paths: tuple[str, ...]
    classes: tuple[int, ...]


def list_class_folders(folder: str | os.PathLike[str]) -> ClassFolders:
    """List the photos of a folder that has one folder for each class. Subfolders of classes are included.

    Hidden files and files without an image's suffix are skipped. Links to folders within a class are not followed.

    Raises:
        ImageError: the folder cannot be read; there are fewer than two classes; a class has no photo; photos are next
            to the class folders; names of classes are not UTF-8, or differ only by case or Unicode form; a link leads
            nowhere or to a folder that contains it; or the folder of a class is a link to that of another one.
    """
    if not os.fspath(folder):
        raise ImageError("'': an empty name is not a folder")  # Path("") would mean the current folder
    top = Path(os.fspath(folder))
    with convert_read_errors(top, ImageError):
        entries = sorted(entry for entry in top.iterdir() if not entry.name.startswith("."))
    _require_links(top, [entry for entry in entries if entry.is_symlink()])
    beside = [entry.name for entry in entries if not is_folder(entry) and entry.suffix.lower() in suffixes()]
    folders = [entry for entry in entries if is_folder(entry)]
    if not folders:
        found = f"photos only ({shown_names(beside)})" if beside else "nothing to train with"
        raise ImageError(
            f"{top}: has {found}; expected are two or more folders of photos, one for each class"
        )
    if beside:
        raise ImageError(
            f"{top}: {shown_names(beside)} lies next to the folders of the classes; move it into one of them"
        )
    _require_text(top, [entry.name for entry in folders])
    _require_distinct(top, [entry.name for entry in folders])
    _require_apart(top, folders)
    found_in = [_photos_of(entry) for entry in folders]
    empty = [entry.name for entry, photos in zip(folders, found_in, strict=True) if not photos]
    if empty:
        raise ImageError(f"{top}: no photo in {shown_names(empty)}; add some, or remove what is no class")
    if len(folders) < 2:
        raise ImageError(
            f"{top}: has one class, {folders[0].name!r}; a classifier needs two or more folders of photos"
        )
    return ClassFolders(
        tuple(entry.name for entry in folders),
        tuple(path for photos in found_in for path in photos),
        tuple(number for number, photos in enumerate(found_in) for _ in photos),
    )


def shown_names(names: Sequence[str]) -> str:
    """Return the first names of a list, and the number of the others."""
    shown = ", ".join(repr(name) for name in names[:_MAX_NAMED])
    return shown if len(names) <= _MAX_NAMED else f"{shown} and {len(names) - _MAX_NAMED} more"


def _photos_of(entry: Path) -> list[str]:
    for place, folders, files in os.walk(entry):
        names = [Path(place) / name for name in sorted((*folders, *files)) if not name.startswith(".")]
        _require_links(Path(place), [path for path in names if path.is_symlink()])
    photos, failures = photos_in(str(entry))
    if failures:
        raise failures[0]
    return photos


def _require_links(folder: Path, links: Sequence[Path]) -> None:
    """Raise ImageError for broken links, and for links to a folder that contains them."""
    place = Path(os.path.realpath(folder))
    for link in links:
        target = Path(os.path.realpath(link))
        if not os.path.exists(link):  # noqa: PTH110 - Path.exists raises for links that go round
            raise ImageError(f"{link}: is a link that leads nowhere ({os.readlink(link)})")  # noqa: PTH115
        if is_folder(link) and place.is_relative_to(target):
            raise ImageError(f"{link}: is a link that leads back to {target}, in which it lies")


def _require_text(top: Path, names: Sequence[str]) -> None:
    """Raise ImageError for names that cannot be stored as labels because they are not Unicode."""
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise ImageError(
                f"{top}: the name of the class {name!r} is not UTF-8 text; rename its folder"
            ) from error


def _require_distinct(top: Path, names: Sequence[str]) -> None:
    first: dict[str, str] = {}
    for name in names:
        other = first.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
        if other != name:
            composed = all(unicodedata.is_normalized("NFC", one) for one in (other, name))
            # otherwise both names would look the same
            shown = " and ".join(map(repr if composed else ascii, (other, name)))
            raise ImageError(
                f"{top}: the classes {shown} differ by case or Unicode form only; rename or join them"
            )


def _require_apart(top: Path, folders: Sequence[Path]) -> None:
    """Raise ImageError for links that would give the same photos to two classes."""
    if not any(entry.is_symlink() for entry in folders):
        return
    first: dict[Path, str] = {}
    places = [(entry.name, Path(os.path.realpath(entry))) for entry in folders]
    pairs = [(first.setdefault(place, name), name, place) for name, place in places]
    pairs += [
        (first[above], name, place) for name, place in places for above in place.parents if above in first
    ]
    for other, name, place in pairs:
        if other != name:
            raise ImageError(
                f"{top}: the photos in {place} are of the classes {other!r} and {name!r}, by a link; remove one"
            )
