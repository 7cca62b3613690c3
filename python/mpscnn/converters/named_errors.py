"""Let the errors of a reader begin with the name of its file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mpscnn.errors import UnsupportedError, WeightsError


@contextmanager
def naming(origin: str) -> Iterator[None]:
    """Put `origin` in front of errors that do not begin with it. The kind of an error stays."""
    try:
        yield
    except (UnsupportedError, WeightsError) as error:
        if str(error).startswith((origin, f"damaged: {origin}")) or not error.args:
            raise
        raise type(error)(f"{origin}: {error}") from error
