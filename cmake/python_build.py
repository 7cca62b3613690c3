"""Build the Python package with scikit-build-core, and let editable builds in one source tree wait for each other.

pip finds this module through pyproject.toml. Wheels are built in temporary folders, so they need no lock. Editable
builds, and imports that rebuild the package, share one permanent folder for each Python version.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

from scikit_build_core import build as scikit_build
from scikit_build_core.build import *  # noqa: F403 - pip calls these functions

BUILD = Path(__file__).resolve().parent.parent / "build"


def build_editable(
    wheel_directory: str,
    config_settings: dict[str, list[str] | str] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Build the editable package. If another process builds it in this source tree, print that and wait."""
    from folder_lock import locked  # Only Unix has these locks, and wheels do not need them.

    def report(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    with ExitStack() as stack:
        stack.enter_context(locked(BUILD / "editable", report))
        # An import that rebuilds the package holds this lock of scikit-build-core.
        for lock in sorted(BUILD.glob("*/editable_rebuild.lock")):
            stack.enter_context(locked(lock.with_suffix(""), report))
        return scikit_build.build_editable(wheel_directory, config_settings, metadata_directory)
