"""Test what the self-check of a device leaves in the cache: its records, locks and archives of pipelines."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from metal.self_checks import automatic_variables, check_program, records, run_self_check, wait_for_checks
from tiers import with_full

import mpscnn

# ---- Records ----------------------------------------------------------------------------------------------------


def test_a_right_answer_is_remembered_for_device_and_system(tmp_path: Path) -> None:
    right = ["metal as asked; float32 lowers no accuracy"] * 2
    assert run_self_check(tmp_path) == right
    (record,) = records(tmp_path)
    text = record.read_text("utf-8")
    # The record has no registry id, because that changes when the machine restarts.
    assert text.startswith(f"mpscnn {mpscnn.__version__}\nEmulated Metal device\nsystem ")
    assert "0x100000abc" not in text
    # The device's softmax is wrong now, but no new check finds that.
    assert run_self_check(tmp_path, "wrong_results=1") == right
    record.write_text(text + "of another system", "utf-8")
    assert "softmax by MPSCNNSoftMax" in run_self_check(tmp_path, "wrong_results=1")[0]


def test_a_failure_that_does_not_come_twice_is_no_answer(tmp_path: Path) -> None:
    assert run_self_check(tmp_path, "command_buffer_error=8")[0].startswith("metal as asked; float32")


# ---- The archive of pipelines -------------------------------------------------------------------------------------

ARCHIVE = """
import numpy as np
import mpscnn
from metal.emulation import load

emulation = load()
net = mpscnn.Network(input=(9, 7, 8))
net.output(net.max_pool2d(net.activation(net.input, "relu"), 2))
program = net.compile(device="metal")
program.session().run(np.zeros((1, 9, 7, 8), np.float32))
print(emulation.get("archive_hits"))
assert not emulation.violations()
"""


def archives(cache: Path) -> list[Path]:
    return sorted((cache / "self_check").glob("*.metalarchive"))


def archive_hits(cache: Path, switches: str = "", **environment: str) -> int:
    """Return the number of pipelines that a new process takes from the archive. Its check has ended, too."""
    variables = {
        **os.environ,
        "MPSCNN_CACHE": str(cache),
        "METAL_EMULATION_SWITCHES": switches,
        **environment,
    }
    variables["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", ARCHIVE], env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    wait_for_checks(cache)
    return int(done.stdout)


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache with the record and the archive of a check. Tests change copies of it."""
    cache = tmp_path_factory.mktemp("checked")
    assert archive_hits(cache) > 0
    return cache


@pytest.fixture
def checked_copy(checked: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(checked, tmp_path / "cache"))


def test_pipelines_of_the_check_are_taken_from_its_archive(tmp_path: Path) -> None:
    hits = archive_hits(tmp_path)
    assert hits >= 3, "a shader for each of input, activation and output"
    (archive,) = archives(tmp_path)
    assert archive_hits(tmp_path) == hits
    assert archives(tmp_path) == [archive], "no second check, so the file stays"
    assert sorted(path.suffix for path in archive.parent.iterdir()) == [".lock", ".metalarchive", ".txt"]


@pytest.mark.parametrize("damage", with_full(["flip", "name"], ["cut", "empty"]))
def test_a_damaged_archive_is_deleted(checked_copy: Path, damage: str) -> None:
    (archive,) = archives(checked_copy)
    content = archive.read_bytes()
    if damage == "name":
        archive.rename(archive.with_name(archive.name[:17] + "0" * 16 + archive.suffix))
    elif damage == "flip":
        archive.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    else:
        archive.write_bytes(content[: len(content) // 2] if damage == "cut" else b"")
    assert archive_hits(checked_copy) == 0
    assert not archives(checked_copy)
    subprocess.run([str(check_program())], env={**os.environ, "MPSCNN_CACHE": str(checked_copy)}, check=True)
    # The name ends with a hash of the content, which may have its shaders in another order.
    (again,) = archives(checked_copy)
    assert again.name.partition("-")[0] == archive.name.partition("-")[0], "a new check writes it again"


def test_an_archive_that_metal_refuses_is_deleted(checked_copy: Path) -> None:
    assert archives(checked_copy)
    assert archive_hits(checked_copy, "fail_archives=1") == 0
    assert not archives(checked_copy)


def test_a_device_without_archives_does_without(tmp_path: Path) -> None:
    for switches in ("fail_archives=1000", "discrete_memory=1"):
        assert archive_hits(tmp_path / switches, switches) == 0
        assert not archives(tmp_path / switches)
        assert len(records(tmp_path / switches)) == 1


def test_an_exception_while_shaders_are_written_ends_no_check(tmp_path: Path) -> None:
    variables = {
        **os.environ,
        "MPSCNN_CACHE": str(tmp_path),
        "METAL_EMULATION_SWITCHES": "fail_archives=1000,throw_failures=1",
    }
    # A process with more than 16 cases also compiles all shaders and writes them to a file.
    command = [str(check_program()), "metal", "cases " + " ".join(map(str, range(17)))]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "@mpscnn end"), done.stderr
    assert not archives(tmp_path)


def test_few_archives_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "self_check"
    folder.mkdir()
    for i in range(9):
        old = folder / f"{i:016x}-{i:016x}.metalarchive"
        old.write_text("of another system", "utf-8")
        os.utime(old, (i, i))
    assert archive_hits(tmp_path) > 0
    others = [path for path in archives(tmp_path) if path.read_text("utf-8") == "of another system"]
    assert [path.name[:16] for path in others] == [f"{i:016x}" for i in (6, 7, 8)]
    assert len(archives(tmp_path)) == 4


def test_a_check_that_fails_goes_on_without_an_archive(tmp_path: Path) -> None:
    """A failure with an archive of compiled shaders may be the archive's fault, so the check is repeated without it."""
    assert archive_hits(tmp_path, METAL_EMULATION_KERNELS="MPSCNNSoftMax=abort") == 0
    assert not archives(tmp_path)
    (record,) = records(tmp_path)
    assert "not used: 1\nsoftmax by MPSCNNSoftMax: " in record.read_text("utf-8")


def test_a_second_process_with_few_cases_keeps_the_archive(tmp_path: Path) -> None:
    """If a result is wrong, its few cases run again in a process that compiles only what they need."""
    assert archive_hits(tmp_path, METAL_EMULATION_KERNELS="MPSCNNSoftMax=wrong") >= 3
    (record,) = records(tmp_path)
    assert "not used: 1\nsoftmax by MPSCNNSoftMax: " in record.read_text("utf-8")
    assert len(archives(tmp_path)) == 1


# ---- Locks --------------------------------------------------------------------------------------------------------

WAITS = """
import mpscnn

net = mpscnn.Network(input=(6, 5, 4))
net.output(net.softmax(net.input))
net.compile(device="metal")
"""


def test_ctrl_c_ends_the_wait_for_the_check_of_another_process(checked: Path, tmp_path: Path) -> None:
    (name,) = (path.stem for path in records(checked))
    (tmp_path / "self_check").mkdir()
    with (tmp_path / "self_check" / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        variables = automatic_variables(tmp_path, "")
        command = [sys.executable, "-c", WAITS]
        with subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True) as waiting:
            assert waiting.stderr is not None
            assert "another thread or process does this now" in waiting.stderr.readline()
            waiting.send_signal(signal.SIGINT)
            _, said = waiting.communicate(timeout=300)
    assert said.strip().endswith("KeyboardInterrupt")
