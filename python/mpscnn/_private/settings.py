"""Convert settings from callers to JSON for the core."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from mpscnn._private.arguments import is_finite_number
from mpscnn.errors import ParameterError

_DIGITS_OF_LARGEST = 309  # of the largest finite number, so a text that is shorter has no larger integer


def as_json(owner: str, settings: object) -> str:
    """Convert settings to JSON text. NumPy's numbers and arrays are allowed, infinities and NaN are not.

    Raises ParameterError, which begins with `owner` and the setting's name, for NaN, infinities, text that is not
    Unicode, settings nested too deeply, and values that are neither numbers, text, sequences nor mappings.
    """
    try:
        text = _text(settings)
        if text is None:
            text = json.dumps(_plain(owner, "", settings), ensure_ascii=False)
        text.encode()
    except RecursionError as error:
        raise ParameterError(f"{owner}: is nested too deeply") from error
    except UnicodeEncodeError as error:
        part = error.object[max(0, error.start - 20) : error.end + 20]
        raise ParameterError(f"{owner}: {part!r} is not Unicode text") from error
    return text


def plain(owner: str, settings: object) -> Any:
    """Return settings as plain Python numbers, strings, lists and dictionaries. Raises the errors of `as_json`."""
    return json.loads(as_json(owner, settings))


def _text(settings: object) -> str | None:
    """Return short settings as JSON text without a look at each value; None if a value may have to be refused."""
    try:
        text = _ENCODER.encode(settings)
    except (TypeError, ValueError, RecursionError):
        return None
    return text if len(text) < _DIGITS_OF_LARGEST else None


def _known(value: object) -> object:
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=_known)


def _plain(owner: str, name: str, value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, (int, float)) and not isinstance(value, bool) and not is_finite_number(value):
        shown = value if isinstance(value, float) else f"an integer of {value.bit_length()} bits"
        raise ParameterError(f"{owner}: {name} must be finite, got {shown}")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(owner, name, one) for one in value]
    if isinstance(value, Mapping):
        prefix = name and f"{name}."
        return {str(key): _plain(owner, f"{prefix}{key}", one) for key, one in value.items()}
    what = f"{owner}: {name}" if name else owner
    raise ParameterError(f"{what}: expected numbers, names or a mapping, got {type(value).__name__}")
