"""Build the Python package with scikit-build-core, and let editable builds in one source tree wait for each other.

pip finds this module through pyproject.toml. Wheels are built in temporary folders, so they need no lock. Editable
builds, and imports that rebuild the package, share one permanent folder for each Python version.
"""

from __future__ import annotations

import contextlib
import sys
from contextlib import ExitStack
from pathlib import Path

import scikit_build_core
from scikit_build_core import build as scikit_build
from scikit_build_core.build import *  # noqa: F403 - pip calls these functions

BUILD = Path(__file__).resolve().parent.parent / "build"
# Imports that rebuild an editable package lock this file in its build folder.
REBUILD_LOCK = "editable_rebuild.lock"


def build_editable(  # type: ignore[no-redef]
    wheel_directory: str,
    config_settings: dict[str, list[str] | str] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Build the editable package. If another process builds or rebuilds it in this source tree, report that and wait.

    Raises SystemExit if pip has installed the build tools for this build only: imports need them later.
    """
    from folder_lock import locked  # Only Unix has these locks, and wheels do not need them.

    if _tools_are_temporary():
        raise SystemExit(
            "mpscnn: an editable install rebuilds changed files at import, and needs the build tools for that: run\n"
            "  pip install scikit-build-core 'pybind11>=3' cmake ninja\n"
            "  pip install --no-build-isolation -e ."
        )
    with ExitStack() as stack:
        stack.enter_context(locked(BUILD / "editable", _report))
        for folder in sorted(BUILD.glob("*-*-*/")):
            stack.enter_context(locked(folder, _report, REBUILD_LOCK))
        return scikit_build.build_editable(wheel_directory, config_settings, metadata_directory)


def _tools_are_temporary() -> bool:
    """Return True if pip isolates the build: it has installed scikit-build-core into a temporary folder."""
    return "pip-build-env-" in scikit_build_core.__file__


def _report(text: str) -> None:
    """Print a message. pip hides all output unless it has the option -v, so the message goes to the terminal, too."""
    print(text, file=sys.stderr, flush=True)
    with contextlib.suppress(OSError), Path("/dev/tty").open("w", encoding="utf-8") as terminal:
        print(f"\nmpscnn: {text}", file=terminal)
