"""The functions of the toolkit that the library calls: readers and writers of other frameworks' files.

The library does not import the toolkit. `mpscnn/__init__.py` says here how to import it, at its first use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol


class Converter(Protocol):
    """The module `mpscnn.converters.cached`."""

    CONVERTER_VERSION: int

    def converted(self, name: str, *, fold: bool = ...) -> str:
        """Return the path of the model file that a file of another framework becomes."""
        ...

    def convert_files(self, *arguments: Any, **options: Any) -> Any:
        """Write the model file of a network that is given by files of another framework."""
        ...


class Writers(Protocol):
    """The module `mpscnn.converters.writers`."""

    WRITERS: Mapping[str, Callable[..., None]]
    """Functions of (network, path, dtype) by the suffix of the files that they write."""


_importers: list[tuple[Callable[[], Converter], Callable[[], Writers]]] = []


def provide(converters: Callable[[], Converter], writers: Callable[[], Writers]) -> None:
    """Set the functions that import the converters and the writers."""
    _importers[:] = [(converters, writers)]


def converter() -> Converter:
    """Import the converters, and return them."""
    return _importers[0][0]()


def writers() -> Mapping[str, Callable[..., None]]:
    """Import the writers of other frameworks' files, and return them by suffix."""
    return _importers[0][1]().WRITERS
