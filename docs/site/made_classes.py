"""An extension of griffe that finds the classes which `mpscnn.kernels` makes from the core's table."""

from __future__ import annotations

from typing import Any

import griffe


class MadeClasses(griffe.Extension):
    """Add the names of `classes.pyi` to `mpscnn.kernels`. Griffe's wildcard imports leave out names of stubs."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Add the names to the loaded package."""
        made = pkg["kernels.classes"]
        for name in made.exports:
            pkg["kernels"].set_member(name, griffe.Alias(name, f"{made.path}.{name}"))
