"""Check the types of the library strictly, and those of other programs leniently: `check_types.py`.

mypy must be installed. The packages that the other programs use need not be.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STRICT = ("python/mpscnn", "noxfile.py", "tests/typed_use.py")
# Folders with programs that tests do not run, or run only in part.
LENIENT = (
    ".ci",
    "benchmarks",
    "docs/generate",
    "docs/site",
    "examples/python",
    "examples/service",
    "tests/fuzz",
    "tests/mutation",
    "training",
)
LENIENTLY = (
    "--ignore-missing-imports",
    "--allow-subclassing-any",
    "--allow-untyped-calls",
    "--allow-untyped-decorators",
    "--no-warn-return-any",
    "--no-warn-unused-ignores",
    "--explicit-package-bases",
)


def is_typed(*arguments: str, path: str = "") -> bool:
    """Run mypy with the arguments, and return true if it finds nothing. It imports from the folders of `path`, too."""
    print("mypy", *arguments, flush=True)
    environment = os.environ | ({"MYPYPATH": path} if path else {})
    return subprocess.run(["mypy", *arguments], cwd=ROOT, env=environment, check=False).returncode == 0


def main() -> bool:
    """Check everything, and return true if nothing is found."""
    found = [is_typed("--strict", *STRICT)]
    found += [is_typed(*LENIENTLY, folder, path=f"python:.ci:tests/python:{folder}") for folder in LENIENT]
    return all(found)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
