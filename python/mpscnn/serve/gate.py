"""Who may compute, and who waits: a bounded queue, first come first served."""

from __future__ import annotations

import asyncio
from collections import deque

__all__ = ["Gate", "QueueFullError"]


class QueueFullError(Exception):
    """As many wait as may."""


class Gate:
    """For the tasks of one event loop.

    Args:
        slots: tasks that may be inside.
        capacity: tasks that may wait.
    """

    def __init__(self, slots: int, capacity: int) -> None:
        self.slots = slots
        self.capacity = capacity
        self.inside = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """Tasks in the queue."""
        return len(self._waiting)

    def require_room(self) -> None:
        """Raises QueueFullError if `enter` would."""
        if self.inside >= self.slots and len(self._waiting) >= self.capacity:
            raise QueueFullError

    async def enter(self) -> None:
        """Waits for a slot; cancelling leaves the queue. Raises QueueFullError."""
        self.require_room()
        if self.inside < self.slots:
            self.inside += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # its turn has come in the same moment
                self.leave()
            else:
                self._waiting.remove(turn)
            raise

    def leave(self) -> None:
        """Gives the slot to the first in the queue."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.inside -= 1
