"""Choose the format of a model file by its suffix and contents."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mpscnn._private.files import is_folder
from mpscnn._private.model_name import MODEL_SUFFIX, holds_network
from mpscnn.converters.formats.format_detection import (
    format_by_contents,
    refuse_other_contents,
    refuse_other_formats,
)
from mpscnn.converters.formats.records import ARCHIVE, BY_SUFFIX, RAW_WEIGHTS, Format
from mpscnn.converters.opening.saved_models import SAVED_MODEL, is_saved_model
from mpscnn.converters.reading.coreai.archive import is_archived
from mpscnn.converters.reading.coreai.asset import ASSET
from mpscnn.errors import UnsupportedError


def format_of_files(paths: Sequence[Path]) -> Format:
    """Return the format of these files.

    Raises UnsupportedError for an unknown suffix, for files of different formats, and for a file whose contents do not
    have the format of its suffix; WeightsError for a file that cannot be read.
    """
    if len(paths) == 1 and is_folder(paths[0]) and not is_package(paths[0]):
        return _format_of_folder(paths[0])
    suffixes = {path.suffix.lower() for path in paths}
    first, *others = dict.fromkeys(map(format_of, paths), None)
    if first is None:
        refuse_other_formats(paths[0])
    if first is None or others:
        given = ", ".join(sorted(suffix or "(none)" for suffix in suffixes))
        raise UnsupportedError(f"cannot convert files with the suffix {given}; known: {', '.join(BY_SUFFIX)}")
    for path in paths:
        if is_saved_model(path):
            refuse_other_contents(path / SAVED_MODEL)
        elif not is_package(path):
            _refuse_mislabelled(path, first)
    return first


def _format_of_folder(path: Path) -> Format:
    """Return the format of a folder whose name tells none. Raises UnsupportedError for other folders."""
    from mpscnn.models.deep_mnist import is_deep_mnist  # imports all models, which files do not need

    if not is_deep_mnist(path):
        refuse_other_formats(path)
    return RAW_WEIGHTS


def _refuse_mislabelled(path: Path, expected: Format) -> None:
    """Raise UnsupportedError if a file does not have the format of its suffix."""
    found = None if expected.begins_like_others else format_by_contents(path)
    if found is None:
        refuse_other_contents(path)
        return
    what, suffix = found
    is_named_so = (suffix == MODEL_SUFFIX) == (path.suffix.lower() == MODEL_SUFFIX)
    if BY_SUFFIX.get(suffix) is not expected or not is_named_so:
        raise UnsupportedError(f"{path}: is {what}; rename it to {path.stem}{suffix}")


def format_of(path: Path) -> Format | None:
    """Return the format of a file by its name; None: it is none that is read."""
    return ARCHIVE if is_archived(path) else BY_SUFFIX.get(engine_key(path))


def engine_key(path: Path) -> str:
    """Return a file's suffix, or ".pb" for the folder of a SavedModel, and that of an asset for an archived one."""
    if is_archived(path):
        return ASSET
    return ".pb" if is_saved_model(path) else path.suffix.lower()


def is_foreign(path: Path) -> bool:
    """Return True for a file of another framework.

    The suffix decides. Files that end in .safetensors may be of this library or of PyTorch, so their header is read.
    """
    return format_of(path) is not None and not (path.suffix.lower() == MODEL_SUFFIX and holds_network(path))


def is_package(path: Path) -> bool:
    """Return True if a path is a folder that is one model file of another framework's format."""
    found = format_of(path)
    return is_folder(path) and found is not None and (found.is_folder or is_saved_model(path))


def model_files(path: Path) -> list[Path]:
    """Return all files that a network is read from: the given one and its companions, such as external weights."""
    found = format_of(path)
    if found is None or found.files is None or (found.is_folder and not is_folder(path)):
        return [path]
    return found.files(path)


def named_by_file(path: Path) -> bool:
    """Return True if the format stores weights only, so that the file's name may tell the architecture."""
    found = format_of(path)
    return found is not None and found.has_weights_only


def refuse_damaged(path: Path) -> None:
    """Raise the error of a file whose description is damaged, without reading its weights."""
    found = format_of(path)
    if found is not None and found.refuse_damaged is not None:
        found.refuse_damaged(path)
