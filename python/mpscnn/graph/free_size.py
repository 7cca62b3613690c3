"""Recognise inputs with a free height or width."""

from __future__ import annotations

from collections.abc import Sequence


def leaves_size_free(shape: Sequence[int | None]) -> bool:
    """Return True if an input is an image whose height or width is free."""
    return len(shape) == 4 and None in shape[1:3]
