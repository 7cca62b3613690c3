"""Check whether another engine's package can be imported. With too little memory, imports can fail in any way."""

from __future__ import annotations

import importlib
import mmap
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from mpscnn._private.child_python import code_command, inherited_environment
from mpscnn._private.printable import printable

# The bytes of memory that an engine needs besides its code.
_MARGIN = 32 << 20
_SECONDS = 300.0

# The child first takes as much memory as this process has, so that its import meets the same limit.
_CHILD = """
import mmap, sys
import mpscnn
from mpscnn.comparison.engine_import import address_space_bytes
lacking = int(sys.argv[1]) - address_space_bytes()
kept = mmap.mmap(-1, lacking) if lacking > 0 else None
for name in sys.argv[2:]:
    __import__(name)
"""


def import_problem(modules: Sequence[str]) -> str | None:
    """Import modules. Return the reason if that is impossible, otherwise None.

    If the memory of the process is limited, a child process tries the import first: libraries without memory may end
    their process.
    """
    wanted = [name for name in modules if name not in sys.modules]
    if wanted and _is_limited() and (problem := _problem_of_child(wanted)):
        return problem
    for name in wanted:
        try:
            importlib.import_module(name)
        except MemoryError:
            return f"there is not enough memory to import {name}"
        except Exception as error:  # an import without memory may fail with any exception
            return _reason(name, f"{type(error).__name__}: {error}")
    return None


def _reason(name: str, said: str) -> str:
    return f"{name} cannot be imported: {printable(said.strip())[:300]}"


def _is_limited() -> bool:
    import resource

    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY


def address_space_bytes() -> int:
    """Return the size of this process's address space; 0 if the system does not report it."""
    return _pages_of_process(0) * mmap.PAGESIZE


def resident_bytes() -> int:
    """Return the memory that this process uses now; 0 if the system does not report it."""
    return _pages_of_process(1) * mmap.PAGESIZE


def _pages_of_process(field: int) -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[field])
    except (OSError, ValueError):
        return 0


def _problem_of_child(names: Sequence[str]) -> str | None:
    try:
        ended = subprocess.run(
            code_command(_CHILD, str(address_space_bytes() + _MARGIN), *names),
            env=inherited_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
        )
    except (OSError, MemoryError, subprocess.SubprocessError) as error:
        return _reason(" and ".join(names), f"no process can be started to try it: {error}")
    if ended.returncode == 0:
        return None
    lines = ended.stderr.strip().splitlines()
    how = f"exit code {ended.returncode}" if ended.returncode > 0 else f"signal {-ended.returncode}"
    return _reason(" and ".join(names), f"{lines[-1] if lines else 'its process ended'} ({how})")
