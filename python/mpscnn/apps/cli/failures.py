"""Turn failures of commands into one line on stderr and an exit code, without a traceback."""

from __future__ import annotations

import io
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from mpscnn._private.command_start import finish
from mpscnn._private.memory_errors import is_out_of_memory
from mpscnn.apps.cli.output import hint, report, warn
from mpscnn.errors import Error, ParameterError

FAILED = 1
USAGE = 2
DIFFERENT = 3  # the converted network computes other results than its source
BY_SIGNAL = 128  # plus the signal's number, as in shells
INTERRUPTED = BY_SIGNAL + signal.SIGINT
READER_GONE = BY_SIGNAL + signal.SIGPIPE


def prepare_streams() -> None:
    """Let stdout and stderr print any text, whatever the terminal's encoding is and even if they are closed.

    Warnings are printed like errors, without their place in the source.
    """
    warnings.showwarning = lambda message, *_: warn(message)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # the caller closed it: `mpscnn ... >&-`
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - for as long as the process lives
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def handle_errors() -> Iterator[None]:
    """Turn exceptions into messages and exit codes. With MPSCNN_TRACEBACK=1 tracebacks are printed."""
    try:
        try:
            finish()
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
        sys.exit(READER_GONE)
    except KeyboardInterrupt as error:
        hint("interrupted")  # Ctrl-C is not an error
        sys.exit(BY_SIGNAL + error.args[0] if error.args else INTERRUPTED)
    except Exception as error:
        lacks_memory = not isinstance(error, Error) and is_out_of_memory(error)
        if os.environ.get("MPSCNN_TRACEBACK") == "1" or not (
            lacks_memory or isinstance(error, (Error, OSError))
        ):
            raise
        # For example, stdout is written to a full disk.
        if isinstance(error, OSError) and not isinstance(error, Error):
            _discard_output()
            error = Error(str(error))  # shortens the message, which may name a path of any length
        report("not enough memory" if lacks_memory else error)
        # A ParameterError is a wrong argument that only the library could find, such as an unknown model.
        sys.exit(USAGE if isinstance(error, ParameterError) else FAILED)


@contextmanager
def raise_on_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise KeyboardInterrupt(number), so that files and locks are cleaned up as with Ctrl-C.

    Commands run in it. Before, while packages are imported, nothing needs cleaning, and the signals end the process.
    Imports may replace the exception or drop it, so the number is kept and raised again at the end.
    Signals that the process ignores stay ignored.
    """
    received: list[int] = []

    def end(number: int, _frame: Any) -> None:
        received.append(number)
        raise KeyboardInterrupt(number)

    with ExitStack() as handlers:
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                handlers.callback(signal.signal, number, signal.signal(number, end))
        try:
            yield
        finally:
            if received:
                raise KeyboardInterrupt(received[0])


def _discard_output() -> None:
    """Send later output nowhere. Python flushes stdout at exit, and a broken pipe would cause another error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
