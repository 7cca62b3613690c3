"""Tests of `mpscnn verify --device metal` on the emulation: it passes, and reports wrong results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from metal.emulation import is_emulated
from tiers import first_and_last, with_full

import mpscnn
from mpscnn.apps.verify.case import run
from mpscnn.apps.verify.conformance import SELF_CHECK, Row, all_cases, compare_case
from mpscnn.apps.verify.processes import Outcome


def run_verify(folder: Path, *options: str, **environment: str) -> tuple[int, str, dict[str, Any]]:
    """Run the command. Returns its exit code, output and report."""
    report = folder / "report.json"
    variables = {**os.environ, "MPSCNN_CACHE": str(folder / "cache"), **environment}
    variables["PYTHONPATH"] = os.pathsep.join(sys.path)
    command = [
        sys.executable,
        "-m",
        "mpscnn",
        "verify",
        "--device",
        "metal",
        "--report",
        str(report),
        *options,
    ]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=600)
    assert not done.stderr
    return done.returncode, done.stdout, json.loads(report.read_text("utf-8"))


@pytest.mark.gpu
@pytest.mark.parametrize("group", sorted({case.group for case in all_cases("metal")} - {SELF_CHECK}))
def test_the_device_computes_what_is_promised(group: str, full: bool) -> None:
    """The cases run in this process, so that rules and objects are checked. The bounds are those of the CPU.

    On the emulation, the default tier runs the first and the last case of each operation.
    """
    cases = [case for case in all_cases("metal") if case.group == group]
    if is_emulated() and not full:
        cases = first_and_last(cases, lambda case: case.subject)
    for case in cases:
        right, found = (Outcome(run(case.recipe, device)) for device in ("cpu", "metal"))
        row = Row(case.subject)
        compare_case(row, case, right, found, "cpu" if is_emulated() else "metal")
        assert not row.failures, row.failures[0]


@pytest.mark.full
def test_everything_is_as_promised(tmp_path: Path) -> None:
    status, shown, report = run_verify(tmp_path, METAL_EMULATION_ABORT="1")
    assert status == 0, shown
    assert report["verdict"] == "passed"
    assert report["device"]["description"] == "Emulated Metal device"
    rows = {row["subject"]: row for row in report["rows"]}
    assert rows.keys() == {case.subject for case in all_cases("metal")}
    assert sum(row["cases"] for row in rows.values()) == len(all_cases("metal"))


def test_the_self_check_is_on_record(tmp_path: Path) -> None:
    status, shown, report = run_verify(tmp_path, "--only", "self-check", METAL_EMULATION_ABORT="1")
    assert status == 0, shown
    assert report["verdict"] == "passed"
    # The self-check recorded its success, so "auto" may choose the device.
    assert [path.name for path in (tmp_path / "cache").rglob("*.txt")]


@pytest.mark.parametrize(
    ("device", "name"),
    [
        ("metal:0x100000abc", "Emulated Metal device"),  # the default device, which is listed as "metal"
        ("metal:Emulated external GPU", "Emulated external GPU"),
        pytest.param("metal:4294970863", "Emulated external GPU", marks=pytest.mark.full),
    ],
)
def test_a_device_is_examined_by_each_of_its_names(device: str, name: str, tmp_path: Path) -> None:
    options = ("--device", device, "--only", "log_softmax")
    status, shown, report = run_verify(tmp_path, *options, METAL_EMULATION_SWITCHES="devices=4")
    assert status == 0, shown
    assert report["device"]["description"] == name


def test_wrong_answers_are_failures_with_their_cases(tmp_path: Path) -> None:
    status, shown, report = run_verify(
        tmp_path, "--only", "softmax", METAL_EMULATION_SWITCHES="wrong_results=1"
    )
    assert status == 1
    assert "results are wrong" in shown
    assert "mpscnn verify --device metal --only 'log_softmax'" in shown
    assert report["verdict"] == "failed"
    failures = [failure for row in report["rows"] for failure in row["failures"]]
    # The switch only makes kernels of MPS wrong, and MPS computes all of these.
    subjects = {"softmax", "log_softmax"} | {
        f"{kind}{gradient}" for kind in ("SoftMax", "LogSoftMax") for gradient in ("", "Gradient")
    }
    recipes = [case.recipe for case in all_cases("metal") if case.subject in subjects]
    assert [failure["recipe"] for failure in failures] == recipes


def test_a_crash_of_each_case_is_a_row(tmp_path: Path) -> None:
    status, shown, report = run_verify(
        tmp_path, "--only", "log_softmax", METAL_EMULATION_SWITCHES="end_process=6"
    )
    assert status == 1
    (row,) = report["rows"]
    cases = row["cases"]
    assert len(row["failures"]) == cases > 1
    for failure in row["failures"]:
        assert failure["problem"].startswith(
            "the process was ended by SIGABRT: MPSKernel.mm:1: failed assertion"
        )
    assert f"{cases} of {cases} cases are not as promised" in shown


def test_a_hang_is_a_row(tmp_path: Path) -> None:
    hang = {"METAL_EMULATION_SWITCHES": "worker_delay_ms=1000000"}
    status, _, report = run_verify(tmp_path, "--only", "log_softmax", "--time-limit", "5", **hang)
    assert status == 1
    (row,) = report["rows"]
    assert row["failures"][0]["problem"] == "hung: no answer within 5 s"


@pytest.mark.parametrize("switches", with_full(["no_device=1"], ["unsupported_device=1"]))
def test_without_a_usable_device_nothing_is_tested(tmp_path: Path, switches: str) -> None:
    status, shown, report = run_verify(tmp_path, METAL_EMULATION_SWITCHES=switches)
    assert status == 3
    assert "not tested: " in shown
    assert report["verdict"] == "not tested"


def test_the_virtual_device_of_a_machine_without_one_is_not_tested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METAL_EMULATION_KERNELS", "image_to_buffer=wrong")
    monkeypatch.setenv("MPSCNN_CACHE", str(tmp_path))
    from mpscnn.apps.verify import report, verify

    listed = mpscnn.devices()
    virtual = [{**device, "description": "Apple Paravirtual device"} for device in listed]
    monkeypatch.setattr(report, "devices", lambda: virtual)
    found = verify("metal")
    assert "the device of a virtual machine" in found.not_tested
    assert "is not used: " in found.not_tested
    assert not found.failed
    monkeypatch.setattr(report, "devices", lambda: listed)
    assert verify("metal", only="self-check").failed
