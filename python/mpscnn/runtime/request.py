"""A run of a network that was started and may not be finished."""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from mpscnn import _core
from mpscnn._private.copies import NoCopies
from mpscnn._private.other_names import Expected
from mpscnn.errors import Error

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Result = NDArray[Any] | dict[str, NDArray[Any]]

#: The seconds after which a waiting thread checks for signals.
_MAX_WAIT = 0.05


class Request(NoCopies, Expected):
    """A run that `Session.submit` has started. Any number of threads may use it, and asyncio by `await`."""

    _instead = "it is a run under way; copy its result"

    def __init__(
        self, request: _core.Request, inputs: list[NDArray[Any]], outputs: list[NDArray[Any]], result: Result
    ) -> None:
        # The order matters: attributes are destroyed in this order, and the request must finish before its arrays are
        # freed.
        self._request = request
        self._arrays = inputs, outputs
        self._result = result

    def done(self) -> bool:
        """Return True if the request is done, successfully or not."""
        try:
            return self._request.wait_for(0.0)
        except Error:
            return True

    def result(self, timeout: float | None = None) -> Result:
        """Wait without the interpreter lock, and return the result of `Session.run`.

        Ctrl-C and exceptions of other signal handlers interrupt the waiting, but not the request.

        Args:
            timeout: the maximum number of seconds to wait; None: no limit.

        Raises:
            TimeoutError: the request is not done yet and continues.
            DeviceError: the device failed.
        """
        end = math.inf if timeout is None else time.monotonic() + timeout
        left = math.inf if timeout is None else timeout
        while not self._request.wait_for(max(min(left, _MAX_WAIT), 0.0)):
            left = end - time.monotonic()
            if not left > 0:
                raise TimeoutError(f"the request is not done after {timeout} seconds")
        return self._result

    def __await__(self) -> Generator[Any, None, Result]:
        """Wait on another thread, without blocking the event loop, and return what `result` does."""
        import asyncio  # this loads ssl, which takes time; users of `await` have imported it already

        return asyncio.to_thread(self.result).__await__()
