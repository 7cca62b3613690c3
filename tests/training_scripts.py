"""The scripts of training/, for tests. Source packages leave the folder out."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "training"


def script(name: str) -> Any:
    """Import a script, or skip the tests of the module that asks for it."""
    if not FOLDER.exists():
        pytest.skip("training/ is not here", allow_module_level=True)
    if str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))
    return importlib.import_module(name)
