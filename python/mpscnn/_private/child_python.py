"""Start Python processes with the module path of this process, without the current folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["code_command", "inherited_environment", "module_command", "script_command"]

# Python puts "", the current folder, before all other places of code given as an argument. `python -P` would not, from
# Python 3.11 on; isolated mode would leave out PYTHONPATH and what users have installed for themselves.
_WITHOUT_CURRENT_FOLDER = "import sys; sys.path[:] = [place for place in sys.path if place]"


def code_command(code: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs `code`, whose sys.argv[1:] are the arguments. Start it with `inherited_environment`."""
    return (sys.executable, "-c", f"{_WITHOUT_CURRENT_FOLDER}\n{code}", *arguments)


def module_command(module: str, *arguments: str) -> tuple[str, ...]:
    """Return the command that runs a module as `python -m` does. Start it with `inherited_environment`."""
    return code_command(
        f"import runpy; runpy.run_module({module!r}, run_name='__main__', alter_sys=True)", *arguments
    )


def script_command(file: str, *arguments: str) -> tuple[str, ...]:
    """Return the command that runs a file, whose neighbours it can import. Start it with `inherited_environment`."""
    return (sys.executable, str(Path(file).absolute()), *arguments)


def inherited_environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment, with which a child finds the same packages in the same places.

    An empty place of sys.path or PYTHONPATH would mean the child's current folder, and a relative one a folder in it.
    """
    places = [str(Path(place).absolute()) for place in sys.path if isinstance(place, str) and place]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(places), **(changes or {})}
