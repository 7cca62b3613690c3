"""Find folders of photos by class, and report problems with them."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mpscnn._private.files import convert_read_errors, exists, is_folder
from mpscnn._private.names import shown_names
from mpscnn.errors import ImageError
from mpscnn.training.split_folders import require_no_splits
from mpscnn.vision.photo_formats import left_out_text, optional_suffixes, suffix_of, suffixes
from mpscnn.vision.photo_list import FoundPhotos, photos_in, warn_of_left_out


@dataclass(frozen=True)
class ClassFolders:
    """The names of classes, and the photos of all classes with their class numbers."""

    labels: tuple[str, ...]
    paths: tuple[str, ...]
    classes: tuple[int, ...]


def list_class_folders(folder: str | os.PathLike[str]) -> ClassFolders:
    """List the photos of a folder that has one folder for each class. Subfolders of classes are included.

    Hidden files are skipped. A warning tells how many files without an image's suffix are left out. Links to folders
    within a class are not followed.

    Raises:
        ImageError: the folder cannot be read; it is split into train, val and test; there are fewer than two classes; a
            class has no photo; photos are next to the class folders; names of classes are not UTF-8, or differ only by
            case or Unicode form; a link leads nowhere or to a folder that contains it; or the folder of a class is a
            link to that of another one.
    """
    if not os.fspath(folder):
        raise ImageError("'': an empty name is not a folder")  # Path("") would mean the current folder
    top = Path(os.fspath(folder))
    with convert_read_errors(top, ImageError):
        entries = sorted(entry for entry in top.iterdir() if not entry.name.startswith("."))
    _require_links(top, [entry for entry in entries if entry.is_symlink()])
    folders = [entry for entry in entries if is_folder(entry)]
    photos = suffixes() | optional_suffixes()
    beside = [entry.name for entry in entries if not is_folder(entry) and suffix_of(entry.name) in photos]
    if not folders:
        content = f"photos only ({shown_names(beside)})" if beside else "nothing to train with"
        raise ImageError(
            f"{top}: has {content}; expected are two or more folders of photos, one for each class"
        )
    if beside:
        raise ImageError(
            f"{top}: {shown_names(beside)} lies next to the folders of the classes; move it into one of them"
        )
    _require_text(top, [entry.name for entry in folders])
    _require_distinct(top, [entry.name for entry in folders])
    _require_apart(top, folders)
    require_no_splits(top, folders)
    found_in = [_photos_of(entry) for entry in folders]
    _require_photos(top, folders, found_in)
    if len(folders) < 2:
        raise ImageError(
            f"{top}: has one class, {folders[0].name!r}; a classifier needs two or more folders of photos"
        )
    warn_of_left_out(top, _left_out(found_in))
    return ClassFolders(
        tuple(entry.name for entry in folders),
        tuple(path for found in found_in for path in found.paths),
        tuple(number for number, found in enumerate(found_in) for _ in found.paths),
    )


def _require_photos(top: Path, folders: Sequence[Path], found_in: Sequence[FoundPhotos]) -> None:
    empty = [(entry.name, found) for entry, found in zip(folders, found_in, strict=True) if not found.paths]
    if empty:
        left_out = _left_out([found for _, found in empty])
        files = f". {left_out_text(left_out)}" if left_out else ""
        names = shown_names([name for name, _ in empty])
        raise ImageError(f"{top}: no photo in {names}; add some, or remove what is no class{files}")


def _left_out(found_in: Sequence[FoundPhotos]) -> Counter[str]:
    return sum((found.left_out for found in found_in), Counter[str]())


def _photos_of(entry: Path) -> FoundPhotos:
    for place, folders, files in os.walk(entry):
        names = [Path(place) / name for name in sorted((*folders, *files)) if not name.startswith(".")]
        _require_links(Path(place), [path for path in names if path.is_symlink()])
    found = photos_in(str(entry))
    if found.failures:
        raise found.failures[0]
    return found


def _require_links(folder: Path, links: Sequence[Path]) -> None:
    """Raise ImageError for broken links, and for links to a folder that contains them."""
    place = Path(os.path.realpath(folder))
    for link in links:
        if not exists(link):
            with convert_read_errors(link, ImageError):
                raise ImageError(f"{link}: is a link that leads nowhere ({os.readlink(link)})")  # noqa: PTH115
        target = Path(os.path.realpath(link))
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
