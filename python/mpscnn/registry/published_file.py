"""A publisher's file from which a model is made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedFile:
    """A published file, identified by its size and checksum."""

    name: str
    url: str
    size: int
    """The size in bytes."""
    sha256: str
    """The lower-case hexadecimal SHA-256."""

    @property
    def identity(self) -> str:
        """The size and checksum as text."""
        return f"{self.size} bytes, sha256 {self.sha256}"
