"""Bytes of all bodies that requests hold, while they are read and while they wait: bounded together."""

from __future__ import annotations

__all__ = ["HeldBytes", "NoRoomError", "Share"]


class NoRoomError(Exception):
    """As much is held as may be."""


class HeldBytes:
    """For one event loop.

    Args:
        most: that may be held.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.count = 0

    def share(self) -> Share:
        """Of one request, for a `with` statement."""
        return Share(self)


class Share:
    """What one request holds, until the end of its block."""

    def __init__(self, held: HeldBytes) -> None:
        self._held = held
        self._count = 0

    def add(self, count: int) -> None:
        """Raises NoRoomError."""
        if self._held.count + count > self._held.most:
            raise NoRoomError
        self._held.count += count
        self._count += count

    def __enter__(self) -> Share:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.count -= self._count
        self._count = 0
