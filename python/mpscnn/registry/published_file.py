"""A file of a publisher, from which a model is made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedFile:
    """One file at its publisher, pinned by its size and checksum."""

    name: str
    url: str
    size: int
    """Bytes."""
    sha256: str
    """Lower-case hexadecimal digest."""

    @property
    def identity(self) -> str:
        """Size and checksum, as text."""
        return f"{self.size} bytes, sha256 {self.sha256}"
