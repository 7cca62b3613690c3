"""Split large JSON texts into their parts without decoding them, and decode the small parts strictly.

The library finds the parts. It does not hold Python's global lock meanwhile, so the event loop continues.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from mpscnn import _core
from mpscnn._private.json_text import parse_json
from mpscnn._private.names import did_you_mean
from mpscnn.errors import ParameterError

_LONGEST = 65_536  # maximum bytes of a part that is decoded
_LONGEST_NAME = 1_000


def decoded(text: memoryview, what: str) -> Any:
    """Decode a small JSON text. NaN, infinities, repeated keys and halves of surrogate pairs are errors.

    Raises:
        ParameterError: the text is too long, or not JSON.
    """
    if len(text) > _LONGEST:
        raise ParameterError(f"{what} may have {_LONGEST:,} bytes of JSON, got {len(text):,}")
    try:
        return parse_json(str(text, "utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ParameterError(f"{what} is not JSON: {str(error)[:200]}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("an object has a key twice")
    return made


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def members(
    text: memoryview, what: str, known: Collection[str], elsewhere: str = ""
) -> dict[str, memoryview]:
    """Return the values of an object's members as JSON texts.

    `elsewhere` ends the error about an unknown key: it says where other data belongs.

    Raises:
        ParameterError: the text is not a JSON object, or has an unknown or a repeated key.
    """
    found: dict[str, memoryview] = {}
    for name, value in _parts(text, what, "{"):
        if name in found:
            raise ParameterError(f"{what} has the key {name!r} twice")
        if name not in known:
            raise ParameterError(
                f"{what} has the unknown key {name[:100]!r}{did_you_mean(name[:100], known)}; keys are "
                f"{', '.join(known)}{elsewhere}"
            )
        found[name] = value
    return found


def elements(text: memoryview, what: str) -> Iterator[memoryview]:
    """Yield the elements of an array as JSON texts. Raise ParameterError if the text is not a JSON array."""
    for _, value in _parts(text, what, "["):
        yield value


def _parts(text: memoryview, what: str, opening: str) -> Iterator[tuple[str, memoryview]]:
    wrong = f"{what} must be {'an object' if opening == '{' else 'a list'}"
    if bytes(text[:1]).strip() not in (b"", opening.encode()):
        raise ParameterError(wrong)
    part = 0, 0, 0, 0, 0
    while True:
        try:
            found, part = _core.next_json_part(text, part)
        except ParameterError as error:
            raise ParameterError(f"{what} is not JSON: {error}") from None
        name_begin, name_end, begin, end, closing = part
        if (closing == ord("}")) is not (opening == "{"):
            raise ParameterError(wrong)
        if not found:
            return
        if name_end - name_begin > _LONGEST_NAME:
            raise ParameterError(f"{what} has a key of more than {_LONGEST_NAME:,} bytes")
        name = decoded(text[name_begin:name_end], f"a key of {what}") if name_end > name_begin else ""
        yield name, text[begin:end]
