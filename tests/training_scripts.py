"""Import the scripts of training/ for tests. Source packages do not contain this folder."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "training"


def script(name: str) -> Any:
    """Import a script. Skip all tests of the calling module if the folder is missing."""
    if not FOLDER.exists():
        pytest.skip("training/ is not here", allow_module_level=True)
    if str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))
    return importlib.import_module(name)
