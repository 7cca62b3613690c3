"""A file of a publisher, from which a model is made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedFile:
    """One file at its publisher, pinned by checksum. Without its size and SHA-256 it is not downloaded."""

    name: str
    url: str
    size: int | None
    """Bytes; None where only its name in the publisher's repository is known."""
    sha256: str = ""
    """Lower-case hexadecimal digest."""
    git_blob: str = ""
    """Instead of it the name that git gives the content: SHA-1 of "blob SIZE", a zero byte and the content.

    It distinguishes versions of a file. SHA-1 does not protect against forged files.
    """

    @property
    def digest(self) -> str:
        """The checksum that pins it."""
        return self.sha256 or self.git_blob

    @property
    def downloadable(self) -> bool:
        """True if size and SHA-256 are known."""
        return bool(self.sha256) and self.size is not None

    @property
    def identity(self) -> str:
        """Size and checksum, as text."""
        if not self.sha256:
            return f"git blob {self.git_blob}"
        return f"{self.size} bytes, sha256 {self.sha256}"
