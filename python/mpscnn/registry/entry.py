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
    """The height and width of the input in pixels."""
    classes: int
    """The number of labels. It includes a background class for classifiers and segmenters, but not for detectors."""
    sources: tuple[PublishedFile, ...]
    """The files of the network in the order in which they are joined; empty for a bundled model."""
    labels: PublishedFile | None
    preprocess: str
    """The name of the preprocessing preset; "" if the file defines its own."""
    licence: str
    publisher: str
    dtype: StoredTypeName = "uint8"
    """The type in which the converted file stores weights. uint8 keeps the integers of quantised originals exactly."""
    finds: str = ""
    """The objects that a detector finds; empty for other models."""

    @property
    def bundled(self) -> bool:
        """True if the model is part of the package and not downloaded."""
        return not self.sources

    @property
    def files(self) -> tuple[PublishedFile, ...]:
        """All files that the conversion reads: the sources, then the labels."""
        return self.sources if self.labels is None else (*self.sources, self.labels)

    @property
    def size(self) -> int | None:
        """The bytes of the publisher's files, or of the bundled file; None if that is missing."""
        if not self.bundled:
            return sum(file.size for file in self.files)
        location = self.location()
        return None if location is None else location.stat().st_size

    def location(self) -> Path | None:
        """Return the local file that `find` would use without a download, or None.

        It is a model file (.safetensors) if there is one. Otherwise it is the first of the publisher's files, if all of
        them are on this machine and only need to be converted. Checksums are not compared here.
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
    """Return the model's name and its aliases."""
    return (entry.name, *entry.aliases)


def converted_path(entry: Entry, converter_version: int) -> Path:
    """Return where the converted model is cached.

    The file's name contains everything that determines its content.
    """
    parts = [entry.name, *(file.sha256[:16] for file in entry.files), entry.preprocess, entry.dtype]
    return cache_directory() / "models" / ("-".join(parts) + f"-v{converter_version}.safetensors")
