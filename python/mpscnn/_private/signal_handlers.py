"""Handle exceptions that signal handlers raise. Python may raise them anywhere in the main thread."""

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
    """A condition whose lock is always released, even if a signal handler raises an exception.

    Here `with` takes and releases the lock in single steps of C code. The base class uses Python functions, which a
    handler may interrupt halfway.
    """

    __enter__ = property(operator.attrgetter("_lock.__enter__"))
    __exit__ = property(operator.attrgetter("_lock.__exit__"))


def raised_by_signal_handler(error: BaseException) -> bool:
    """Return True if a signal handler raised `error`, such as one for a time limit, and not the interrupted code.

    A handler written in Python appears in the traceback. The default handler raises KeyboardInterrupt.
    """
    if threading.current_thread() is not threading.main_thread():
        return False  # Python runs signal handlers only in the main thread
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
