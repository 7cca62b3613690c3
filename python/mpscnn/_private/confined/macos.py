"""Confine this process on macOS by the sandbox of the system, which browsers use as well.

The system's header marks `sandbox_init` as deprecated, but names nothing else for programs that are not from the App
Store. The child tries afterwards whether it is confined (`child.py`), so a system without it is noticed.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from pathlib import Path


def seal(places: Iterable[Path], own: Iterable[Path]) -> None:
    """Forbid this process to do anything but compute, to read these files and folders, and to write in its own folders.

    Raises OSError if the system refuses.
    """
    try:
        initialise = ctypes.CDLL(None).sandbox_init
    except AttributeError as error:
        raise OSError("this system has no sandbox") from error
    reason = ctypes.c_char_p()
    if initialise(_profile(places, own).encode(), ctypes.c_uint64(0), ctypes.byref(reason)) != 0:
        raise OSError((reason.value or b"the sandbox cannot be entered").decode("utf-8", "replace"))


def _profile(places: Iterable[Path], own: Iterable[Path]) -> str:
    """Return the rules of the sandbox."""
    written = f"(allow file-write* {folders})" if (folders := _listed(own)) else ""
    return (
        "(version 1)(deny default)(allow file-read-metadata)(allow sysctl-read)"
        f"(allow signal (target self))(allow process-info* (target self))(allow file-read* {_listed(places)}){written}"
    )


def _listed(folders: Iterable[Path]) -> str:
    quoted = (str(folder).replace("\\", "\\\\").replace('"', '\\"') for folder in folders)
    return " ".join(f'(subpath "{text}")' for text in quoted)
