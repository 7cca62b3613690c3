"""Write the newest versions of the workflows' tools into .ci/requirements/, with the hashes of all their files.

    python .ci/write_pins.py

The tools are those of `PINNED` in session_packages.py. uv must be installed.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from session_packages import PINNED

REQUIREMENTS = Path(__file__).parent / "requirements"


def main() -> None:
    """Write a file for each use."""
    for use, packages in PINNED.items():
        oldest = "3.12" if use == "cibuildwheel" else "3.10"  # only the workflow runs it, with Python 3.12
        command = [
            *("uv", "pip", "compile", "-", "--universal", "--python-version", oldest),
            *("--generate-hashes", "--no-annotate", "--upgrade", "--quiet"),
            *("--custom-compile-command", "nox -s pins", "--output-file", str(REQUIREMENTS / f"{use}.txt")),
        ]
        subprocess.run(command, input="\n".join(packages), text=True, check=True)


if __name__ == "__main__":
    main()
