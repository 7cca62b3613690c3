"""Suggest known names for a misspelt one, and shorten lists of names for messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_MAX_NAMED = 5


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean ...?" with the most similar known names, or "" if none is similar."""
    import difflib

    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.6)
    return f"; did you mean {', '.join(map(repr, close))}?" if close else ""


def first_repeated(names: Iterable[str]) -> str | None:
    """Return the first name that occurs before; None if all names differ."""
    known: set[str] = set()
    for name in names:
        if name in known:
            return name
        known.add(name)
    return None


def shown_names(names: Sequence[str]) -> str:
    """Return the first names of a list, and the number of the others."""
    shown = ", ".join(repr(name) for name in names[:_MAX_NAMED])
    return shown if len(names) <= _MAX_NAMED else f"{shown} and {len(names) - _MAX_NAMED} more"
