"""Parse JSON of files and requests that may be damaged or hostile, and write JSON of any results."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

# Python's parser calls itself for each list. Python 3.12 stops it at 10,000 calls, however small the thread's stack is.
MAX_DEPTH = 500
_encode = json.JSONEncoder(allow_nan=False).encode
#: Returns a value as JSON without spaces. Raises ValueError for NaN and infinities, which JSON does not have.
encode_compact = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_NOT_STRUCTURE = bytes(set(range(256)) - set(b'[]{}"'))


def parse_json(content: str | bytes, **options: Any) -> Any:
    r"""Return the value of a JSON text.

    Raises ValueError if it is not JSON, or if it has half of a pair of surrogates, such as "\ud800". Python reads such
    a half, but no file and no stream takes it, so that later steps would fail. Raises RecursionError for more than
    `MAX_DEPTH` lists and objects within each other.
    The options are those of `json.loads`, such as `strict=False`, with which texts may have control characters.
    """
    text = content.decode(json.detect_encoding(content)) if isinstance(content, bytes) else content
    if _depth(text) > MAX_DEPTH:
        raise RecursionError(f"JSON has more than {MAX_DEPTH} lists and objects within each other")
    try:
        value = json.loads(text, **options)
    except ValueError as error:
        if "integer string conversion" not in str(error):
            raise
        # Python's own text names one of its settings.
        raise ValueError(f"a number has more than {sys.get_int_max_str_digits()} digits") from error
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode()  # a UnicodeEncodeError is a ValueError
    return value


def json_line(value: Any, *, compact: bool = False) -> str:
    """Return a value as JSON on one line, with null in place of NaN and infinities, which JSON does not have.

    `compact` leaves out the spaces after commas and colons.
    """
    encode = encode_compact if compact else _encode
    try:
        return encode(value)
    except ValueError:
        return encode(without_infinities(value))


def json_row(value: Any) -> str:
    """Return `json_line` with DEL escaped, too, so that no control character is left for a terminal."""
    return json_line(value).replace("\x7f", "\\u007f")


def without_infinities(value: Any) -> Any:
    """Return a value of JSON with None in place of NaN and infinities."""
    if isinstance(value, dict):
        return {key: without_infinities(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_infinities(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _depth(text: str) -> int:
    """Return how many lists and objects of a JSON text are within each other, or 0 if it has few of them."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return 0
    # Outside of texts there are no backslashes.
    content = text.encode("ascii", "ignore").replace(rb"\\", b"").replace(rb"\"", b"")
    import numpy as np

    kinds = np.frombuffer(content.translate(None, _NOT_STRUCTURE), np.uint8)
    outside = np.bitwise_xor.accumulate(kinds == ord('"')) == 0
    steps = np.isin(kinds, list(b"[{")).astype(np.int8) - np.isin(kinds, list(b"]}")).astype(np.int8)
    return int(np.cumsum(steps * outside, dtype=np.int32).max(initial=0))
