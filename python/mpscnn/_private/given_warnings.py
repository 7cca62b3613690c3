"""Give warnings that point to the line of the user's program that called the package."""

from __future__ import annotations

import sys
import warnings

_given: set[str] = set()


def warn_caller(warning: str, category: type[Warning] = RuntimeWarning) -> None:
    """Give a warning that points to the first caller outside the package."""
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == "mpscnn":
        level, frame = level + 1, frame.f_back
    warnings.warn(warning, category, stacklevel=level)


def warn_once(warning: str, category: type[Warning] = RuntimeWarning) -> None:
    """Give a warning as `warn_caller` does, unless this process gave it before."""
    if warning not in _given:
        _given.add(warning)
        warn_caller(warning, category)
