"""Recognise inputs with a free height or width, and sizes that they accept."""

from __future__ import annotations

from collections.abc import Sequence


def leaves_size_free(shape: Sequence[int | None]) -> bool:
    """Return True if an input is an image whose height or width is free."""
    return len(shape) == 4 and None in shape[1:3]


def accepts_size(shape: Sequence[int | None], size: Sequence[int]) -> bool:
    """Return True if an input is an image that may have this height and width."""
    return len(shape) == 4 and all(
        side in (None, wanted) for side, wanted in zip(shape[1:3], size, strict=True)
    )
