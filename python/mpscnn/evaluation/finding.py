"""Hold one finding of a check of data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Something that should be looked at before a training."""

    kind: str
    """"unreadable", "wrong label", "near copy", "leak", "odd photo", "few photos", "box" or "label next"."""
    photo: str
    """The path of the photo, or the class for "few photos"."""
    label: str
    """The photo's label; "" without one."""
    other: str
    """The more probable label, the other photo of a pair, or ""."""
    score: float | None
    """How sure this is, 0 to 1, for labels; the distance, for pairs and odd photos."""
    about: str
    """A sentence for people."""
