"""Configure the emulation of Metal as a project of its own, away from mpscnn, by the command of its README."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "metal_emulation"


def test_the_command_of_the_readme_configures_a_copy_of_the_folder(tmp_path: Path) -> None:
    for program in ("cmake", "clang++-16", "gnustep-config"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    (command,) = re.findall(r"^cmake -S .*$", (FOLDER / "README.md").read_text(), re.MULTILINE)
    shutil.copytree(FOLDER, tmp_path / "tests" / "metal_emulation")
    environment = {name: value for name, value in os.environ.items() if name not in ("CC", "CXX", "OBJCXX")}
    made = subprocess.run(
        shlex.split(command), cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "build" / "emulation" / "CMakeCache.txt").exists()
