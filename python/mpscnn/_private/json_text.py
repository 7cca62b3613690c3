"""Parse JSON of files and requests that may be damaged or hostile."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["parse_json"]


def parse_json(content: str | bytes, **options: Any) -> Any:
    r"""Return the value of a JSON text.

    Raises ValueError if it is not JSON, or if it has half of a pair of surrogates, such as "\ud800". Python reads such
    a half, but no file and no stream takes it, so that later steps would fail. Raises RecursionError for deep nesting.
    The options are those of `json.loads`, such as `strict=False`, with which texts may have control characters.
    """
    text = content.decode(json.detect_encoding(content)) if isinstance(content, bytes) else content
    value = json.loads(text, **options)
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode()  # a UnicodeEncodeError is a ValueError
    return value
