"""Read messages in the text format of protocol buffers, such as `layer { name: "conv" pad: 1 }`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.opening.wire.built import LIMITS, Built, checked_value
from mpscnn.converters.opening.wire.kinds import Field, Kind
from mpscnn.errors import WeightsError

_MAX_DEPTH = 100
_BLANK = re.compile(r"(?:\s+|#[^\n]*)*")
_TOKEN = re.compile(
    r"""(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    | (?P<number>[-+]?\.?\d[\w.]*(?:(?<=[eE])[-+]\d+[fF]?)?)
    | (?P<word>-?[A-Za-z_][\w.]*)
    | (?P<mark>[{}<>\[\]:,;/])""",
    re.VERBOSE | re.ASCII,
)
_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|(.))", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_TRUTHS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
_CLOSING = {"{": "}", "<": ">", "[": "]"}


def parse_text(kind: Kind, text: str, words: Mapping[str, int] | None = None) -> Built:
    """Return the message of a text.

    Args:
        kind: the kind of message.
        text: the text.
        words: the numbers of words that may stand for integers, the values of enumerations.

    Fields that the kind does not have are skipped, and `Built.skipped_names` returns their names. A field of texts may
    also have a word or a number. These are the values of enumerations, whose names differ from version to version.

    Raises WeightsError for a text that is not in this format, and for values of other types than those of the fields.
    """
    return _Parser(text, words or {}).message(kind)


class _Parser:
    """A recursive-descent parser with one token of lookahead."""

    def __init__(self, text: str, words: Mapping[str, int]) -> None:
        self._text = text
        self._words = words
        self._at = self._begin = 0
        self._kind, self._token = "", ""
        self._next()

    def message(self, kind: Kind) -> Built:
        """Parse the whole text as a message."""
        made = Built(kind)
        while self._kind != "end":
            self._field(made, 0)
        return made

    # ---- Tokens ----------------------------------------------------------------------------------------------------

    def _next(self) -> str:
        """Return the current token and go to the next one."""
        before = self._token
        blank = _BLANK.match(self._text, self._at)
        self._begin = self._at = blank.end() if blank is not None else self._at
        found = _TOKEN.match(self._text, self._begin)
        if found is not None:
            self._kind = str(found.lastgroup)
            self._token = found[0]
            self._at = found.end()
        elif self._begin == len(self._text):
            self._kind, self._token = "end", ""
        else:
            raise self._wrong("something that is not a name, a number or a text")
        return before

    def _takes(self, mark: str) -> bool:
        """Skip the current token if it is a mark, and return whether it was."""
        if self._kind != "mark" or self._token != mark:
            return False
        self._next()
        return True

    def _wrong(self, what: str) -> WeightsError:
        line = self._text.count("\n", 0, self._begin) + 1
        return WeightsError(f"damaged: line {line}: {what}")

    # ---- Fields ----------------------------------------------------------------------------------------------------

    def _field(self, message: Built | None, depth: int) -> None:
        """Parse a field of a message. None stands for a message that is skipped."""
        if self._kind == "mark" and self._token == "[":  # an extension
            self._skip(depth)
            field = None
        else:
            if self._kind != "word":
                raise self._wrong(f"expected the name of a field and not {quote_name(self._token)}")
            name = self._next()
            field = message._kind.fields.get(name) if message is not None else None
            if message is not None and field is None:
                message.note_skipped(name)
        has_colon = self._takes(":")
        if self._kind == "mark" and self._token in ("{", "<"):
            self._inner(message, field, depth)
        elif self._takes("["):
            while not self._takes("]"):
                if self._kind == "mark" and self._token in ("{", "<"):
                    self._inner(message, field, depth)
                else:
                    self._value(message, field)
                self._takes(",")
        elif not has_colon:
            raise self._wrong(f"expected : or {{ and not {quote_name(self._token)}")
        else:
            self._value(message, field)
        if not self._takes(","):
            self._takes(";")

    def _inner(self, message: Built | None, field: Field | None, depth: int) -> None:
        """Parse an inner message in its brackets."""
        made = None
        if message is not None and field is not None:
            if field.inner is None:
                raise self._wrong(f"{field.name} is not a message")
            made = Built(field.inner)
            made.mark_stated()
            self._put(message, field, made)
        if depth == _MAX_DEPTH:
            raise self._wrong(f"there are messages within {_MAX_DEPTH} others")
        closing = _CLOSING[self._next()]
        while not self._takes(closing):
            if self._kind == "end":
                raise self._wrong("a bracket is not closed")
            self._field(made, depth + 1)

    def _skip(self, depth: int) -> None:
        """Skip the name of an extension in its brackets."""
        while not self._takes("]"):
            if self._kind == "end" or depth == _MAX_DEPTH:
                raise self._wrong("a bracket is not closed")
            self._next()

    def _value(self, message: Built | None, field: Field | None) -> None:
        if self._kind not in ("text", "number", "word"):
            raise self._wrong(f"expected a value and not {quote_name(self._token)}")
        kind, token = self._kind, self._next()
        content = b""
        if kind == "text":
            content = _plain(token)
            while self._kind == "text":  # texts next to one another are one text
                content += _plain(self._next())
            token = content.decode("utf-8", "replace")
        if message is None or field is None:
            return
        try:
            given = (
                content if kind == "text" and field.type == "bytes" else self._converted(field, kind, token)
            )
            value = checked_value(field, given)
        except (ValueError, OverflowError):
            raise self._wrong(f"{field.name} is {quote_name(token)}, expected {field.type}") from None
        self._put(message, field, value)

    def _converted(self, field: Field, kind: str, token: str) -> Any:
        is_word = kind == "word" and field.type in LIMITS and token in self._words
        return self._words[token] if is_word else _converted(field, kind, token)

    def _put(self, message: Built, field: Field, value: Any) -> None:
        if field.is_repeated:
            getattr(message, field.name).append(value)
        elif message.has(field.name):
            raise self._wrong(f"{field.name} is stated twice")
        else:
            setattr(message, field.name, value)


def _plain(token: str) -> bytes:
    """Return the bytes for a token in quotation marks, with escapes decoded."""

    def decoded(found: re.Match[bytes]) -> bytes:
        octal, hexadecimal, other = found.groups()
        if other is not None:
            return _ESCAPED.get(other, other)
        return bytes([(int(octal, 8) if octal else int(hexadecimal, 16)) & 0xFF])

    return _ESCAPE.sub(decoded, token[1:-1].encode())


def _converted(field: Field, kind: str, token: str) -> Any:
    """Return the value of a token in the type of its field. Raises ValueError for tokens of other types."""
    if field.type == "string":
        return token
    if kind == "text" or field.inner is not None or field.type == "bytes":
        raise ValueError(token)
    if field.type == "bool":
        if token.lower() not in _TRUTHS:
            raise ValueError(token)
        return _TRUTHS[token.lower()]
    if "_" in token:
        raise ValueError(token)
    if field.type in ("float", "double"):
        return float(token.rstrip("fF") if kind == "number" else token)
    return _integer(token)


def _integer(token: str) -> int:
    digits = token.lstrip("+-")
    base = 16 if digits[:2].lower() == "0x" else 8 if digits[:1] == "0" and len(digits) > 1 else 10
    return int(token, base)
