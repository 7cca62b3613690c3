"""Places of which there is a fixed number, given out in the order in which they are asked for."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mpscnn._core import AwaitedFrame


class Places:
    """Like a semaphore, for threads and coroutines alike.

    Waiting blocks no event loop, and a signal such as Ctrl-C interrupts it.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._lock = threading.Lock()
        self._waiting: deque[Future[None]] = deque()
        self._lent: deque[AwaitedFrame] = deque()

    def take_free(self) -> bool:
        """Takes a place if there is one right now."""
        with self._lock:
            return self._take_free()

    def lend(self, frame: AwaitedFrame) -> None:
        """Leaves a taken place to a frame, which gives it back when it is done."""
        with self._lock:
            if not self._waiting:  # then it is enough to look, once a place is needed
                self._lent.append(frame)
                return
        self._have_back(frame)

    def _take_free(self) -> bool:
        while self._lent and self._lent[0].done():
            self._lent.popleft()
            self._free += 1
        if self._free == 0:
            return False
        self._free -= 1
        return True

    def _have_back(self, frame: AwaitedFrame) -> None:
        if not frame.tell(self.release):
            self.release()

    def take(self) -> None:
        """Waits for a place."""
        if self.take_free():
            return
        place = self._wait_in_line()
        try:
            place.result()
        except BaseException:
            self._leave_line(place)
            raise

    async def take_async(self) -> None:
        """Waits for a place without blocking the event loop."""
        if self.take_free():
            return
        import asyncio  # which brings ssl; whoever awaits has it already

        place = self._wait_in_line()
        try:
            await asyncio.wrap_future(place)
        except BaseException:
            self._leave_line(place)
            raise

    def release(self) -> None:
        """Gives a place back: to whoever has waited longest, if anybody waits."""
        with self._lock:
            while self._waiting:
                place = self._waiting.popleft()
                if place.set_running_or_notify_cancel():
                    break
            else:
                self._free += 1
                return
        place.set_result(None)

    def _wait_in_line(self) -> Future[None]:
        place: Future[None] = Future()
        with self._lock:
            if self._take_free():  # since it was looked at
                place.set_result(None)
                return place
            self._waiting.append(place)
            lent = list(self._lent)
            self._lent.clear()
        for frame in lent:
            self._have_back(frame)
        return place

    def _leave_line(self, place: Future[None]) -> None:
        if not place.cancel():
            self.release()
