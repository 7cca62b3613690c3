"""Report files of TensorFlow that contradict themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mpscnn.converters.opening.unsupported import prefix_errors
from mpscnn.errors import Error, UnsupportedError, WeightsError


@contextmanager
def convert_errors(origin: str) -> Iterator[None]:
    """Add the name of the file to errors, and turn errors of Python into errors of mpscnn that name the file.

    Invalid names, missing operands and the like raise errors of Python, which replace many separate checks.
    """
    try:
        with prefix_errors(origin):
            yield
    except RecursionError as error:
        raise UnsupportedError(
            f"{origin}: its parts are nested too deeply, which is not supported"
        ) from error
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        if isinstance(error, Error):
            raise
        raise WeightsError(
            f"{origin}: damaged: the graph contradicts itself: save or copy the model again"
        ) from error
