"""Which devices are trusted: the self-check, its records, and what "auto" takes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import mpscnn

# ---- Self-check -------------------------------------------------------------------------------------------------

SELF_CHECK = """
import sys
import numpy as np
import mpscnn
from metal.emulation import load

emulation = load()
for switch in sys.argv[1:]:
    name, value = switch.split("=")
    emulation.set(name, int(value))
net = mpscnn.Network(input=(6, 5, 4))
net.output(net.softmax(net.input))
for attempt in range(2):
    try:
        print(net.compile(device="metal").device)
    except mpscnn.DeviceError as error:
        print(error)
    emulation.set("wrong_results", 0)
assert not emulation.violations()
assert emulation.live_objects() == "", emulation.live_objects()
"""


def run_self_check(cache: Path, *switches: str, **environment: str) -> list[str]:
    """What two compilations say in a new process; before the second the device is cured."""
    variables = {**os.environ, "MPSCNN_CACHE": str(cache), **environment}
    variables["PYTHONPATH"] = os.pathsep.join(sys.path)
    command = [sys.executable, "-c", SELF_CHECK, *switches]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def records(cache: Path) -> list[Path]:
    return sorted(cache.rglob("*.txt"))


def test_a_device_that_answers_wrongly_is_refused(tmp_path: Path) -> None:
    first, second = run_self_check(tmp_path, "wrong_results=1")
    assert "'Emulated Metal device' answers wrongly" in first
    assert "convolution in float32: result (0, 0, 0, 0) is" in first
    assert "differ)" in first
    assert "MPSCNN_SKIP_SELF_CHECK=1" in first
    assert second == first, "the verdict stays for the process"
    assert not records(tmp_path), "another process looks again"


def test_a_device_that_answers_with_zeros_is_refused(tmp_path: Path) -> None:
    first, _ = run_self_check(tmp_path, "wrong_results=2")
    assert "(all results are zero)" in first


def test_the_self_check_can_be_skipped(tmp_path: Path) -> None:
    assert run_self_check(tmp_path, "wrong_results=1", MPSCNN_SKIP_SELF_CHECK="1") == ["metal", "metal"]
    assert not records(tmp_path)


def test_a_right_answer_is_remembered_for_device_and_system(tmp_path: Path) -> None:
    assert run_self_check(tmp_path) == ["metal", "metal"]
    (record,) = records(tmp_path)
    text = record.read_text("utf-8")
    assert text.startswith(
        f"mpscnn {mpscnn.__version__}\nEmulated Metal device\nregistry id 0x100000abc\nsystem "
    )
    # It would be refused if it were looked at again.
    assert run_self_check(tmp_path, "wrong_results=1") == ["metal", "metal"]
    record.write_text(text + "of another system", "utf-8")
    assert "answers wrongly" in run_self_check(tmp_path, "wrong_results=1")[0]


def test_a_cache_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no directory", "utf-8")
    assert run_self_check(blocked) == ["metal", "metal"]


def test_a_failure_of_the_check_itself_is_not_kept(tmp_path: Path) -> None:
    first, second = run_self_check(tmp_path, "command_buffer_error=8")
    assert "'self-check: convolution' failed" in first
    assert "(code 8)" in first
    assert second == "metal"


# ---- What "auto" trusts -----------------------------------------------------------------------------------------

AUTOMATIC = """
import sys
import warnings
import mpscnn

net = mpscnn.Network(input=(6, 5, 4))
net.output(net.softmax(net.input))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    programs = [net.compile(), net.compile()]
    queue = mpscnn.CommandQueue()
print(programs[0].device, programs[1].device, queue.device, len(caught))
print(programs[0].reason)
for warning in caught:
    print(warning.message)
if "metal" in sys.argv:
    print(net.compile(device="metal").device, net.compile().device)
"""


def automatic_variables(cache: Path, switches: str, **environment: str) -> dict[str, str]:
    variables = {
        **os.environ,
        "MPSCNN_CACHE": str(cache),
        "METAL_EMULATION_SWITCHES": switches,
        **environment,
    }
    variables["PYTHONPATH"] = os.pathsep.join(sys.path)
    del variables["MPSCNN_DEVICE"]
    return variables


def run_automatic(cache: Path, switches: str = "", *arguments: str, **environment: str) -> list[str]:
    """What "auto" chooses in a new process, on a device that behaves so, which the process itself never runs."""
    variables = automatic_variables(cache, switches, **environment)
    command = [sys.executable, "-c", AUTOMATIC, *arguments]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_auto_takes_a_device_that_was_checked_in_another_process(tmp_path: Path) -> None:
    chosen = ["metal metal metal 0", "a Metal device, whose answers were checked; float32 lowers no accuracy"]
    assert run_automatic(tmp_path) == chosen
    (record,) = records(tmp_path)
    assert "refused" not in record.read_text("utf-8")
    # With the answer on record nothing is checked: the check would end at once.
    assert run_automatic(tmp_path, MPSCNN_SELF_CHECK_SECONDS="0.001") == chosen


@pytest.mark.parametrize(
    ("switches", "reason"),
    [
        ("end_process=6", "was ended by signal 6 (Aborted); the last that it wrote: 'MPSKernel.mm:1: failed"),
        ("end_process=11", "was ended by signal 11 (Segmentation fault)"),
    ],
)
def test_a_device_that_ends_the_process_is_not_used(tmp_path: Path, switches: str, reason: str) -> None:
    first, why, warning = run_automatic(tmp_path, switches)
    assert first == "cpu cpu cpu 1", "one warning for two programs"
    assert warning.startswith(
        "device 'Emulated Metal device' is not used: its check, in a process of its own, "
    )
    assert reason in warning
    assert why.startswith(warning)
    assert "mpscnn verify --device metal" in warning
    # It is on record, so that no other process has the device end a check: this one would be right.
    assert run_automatic(tmp_path)[0] == "cpu cpu cpu 1"


def test_a_broken_rule_of_mps_is_not_the_end_of_the_process(tmp_path: Path) -> None:
    """A rule that the engine breaks: the emulation aborts, as MPS does."""
    first, _, warning = run_automatic(tmp_path, "broken_rule=1", METAL_EMULATION_ABORT="1")
    assert first == "cpu cpu cpu 1"
    assert "signal 6" in warning
    assert "Metal emulation: " in warning


def test_a_device_that_hangs_is_not_used(tmp_path: Path) -> None:
    first, _, warning = run_automatic(tmp_path, "worker_delay_ms=1000000", MPSCNN_SELF_CHECK_SECONDS="1")
    assert first == "cpu cpu cpu 1"
    assert "did not end within 1 s" in warning
    assert run_automatic(tmp_path)[0] == "cpu cpu cpu 1"


def test_auto_says_which_answer_was_wrong(tmp_path: Path) -> None:
    first, _, warning = run_automatic(tmp_path, "wrong_results=1")
    assert first == "cpu cpu cpu 1"
    assert "answers wrongly" in warning
    assert "convolution in float32: result (0, 0, 0, 0) is" in warning
    assert not records(tmp_path), "another process looks again"


def test_a_device_that_is_asked_for_is_checked_here_and_cures_the_record(tmp_path: Path) -> None:
    assert run_automatic(tmp_path, "end_process=6")[0] == "cpu cpu cpu 1"
    assert run_automatic(tmp_path, "", "metal")[-1] == "metal metal"
    assert run_automatic(tmp_path)[0] == "metal metal metal 0"


def test_without_a_cache_every_process_checks(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no directory", "utf-8")
    assert run_automatic(blocked)[0] == "metal metal metal 0"
    assert run_automatic(blocked, "end_process=6")[0] == "cpu cpu cpu 1"


def test_processes_at_once_agree(tmp_path: Path) -> None:
    """That one of them checks for all is tested in tests/engine/device_trust_test.cpp."""
    command, variables = [sys.executable, "-c", AUTOMATIC], automatic_variables(tmp_path, "")
    running = [subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in running:
        assert process.communicate(timeout=300)[0].splitlines()[0] == "metal metal metal 0"
    assert len(records(tmp_path)) == 1


def check_program() -> Path:
    """Beside the library that this process has loaded."""
    mapped = Path("/proc/self/maps").read_text("utf-8").split()
    (library,) = {name for name in mapped if name.endswith("/libmpscnn.so")}
    return Path(library).parent / "mpscnn-check"


@pytest.mark.parametrize(
    ("arguments", "switches", "status", "said"),
    [
        ((), "", 0, "right answers:\nmpscnn "),
        (("metal:Emulated external GPU",), "devices=2", 0, "right answers:\nmpscnn "),
        ((), "wrong_results=1", 1, "mpscnn-check: device 'Emulated Metal device' answers wrongly"),
        (("metal:Apple M2",), "", 1, "mpscnn-check: there is no Metal device 'Apple M2'"),
        (("cpu",), "", 1, "mpscnn-check: device 'cpu' is what others are compared with"),
        (("--help",), "", 2, "usage: mpscnn-check [DEVICE]"),
        (("metal", "metal"), "", 2, "usage: "),
    ],
)
def test_people_may_run_the_check_program(
    tmp_path: Path, arguments: tuple[str, ...], switches: str, status: int, said: str
) -> None:
    variables = {**os.environ, "MPSCNN_CACHE": str(tmp_path), "METAL_EMULATION_SWITCHES": switches}
    command = [str(check_program()), *arguments]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == status, done.stderr
    assert (done.stdout if status == 0 else done.stderr).startswith(said)
    assert len(records(tmp_path)) == (status == 0)
