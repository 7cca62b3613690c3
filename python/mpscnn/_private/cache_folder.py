"""Find the folder of the files that mpscnn keeps between processes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mpscnn.errors import DownloadError


def cache_directory() -> Path:
    """Return the cache folder: MPSCNN_CACHE or the platform's folder for caches. It may not exist yet."""
    if override := os.environ.get("MPSCNN_CACHE"):
        return expand_user(override).absolute()
    if sys.platform == "darwin":
        return expand_user("~/Library/Caches") / "mpscnn"
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG base directory specification requires that relative values are ignored.
    return (base if base.is_absolute() else expand_user("~/.cache")) / "mpscnn"


def expand_user(path: str) -> Path:
    """Return the path with "~" replaced by the home folder. Raises DownloadError if there is no such folder."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise DownloadError(
            f"{path!r} has no meaning here: {error} Set MPSCNN_CACHE and MPSCNN_MODELS to absolute paths."
        ) from error
