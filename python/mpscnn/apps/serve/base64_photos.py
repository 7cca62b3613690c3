"""Read a photo from JSON: `{"image": "..."}`, whose value is the file in base64 (RFC 4648, 4) or a data URL of it."""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Iterator

from mpscnn.apps.serve.forms import Form
from mpscnn.apps.serve.json_parts import members
from mpscnn.errors import ImageError, ParameterError

IMAGE = "image"
"""The key of the photo."""

_CHARACTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
#: Python holds its global lock for a step, which takes milliseconds. Other threads may run between two steps.
_STEP = 1 << 20
_LONGEST_HEAD = 200  # bytes of a data URL before its comma
_ESCAPE = 6  # bytes of the longest escape, such as \u002b
#: The escapes that writers of JSON put into base64, with their meaning. Line ends between the characters are allowed.
#: The first must stay first, since another one may leave a backslash before a slash.
_ESCAPES = (
    (rb"\/", b"/"),
    (rb"\u002f", b"/"),
    (rb"\u002F", b"/"),
    (rb"\u002b", b"+"),
    (rb"\u002B", b"+"),
    (rb"\u003d", b"="),
    (rb"\u003D", b"="),
    (rb"\r", b""),
    (rb"\n", b""),
)


def is_json(content_type: str) -> bool:
    """Return True if a body of this type is JSON."""
    return content_type.partition(";")[0].strip().lower() == "application/json"


def read_base64(body: bytearray) -> Form:
    """Decode the photo of a JSON body. The file replaces the text in `body`, so no memory is needed for a copy.

    Raises:
        ImageError: the text is empty or not base64.
        ParameterError: the body is not a JSON object, has other keys, or its photo is not a text.
    """
    given = members(
        memoryview(body), "the body", (IMAGE,), "; options are parameters of the query, such as ?top=3"
    )
    if IMAGE not in given:
        raise ParameterError(f"the body lacks the key {IMAGE!r}, whose value is an image file in base64")
    text = given[IMAGE]
    if bytes(text[:1]) != b'"':
        raise ParameterError(f"{IMAGE} must be a text: an image file in base64, or a data URL of it")
    length = _decode(_base64_of(text[1:-1]), memoryview(body))
    if not length:
        raise ImageError(f"{IMAGE} is empty; it must be an image file in base64")
    return Form(memoryview(body)[:length])


def _base64_of(text: memoryview) -> memoryview:
    """Return the text without the head of a data URL (RFC 2397)."""
    head, comma, _ = bytes(text[:_LONGEST_HEAD]).partition(b",")
    if head[:5].lower() != b"data:":
        return text
    if not comma or not head.lower().endswith(b";base64"):
        raise ImageError(
            f"{IMAGE}: a data URL must begin with data:TYPE;base64, and have its comma in the first "
            f"{_LONGEST_HEAD} characters"
        )
    return text[len(head) + 1 :]


def _decode(text: memoryview, target: memoryview) -> int:
    """Write the decoded bytes to the beginning of `target`, and return their number.

    `text` may be a part of `target`: each step writes fewer bytes than have been read.
    """
    length, rest, is_complete = 0, b"", False
    for piece in _pieces(text):
        piece = rest + piece
        if is_complete and piece:
            raise ImageError(f"{IMAGE} is not base64: characters follow the padding '='")
        if wrong := piece.translate(None, _CHARACTERS).replace(b"=", b""):
            raise ImageError(f"{IMAGE} is not base64: it has the character {chr(wrong[0])!r}")
        end = len(piece) - len(piece) % 4
        rest = piece[end:]
        plain = piece[:end].rstrip(b"=")
        if b"=" in plain or end - len(plain) > 2:
            raise ImageError(
                f"{IMAGE} is not base64: '=' is only allowed at the end, to complete four characters"
            )
        is_complete = is_complete or len(plain) < end
        made = a2b_base64(piece[:end])
        target[length : length + len(made)] = made
        length += len(made)
    if rest:
        raise ImageError(
            f"{IMAGE} is not base64: its characters, with the padding '=', are not a multiple of four; "
            "was it cut off?"
        )
    return length


def _pieces(text: memoryview) -> Iterator[bytes]:
    """Yield the text in pieces of about `_STEP` bytes, without the escapes of JSON."""
    cut = b""
    for begin in range(0, len(text), _STEP):
        piece = cut + text[begin : begin + _STEP]
        is_last = begin + _STEP >= len(text)
        place = -1 if is_last else piece.rfind(b"\\", max(0, len(piece) - _ESCAPE + 1))
        piece, cut = (piece, b"") if place < 0 else (piece[:place], piece[place:])
        if b"\\" in piece:
            for escape, character in _ESCAPES:
                piece = piece.replace(escape, character)
        yield piece
