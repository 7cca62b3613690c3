"""End a command quietly if Ctrl-C comes while it is imported. The package imports this module first.

The default handler would raise KeyboardInterrupt in the middle of an import, and Python would print a traceback.
`_signal` is the built-in part of `signal`. It is used because `signal` imports `enum`, which takes milliseconds.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # typeshed lacks it
import os
import sys


def finish() -> None:
    """Let Ctrl-C raise KeyboardInterrupt from now on, because the command handles it."""
    if _signal.getsignal(_signal.SIGINT) is _end:
        _signal.signal(_signal.SIGINT, _signal.default_int_handler)


def _begin() -> None:
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:  # it may be ignored, as by nohup
        _signal.signal(_signal.SIGINT, _end)


def _end(number: int, _frame: object) -> None:
    os._exit(128 + number)  # the exit code of `handle_errors`


def _is_command() -> bool:
    """Return True if this process runs `mpscnn ...` or `python -m mpscnn ...`.

    In a process of multiprocessing, sys.argv is that of the command, and sys.orig_argv is not.
    """
    program = sys.argv[0] if getattr(sys, "argv", None) else ""
    if program == "-m":  # Python sets sys.argv[0] after it has imported the package
        return "mpscnn" in sys.orig_argv
    return os.path.basename(program) == "mpscnn" and program in sys.orig_argv  # noqa: PTH119 - pathlib is slow to import


if _is_command():
    _begin()
