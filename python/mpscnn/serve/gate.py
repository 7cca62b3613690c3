"""Who may compute, and who waits: a bounded queue, first come first served."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Gate", "QueueFullError"]

Begin = Callable[[], None]
"""Called when the turn has come; `Gate.leave` ends it."""


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

    def leave(self) -> None:
        """Gives the slot to the first in the queue."""
        if self._waiting:
            begin = next(iter(self._waiting))
            del self._waiting[begin]
            begin()
        else:
            self.inside -= 1
