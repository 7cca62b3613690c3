"""Call each function of the C interface with a null pointer or a wrong handle in the place of each of its pointers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import abi

from mpscnn import _core

# A child process runs this program. It forks for each call, so that a crash ends one call only.
PROGRAM = Path(__file__).with_name("null_pointer_calls.py")


def test_wrong_pointers_are_refused_or_allowed(tmp_path: Path) -> None:
    """The functions that write files write them into the child's folder.

    This takes some seconds, since a process is forked for each call.
    """
    functions = [line for name, line in abi.declarations().items() if name.startswith("function ")]
    command = [sys.executable, str(PROGRAM), _core.__file__]
    answer = subprocess.run(
        command, input="\n".join(functions), capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert answer.returncode == 0, answer.stderr
    calls, *faults = answer.stdout.splitlines()
    assert faults == []
    assert int(calls) > 2 * len(functions)  # most functions have several pointers
