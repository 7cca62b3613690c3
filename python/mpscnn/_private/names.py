"""Suggest known names for a misspelt one, and shorten lists of names for messages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import accumulate

_MAX_NAMED = 5
_NUMBERED = re.compile(r"([0-9]{1,6})(?:\s*[:,;]\s*|\s+)(\S.*)")
#: The largest sum of products of two names' lengths. It bounds the time of comparing a name with all known ones.
_MAX_COMPARED = 4_000_000


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean ...?" with the most similar known names, or "" if none is similar.

    A name that differs in case and underscores alone is the only one. If there are many long names, only the first
    ones are compared.
    """
    import difflib

    compared = _first_names(known, _MAX_COMPARED // (len(name) + 1))
    close = [one for one in compared if _letters(one) == _letters(name)]
    close = close or difflib.get_close_matches(name, compared, n=3, cutoff=0.6)
    return f"; did you mean {', '.join(map(repr, close))}?" if close else ""


def _letters(name: str) -> str:
    return name.replace("_", "").lower()


def _first_names(names: Iterable[str], length: int) -> list[str]:
    """Return the first names that together have at most this length."""
    given = list(names)
    ends = accumulate(len(name) + 1 for name in given)
    return [name for name, end in zip(given, ends, strict=True) if end <= length]


def without_numbers(names: Sequence[str]) -> list[str]:
    """Return the names in the order of the numbers before them: "0 cat" and "1 dog" are "cat" and "dog".

    Numbers begin at 0 or 1. A name of a missing number is "class 7", if they begin at 0. Names are returned as they are
    if not all of them have another number, or if they would be equal without it, as "1 euro" and "2 euro".
    """
    found = [_NUMBERED.fullmatch(name) for name in names]
    by_number = {int(one[1]): one[2] for one in found if one is not None}
    if len(by_number) < max(len(names), 2) or first_repeated(by_number.values()) is not None:
        return list(names)
    first, last = min(by_number), max(by_number)
    has_gaps = last - first + 1 > len(by_number)
    if first > 1 or (has_gaps and (first == 1 or last >= 2 * len(by_number))):
        return list(names)
    return [by_number.get(number, f"class {number}") for number in range(first, last + 1)]


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
