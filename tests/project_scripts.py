"""Import the scripts of a folder of the project, such as benchmarks/ or training/, for tests."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parent.parent


def script(folder: str, name: str) -> Any:
    """Import a script of a folder, or a module of a folder with scripts, such as peer_files.layer.

    Skip all tests of the calling module if the folder is training/ and missing: source packages do not contain it.
    """
    place = PROJECT / folder
    if folder == "training" and not place.exists():
        pytest.skip("training/ is not here", allow_module_level=True)
    # The folder does not stay in the path, because scripts have the names of folders with tests and would hide them.
    before = sys.path[:]
    sys.path.insert(0, str(place))
    try:
        return importlib.import_module(name)
    finally:
        sys.path[:] = before
