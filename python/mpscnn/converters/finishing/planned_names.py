"""Name layers while a network is converted, and again when it is known which of them are left."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from mpscnn.converters.opening.layer_names import LayerNames

Named = Callable[["PlannedNames"], str]
"""A function that returns the stem of a name, by the names that have been chosen so far."""


class PlannedNames(LayerNames):
    """Makes names that are chosen again when the network is complete.

    Some layers then become a part of another layer, and the numbers of other names must not depend on them.

    Attributes:
        final: the final names by the names before.
    """

    def __init__(self) -> None:
        super().__init__()
        self.final: dict[str, str] = {}
        self._made: list[tuple[str, Named | None]] = []

    def unique(self, stem: str, final: Named | None = None) -> str:
        """Return a unique name; see `LayerNames.unique`.

        Args:
            stem: the stem of the name for now.
            final: returns the stem of the final name; None: it is the same.
        """
        name = super().unique(stem)
        self._made.append((name, final or (lambda _: stem)))
        return name

    def take(self, names: Iterable[str]) -> None:
        """Record names that layers have; see `LayerNames.take`."""
        new = list(filter(self.is_free, names))
        super().take(new)
        self._made += [(name, None) for name in new]

    def finished(self, gone: Collection[str]) -> PlannedNames:
        """Return the final names of all layers but those that are `gone`."""
        names = PlannedNames()
        for name, stem in self._made:
            if name in gone:
                continue
            if stem is None:
                names.final[name] = names.final_of(name)
                names.take([names.final[name]])
            else:
                names.final[name] = names.unique(stem(names))
        return names

    def final_of(self, name: str) -> str:
        """Return the final name of a layer. A name that was made of another one and a suffix follows that one."""
        stem = name
        while stem and stem not in self.final:
            stem = stem.rpartition("/")[0]
        return self.final[stem] + name[len(stem) :] if stem else name
