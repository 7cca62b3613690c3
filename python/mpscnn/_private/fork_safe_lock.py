"""A lock that stays usable after a fork."""

from __future__ import annotations

import os
import threading
from types import TracebackType

from mpscnn.errors import StateError


class ForkSafeLock:
    """A lock that the thread holding it may take again, since a signal handler may interrupt that thread.

    A fork copies the lock but not the thread that holds it. The child then gets StateError instead of waiting for ever.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._process = os.getpid()

    def __enter__(self) -> None:
        if self._process == os.getpid():
            self._lock.acquire()
            return
        if not self._lock.acquire(blocking=False):
            raise StateError("another thread used this when the process was forked: make a new one here")
        self._process = os.getpid()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()
