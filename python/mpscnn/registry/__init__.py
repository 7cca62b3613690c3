"""Manage models by name: list them, find them on this machine, and download them."""

from mpscnn._private.model_name import is_path
from mpscnn.registry.entry import Entry
from mpscnn.registry.lookup import find, models, names
from mpscnn.registry.published_file import PublishedFile

__all__ = ["Entry", "PublishedFile", "find", "is_path", "models", "names"]


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
