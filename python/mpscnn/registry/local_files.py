"""Find files of models on this machine, without checking their checksums."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from mpscnn._private.model_name import MODEL_SUFFIX
from mpscnn.registry.cache import first_file, model_directories, source_path
from mpscnn.registry.published_file import PublishedFile

PACKAGED = Path(__file__).resolve().parents[1] / "models" / "data"


def directories() -> Iterator[Path]:
    """Yield the folders of model files: the package's folder, then those of MPSCNN_MODELS."""
    yield PACKAGED
    yield from model_directories()


def packaged_file(name: str) -> Path:
    """Return the path of a bundled model in the package."""
    return PACKAGED / (name + MODEL_SUFFIX)


def ready_file(candidates: Sequence[str]) -> Path | None:
    """Return the first existing model file with one of these names."""
    return first_file(directory / (name + MODEL_SUFFIX) for directory in directories() for name in candidates)


def provided_file(file: PublishedFile) -> Path | None:
    """Return a publisher's file from the folders of MPSCNN_MODELS, or None."""
    return first_file(directory / file.name for directory in model_directories())


def cached_file(file: PublishedFile) -> Path | None:
    """Return a publisher's file from the cache, or None."""
    return first_file([source_path(file)])
