"""Models by name: what exists, what is on this machine, and how it gets there."""

from mpscnn.registry.catalogue import Entry, PublishedFile
from mpscnn.registry.lookup import find, is_path, models, names

__all__ = ["Entry", "PublishedFile", "find", "is_path", "models", "names"]
