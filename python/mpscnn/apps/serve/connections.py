"""Give the connections of a service to its worker processes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Collection, Coroutine
from typing import Any

#: Connections that a worker takes at a time.
_AT_A_TIME = 16
_GIVEN, _LOST = b"+", b"-"


class Giver:
    """The end of a worker's channel through which the worker gets connections. It counts those that are open."""

    def __init__(self, channel: socket.socket) -> None:
        channel.setblocking(False)
        self.channel = channel
        self.open = 0
        """The number of open connections of the worker."""
        self.latest = 0
        """The number of the latest connection that the worker got, of all connections of the service."""

    def give(self, connection: socket.socket) -> bool:
        """Give a connection to the worker, and close it here. Return False if the worker cannot take it now."""
        try:
            socket.send_fds(self.channel, [_GIVEN], [connection.fileno()])
        except OSError:  # the worker has ended, or has not taken many connections yet
            return False
        connection.close()
        self.open += 1
        return True

    def note_lost(self) -> None:
        """Read how many connections the worker has lost."""
        with contextlib.suppress(OSError):
            while told := self.channel.recv(4_096):
                self.open -= len(told)


class Distributor:
    """Accepts connections and gives each to the worker with the fewest open ones.

    If all workers accepted from one socket, the first that is awake would take all connections that wait.

    Args:
        listener: the listening socket of the service. It becomes non-blocking.
    """

    def __init__(self, listener: socket.socket) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._kept: socket.socket | None = None
        """A connection that no worker could take."""
        self._accepts = True
        self._count = 0

    def sockets(self, givers: Collection[Giver]) -> list[socket.socket]:
        """Return the sockets on which something may happen that `distribute` handles."""
        accepts = [self._listener] if givers and self._accepts and self._kept is None else []
        return [*accepts, *(giver.channel for giver in givers)]

    def stop(self) -> None:
        """Accept no more connections. One that waits is still given."""
        self._accepts = False

    @property
    def is_waiting(self) -> bool:
        """Return True if a connection waits until a worker can take it."""
        return self._kept is not None

    def distribute(self, givers: Collection[Giver]) -> None:
        """Give all connections that wait to workers that are ready."""
        for giver in givers:
            giver.note_lost()
        while givers and (connection := self._next()) is not None:
            for giver in sorted(givers, key=lambda giver: (giver.open, giver.latest)):
                if giver.give(connection):
                    self._count += 1
                    giver.latest = self._count
                    break
            else:
                self._kept = connection
                return

    def _next(self) -> socket.socket | None:
        connection, self._kept = self._kept, None
        if connection is None and self._accepts:
            with contextlib.suppress(OSError):  # none waits, or it was closed, or too many files are open
                connection, _ = self._listener.accept()
        return connection


class Taker:
    """The end of a channel at which a worker takes connections, in its event loop.

    Args:
        channel: the channel.
        connect: serves a connection.
    """

    def __init__(
        self, channel: socket.socket, connect: Callable[[socket.socket], Coroutine[Any, Any, None]]
    ) -> None:
        channel.setblocking(False)
        self._channel = channel
        self._connect = connect
        self._lost = 0
        """The number of lost connections that the other end does not know yet."""
        self._beginning: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to take connections."""
        asyncio.get_running_loop().add_reader(self._channel, self._take)

    async def stop(self) -> None:
        """Take the connections that were given already, and no more."""
        asyncio.get_running_loop().remove_reader(self._channel)
        while self._take():
            pass
        if self._beginning:
            await asyncio.wait(self._beginning)

    def tell_lost(self) -> None:
        """Tell the other end that a connection was lost."""
        self._lost += 1
        with contextlib.suppress(OSError):  # the next one tells it, if the channel is full
            self._lost -= self._channel.send(_LOST * self._lost)

    def _take(self) -> bool:
        """Take some connections. Return False if none wait."""
        try:
            told, numbers, _, _ = socket.recv_fds(self._channel, _AT_A_TIME, _AT_A_TIME)
        except OSError:
            return False
        for number in numbers:
            task = asyncio.get_running_loop().create_task(self._connect(socket.socket(fileno=number)))
            self._beginning.add(task)
            task.add_done_callback(self._beginning.discard)
        return bool(told)
