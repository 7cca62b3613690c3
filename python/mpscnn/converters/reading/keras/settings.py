"""Read the settings of a Keras layer from its JSON, with checks of their types.

The functions get a value of the file and the name of the setting, and raise WeightsError for another type. Like Keras,
they accept true and false as the numbers 1 and 0.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.values.rows import Parsed, Schema
from mpscnn.errors import WeightsError

Sides = tuple[tuple[int, int], tuple[int, int]]

_MAX_LIST = 4096
_MAX_WHOLE = 2**31 - 1
# Settings of all layers, which change no result of inference. Weights know which of them a layer has.
_GENERAL = re.compile(
    r".*_(initializer|regularizer|constraint)|autocast|batch_input_shape|batch_shape|batch_size|build_config|dtype"
    r"|dynamic|input_dtype|input_shape|lora_alpha|lora_rank|name|quantization_config|ragged|sparse|trainable|use_bias"
)


class Settings:
    """The settings of one layer in a file."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    def __contains__(self, name: str) -> bool:
        return self.values.get(name) is not None

    def text(self, name: str, default: str) -> str:
        """Return a setting that is a string."""
        value = self.values.get(name)
        return default if value is None else text_of(value, name)

    def flag(self, name: str, default: bool) -> bool:
        """Return a setting that is a boolean."""
        return flag_of(self.values.get(name, default), name)

    def number(self, name: str, default: float) -> float:
        """Return a setting that is a finite number."""
        value = self.values.get(name)
        return default if value is None else number_of(value, name)


def stated_settings(schema: Schema, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that matter for a row. A setting of null has the default, unless null is a value of it."""
    known = schema.settings
    return {
        name: value
        for name, value in settings.items()
        if (name in known or not _GENERAL.fullmatch(name))
        and (value is not None or (name in known and known[name].may_be_none))
    }


def text_of(value: Any, name: str) -> str:
    """Return a string."""
    if isinstance(value, str):
        return value
    raise _wrong(value, name, "text")


def flag_of(value: Any, name: str) -> bool:
    """Return a boolean. Like Keras, it accepts numbers, and null as false."""
    if value is None or isinstance(value, (bool, int, float)):
        return bool(value)
    raise _wrong(value, name, "true or false")


def number_of(value: Any, name: str) -> float:
    """Return a finite number. Keras writes NumPy scalars as objects, which are accepted, too."""
    given = _inner(value)
    if isinstance(given, (int, float)) and abs(given) <= 1e300:
        return float(given)
    raise _wrong(value, name, "a number")


def whole_of(value: Any, name: str) -> int:
    """Return an integer of 32 bits."""
    if isinstance(value, int) and abs(value) <= _MAX_WHOLE:
        return int(value)
    raise _wrong(value, name, f"a whole number of at most {_MAX_WHOLE}")


def wholes_of(value: Any, name: str) -> tuple[int, ...]:
    """Return a list of integers. A single integer is a list of one."""
    given = value if isinstance(value, (list, tuple)) else [value]
    if len(given) > _MAX_LIST or not all(isinstance(one, int) and abs(one) <= _MAX_WHOLE for one in given):
        raise _wrong(value, name, f"up to {_MAX_LIST} whole numbers of at most {_MAX_WHOLE}")
    return tuple(int(one) for one in given)


def array_of(value: Any, name: str) -> NDArray[np.float64]:
    """Return nested lists of finite numbers, or a single number, as an array."""
    waiting = [_inner(value)]
    while waiting:
        one = waiting.pop()
        if isinstance(one, (list, tuple)):
            waiting += one
        elif not (isinstance(one, (int, float)) and math.isfinite(one)):
            raise _wrong(value, name, "numbers")
    try:
        return np.array(_inner(value), np.float64)
    except ValueError as error:  # rows of different lengths
        raise _wrong(value, name, "numbers in rows of one length") from error


def pair_of(value: Any, name: str) -> tuple[int, int]:
    """Return (vertical, horizontal), from one or two integers."""
    given = wholes_of(value, name)
    if not 1 <= len(given) <= 2:
        raise _wrong(value, name, "one or two numbers")
    return given[0], given[-1]


def single_of(value: Any, name: str) -> int:
    """Return an integer, also from a list of one integer."""
    given = wholes_of(value, name)
    if len(given) != 1:
        raise _wrong(value, name, "one number")
    return given[0]


def sides_of(value: Any, name: str) -> Sides:
    """Return ((top, bottom), (left, right)), from one, two or four integers."""
    given = [value, value] if isinstance(value, int) else value
    pairs = [[one, one] if isinstance(one, int) else one for one in given] if isinstance(given, list) else []
    if len(pairs) != 2 or not all(isinstance(one, list) and len(one) == 2 for one in pairs):
        raise _wrong(value, name, "numbers for all sides")
    if not all(isinstance(one, int) and 0 <= one < 2**31 for pair in pairs for one in pair):
        raise _wrong(value, name, "whole numbers")
    (top, bottom), (left, right) = ([int(one) for one in pair] for pair in pairs)
    return (top, bottom), (left, right)


def _inner(value: Any) -> Any:
    """Return what an object of Keras holds; other values as they are."""
    if not isinstance(value, Mapping):
        return value
    config = value.get("config")
    return config.get("value") if isinstance(config, Mapping) else value.get("value")


def _wrong(value: Any, name: str, expected: str) -> WeightsError:
    return WeightsError(f"damaged: its {name} must be {expected}, got {repr(value)[:80]}")


Text = Annotated[str, Parsed(text_of)]
Flag = Annotated[bool, Parsed(flag_of)]
Number = Annotated[float, Parsed(number_of)]
Whole = Annotated[int, Parsed(whole_of)]
Wholes = Annotated[tuple[int, ...], Parsed(wholes_of)]
Single = Annotated[int, Parsed(single_of)]
Pair = Annotated[tuple[int, int], Parsed(pair_of)]
Array = Annotated[NDArray[np.float64], Parsed(array_of)]
