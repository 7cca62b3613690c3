"""The functions of the toolkit that the library calls: converters of other frameworks' files.

The library does not import the toolkit. `mpscnn/__init__.py` says here how to import it, at its first use.
"""

from __future__ import annotations

from collections.abc import Callable
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


_import: Callable[[], Converter] | None = None


def provide(importing: Callable[[], Converter]) -> None:
    """Set the function that imports the converters."""
    global _import
    _import = importing


def converter() -> Converter:
    """Import the converters, and return them."""
    assert _import is not None, "mpscnn/__init__.py provides it"
    return _import()
