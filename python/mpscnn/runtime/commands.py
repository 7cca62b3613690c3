"""Command queues and command buffers: when encoded work runs."""

from __future__ import annotations

import atexit
import contextlib
import weakref
from collections.abc import Callable
from enum import IntEnum
from functools import partial
from types import TracebackType

from mpscnn import _core
from mpscnn._private.arguments import thread_count
from mpscnn._private.copies import NoCopies
from mpscnn.errors import Error, ParameterError, StateError
from mpscnn.runtime.device_name import named_device


class CommandStatus(IntEnum):
    """The state of a command buffer, as MTLCommandBufferStatus."""

    NOT_ENQUEUED = 0
    ENQUEUED = 1
    COMMITTED = 2
    SCHEDULED = 3
    COMPLETED = 4
    ERROR = 5


class CommandError:
    """Why a command buffer failed: a code as in MTLCommandBufferError (1 internal, 8 out of memory), and a message."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        self.message = message

    def __repr__(self) -> str:
        return f"CommandError(code={self.code}, message={self.message!r})"


class CommandBuffer(NoCopies):
    """Work for a device, as MTLCommandBuffer. Made by `CommandQueue.command_buffer`.

    Kernels are encoded, then the buffer is committed; nothing runs before. As a context manager it commits and waits at
    the end of the block, unless the block raises an exception: then nothing runs.

        with queue.command_buffer() as commands:
            result = pool.encode(commands, source)
    """

    _instead = "it is work for a device; encode the kernels again"

    def __init__(self, queue: CommandQueue) -> None:
        self.queue = queue
        self._commands = queue._queue.command_buffer()
        self._handlers: list[Callable[[CommandBuffer], object]] = []

    @property
    def status(self) -> CommandStatus:
        """The state of the command buffer."""
        return CommandStatus(self._commands.status())

    @property
    def error(self) -> CommandError | None:
        """The reason why it failed; None unless its status is ERROR."""
        failure = self._commands.error()
        return None if failure is None else CommandError(*failure)

    def enqueue(self) -> None:
        """Reserve this buffer's place in the queue before it is committed."""
        self._commands.enqueue()

    def commit(self) -> None:
        """Hand the work to the device, which runs it as soon as those enqueued before are done."""
        if self.status < CommandStatus.COMMITTED:
            # Only now: a handler keeps this object alive until it has run.
            for handler in self._handlers:
                self._commands.add_completed_handler(partial(handler, self))
            self._handlers.clear()
        self._commands.commit()

    def wait(self) -> None:
        """Return once the work is done and the handlers have run.

        Raises:
            StateError: not committed. Whatever went wrong while the work ran is raised here too.
        """
        self._commands.wait()

    def add_completed_handler(self, handler: Callable[[CommandBuffer], object]) -> None:
        """`handler(commands)` is called on a thread of the queue's when the work is done or has failed.

        Its exceptions go to `sys.unraisablehook`. Raises StateError once committed.
        """
        if not callable(handler):
            raise ParameterError(f"handler must be callable, got {type(handler).__name__}")
        if self.status >= CommandStatus.COMMITTED:
            raise StateError("the command buffer has been committed already; add handlers before")
        self._handlers.append(handler)

    def __enter__(self) -> CommandBuffer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            return
        if self.status < CommandStatus.COMMITTED:
            self.commit()
        self.wait()

    def __repr__(self) -> str:
        return f"<CommandBuffer: {self.status.name.lower()}>"


class CommandQueue(NoCopies):
    """Runs command buffers one after the other on a device, as MTLCommandQueue.

    Args:
        device: "auto", "cpu", "metal", or a name that `mpscnn.devices` lists. "auto" is Metal where a GPU answers
            rightly, else the CPU. It does not know the kernels yet, as "auto" of `Network.compile` knows the layers:
            what is beyond Metal's limits (docs/catalogue.md) raises UnsupportedError where it is encoded, though a
            queue of the CPU would take it.
        threads: of the CPU device: "auto", or a number.

    Raises:
        DeviceError: there is no such device.
    """

    _instead = "it has a thread of its own; make another one"

    def __init__(self, device: str = "auto", *, threads: int | str = "auto") -> None:
        with named_device(device) as name:
            self._queue = _core.CommandQueue(name, thread_count(threads))
        _queues.add(self)

    @property
    def device(self) -> str:
        """The device's name: "cpu" or "metal"."""
        return self._queue.device()

    def command_buffer(self) -> CommandBuffer:
        """Return a new, empty command buffer."""
        return CommandBuffer(self)

    def wait(self) -> None:
        """Return once every committed command buffer is completed."""
        self._queue.wait()


_queues: weakref.WeakSet[CommandQueue] = weakref.WeakSet()


@atexit.register
def _finish_queues() -> None:
    """Completed handlers cannot run once the interpreter has begun to go."""
    for queue in list(_queues):
        with contextlib.suppress(Error):
            queue.wait()
