"""Return the number of processors that this process may use."""

from __future__ import annotations

import json

from mpscnn import _core

__all__ = ["available_processors"]


def available_processors() -> int:
    """Return the number of threads that "auto" means: the physical cores that this process may use.

    The limit of its control groups (Linux) is respected.
    """
    threads: int = json.loads(_core.processors())["threads"]
    return threads
