"""Imports in subinterpreters are refused, because they would wait for the main interpreter's lock for ever."""

from __future__ import annotations

import subprocess
import sys

import pytest

# The module for subinterpreters had several names and arguments before it became part of the standard library.
SCRIPT = """
import sys
try:
    import _interpreters
except ImportError:
    import _xxsubinterpreters as _interpreters
isolated = sys.argv[1] == "isolated"
{before}
if sys.version_info >= (3, 13):
    interpreter = _interpreters.create("isolated" if isolated else "legacy")
else:
    interpreter = _interpreters.create(isolated=isolated)
failure = None
try:
    failure = _interpreters.run_string(interpreter, "import mpscnn")  # which 3.13 returns
except _interpreters.RunFailedError as error:
    failure = error
print(failure)
_interpreters.destroy(interpreter)
{after}
"""
USE = "import mpscnn, numpy; mpscnn.load().predict(numpy.zeros((40, 40, 3), numpy.uint8)); print('fine')"


@pytest.mark.parametrize("kind", ["isolated", "legacy"])
@pytest.mark.parametrize("before", ["", USE], ids=["alone", "in the main one too"])
def test_the_import_is_refused(kind: str, before: str) -> None:
    script = SCRIPT.format(before=before, after=USE)
    command = [sys.executable, "-c", script, kind]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.stderr, ended.returncode) == ("", 0)
    assert "ImportError" in ended.stdout
    assert "mpscnn cannot be imported in a subinterpreter" in ended.stdout
    assert ended.stdout.count("fine") == (2 if before else 1)
