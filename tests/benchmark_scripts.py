"""Import the scripts of benchmarks/ for tests."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"


def script(name: str) -> Any:
    """Import a script, or a module of a folder with scripts, such as peer_files.layer."""
    # The folder does not stay in the path, because scripts have the names of folders with tests and would hide them.
    before = sys.path[:]
    sys.path.insert(0, str(FOLDER))
    try:
        return importlib.import_module(name)
    finally:
        sys.path[:] = before
