"""Say what array a file takes or gives, for its users."""

from __future__ import annotations

from collections.abc import Sequence

#: The largest number of inputs or outputs that are shown.
MAX_SHOWN = 10


def array_text(extents: Sequence[int | str | None] | None, element: str) -> str:
    """Return a text such as "array 1 x 3 x 224 x 224 of float32".

    Args:
        extents: the extents: numbers, names of free ones, or None for free ones without a name. None: not stated.
        element: the type of the elements; empty: not stated.
    """
    shown = " x ".join("any" if extent in (None, "") else str(extent) for extent in extents or ())
    return " ".join(filter(None, ["array", shown, element and f"of {element}"]))
