"""Which files of a model are on this machine. Checksums are left to `lookup`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mpscnn._private.model_name import MODEL_SUFFIX
from mpscnn._private.toolkit import converter
from mpscnn.registry.cache import converted_path, first_file, model_directories, source_path

if TYPE_CHECKING:
    from mpscnn.registry.catalogue import Entry, PublishedFile

PACKAGED = Path(__file__).resolve().parents[1] / "models" / "data"


def location(entry: Entry) -> Path | None:
    """The local file that `find` would use without a download, or None, see `Entry.location`."""
    if ready := ready_file(all_names(entry)):
        return ready
    if entry.bundled:
        return None
    if converted := first_file([converted_path(entry, converter().CONVERTER_VERSION)]):
        return converted
    paths = [provided_file(file) or cached_file(file) for file in entry.files]
    return paths[0] if all(paths) else None


def all_names(entry: Entry) -> tuple[str, ...]:
    """The name of a model, then its aliases."""
    return (entry.name, *entry.aliases)


def directories() -> Iterator[Path]:
    """Where model files lie: in the package, then in the directories of MPSCNN_MODELS."""
    yield PACKAGED
    yield from model_directories()


def packaged_file(entry: Entry) -> Path:
    """Where the package has a bundled model."""
    return PACKAGED / (entry.name + MODEL_SUFFIX)


def ready_file(candidates: Sequence[str]) -> Path | None:
    """The first model file of one of these names."""
    return first_file(directory / (name + MODEL_SUFFIX) for directory in directories() for name in candidates)


def provided_file(file: PublishedFile) -> Path | None:
    """A publisher's file in the directories of MPSCNN_MODELS."""
    return first_file(directory / file.name for directory in model_directories())


def cached_file(file: PublishedFile) -> Path | None:
    """A publisher's file in the cache."""
    return first_file([source_path(file)])
