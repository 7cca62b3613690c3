"""Escape text from files and users, so that it cannot control the terminal."""

from __future__ import annotations

import unicodedata

__all__ = ["printable"]

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
