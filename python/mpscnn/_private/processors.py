"""The number of processors that this process may use."""

from __future__ import annotations

import json

from mpscnn import _core

__all__ = ["available_processors"]


def available_processors() -> int:
    """Return the number of threads that pay off in this process, which `threads="auto"` means.

    These are the physical cores among the processors that it may run on, but no more than its control groups leave it.
    """
    threads: int = json.loads(_core.processors())["threads"]
    return threads
