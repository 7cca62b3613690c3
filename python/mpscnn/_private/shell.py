"""Quote arguments for commands in messages."""

from __future__ import annotations

import os
import shlex

__all__ = ["quote_path"]


def quote_path(path: str | os.PathLike[str]) -> str:
    """Quote a path for a command shown in a message. A name like "-x" becomes "./-x", so it is not an option."""
    text = os.fspath(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)
