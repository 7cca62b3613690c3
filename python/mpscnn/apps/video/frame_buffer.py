"""A queue for frames between the decoding thread and the thread that runs them."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from mpscnn._private.signal_handlers import SafeCondition

Frame = TypeVar("Frame")


class FrameBuffer(Generic[Frame]):
    """A bounded queue between two threads.

    Args:
        capacity: the number of frames that may wait.
        live: if the queue is full, a new frame replaces the oldest one. Otherwise `put` waits.
    """

    def __init__(self, capacity: int, live: bool) -> None:
        self._capacity = capacity
        self._live = live
        self._frames: deque[Frame] = deque()
        self._changed = SafeCondition()
        self._closed = False
        self._ended = False
        self.failure: Exception | None = None
        """The error that ended the stream; None at a normal end."""
        self.dropped = 0
        """The number of frames that newer ones replaced."""

    def put(self, frame: Frame) -> bool:
        """Add a frame. Return False if the reader has closed the queue."""
        with self._changed:
            if self._live and len(self._frames) == self._capacity and not self._closed:
                self._frames.popleft()
                self.dropped += 1
            self._changed.wait_for(lambda: self._closed or len(self._frames) < self._capacity)
            if not self._closed:
                self._frames.append(frame)
                self._changed.notify_all()
            return not self._closed

    def end(self, failure: Exception | None = None) -> None:
        """Mark the end of the stream, with the error that caused it if there was one."""
        with self._changed:
            self._ended, self.failure = True, failure
            self._changed.notify_all()

    def take(self, wait: bool = True) -> Frame | None:
        """Return the oldest frame.

        Return None if there is none and the stream has ended, the queue is closed, or `wait` is False.
        """
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._frames or self._ended or self._closed)
            if not self._frames:
                return None
            frame = self._frames.popleft()
            self._changed.notify_all()
            return frame

    def close(self) -> None:
        """Drop all waiting frames without counting them. From now on `put` returns False."""
        with self._changed:
            self._closed = True
            self._frames.clear()
            self._changed.notify_all()
