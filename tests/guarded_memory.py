"""Make arrays that end where memory of the process ends, so that an access after the last element crashes the test."""

from __future__ import annotations

import ctypes
import math
import mmap
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PROT_NONE = 0


def guarded_array(shape: Sequence[int], fill: float) -> NDArray[np.float32]:
    """Return a float32 array full of one number, followed by a page that cannot be read or written."""
    size = 4 * math.prod(shape)
    end = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
    memory = mmap.mmap(-1, end + mmap.PAGESIZE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    libc: Any = ctypes.CDLL(None, use_errno=True)
    if libc.mprotect(ctypes.c_void_p(address + end), ctypes.c_size_t(mmap.PAGESIZE), _PROT_NONE):
        raise OSError(ctypes.get_errno(), "mprotect")
    array = np.frombuffer(memory, np.float32, math.prod(shape), end - size).reshape(shape)
    array[...] = fill
    return array
