"""Frames that wait between the thread that decodes them and the one that runs them."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from mpscnn._private.signal_handlers import SafeCondition

__all__ = ["FrameBuffer"]

Frame = TypeVar("Frame")


class FrameBuffer(Generic[Frame]):
    """A queue of bounded length from one thread to another.

    Args:
        capacity: frames that may wait.
        live: a frame too many takes the place of the oldest waiting one. Otherwise its giver waits.
    """

    def __init__(self, capacity: int, live: bool) -> None:
        self._capacity = capacity
        self._live = live
        self._frames: deque[Frame] = deque()
        self._changed = SafeCondition()
        self._closed = False
        self._ended = False
        self.failure: Exception | None = None
        """Why no frame follows, where it is not for the stream's end."""
        self.dropped = 0
        """Frames whose place was taken."""

    def put(self, frame: Frame) -> bool:
        """Give a frame. False if frames are not read any more."""
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
        """Say that no frame follows, and what went wrong if something did."""
        with self._changed:
            self._ended, self.failure = True, failure
            self._changed.notify_all()

    def take(self, wait: bool = True) -> Frame | None:
        """Return the oldest frame. None: there is none at present, or, where it waits for one, there will be none."""
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._frames or self._ended or self._closed)
            if not self._frames:
                return None
            frame = self._frames.popleft()
            self._changed.notify_all()
            return frame

    def close(self) -> None:
        """Drop what waits, without counting it; `put` returns False from now on."""
        with self._changed:
            self._closed = True
            self._frames.clear()
            self._changed.notify_all()
