"""The one convention of all writers: what a format's tables have for each operator or layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Source = TypeVar("Source")
Result = TypeVar("Result")

Write = Callable[[Source], Result]
"""A function that writes an operator or layer of a network, and returns its result in the format's program."""
