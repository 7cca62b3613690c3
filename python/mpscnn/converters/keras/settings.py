"""Read the settings of a Keras layer from its JSON, with checks of their types."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.errors import WeightsError

_MAX_LIST = 4096


class Settings:
    """The settings of one layer in a file. The methods raise WeightsError if a setting has a wrong type.

    Like Keras, they accept true and false as the numbers 1 and 0.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    def __contains__(self, name: str) -> bool:
        return self.values.get(name) is not None

    def text(self, name: str, default: str) -> str:
        """Return a setting that is a string."""
        value = self._value(name, default)
        if not (isinstance(value, str)):
            raise self._wrong(name, "text")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """Return a setting that is a boolean. Like Keras, it accepts numbers, and null as false."""
        value = self.values.get(name, default)
        if value is not None and not isinstance(value, (bool, int, float)):
            raise self._wrong(name, "true or false")
        return bool(value)

    def number(self, name: str, default: float) -> float:
        """Return a setting that is a finite number. Keras writes NumPy scalars as objects, which are accepted, too."""
        value = self._value(name, default)
        if isinstance(value, Mapping):
            value = self._inner(value)
        if isinstance(value, (int, float)) and abs(value) <= 1e300:
            return float(value)
        raise self._wrong(name, "a number")

    def whole(self, name: str, default: int) -> int:
        """Return a setting that is an integer of 32 bits."""
        value = self._value(name, default)
        if isinstance(value, int) and abs(value) < 2**31:
            return int(value)
        raise self._wrong(name, "a whole number")

    def wholes(self, name: str, default: Sequence[int] | None = None) -> list[int]:
        """Return a setting that is a list of integers, or a single integer."""
        value = self._value(name, default)
        given = value if isinstance(value, (list, tuple)) else [value]
        if len(given) > _MAX_LIST or not all(isinstance(one, int) and abs(one) < 2**31 for one in given):
            raise self._wrong(name, "whole numbers")
        return [int(one) for one in given]

    def numbers(self, name: str) -> list[float]:
        """Return a setting that is a (nested) list of finite numbers, or a single number, as a flat list."""
        value: Any = self._value(name, None)
        if isinstance(value, Mapping):
            value = self._inner(value)
        waiting, numbers = [value], []
        while waiting:
            one = waiting.pop()
            if isinstance(one, (list, tuple)):
                waiting += reversed(one)
            elif isinstance(one, (int, float)) and math.isfinite(one):
                numbers.append(float(one))
            else:
                raise self._wrong(name, "numbers")
        return numbers

    def array(self, name: str) -> NDArray[np.float64]:
        """Return a setting of nested lists of finite numbers as an array."""
        value: Any = self._value(name, None)
        listed = self._inner(value) if isinstance(value, Mapping) else value
        self.numbers(name)  # raises an error for elements that are not finite numbers
        try:
            return np.array(listed, np.float64)
        except ValueError as error:  # rows of different lengths
            raise self._wrong(name, "numbers in rows of one length") from error

    def pair(self, name: str, default: int) -> tuple[int, int]:
        """Return a setting as (vertical, horizontal), from one or two integers."""
        given = self.wholes(name, [default])
        if len(given) == 1:
            return given[0], given[0]
        if not (len(given) == 2):
            raise self._wrong(name, "one or two numbers")
        return (given[0], given[1])

    def single(self, name: str, default: int) -> int:
        """Return a setting that is an integer, or a list of one integer."""
        given = self.wholes(name, [default])
        if not (len(given) == 1):
            raise self._wrong(name, "one number")
        return given[0]

    def sides(self, name: str) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return a setting as ((top, bottom), (left, right)), from one, two or four integers."""
        value = self._value(name, None)
        if isinstance(value, int):
            value = [value, value]
        pairs = (
            [[one, one] if isinstance(one, int) else one for one in value] if isinstance(value, list) else []
        )
        if len(pairs) != 2 or not all(isinstance(one, list) and len(one) == 2 for one in pairs):
            raise self._wrong(name, "numbers for all sides")
        if not all(isinstance(one, int) and 0 <= one < 2**31 for pair in pairs for one in pair):
            raise self._wrong(name, "whole numbers")
        (top, bottom), (left, right) = ([int(one) for one in pair] for pair in pairs)
        return (top, bottom), (left, right)

    def _value(self, name: str, default: Any) -> Any:
        value = self.values.get(name)
        return default if value is None else value

    def _inner(self, value: Mapping[str, Any]) -> Any:
        config = value.get("config")
        return config.get("value") if isinstance(config, Mapping) else value.get("value")

    def _wrong(self, name: str, expected: str) -> WeightsError:
        text = repr(self.values.get(name))
        return WeightsError(f"damaged: its {name} must be {expected}, got {text[:80]}")
