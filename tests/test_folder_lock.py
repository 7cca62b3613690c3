"""Test the locks of build folders: simultaneous builds in one tree do not destroy each other (cmake/folder_lock.py)."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

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


def start_builds(tree: Path, packages: Path) -> subprocess.Popen[str]:
    """Start two editable builds, one after the other, in a copy of the files that build the package."""
    package = packages / "scikit_build_core"
    if not package.exists():
        shutil.copytree(FOLDER, tree / "cmake")
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "build.py").write_text(EDITABLE_BUILD)
    return subprocess.Popen(
        [sys.executable, "-c", BUILD_TWICE, str(tree / "wheels")],
        env={"PYTHONPATH": f"{tree / 'cmake'}{os.pathsep}{packages}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # without a terminal
    )


def test_editable_builds_and_imports_in_one_tree_follow_each_other(tmp_path: Path) -> None:
    folder = tmp_path / "build" / "cp311-cp311-linux_x86_64"
    folder.mkdir(parents=True)
    hold_as_an_import = (
        "stack.enter_context(locked(folder, say, 'editable_rebuild.lock')); say('held'); sys.stdin.read()"
    )
    program = f"from contextlib import ExitStack\nstack = ExitStack()\n{hold_as_an_import}"
    with process(program, folder) as imported:
        assert line_of(imported) == "held"
        builds = [start_builds(tmp_path, tmp_path / "packages") for _ in range(2)]
        time.sleep(1)
        assert [started.poll() for started in builds] == [None, None]
        assert not (tmp_path / "wheels").exists()
    outputs = [started.communicate(timeout=60) for started in builds]
    assert [(started.returncode, lines) for started, (lines, _) in zip(builds, outputs, strict=True)] == [
        (0, "mpscnn.whl\nmpscnn.whl\n")
    ] * 2
    messages = "".join(text for _, text in outputs)
    assert f"waiting for process {imported.pid}, which uses {folder}\n" in messages
    assert f"which uses {tmp_path / 'build' / 'editable'}\n" in messages


def test_scikit_build_core_locks_this_file() -> None:
    tools = pytest.importorskip("scikit_build_core", reason="scikit-build-core is not installed")
    program = Path(tools.__file__).with_name("resources") / "_editable_redirect.py"
    assert '"editable_rebuild.lock"' in program.read_text()
    assert 'REBUILD_LOCK = "editable_rebuild.lock"' in (FOLDER / "python_build.py").read_text()


def test_editable_builds_with_temporary_tools_are_refused(tmp_path: Path) -> None:
    builds = start_builds(tmp_path, tmp_path / "pip-build-env-x" / "packages")
    _, text = builds.communicate(timeout=60)
    assert builds.returncode == 1
    assert "pip install --no-build-isolation -e ." in text


def test_sessions_hold_the_build_folders_that_they_use() -> None:
    sessions = ast.parse((FOLDER.parent / "noxfile.py").read_text())
    holding = {"held_folder", "configure_cpp", "build_cpp", "build_emulation", "emulated_tests"}
    users, unheld = set(), set()
    for function in (one for one in sessions.body if isinstance(one, ast.FunctionDef)):
        names = {one.id for one in ast.walk(function) if isinstance(one, ast.Name)}
        if names & {"BUILD", "rmtree", *holding}:
            users.add(function.name)
            if not names & holding:
                unheld.add(function.name)
    assert {"docs", "release", "wheels", "mutation", "tests"} <= users
    assert not unheld
