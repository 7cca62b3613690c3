"""Parse JSON of files that may be damaged or hostile."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["parse_json"]


def parse_json(content: str | bytes, *, strict: bool = True) -> Any:
    r"""Return the value of a JSON text.

    Raises ValueError if it is not JSON, or if it has half of a pair of surrogates, such as "\ud800". Python reads such
    a half, but no file and no stream takes it, so that later steps would fail. Raises RecursionError for deep nesting.
    Texts may have control characters if `strict` is False.
    """
    value = json.loads(content, strict=strict)
    has_escapes = b"\\u" in content if isinstance(content, bytes) else "\\u" in content
    if has_escapes:
        json.dumps(value, ensure_ascii=False).encode()  # a UnicodeEncodeError is a ValueError
    return value
