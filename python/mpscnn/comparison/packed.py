"""Pack texts and arrays as bytes, for a process of another engine."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.errors import WeightsError

Packed = tuple[dict[str, Any], list[NDArray[Any]]]
_LENGTH = struct.Struct("<Q")
#: The types of elements that may be sent: integers, floats and truth values of this machine's byte order.
_TYPES = {np.dtype(code).str: np.dtype(code) for code in "?bBhHiIlLqQefd"}


def pack(texts: dict[str, Any], arrays: Sequence[NDArray[Any]]) -> bytes:
    """Return the bytes of a dictionary for JSON, and of arrays of numbers."""
    stored = [np.ascontiguousarray(array) for array in arrays]
    forms = [(array.dtype.str, np.shape(original)) for array, original in zip(stored, arrays, strict=True)]
    head = json.dumps({"texts": texts, "forms": forms}).encode()
    return b"".join([_LENGTH.pack(len(head)), head, *(array.tobytes() for array in stored)])


def unpack(content: bytes) -> Packed:
    """Return the dictionary and the arrays, which are read-only. Raises WeightsError for other bytes."""
    try:
        (length,) = _LENGTH.unpack_from(content)
        place = _LENGTH.size + length
        head = json.loads(content[_LENGTH.size : place])
        arrays = []
        for kind, shape in head["forms"]:
            dtype = _TYPES[kind]
            if not all(type(extent) is int and extent >= 0 for extent in shape):
                raise ValueError(f"an array of {kind} with the shape {shape}")
            array = np.frombuffer(content, dtype, math.prod(shape), place).reshape(shape)
            arrays.append(array)
            place += array.nbytes
        texts = head["texts"]
        if place != len(content) or not isinstance(texts, dict):
            raise ValueError("another length")
    except (struct.error, ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        raise WeightsError(f"the process of another engine sent damaged results: {error}") from error
    return texts, arrays
