"""Put the name of the file in front of a reader's error messages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mpscnn.errors import UnsupportedError, WeightsError


@contextmanager
def prefix_errors(origin: str) -> Iterator[None]:
    """Add `origin` to the front of error messages that do not begin with it. The exception's class does not change."""
    try:
        yield
    except (UnsupportedError, WeightsError) as error:
        if str(error).startswith((origin, f"damaged: {origin}")) or not error.args:
            raise
        raise type(error)(f"{origin}: {error}") from error
