"""A lock for one thread at a time that also works in forked processes."""

from __future__ import annotations

import os
import threading
from types import TracebackType

from mpscnn.errors import StateError


class OneAtATime:
    """A lock, which its thread may take again: a signal's handler may interrupt what holds it.

    In a process that was forked while another thread held it, it raises StateError: that thread is not there to end.
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
