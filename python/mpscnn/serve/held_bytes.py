"""Bytes that requests hold together, of one kind, such as their bodies: bounded."""

from __future__ import annotations

import threading

__all__ = ["HeldBytes", "NoRoomError", "Share"]


class NoRoomError(Exception):
    """As much is held as may be."""


class HeldBytes:
    """A sum of shares.

    Args:
        most: that may be held.
        what: takes them, for messages.
    """

    def __init__(self, most: int, what: str) -> None:
        self.most = most
        self.what = what
        self.count = 0
        self._lock = threading.Lock()

    def share(self) -> Share:
        """Of one request, for a `with` statement."""
        return Share(self)

    def _take(self, count: int) -> None:
        with self._lock:
            if count > 0 and self.count + count > self.most:
                raise NoRoomError(f"{self.what} of other requests take {self.count:,} of {self.most:,} bytes")
            self.count += count


class Share:
    """What one request holds, until the last of those that keep it gives it back: a `with` statement is one."""

    def __init__(self, held: HeldBytes) -> None:
        self._held = held
        self._count = 0
        self._keepers = 0

    @property
    def count(self) -> int:
        """Bytes."""
        return self._count

    def add(self, count: int) -> None:
        """From any thread. Raises NoRoomError."""
        self._held._take(count)
        self._count += count

    def reduce_to(self, count: int) -> None:
        """Gives back all but so many, if there are more."""
        less = max(self._count - count, 0)
        self._count -= less
        self._held._take(-less)

    def keep(self) -> None:
        """Until `give_back`. Both in the event loop."""
        self._keepers += 1

    def give_back(self) -> None:
        """Of what was kept."""
        self._keepers -= 1
        if not self._keepers:
            self.reduce_to(0)

    def __enter__(self) -> Share:
        self.keep()
        return self

    def __exit__(self, *_: object) -> None:
        self.give_back()
