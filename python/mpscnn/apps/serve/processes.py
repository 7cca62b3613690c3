"""Start child processes of a service, and wait for their messages and for signals without a thread."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection, wait
from typing import Any

from mpscnn.apps.serve.signals import handle

#: How child processes start on this system. A fork shares the parent's memory. macOS' frameworks cannot be used after
#: a fork, so there each process starts as a new Python.
METHOD = "spawn" if sys.platform == "darwin" else "fork"

#: The signal that tells a process to answer what its connections ask, and to take no new connections.
RETIRE = signal.SIGUSR1
#: Signals that are blocked while a child process starts: its parent's handlers must not run in it.
_BLOCKED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, RETIRE)


class Signals:
    """Keeps the signals that a process receives until `wait` returns them.

    Args:
        ending: restores the former handlers at its end.
        numbers: the signals. Those that the process ignores stay ignored.
    """

    def __init__(self, ending: ExitStack, numbers: Iterable[signal.Signals]) -> None:
        self._reading, writing = os.pipe()
        for end in (self._reading, writing):
            os.set_blocking(end, False)
            ending.callback(os.close, end)
        ending.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(writing, warn_on_full_buffer=False))
        for number in numbers:
            handle(ending, number, _keep)

    def wait(
        self, children: Collection[Child], seconds: float, sockets: Iterable[socket.socket] = ()
    ) -> set[int]:
        """Wait for a signal, a message of a child, or something to read from one of the sockets.

        Return the signals that were received since the last call.
        """
        messages = [child.messages for child in children if child.messages is not None]
        wait([self._reading, *messages, *sockets], seconds)
        with contextlib.suppress(BlockingIOError):
            return set(os.read(self._reading, 4_096))
        return set()


def _keep(_number: int, _frame: Any) -> None:
    """Handle a signal whose number Python writes to the pipe of `Signals`."""


class Child:
    """A child process, which sends one message about its start.

    Args:
        method: how the child starts, "fork" or "spawn".
        run: the child's function. Its first argument is the connection for its message.
        arguments: further arguments of `run`.
    """

    def __init__(self, method: str, run: Callable[..., None], *arguments: Any) -> None:
        context: Any = multiprocessing.get_context(method)
        messages, sending = context.Pipe(duplex=False)
        self.messages: Connection | None = messages
        """The connection on which the message arrives; None after it has arrived."""
        self.is_ready = False
        """Whether the message was that the child is ready."""
        self._process = context.Process(target=_run, args=(run, sending, arguments))
        with _blocked_signals():
            self._process.start()
        sending.close()

    @property
    def number(self) -> int:
        """Return the process' number."""
        number: int = self._process.pid
        return number

    @property
    def exit_code(self) -> int | None:
        """Return the exit code, the negative number of the signal that ended the process, or None while it runs."""
        code: int | None = self._process.exitcode
        return code

    def message(self) -> list[str] | Exception | None:
        """Return the message if it has arrived: the names of the child's models if it is ready, or its error."""
        if self.messages is None or not self.messages.poll():
            return None
        message: list[str] | Exception | None
        try:
            message = self.messages.recv()
        except EOFError:  # the process has ended
            message = None
        self.messages.close()
        self.messages = None
        self.is_ready = isinstance(message, list)
        return message

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal if the process runs."""
        if self.exit_code is None:
            os.kill(self.number, number)

    def describe_end(self) -> str:
        """Return how the process ended, for messages."""
        code = self.exit_code or 0
        return f"with the exit code {code}" if code >= 0 else f"by {signal.Signals(-code).name}"


def share_objects() -> None:
    """Let this process share its memory with those that it forks. Call this when it has no thread.

    Python's collector would write to the memory of all objects, and the system copies a page that is written.
    """
    gc.collect()
    gc.freeze()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


@contextmanager
def _blocked_signals() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run(run: Callable[..., None], sending: Connection, arguments: tuple[Any, ...]) -> None:
    """Run a child process. Its parent passes on the signals that end it, so it ignores those of the terminal."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGCHLD, RETIRE):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _BLOCKED)
    run(sending, *arguments)
