"""A model of the registry, and where its files are on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mpscnn._private.literals import StoredTypeName
from mpscnn._private.toolkit import converter
from mpscnn.registry.cache import cache_directory, first_file
from mpscnn.registry.local_files import cached_file, provided_file, ready_file
from mpscnn.registry.published_file import PublishedFile


@dataclass(frozen=True)
class Entry:
    """One model of the registry."""

    name: str
    aliases: tuple[str, ...]
    input_size: tuple[int, int]
    """Height and width in pixels."""
    classes: int
    """Number of labels: of classifiers and segmenters a background class included, of detectors not."""
    sources: tuple[PublishedFile, ...]
    """The parts of the network in the order in which they are joined; none for a bundled model."""
    labels: PublishedFile | None
    preprocess: str
    """Name of the preprocessing for the converter; empty where the file states its own."""
    licence: str
    publisher: str
    dtype: StoredTypeName = "uint8"
    """How the converted file stores weights; uint8 keeps the integers of the quantised originals exactly."""
    finds: str = ""
    """The objects that a detector finds; empty for other models."""

    @property
    def bundled(self) -> bool:
        """True if the model is part of the package and needs no publisher."""
        return not self.sources

    @property
    def files(self) -> tuple[PublishedFile, ...]:
        """Everything that the conversion reads: the sources, then the labels."""
        return self.sources if self.labels is None else (*self.sources, self.labels)

    @property
    def size(self) -> int | None:
        """Bytes of the publisher's files, or of the bundled file; None if that is missing."""
        if not self.bundled:
            return sum(file.size for file in self.files)
        location = self.location()
        return None if location is None else location.stat().st_size

    def location(self) -> Path | None:
        """Return the local file that `find` would use without a download, or None.

        A model file (.safetensors) where there is one, else the first of the publisher's files if all of
        them are here and only the conversion is missing. Checksums are left to `find`.
        """
        if ready := ready_file(all_names(self)):
            return ready
        if self.bundled:
            return None
        if converted := first_file([converted_path(self, converter().CONVERTER_VERSION)]):
            return converted
        paths = [provided_file(file) or cached_file(file) for file in self.files]
        return paths[0] if all(paths) else None


def all_names(entry: Entry) -> tuple[str, ...]:
    """Return the name of a model and then its aliases."""
    return (entry.name, *entry.aliases)


def converted_path(entry: Entry, converter_version: int) -> Path:
    """Return where the converted model is cached.

    The name of the file holds everything that decides its contents.
    """
    parts = [entry.name, *(file.sha256[:16] for file in entry.files), entry.preprocess, entry.dtype]
    return cache_directory() / "models" / ("-".join(parts) + f"-v{converter_version}.safetensors")
