"""Random JSON texts: the service's reader returns the values of Python's json, and refuses the same texts."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn._private.json_text import json_line, without_infinities
from mpscnn.apps.serve.json_parts import decoded, elements, members
from mpscnn.errors import ParameterError, ShapeError

NAMES = ("a", 'b"', "\u00e9", "\U0001f600", "c\\n")
SPACES = ("", "", "", " ", "\r\n", "\t ")
DAMAGE = b'[]{},:"0159eE+-. \\untrue\x00\x1f\xff'


def number(chosen: random.Random) -> str:
    kind = chosen.randrange(5)
    if kind == 0:
        return str(chosen.randint(-(10 ** chosen.randrange(1, 25)), 10 ** chosen.randrange(1, 25)))
    if kind == 1:
        return repr(chosen.uniform(-1, 1) * 10.0 ** chosen.randrange(-320, 300))
    if kind == 2:
        return f"{chosen.uniform(-100, 100):.{chosen.randrange(60)}f}"
    if kind == 3:
        return f"{chosen.randrange(10**18)}.{chosen.randrange(10**18)}E{chosen.randrange(-330, 310):+}"
    return chosen.choice(["0", "-0.0", "0e999999", "2e-324", "1.7976931348623157e308", "1e309"])


def spaced(chosen: random.Random, text: str) -> str:
    return chosen.choice(SPACES) + text + chosen.choice(SPACES)


def array_of(chosen: random.Random, shape: list[int]) -> str:
    if not shape:
        return spaced(chosen, number(chosen))
    return spaced(chosen, f"[{','.join(array_of(chosen, shape[1:]) for _ in range(shape[0]))}]")


def value(chosen: random.Random, depth: int) -> str:
    kind = chosen.randrange(6 if depth else 3)
    if kind == 0:
        return number(chosen)
    if kind == 1:
        return json.dumps("".join(chosen.choices(NAMES, k=3)), ensure_ascii=chosen.random() < 0.5)
    if kind == 2:
        return chosen.choice(["true", "false", "null", "[]", "{}"])
    return document(chosen, depth - 1)


def document(chosen: random.Random, depth: int = 3) -> str:
    """Return an object or an array. The keys of an object differ."""
    values = [spaced(chosen, value(chosen, depth)) for _ in range(chosen.randrange(4))]
    if chosen.random() < 0.5:
        return spaced(chosen, f"[{','.join(values)}]")
    names = chosen.sample(NAMES, len(values))
    pairs = (f"{spaced(chosen, json.dumps(name))}:{text}" for name, text in zip(names, values, strict=True))
    return spaced(chosen, "{" + ",".join(pairs) + "}")


def damaged(chosen: random.Random, text: str) -> bytes:
    """Change, remove or insert up to two bytes, or cut the text off."""
    content = bytearray(text.encode())
    for _ in range(chosen.randrange(3)):
        place = chosen.randrange(len(content)) if content else 0
        kind = chosen.randrange(4)
        if kind == 0:
            content[place : place + 1] = bytes([chosen.choice(DAMAGE)])
        elif kind == 1:
            content[place:place] = bytes([chosen.choice(DAMAGE)])
        elif kind == 2:
            del content[place : place + 1]
        else:
            del content[place:]
    return bytes(content)


def refuse(_: str) -> None:
    raise ValueError


def numbers_of_python(text: bytes, shape: list[int]) -> NDArray[Any] | None:
    """Return the numbers by Python's json; None if the text has others, or is not JSON."""

    def fits(found: Any, left: list[int]) -> bool:
        if not left:
            return type(found) in (int, float)
        return type(found) is list and len(found) == left[0] and all(fits(each, left[1:]) for each in found)

    try:
        found = json.loads(text.decode(), parse_constant=refuse)
        if not fits(found, shape) and not fits(found, [math.prod(shape)]):
            return None
        made = np.array(found, object).astype(np.float64).reshape(shape)
    except (ValueError, OverflowError):
        return None
    return made if np.isfinite(made).all() else None


@pytest.mark.parametrize("seed", range(4))
def test_numbers_are_those_of_python(seed: int) -> None:
    chosen = random.Random(seed)
    accepted = 0
    for _ in range(1_000):
        shape = [chosen.randrange(1, 4) for _ in range(chosen.randrange(1, 4))]
        text = damaged(chosen, array_of(chosen, shape if chosen.random() < 0.7 else [math.prod(shape)]))
        expected = numbers_of_python(text, shape)
        read: NDArray[Any] | None = np.empty(shape)
        try:
            _core.read_json_numbers(text, read)
        except (ParameterError, ShapeError):
            read = None
        assert (read is None) == (expected is None), (text, shape)
        if expected is not None:
            np.testing.assert_array_equal(read, expected, repr(text))
            accepted += 1
    assert 300 < accepted < 700


def parts_of(text: bytes) -> Any:
    """Return the document whose parts are read one at a time; None if it is refused."""
    try:
        if text.lstrip()[:1] == b"{":
            found = members(memoryview(text), "it", NAMES)
            return {name: decoded(part, name) for name, part in found.items()}
        return [decoded(part, "it") for part in elements(memoryview(text), "it")]
    except ParameterError:
        return None


def document_of_python(text: bytes) -> Any:
    """Return the document by Python's json; None if it is refused, or has other keys."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError
        return dict(pairs)

    try:
        found = json.loads(text.decode(), parse_constant=refuse, object_pairs_hook=unique)
        json.dumps(found, ensure_ascii=False).encode()  # raises ValueError for halves of surrogate pairs
    except ValueError:
        return None
    if not isinstance(found, dict | list) or (isinstance(found, dict) and not found.keys() <= set(NAMES)):
        return None
    return found


@pytest.mark.parametrize("seed", range(4))
def test_parts_are_those_of_python(seed: int) -> None:
    chosen = random.Random(seed)
    accepted = 0
    for _ in range(1_000):
        text = damaged(chosen, document(chosen))
        expected = document_of_python(text)
        assert parts_of(text) == expected, text
        accepted += expected is not None
    assert 300 < accepted < 700


@pytest.mark.parametrize("compact", [False, True])
def test_values_without_a_number_in_json_become_null(compact: bool) -> None:
    """A value is searched for NaN and infinities only if it has one; the text is that of Python's json."""
    chosen = random.Random(3)
    separators = (",", ":") if compact else (", ", ": ")
    for number_of_it in range(300):
        written: Any = json.loads(document(chosen))
        if number_of_it % 2:
            wrong = chosen.choice([math.nan, math.inf, -math.inf, np.float64("nan")])
            written = {"first": written, "then": [1, {"found": (0.5, wrong)}]}
        expected = json.dumps(without_infinities(written), separators=separators, allow_nan=False)
        assert json_line(written, compact=compact) == expected
        assert json.loads(expected) == json.loads(json.dumps(without_infinities(written)))
