"""Escape text from files and users, so that it cannot control the terminal."""

from __future__ import annotations

import unicodedata

__all__ = ["printable"]

# Control, format (such as changes of direction) and surrogate characters, line and paragraph separators.
_ESCAPED = {"Cc", "Cf", "Cs", "Zl", "Zp"}
# Joiners: scripts and emoji need them, and they change the letters next to them only.
_SHOWN = {"\u200c", "\u200d"}


def printable(text: object) -> str:
    """Return the text on one line, with what would control a terminal, or hide, escaped as Python does."""
    shown = str(text)
    if shown.isprintable():
        return shown
    return "".join(map(_escaped, shown))


def _escaped(character: str) -> str:
    if unicodedata.category(character) not in _ESCAPED or character in _SHOWN:
        return character
    return character.encode("unicode_escape").decode("ascii")
