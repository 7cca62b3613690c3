"""Find files of models on this machine. `lookup` compares their checksums."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from mpscnn._private.model_name import MODEL_SUFFIX
from mpscnn.registry.cache import first_file, model_directories, source_path
from mpscnn.registry.published_file import PublishedFile

PACKAGED = Path(__file__).resolve().parents[1] / "models" / "data"


def directories() -> Iterator[Path]:
    """Yield the folders of model files: the package's, then the directories of MPSCNN_MODELS."""
    yield PACKAGED
    yield from model_directories()


def packaged_file(name: str) -> Path:
    """Return where the package has a bundled model."""
    return PACKAGED / (name + MODEL_SUFFIX)


def ready_file(candidates: Sequence[str]) -> Path | None:
    """Return the first model file of one of these names."""
    return first_file(directory / (name + MODEL_SUFFIX) for directory in directories() for name in candidates)


def provided_file(file: PublishedFile) -> Path | None:
    """Return a publisher's file in the directories of MPSCNN_MODELS."""
    return first_file(directory / file.name for directory in model_directories())


def cached_file(file: PublishedFile) -> Path | None:
    """Return a publisher's file in the cache."""
    return first_file([source_path(file)])
