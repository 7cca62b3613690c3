"""Test the choice of device="auto" among devices that pass or fail the self-check, and the program that runs it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from metal.self_checks import (
    automatic_variables,
    check_program,
    records,
    run_automatic,
    run_self_check,
)


def test_auto_takes_a_device_that_was_checked_in_another_process(tmp_path: Path) -> None:
    chosen = ["metal metal metal 0", "a Metal device, whose answers were checked; float32 lowers no accuracy"]
    assert run_automatic(tmp_path) == chosen
    (record,) = records(tmp_path)
    assert "refused" not in record.read_text("utf-8")
    # The result is on record, so nothing is checked. A check would fail because its time limit is too short.
    assert run_automatic(tmp_path, MPSCNN_SELF_CHECK_SECONDS="0.001") == chosen


@pytest.mark.parametrize("number", [6, 11])
def test_a_device_whose_mps_ends_the_process_is_used_without_it(tmp_path: Path, number: int) -> None:
    first, why, warning = run_automatic(tmp_path, f"end_process={number}")
    assert first == "metal metal metal 1", "one warning for two programs"
    assert "without convolution by MPSCNNConvolution, " in why
    assert warning.startswith(
        "the CPU engine computes 1 of 1 layers: layer 'softmax_1': softmax by MPSCNNSoftMax"
    )
    assert f"ended by signal {number}" in warning
    assert why.endswith(warning)
    # The failure is on record, so that no other process repeats a check that crashes.
    assert run_automatic(tmp_path, MPSCNN_SELF_CHECK_SECONDS="0.001")[0] == "metal metal metal 1"


def test_a_broken_rule_of_mps_is_not_the_end_of_the_process(tmp_path: Path) -> None:
    """If the engine breaks a rule of MPS, the emulation aborts like MPS, but only in the checking process."""
    first, _, warning = run_automatic(tmp_path, "broken_rule=1", METAL_EMULATION_ABORT="1")
    assert first == "metal metal metal 1"
    assert "signal 6" in warning
    assert "Metal emulation: " in warning


def test_a_device_that_hangs_is_not_used(tmp_path: Path) -> None:
    first, _, warning = run_automatic(tmp_path, "worker_delay_ms=1000000", MPSCNN_SELF_CHECK_SECONDS="1")
    assert first == "cpu cpu cpu 1"
    assert "no answer came within 1 s" in warning
    # The device may have been busy, so the next process tries again.
    assert run_automatic(tmp_path)[0] == "metal metal metal 0"


def test_the_gpu_of_a_virtual_machine_is_taken_after_it_was_checked(tmp_path: Path) -> None:
    first, why = run_automatic(tmp_path, "paravirtual=1")
    assert first == "cpu cpu cpu 0"
    assert "is not used: it is the GPU of a virtual machine" in why
    assert not records(tmp_path)
    variables = automatic_variables(tmp_path, "paravirtual=1")
    subprocess.run([str(check_program())], env=variables, check=True, capture_output=True)
    assert run_automatic(tmp_path, "paravirtual=1")[0].startswith("metal metal metal ")


def test_a_device_that_is_refused_says_so_where_it_is_asked_for(tmp_path: Path) -> None:
    hangs = run_self_check(tmp_path, "worker_delay_ms=1000000", MPSCNN_SELF_CHECK_SECONDS="1")
    assert hangs[0] == hangs[1]
    assert "is not used: its check, in a process of its own, does not go on" in hangs[0]
    assert "MPSCNN_SKIP_SELF_CHECK=1" in hangs[0]
    done = subprocess.run(
        [str(check_program())], env={**os.environ, "MPSCNN_CACHE": str(tmp_path)}, check=False
    )
    assert done.returncode == 0, "checked again"
    assert run_self_check(tmp_path)[0].startswith("metal as asked")


@pytest.mark.parametrize(
    ("arguments", "switches", "status", "said"),
    [
        ((), "", 0, "right answers:\nmpscnn "),
        (("metal:Emulated external GPU",), "devices=2", 0, "right answers:\nmpscnn "),
        ((), "wrong_results=1", 0, "right answers:\nmpscnn "),
        ((), "fail_command_buffers=100000", 1, "mpscnn-check: device 'Emulated Metal device' is not used: "),
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
    assert len(records(tmp_path)) == (status == 0 or "is not used" in said)
