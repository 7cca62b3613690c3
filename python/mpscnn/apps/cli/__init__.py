"""The command line, `mpscnn COMMAND ...`. The package `commands` has a module for each command."""

from __future__ import annotations

import sys
from importlib.util import find_spec

__all__ = ["main"]


def main() -> None:
    """Run the command line, and end the process with an exit code.

    It is 0 (done), 1 (failed), 2 (wrong usage) or 128 + signal. `convert` and `verify` also have 3.
    """
    from mpscnn._private.installation import install_command
    from mpscnn.apps.cli.failures import FAILED, handle_errors, prepare_streams
    from mpscnn.apps.cli.output import report

    prepare_streams()
    missing = [name for name in ("rich", "typer") if find_spec(name) is None]
    if missing:
        report(
            f"the commands need {' and '.join(missing)}, which `import mpscnn` does without: {install_command('cli')}"
        )
        sys.exit(FAILED)
    with handle_errors():
        from mpscnn.apps.cli.app import app

        app(prog_name="mpscnn")
