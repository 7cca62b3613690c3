"""Test the locks of build folders: simultaneous builds in one tree do not destroy each other (cmake/folder_lock.py)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "cmake"
PREAMBLE = """
import sys
from pathlib import Path
from folder_lock import free_folder, hold, locked

folder = Path(sys.argv[1])

def say(text):
    print(text, flush=True)

"""
# A program that holds the lock until its input ends.
HOLDER = "hold(folder, say); say('held'); sys.stdin.read()"


@contextmanager
def process(program: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a program that knows the module's functions, `say` and `folder`."""
    started = subprocess.Popen(
        [sys.executable, "-c", PREAMBLE + program, str(folder)],
        env={"PYTHONPATH": str(FOLDER)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


def line_of(started: subprocess.Popen[str]) -> str:
    assert started.stdout is not None
    return started.stdout.readline().rstrip("\n")


def test_a_lock_excludes_others_until_its_holder_ends(tmp_path: Path) -> None:
    folder = tmp_path / "tests"
    with process(HOLDER, folder) as first:
        assert line_of(first) == "held"
        with process("hold(folder, say); say('mine')", folder) as second:
            assert line_of(second) == f"waiting for process {first.pid}, which uses {folder}"
            time.sleep(0.3)
            assert second.poll() is None
            first.kill()  # no signal handler runs, but the lock becomes free
            assert line_of(second) == "mine"


def test_builds_at_the_same_time_follow_each_other(tmp_path: Path) -> None:
    """Without the lock, a process would find incomplete folders of another one."""
    program = """
import time
for _ in range(5):
    with locked(folder, lambda text: None):
        folder.mkdir()
        time.sleep(0.01)
        folder.rmdir()
"""
    with process(program, tmp_path / "wheels") as one, process(program, tmp_path / "wheels") as other:
        assert (one.wait(60), other.wait(60)) == (0, 0)


def test_a_process_holds_one_folder_at_a_time(tmp_path: Path) -> None:
    """Two sessions that need the same two folders in different order end."""
    program = "hold(folder, say); hold(folder, say); hold(Path(str(folder) + '2'), say); say('next'); sys.stdin.read()"
    with process(program, tmp_path / "tests") as first:
        assert line_of(first) == "next"
        with process("hold(folder, say); say('mine')", tmp_path / "tests") as second:
            assert line_of(second) == "mine"


def test_environments_of_a_second_process_have_another_folder(tmp_path: Path) -> None:
    program = "say(free_folder(folder).name); sys.stdin.read()"
    with process(program, tmp_path / ".nox") as first:
        assert line_of(first) == ".nox"
        with process(program, tmp_path / ".nox") as second, process(program, tmp_path / ".nox") as third:
            assert sorted([line_of(second), line_of(third)]) == [".nox-2", ".nox-3"]
    with process(program, tmp_path / ".nox") as later:
        assert line_of(later) == ".nox"


# It takes the place of scikit-build-core, and fails if another build is in progress.
EDITABLE_BUILD = """
import time
from pathlib import Path

__all__ = ["build_editable"]

def build_editable(wheel_directory, config_settings, metadata_directory):
    Path(wheel_directory).mkdir()
    time.sleep(0.2)
    Path(wheel_directory).rmdir()
    return "mpscnn.whl"
"""
BUILD_TWICE = """
import sys
import python_build

for _ in range(2):
    print(python_build.build_editable(sys.argv[1]), flush=True)
"""


def test_editable_builds_and_imports_in_one_tree_follow_each_other(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "cmake")
    package = tmp_path / "packages" / "scikit_build_core"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "build.py").write_text(EDITABLE_BUILD)
    rebuild = tmp_path / "build" / "cp311" / "editable_rebuild"
    rebuild.parent.mkdir(parents=True)

    def build() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", BUILD_TWICE, str(tmp_path / "wheels")],
            env={"PYTHONPATH": f"{tmp_path / 'cmake'}{os.pathsep}{package.parent}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    with process(HOLDER, rebuild) as imported:
        assert line_of(imported) == "held"
        builds = [build(), build()]
        time.sleep(1)
        assert [started.poll() for started in builds] == [None, None]
        assert not (tmp_path / "wheels").exists()
    outputs = [started.communicate(timeout=60) for started in builds]
    assert [(started.returncode, lines) for started, (lines, _) in zip(builds, outputs, strict=True)] == [
        (0, "mpscnn.whl\nmpscnn.whl\n")
    ] * 2
    messages = "".join(text for _, text in outputs)
    assert f"waiting for process {imported.pid}, which uses {rebuild}" in messages
    assert f"which uses {tmp_path / 'build' / 'editable'}" in messages
