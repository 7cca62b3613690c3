"""End a service by signals, also while it starts."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

#: The signals by which service managers and closed terminals end a service. Its exit code is then 0.
ENDING = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """End the `with` block quietly on SIGTERM and SIGHUP. The block starts a service.

    Imports may replace the exception of a signal's handler or drop it, so any exception after a signal is suppressed.
    """
    received: list[int] = []

    def end(number: int, _frame: Any) -> None:
        received.append(number)
        raise KeyboardInterrupt(number)

    with ExitStack() as handlers:
        for number in ENDING:
            handle(handlers, number, end)
        try:
            yield
        except BaseException:
            if not received:
                raise


def handle(handlers: ExitStack, number: int, handler: Callable[[int, Any], None]) -> None:
    """Handle a signal until `handlers` ends. An ignored signal stays ignored, such as SIGHUP after nohup."""
    if signal.getsignal(number) is not signal.SIG_IGN:
        handlers.callback(signal.signal, number, signal.signal(number, handler))
