"""Recognise exceptions of signal handlers. Python raises them at any place of its main thread."""

from __future__ import annotations

import functools
import inspect
import operator
import signal
import threading
from collections.abc import Iterator
from types import CodeType, TracebackType
from typing import Any


class SafeCondition(threading.Condition):
    """A lock that what a signal's handler raises never leaves locked: `with` takes and releases it in one step each.

    The base class does so in functions written in Python, which a handler may interrupt.
    """

    __enter__ = property(operator.attrgetter("_lock.__enter__"))
    __exit__ = property(operator.attrgetter("_lock.__exit__"))


def raised_by_signal_handler(error: BaseException) -> bool:
    """True if `error` is nothing of the code that it interrupted: a handler such as that of a time limit raised it.

    A handler that is written in Python is seen in the traceback. One that is not raises KeyboardInterrupt.
    """
    if threading.current_thread() is not threading.main_thread():
        return False  # handlers run in the main thread only
    if isinstance(error, KeyboardInterrupt):
        return True
    handlers = set(_handlers_code())
    return any(code in handlers for code in _codes_of(error.__traceback__))


def _handlers_code() -> Iterator[CodeType]:
    for number in signal.valid_signals():
        handler: Any = signal.getsignal(number)
        while isinstance(handler, functools.partial):
            handler = handler.func
        for function in (handler, inspect.getattr_static(type(handler), "__call__", None)):
            code = getattr(function, "__code__", None)
            if isinstance(code, CodeType):
                yield code


def _codes_of(trace: TracebackType | None) -> Iterator[CodeType]:
    while trace is not None:
        yield trace.tb_frame.f_code
        trace = trace.tb_next
