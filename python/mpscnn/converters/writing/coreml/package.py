"""Import and run the package coremltools without its output on the terminal."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from mpscnn._private.installation import install_command
from mpscnn.errors import UnsupportedError


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppress coremltools' warnings, progress bars, log messages and lists of layers within a `with` block."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def coremltools() -> Any:
    """Return the package coremltools. Raises UnsupportedError if it is not installed."""
    try:
        with quiet():
            return import_module("coremltools")
    except ImportError as error:
        raise UnsupportedError(
            f"writing Core ML models needs coremltools: {install_command('coreml')} ({error})"
        ) from error
