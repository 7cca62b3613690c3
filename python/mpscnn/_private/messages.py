"""Pass the library's log messages to Python's logging."""

from __future__ import annotations

import logging

_LOGGER = logging.getLogger("mpscnn")
# Without a handler of the program's own, Python would print warnings, which users also get as RuntimeWarning.
_LOGGER.addHandler(logging.NullHandler())
_LEVELS = {0: logging.INFO, 1: logging.WARNING}


def log(level: int, message: str) -> None:
    """Log a message with the level of the C interface: 0 for information, 1 for a warning."""
    _LOGGER.log(_LEVELS[level], "%s", message)
