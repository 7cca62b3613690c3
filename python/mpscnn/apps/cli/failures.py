"""End a command that fails with one line on stderr and an exit code, without a traceback."""

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

from mpscnn.apps.cli.output import report, warn
from mpscnn.errors import Error, ParameterError

FAILED = 1
USAGE = 2
DIFFERENT = 3  # a converted network computes something else than its source
BY_SIGNAL = 128  # and its number, as shells report it
INTERRUPTED = BY_SIGNAL + signal.SIGINT
READER_GONE = BY_SIGNAL + signal.SIGPIPE


def prepare_streams() -> None:
    """Let any label and file name be printed, whatever the terminal's encoding, and even without a terminal.

    Warnings are printed like errors, without a place in the source.
    """
    warnings.showwarning = lambda message, *_: warn(message)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the caller: `mpscnn ... >&-`
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - for as long as the process lives
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def leave_cleanly() -> Iterator[None]:
    """Turn failures into messages and exit codes. With MPSCNN_TRACEBACK=1 they keep their tracebacks."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
        sys.exit(READER_GONE)
    except KeyboardInterrupt as error:
        print("interrupted", file=sys.stderr)  # without "error: "
        sys.exit(BY_SIGNAL + error.args[0] if error.args else INTERRUPTED)
    except (Error, MemoryError, OSError) as error:
        if os.environ.get("MPSCNN_TRACEBACK") == "1":
            raise
        if isinstance(error, OSError) and not isinstance(
            error, Error
        ):  # the disk that stdout goes to is full
            _discard_output()
        report("not enough memory" if isinstance(error, MemoryError) else error)
        # An invalid value on the command line that only the library can find, such as a model's name.
        sys.exit(USAGE if isinstance(error, ParameterError) else FAILED)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end what is within as Ctrl-C does, and keep a recording. One that is ignored stays so."""

    def end(number: int, _frame: Any) -> None:
        raise KeyboardInterrupt(number)

    with ExitStack() as handlers:
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                handlers.callback(signal.signal, number, signal.signal(number, end))
        yield


def _discard_output() -> None:
    """Python flushes stdout once more at exit, which would fail and complain again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
