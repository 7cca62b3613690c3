"""Run each file of tests in a process of its own: `each_file_alone.py [ARGUMENT...]`.

The arguments go to pytest; those of pytest-xdist are left out. The processes are forked from one that has imported
pytest and the packages that most tests use, so that a file costs little more than its own tests. Each process imports
mpscnn and the modules of tests itself. There is one process for each processor at a time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

import numpy as np  # noqa: F401
import PIL.Image  # noqa: F401
import pytest

ROOT = Path.cwd()


def files_of_tests() -> list[str]:
    """Return the tracked files of tests, without those that need the emulation of Metal."""
    command = ["git", "ls-files", "-z", "--", "tests/*test_*.py"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [file for file in listed.stdout.split("\0") if file and not file.startswith("tests/metal")]


def without_workers(arguments: list[str]) -> list[str]:
    """Return pytest's arguments without those of pytest-xdist."""
    kept = []
    given = iter(arguments)
    for argument in given:
        if argument == "-n":
            next(given, None)
        elif not argument.startswith(("--dist", "--no-loadscope-reorder")):
            kept.append(argument)
    return kept


def run_file(file: str, options: list[str], output: Path) -> None:
    """Run the tests of a file, and end this process."""
    opened = os.open(output, os.O_WRONLY | os.O_CREAT)
    for descriptor in (1, 2):
        os.dup2(opened, descriptor)
    status = 2
    try:
        status = int(pytest.main(["-q", *options, file]))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def run_all(options: list[str], folder: Path) -> list[str]:
    """Run all files, print what those say that fail, and return their names. A file may have no test to run."""
    accepted = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    waiting = files_of_tests()
    running: dict[int, str] = {}
    failed = []
    while waiting or running:
        while waiting and len(running) < (os.cpu_count() or 1):
            file = waiting.pop(0)
            sys.stdout.flush()
            if (process := os.fork()) == 0:
                run_file(file, options, folder / str(os.getpid()))
            running[process] = file
        process, status = os.wait()
        file, output = running.pop(process), folder / str(process)
        if os.waitstatus_to_exitcode(status) not in accepted:
            failed.append(file)
            print(f"==== {file}\n{output.read_text('utf-8', errors='replace')}", flush=True)
        output.unlink()
    return failed


def main() -> int:
    """Run all files, and return 1 if a file fails."""
    with tempfile.TemporaryDirectory(prefix="mpscnn-alone-") as folder:
        failed = run_all(without_workers(sys.argv[1:]), Path(folder))
    print(f"{len(failed)} files failed", *failed, sep="\n", flush=True)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
