"""Escape text from files and users, so that it cannot control the terminal, and quote it for commands."""

from __future__ import annotations

import os
import shlex
import unicodedata

# Unicode categories that are escaped: control, format (such as text direction), surrogates, line and paragraph
# separators.
_ESCAPED = {"Cc", "Cf", "Cs", "Zl", "Zp"}
# These joiners are shown: scripts and emoji need them, and they affect only the letters next to them.
_SHOWN = {"\u200c", "\u200d"}


def printable(text: object) -> str:
    """Return text on one line, with invisible characters and those that control a terminal escaped as in Python."""
    shown = str(text)
    if shown.isprintable():
        return shown
    return "".join(map(_escaped, shown))


def _escaped(character: str) -> str:
    if unicodedata.category(character) not in _ESCAPED or character in _SHOWN:
        return character
    return character.encode("unicode_escape").decode("ascii")


def quote_path(path: str | os.PathLike[str]) -> str:
    """Quote a path for a command shown in a message. A name like "-x" becomes "./-x", so it is not an option."""
    text = os.fspath(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)
