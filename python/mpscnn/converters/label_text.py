"""Read class names from text."""

from __future__ import annotations

from itertools import takewhile


def parse_labels(text: str) -> list[str]:
    """Return the class names in a text: one per line, up to the first blank line. Notes may follow after it."""
    return list(takewhile(bool, (line.strip() for line in text.split("\n"))))
