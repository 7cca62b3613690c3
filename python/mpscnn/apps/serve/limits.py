"""The bounds of a service: a queue for requests, and budgets for memory."""

from __future__ import annotations

import asyncio
import math
import threading

__all__ = ["MemoryBudget", "NoRoomError", "QueueFullError", "RequestQueue", "Share"]

_LATEST = 0.1  # weight of the last request in the mean time


class QueueFullError(Exception):
    """The queue has no room for another request."""


class NoRoomError(Exception):
    """The budget has no room for this many bytes."""


class RequestQueue:
    """A bounded queue for the slots of a service: first come, first served. It belongs to one event loop.

    Args:
        slots: the number of requests that are computed in parallel.
        capacity: how many requests may wait.
    """

    def __init__(self, slots: int, capacity: int) -> None:
        self.slots = slots
        self.capacity = capacity
        self.computing = 0
        self.waiting = 0
        self._free = asyncio.Semaphore(slots)
        self._mean = 0.0

    def require_room(self) -> None:
        """Raise QueueFullError if all slots are taken and the queue is full."""
        if self.computing >= self.slots and self.waiting >= self.capacity:
            raise QueueFullError

    async def enter(self) -> None:
        """Wait for a slot. Raise QueueFullError if no more requests may wait."""
        self.require_room()
        self.waiting += 1
        try:
            await self._free.acquire()
        finally:
            self.waiting -= 1
        self.computing += 1

    def leave(self, seconds: float) -> None:
        """Free a slot that was taken for some time."""
        self._mean = self._mean + _LATEST * (seconds - self._mean) if self._mean else seconds
        self.computing -= 1
        self._free.release()

    def wait(self) -> int:
        """Estimate in how many seconds all requests of now have left; 1 or more."""
        return max(1, math.ceil((self.computing + self.waiting) * self._mean / self.slots))


class MemoryBudget:
    """A bound for the bytes that all requests hold together.

    Args:
        limit: the largest sum.
        what: the name of what is held, for messages.
    """

    def __init__(self, limit: int, what: str) -> None:
        self.used = 0
        self._limit = limit
        self._what = what
        self._lock = threading.Lock()

    def share(self) -> Share:
        """Return an empty share for one request."""
        return Share(self)

    def take(self, count: int) -> None:
        """Take bytes from any thread, or give them back if `count` is negative. Raise NoRoomError."""
        with self._lock:
            if count > 0 and self.used + count > self._limit:
                raise NoRoomError(
                    f"{self._what} of other requests take {self.used:,} of {self._limit:,} bytes"
                )
            self.used += count


class Share:
    """The bytes that one request holds, until the end of its `with` statement."""

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self._count = 0

    def add(self, count: int) -> None:
        """Hold more bytes. Raise NoRoomError."""
        self._budget.take(count)
        self._count += count

    def reduce_to(self, count: int) -> None:
        """Give back all bytes but `count`."""
        less = max(self._count - count, 0)
        self._budget.take(-less)
        self._count -= less

    def __enter__(self) -> Share:
        return self

    def __exit__(self, *_: object) -> None:
        self.reduce_to(0)
