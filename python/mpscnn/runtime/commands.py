"""Command queues and command buffers, which run encoded kernels."""

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
from mpscnn._private.callables import require_arguments
from mpscnn._private.copies import NoCopies
from mpscnn._private.other_names import Expected
from mpscnn.errors import Error, StateError
from mpscnn.runtime.device_name import named_device


class CommandStatus(IntEnum):
    """The state of a command buffer, like MTLCommandBufferStatus."""

    NOT_ENQUEUED = 0
    ENQUEUED = 1
    COMMITTED = 2
    SCHEDULED = 3
    COMPLETED = 4
    ERROR = 5


class CommandError:
    """The reason why a command buffer failed: a code and a message.

    The codes are those of MTLCommandBufferError: 1 internal, 8 out of memory.
    """

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        self.message = message

    def __repr__(self) -> str:
        return f"CommandError(code={self.code}, message={self.message!r})"


class CommandBuffer(NoCopies, Expected):
    """A list of work for a device, like MTLCommandBuffer. Made by `CommandQueue.command_buffer`.

    Encode kernels, then commit the buffer. Nothing runs before that. As a context manager, it commits and waits at the
    end of the block. If the block raises an exception, nothing runs.

        with queue.command_buffer() as commands:
            result = pool.encode(commands, source)
    """

    _instead = "it is work for a device; encode the kernels again"
    _other_names = (
        ("wait", "waitUntilCompleted wait_until_completed"),
        ("add_completed_handler", "addCompletedHandler"),
    )

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
        """The reason of a failure; None unless the status is ERROR."""
        failure = self._commands.error()
        return None if failure is None else CommandError(*failure)

    def enqueue(self) -> None:
        """Reserve this buffer's place in the queue before it is committed."""
        self._commands.enqueue()

    def commit(self) -> None:
        """Submit the work to the device. It runs after the buffers that were enqueued before."""
        if self.status < CommandStatus.COMMITTED:
            # Handlers are added only now, because each keeps this object alive until it has run.
            for handler in self._handlers:
                self._commands.add_completed_handler(partial(handler, self))
            self._handlers.clear()
        self._commands.commit()

    def wait(self) -> None:
        """Wait until the work is done and the handlers have run.

        Raises:
            StateError: the buffer is not committed. Errors of the work itself are raised here, too.
        """
        self._commands.wait()

    def add_completed_handler(self, handler: Callable[[CommandBuffer], object]) -> None:
        """Add a function `handler(commands)` that a thread of the queue calls when the work is done or has failed.

        Exceptions of the handler are passed to `sys.unraisablehook`. Raises StateError if the buffer is committed.
        """
        require_arguments("handler", handler, ["commands"])
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


class CommandQueue(NoCopies, Expected):
    """Runs command buffers one after the other on a device, like MTLCommandQueue.

    Args:
        device: "auto", "cpu", "metal", or a name of `mpscnn.devices`. "auto" is Metal if a GPU passed its self-check,
            otherwise the CPU. The queue does not know its future kernels. So a kernel beyond Metal's limits
            (docs/catalogue.md) raises UnsupportedError when it is encoded, even if the CPU could run it.
        threads: for the CPU: "auto", or a number.

    Raises:
        DeviceError: there is no such device.
    """

    _instead = "it has a thread of its own; make another one"
    _other_names = (("command_buffer", "makeCommandBuffer make_command_buffer commandBuffer"),)

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
        """Wait until every committed command buffer is completed."""
        self._queue.wait()


_queues: weakref.WeakSet[CommandQueue] = weakref.WeakSet()


@atexit.register
def _finish_queues() -> None:
    """Wait for all queues at exit, because handlers cannot run after the interpreter has begun to shut down."""
    for queue in list(_queues):
        with contextlib.suppress(Error):
            queue.wait()
