"""Bound the work and memory of a service: a queue for requests, and memory budgets."""

from __future__ import annotations

import asyncio
import math
import threading
import time

_LATEST = 0.1  # the weight of the latest request in the running mean of durations


class QueueFullError(Exception):
    """Too many requests are waiting."""


class NoRoomError(Exception):
    """The memory budget has too few bytes left."""


class WaitedError(Exception):
    """The memory budget had too few bytes left until the deadline."""


class RequestQueue:
    """A bounded first-in, first-out queue for the service's slots. It belongs to one event loop.

    Args:
        slots: the number of requests that may be computed at the same time.
        capacity: the number of requests that may wait.
    """

    def __init__(self, slots: int, capacity: int) -> None:
        self.slots = slots
        self.capacity = capacity
        self.computing = 0
        self.waiting = 0
        self._free = asyncio.Semaphore(slots)
        self._mean = 0.0

    def require_room(self) -> None:
        """Raise QueueFullError if another request would find all slots taken and the queue full."""
        if self.computing >= self.slots and self.waiting >= self.capacity:
            raise QueueFullError

    async def enter(self) -> None:
        """Wait for a slot. Raise QueueFullError if the queue is full."""
        self.require_room()
        self.waiting += 1
        try:
            await self._free.acquire()
        finally:
            self.waiting -= 1
        self.computing += 1

    def leave(self, seconds: float) -> None:
        """Free a slot. `seconds` is how long the request was computed."""
        self._mean = self._mean + _LATEST * (seconds - self._mean) if self._mean else seconds
        self.computing -= 1
        self._free.release()

    def wait(self) -> int:
        """Estimate the seconds until all present requests are done, for the header Retry-After; at least 1."""
        return max(1, math.ceil((self.computing + self.waiting) * self._mean / self.slots))


class MemoryBudget:
    """A limit on the bytes, or pixels, that all requests hold together.

    Args:
        limit: the number of bytes.
        what: the name of the data in messages.
        option: what sets the limit, for messages.
    """

    def __init__(self, limit: int, what: str, option: str = "") -> None:
        self.used = 0
        self._limit = limit
        self._what = what
        self._option = option and f" ({option})"
        self._freed = threading.Condition()

    def share(self) -> Share:
        """Return an empty share of the budget for one request."""
        return Share(self)

    def take(self, count: int) -> None:
        """Reserve bytes; a negative count returns them. Raise NoRoomError if too few are left. Thread-safe."""
        with self._freed:
            if count > 0 and self.used + count > self._limit:
                raise NoRoomError(
                    f"{self._what} of all requests take {self.used:,} of {self._limit:,} bytes{self._option}, and "
                    f"{count:,} more are needed"
                )
            self.used += count
            if count < 0:
                self._freed.notify_all()

    def wait(self, count: int, until: float) -> None:
        """Reserve bytes as soon as enough are left. Raise WaitedError at the time `until` of `time.monotonic`."""
        seconds = min(max(until - time.monotonic(), 0.0), threading.TIMEOUT_MAX)
        with self._freed:
            if not self._freed.wait_for(lambda: self.used + count <= self._limit, seconds):
                raise WaitedError
            self.used += count


class Share:
    """The bytes that one request has reserved in a budget. They are returned at the end of its `with` block."""

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self._count = 0

    def add(self, count: int) -> None:
        """Reserve more bytes. Raise NoRoomError if too few are left."""
        self._budget.take(count)
        self._count += count

    def wait(self, count: int, until: float) -> None:
        """Reserve more bytes as soon as they are left. Raise WaitedError at the time `until` of `time.monotonic`."""
        self._budget.wait(count, until)
        self._count += count

    def reduce_to(self, count: int) -> None:
        """Release all reserved bytes except `count`."""
        less = max(self._count - count, 0)
        self._budget.take(-less)
        self._count -= less

    def __enter__(self) -> Share:
        return self

    def __exit__(self, *_: object) -> None:
        self.reduce_to(0)
