"""Models by name: what exists, what is on this machine, and how it gets there."""

from .catalogue import Entry, PublishedFile
from .lookup import find, is_path, models, names

__all__ = ["Entry", "PublishedFile", "find", "is_path", "models", "names"]
