"""Recognise errors that are caused by too little memory."""

from __future__ import annotations

import errno

#: Parts of the messages of threads and of shared libraries that could not get memory.
_THREAD = "can't start new thread"
_LIBRARY = ("failed to map segment", "annot allocate memory", "out of memory")


def is_out_of_memory(error: BaseException | None) -> bool:
    """Return True if an exception, or one that it was raised from, says that there is not enough memory."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if _says_so(error):
            return True
        seen.add(id(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return False


def _says_so(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM or "out of memory" in str(error)
    if isinstance(error, ImportError):
        return any(part in str(error) for part in _LIBRARY)
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _THREAD in str(error))
