"""Check arguments, and convert numbers of Python or numpy to those that the core reads."""

from __future__ import annotations

import math
import operator
import os
import re
from collections.abc import Collection, Sequence
from typing import Any, TypeGuard

import numpy as np

from mpscnn.errors import ParameterError

IntPair = int | tuple[int, int]
MAX_INPUT_SIDE = 16_384  # docs/preprocessing.md; the core has the same limit
# The texts of numbers are short: Python needs seconds for millions of digits, and refuses more than 4,300.
_DIGITS = re.compile("[0-9]{1,19}")
_NUMBER = re.compile(r"-?(?=\.?[0-9])[0-9]{0,25}(?:\.[0-9]{0,25})?(?:[eE][-+]?[0-9]{1,4})?")


def whole_number_in(text: str) -> int | None:
    """Return the number that a text of a user consists of, or None if it is not 1 to 19 ASCII digits.

    `int` accepts more: signs, spaces, underscores, digits of other scripts, and any length.
    """
    return int(text) if _DIGITS.fullmatch(text) else None


def are_numbers(labels: Collection[str]) -> bool:
    """Return True if all labels of classes are numbers, such as years or digits.

    A number that a user gives as text is then a label, and never the number of a class.
    """
    return bool(labels) and all(whole_number_in(label) is not None for label in labels)


def number_in(text: str) -> float | None:
    """Return the number that a text of a user consists of, such as "0.5" or "-1e-3", or None for other texts."""
    return float(text) if _NUMBER.fullmatch(text) else None


def is_finite_number(value: object) -> TypeGuard[float]:
    """Return True if the value is a real number that is finite and fits in a float."""
    if not isinstance(value, (int, float, np.integer, np.floating)) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def is_whole_number(value: object) -> TypeGuard[int]:
    """Return True if the value is an int or one of NumPy's integers, but not a bool."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def whole_number(
    what: str, value: object, minimum: int = 1, maximum: int | None = None, *, otherwise: str = ""
) -> int:
    """Return the value as an int if it is a whole number within the limits; otherwise raise ParameterError.

    `otherwise` names another allowed value for the message, such as "None".
    """
    if is_whole_number(value) and value >= minimum and (maximum is None or value <= maximum):
        return operator.index(value)
    allowed = f"of at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
    choice = otherwise and f"{otherwise} or "
    # A fraction, or 2.0, is a number within the limits, so the message says what it lacks.
    kind = "whole number" if isinstance(value, (float, np.floating)) else "number"
    raise ParameterError(f"{what} must be {choice}a {kind} {allowed}, got {value!r}")


def whole_numbers(what: str, values: Sequence[object]) -> list[int]:
    """Return the values as a list of ints. Raise ParameterError if one is not a whole number."""
    if is_sequence(values):
        whole = [operator.index(one) for one in values if is_whole_number(one)]
        if len(whole) == len(values):
            return whole
    raise ParameterError(f"{what} must be whole numbers, got {values!r}")


def pair(what: str, value: IntPair) -> tuple[int, int]:
    """Return (vertical, horizontal) of a setting that may be one number for both or two numbers."""
    parts = value if isinstance(value, (tuple, list)) else (value, value)
    if len(parts) == 2 and all(is_whole_number(part) for part in parts):
        return int(parts[0]), int(parts[1])
    raise ParameterError(f"{what} must be a whole number or (vertical, horizontal), got {value!r}")


def result_size(what: str, value: IntPair) -> tuple[int, int]:
    """Return (height, width) of a result from one number for both or two numbers, each at least 1."""
    height, width = pair(what, value)
    if height < 1 or width < 1:
        raise ParameterError(f"{what} must be at least 1, got {value!r}")
    return height, width


def input_size(what: str, value: IntPair) -> tuple[int, int]:
    """Return (height, width) of a network's input for photos, from one number or two, within the core's limit."""
    extents = result_size(what, value)
    if max(extents) > MAX_INPUT_SIDE:
        raise ParameterError(f"{what} must be at most {MAX_INPUT_SIDE:,}, got {value!r}")
    return extents


def is_sequence(value: object) -> TypeGuard[Sequence[Any]]:
    """Return True for a sequence or an array with axes, but not for a string."""
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, Sequence) and not isinstance(value, str)


def require_sequence(what: str, value: object) -> Sequence[Any]:
    """Return the value if it is a sequence or an array with axes; otherwise raise ParameterError."""
    if is_sequence(value):
        return value
    raise ParameterError(f"{what} must be a sequence, got {value!r}")


def name_list(what: str, names: Sequence[str]) -> list[str]:
    """Return the names as a list. Raise ParameterError for a single string, which would be a list of letters."""
    if is_sequence(names):
        listed = list(names)
        if all(isinstance(name, str) for name in listed):
            return listed
    raise ParameterError(f"{what} must be a sequence of names, got {names!r}")


def path_name(what: str, value: object, lead: str = "") -> str:
    """Return the name of a file or folder as text. Raise ParameterError for anything else, with `lead` at the end."""
    name = value.__fspath__() if isinstance(value, os.PathLike) else value
    if isinstance(name, str):
        return name
    raise ParameterError(f"{what} must be a path, got {type(value).__name__}{lead and '; '}{lead}")


def require_bool(what: str, value: object) -> bool:
    """Return a bool of Python's or NumPy's. Raise ParameterError for anything else, such as "no" or 0.5."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise ParameterError(f"{what} must be True or False, got {value!r}")


def require_text(what: str, value: object) -> str:
    """Return the value if it is a string; otherwise raise ParameterError."""
    if isinstance(value, str):
        return value
    raise ParameterError(f"{what} must be a name, got {value!r}")


def byte_limit(max_memory: int | None) -> int:
    """Convert a `max_memory` argument to the core's number of bytes, where 0 means the default."""
    if max_memory is None:
        return 0
    return whole_number("max_memory", max_memory, maximum=2**63 - 1, otherwise="None")


def thread_count(threads: int | str) -> int:
    """Convert a `threads` argument to the core's number, where 0 means "auto"."""
    if isinstance(threads, str) and threads == "auto":
        return 0
    return whole_number("threads", threads, maximum=1024, otherwise="'auto'")
