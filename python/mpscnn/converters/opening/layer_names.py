"""Make unique names for layers. In a file, several layers may have the same name, and some have none."""

from __future__ import annotations

from collections.abc import Iterable

_MAX_SHOWN = 120


class LayerNames:
    """Makes the names of one network's inputs and layers."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._counts: dict[str, int] = {}

    def is_free(self, name: str) -> bool:
        """Return True if no input or layer has this name yet."""
        return name not in self._taken

    def take(self, names: Iterable[str]) -> None:
        """Record names that inputs or layers have."""
        self._taken.update(names)

    def unique(self, stem: str) -> str:
        """Return the name itself, or the name with `_2`, `_3`, ... appended if it was returned before."""
        name, count = stem, self._counts.get(stem, 1)
        while name in self._taken:
            count += 1
            name = f"{stem}_{count}"
        self._counts[stem] = count
        self._taken.add(name)
        return name


def quote_name(name: str) -> str:
    """Return a name of a file for a message: quoted, control characters escaped, cut where it is very long."""
    return repr(name if len(name) <= _MAX_SHOWN else f"{name[:_MAX_SHOWN]}...")


def display_kind(kind: str) -> str:
    """Return the file's name of an operation for a message, not quoted."""
    return quote_name(kind)[1:-1]
