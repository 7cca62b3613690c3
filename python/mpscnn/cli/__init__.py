"""The command line: `mpscnn COMMAND ...`, one module for each command."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Entry point. Leaves through SystemExit: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    from mpscnn.cli.failures import leave_cleanly, prepare_streams

    prepare_streams()
    with leave_cleanly():
        from mpscnn.cli.app import app

        app(prog_name="mpscnn")
