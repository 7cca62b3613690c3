"""Start Python processes with the module path of this process, without the current folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

# Code given as an argument looks for modules in "", the current folder, first. `python -P` would prevent this, but
# needs Python 3.11. Isolated mode would ignore PYTHONPATH and packages that users installed for themselves.
_WITHOUT_CURRENT_FOLDER = "import sys; sys.path[:] = [place for place in sys.path if place]"


def code_command(code: str, *arguments: str) -> tuple[str, ...]:
    """Return a command that runs `code` with these arguments in sys.argv[1:].

    Start it with `inherited_environment`.
    """
    return (sys.executable, "-c", f"{_WITHOUT_CURRENT_FOLDER}\n{code}", *arguments)


def module_command(module: str, *arguments: str) -> tuple[str, ...]:
    """Return a command that runs a module as `python -m` does. Start it with `inherited_environment`."""
    return code_command(
        f"import runpy; runpy.run_module({module!r}, run_name='__main__', alter_sys=True)", *arguments
    )


def script_command(file: str, *arguments: str) -> tuple[str, ...]:
    """Return a command that runs a Python file. Start it with `inherited_environment`.

    The program can import files of its folder.
    """
    return (sys.executable, str(Path(file).absolute()), *arguments)


def inherited_environment(
    changes: Mapping[str, str] | None = None, keep: Callable[[str], bool] = lambda _: True
) -> dict[str, str]:
    """Return environment variables for a child process that must find the same packages as this process.

    All paths become absolute, because the child may have another current folder. Empty paths, which mean the current
    folder, are left out.

    Args:
        changes: variables that are added or replaced.
        keep: whether the child gets the variable of that name of this process. It always gets Python's path.
    """
    places = [str(Path(place).absolute()) for place in sys.path if isinstance(place, str) and place]
    kept = {name: text for name, text in os.environ.items() if keep(name)}
    return {**kept, "PYTHONPATH": os.pathsep.join(places), **(changes or {})}
