"""Give each warning about a program once in a process."""

from __future__ import annotations

import sys
import warnings

_given: set[str] = set()


def warn_once(warning: str, category: type[Warning] = RuntimeWarning) -> None:
    """Give a warning that points to the first caller outside the package, unless it was given before."""
    if warning in _given:
        return
    _given.add(warning)
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == "mpscnn":
        level, frame = level + 1, frame.f_back
    warnings.warn(warning, category, stacklevel=level)
