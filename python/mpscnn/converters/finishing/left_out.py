"""Write the sentences that name the parts of a file which its network does not have."""

from __future__ import annotations

from collections.abc import Iterable

#: At most so many parts are named. The others are counted.
_NAMED = 3


def left_out(what: str, names: Iterable[str]) -> list[str]:
    """Return the note that these parts of a file are left out; no note if there are none.

    Args:
        what: the kind of the parts, in the plural.
        names: their names, without control characters.
    """
    listed = list(dict.fromkeys(names))
    more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
    return [f"{what} are left out: {', '.join(listed[:_NAMED])}{more}"] if listed else []
