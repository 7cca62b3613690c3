"""Quote arguments for commands in messages."""

from __future__ import annotations

import os
import shlex

__all__ = ["in_command"]


def in_command(path: str | os.PathLike[str]) -> str:
    """A path as an argument of a command that a message shows: quoted where it has blanks, never read as an option."""
    text = os.fspath(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)
