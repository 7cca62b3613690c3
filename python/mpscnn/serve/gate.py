"""Who may compute, and who waits: a bounded queue, first come first served."""

from __future__ import annotations

import math
from collections.abc import Callable

__all__ = ["Gate", "QueueFullError"]

Begin = Callable[[], None]
"""Called when the turn has come; `Gate.leave` ends it."""


_LATEST = 0.1  # weight of the last request in the mean of times


class QueueFullError(Exception):
    """As many wait as may."""


class Gate:
    """For one event loop.

    Args:
        slots: how many may be inside.
        capacity: how many may wait.
    """

    def __init__(self, slots: int, capacity: int) -> None:
        self.slots = slots
        self.capacity = capacity
        self.inside = 0
        self._waiting: dict[Begin, None] = {}
        self._mean: float | None = None

    @property
    def waiting(self) -> int:
        """How many are in the queue."""
        return len(self._waiting)

    def require_room(self) -> None:
        """Raises QueueFullError if `enter` would."""
        if self.inside >= self.slots and len(self._waiting) >= self.capacity:
            raise QueueFullError

    def enter(self, begin: Begin) -> None:
        """Calls `begin` when there is a slot, at once if there is one now. Raises QueueFullError."""
        self.require_room()
        if self.inside < self.slots:
            self.inside += 1
            begin()
        else:
            self._waiting[begin] = None

    def withdraw(self, begin: Begin) -> None:
        """Leaves the queue."""
        del self._waiting[begin]

    def leave(self, seconds: float) -> None:
        """Gives the slot, which was taken for some time, to the first in the queue."""
        self._mean = seconds if self._mean is None else self._mean + _LATEST * (seconds - self._mean)
        if self._waiting:
            begin = next(iter(self._waiting))
            del self._waiting[begin]
            begin()
        else:
            self.inside -= 1

    def wait(self) -> int:
        """Whole seconds, at least 1, until all that are here have left, if each takes its slot for the mean time."""
        mean = 0.0 if self._mean is None else self._mean
        return max(1, math.ceil((self.inside + self.waiting) * mean / self.slots))
