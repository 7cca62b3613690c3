"""Confine this process on macOS by the sandbox of the system, which browsers use as well.

The system's header marks `sandbox_init` as deprecated, but names nothing else for programs that are not from the App
Store. The child tries afterwards whether it is confined (`child.py`), so a system without it is noticed.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from pathlib import Path


def seal(places: Iterable[Path]) -> None:
    """Forbid this process to do anything but compute, and to read files of these files and folders.

    Raises OSError if the system refuses.
    """
    try:
        initialise = ctypes.CDLL(None).sandbox_init
    except AttributeError as error:
        raise OSError("this system has no sandbox") from error
    reason = ctypes.c_char_p()
    if initialise(_profile(places).encode(), ctypes.c_uint64(0), ctypes.byref(reason)) != 0:
        raise OSError((reason.value or b"the sandbox cannot be entered").decode("utf-8", "replace"))


def _profile(places: Iterable[Path]) -> str:
    """Return the rules of the sandbox."""
    quoted = (str(place).replace("\\", "\\\\").replace('"', '\\"') for place in places)
    folders = " ".join(f'(subpath "{text}")' for text in quoted)
    return (
        "(version 1)(deny default)(allow file-read-metadata)(allow sysctl-read)"
        f"(allow signal (target self))(allow process-info* (target self))(allow file-read* {folders})"
    )
