"""Gather the headers of this Python, for compilers for other systems.

    python .ci/python_headers.py FOLDER

Links the headers into FOLDER, with this machine's pyconfig.h. Debian's pyconfig.h accepts only processors for which
Python's headers are installed. All supported systems have types of the same sizes, so extension modules compile.
"""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path


def gather(folder: Path) -> None:
    """Link the headers into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    include = Path(sysconfig.get_path("include"))
    headers = {path.name: path for path in include.iterdir()}
    of_this_machine = (
        include.parent / str(sysconfig.get_config_var("MULTIARCH")) / include.name / "pyconfig.h"
    )
    if of_this_machine.exists():
        headers["pyconfig.h"] = of_this_machine
    for name, path in headers.items():
        link = folder / name
        link.unlink(missing_ok=True)
        link.symlink_to(path)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    gather(Path(sys.argv[1]))
