"""Test `mpscnn verify`: the cases that it covers, the errors that it finds, and the files that it leaves."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call
from tiers import first_and_last

import mpscnn
from mpscnn import kernels
from mpscnn.apps.cli.commands.verify import verify as verify_command
from mpscnn.apps.verify import conformance, processes, verify
from mpscnn.apps.verify.case import Case, allowed_error, run
from mpscnn.apps.verify.conformance import Row, all_cases
from mpscnn.apps.verify.error_bounds import CPU, FLOAT32_EPS, METAL
from mpscnn.apps.verify.processes import Outcome, run_cases
from mpscnn.apps.verify.report import Verification
from mpscnn.apps.verify.training_cases import training_cases

# ---- Coverage of the cases ----------------------------------------------------------------------------------------


def test_every_operation_raw_kernel_and_neuron_has_cases() -> None:
    subjects = {case.subject for case in all_cases("metal")}
    assert {entry["name"] for entry in mpscnn.operations()} <= subjects
    # Base classes, and kernels of users, have no results to compare.
    bases = {"Kernel", "UnaryKernel", "BinaryKernel", "Arithmetic", "Pooling", "Upsampling", "ReduceUnary"}
    bases |= {"ReduceBinary", "MetalKernel", "ArithmeticGradient", "GradientKernel", "PoolingGradient"}
    bases |= {"UpsamplingGradient", "ImageScale", "Optimizer"}
    listed = {name: getattr(kernels, name) for name in kernels.__all__}
    concrete = {
        name
        for name, value in listed.items()
        if isinstance(value, type) and issubclass(value, kernels.Kernel)
    }
    assert concrete - bases <= subjects
    assert {"self-check", "network default", "network digits", "network page_digits"} <= subjects
    kinds = {entry for parameter in _parameters("neuron") for entry in parameter.get("allowed", [])}
    for operation in ("convolution", "fully_connected", "neuron"):
        field = "attributes" if operation == "neuron" else "activation"
        recipes = [case.recipe for case in all_cases("cpu") if case.subject == operation]
        neurons = [recipe[field] for recipe in recipes if field in recipe]
        assert {neuron["kind"] for neuron in neurons} == kinds - {"none"}


def _parameters(operation: str) -> list[dict[str, Any]]:
    (found,) = (entry for entry in mpscnn.operations() if entry["name"] == operation)
    listed: list[dict[str, Any]] = found["parameters"]
    return listed


def test_cases_are_json_and_have_names_of_their_own() -> None:
    cases = all_cases("metal")
    assert [json.loads(json.dumps(case.recipe)) for case in cases] == [case.recipe for case in cases]
    names = [(case.subject, case.name) for case in cases]
    assert len(set(names)) == len(names)


def test_metal_promises_no_more_than_the_cpu() -> None:
    for field in dataclasses.fields(CPU):
        assert getattr(METAL, field.name) >= getattr(CPU, field.name)


def test_what_is_promised_is_documented(project: Path) -> None:
    text = (project / "docs" / "metal.md").read_text("utf-8").partition("## What is promised")[2]
    table = [line for line in text.splitlines() if line.startswith("| ")]
    cells = {line.split("|")[1].strip(): line.split("|")[2:4] for line in table}

    def said(layer: str) -> tuple[str, str]:
        ((cpu, metal),) = (columns for name, columns in cells.items() if name.startswith(layer))
        return cpu, metal

    part = "2^-10"
    assert METAL.largest_part == 2.0**-10
    assert METAL.softmax_ulps * FLOAT32_EPS == METAL.power_ulps * FLOAT32_EPS == METAL.largest_part
    for layer, cpu, metal in (
        ("convolutions", CPU.linear_factor, part),
        ("softmax", CPU.softmax_ulps, part),
        ("normalization across", CPU.power_ulps, part),
        ("batch, group", CPU.statistics_ulps, f"{METAL.statistics_ulps:g} eps"),
        ("other activations", CPU.neuron_ulps, f"{METAL.neuron_ulps:g} eps"),
    ):
        assert f"{cpu:g} eps" in said(layer)[0]
        assert metal in said(layer)[1]


# ---- Whole runs ---------------------------------------------------------------------------------------------------


#: Activations that are step functions: their gradient is 0 everywhere.
STEPS = {("NeuronGradient", kind) for kind in ("sign", "floor", "ceil", "round")}


@pytest.mark.parametrize("group", sorted({case.group for case in all_cases("cpu")}))
def test_every_case_runs_and_has_bounds(group: str, full: bool) -> None:
    """Every case runs in this process. Bounds are never negative, and Metal's are at least the CPU's.

    The default tier runs the first and the last case of each operation. Whole networks take a second, since they are
    computed twice, and once more in float64.
    """
    cases = [case for case in all_cases("cpu") if case.group == group]
    if not full:
        cases = first_and_last(cases, lambda case: case.subject)
    for case in cases:
        results = run(case.recipe, "cpu")
        # A negative number to a fractional power is NaN.
        may_be_nan = group == "power"
        assert all((np.isfinite(x) | (may_be_nan & np.isnan(x))).all() for x in results.values()), case
        all_zeros = (case.subject, case.name) in STEPS
        assert all(x[np.isfinite(x)].any() != all_zeros for x in results.values()), case
        bounds = allowed_error(case.recipe, results, "cpu")
        assert all((bounds[name] >= 0).all() for name in results), case
        wider = allowed_error(case.recipe, results, "metal")
        assert all((wider[name] >= bounds[name]).all() for name in results), case


@pytest.mark.full
def test_the_instruction_set_in_use_computes_what_is_promised() -> None:
    report = verify("cpu")
    assert not report.failed, report.summary()
    assert "computes what is promised" in report.summary()
    assert {row.subject for row in report.rows} == {case.subject for case in all_cases("cpu")}
    assert all(row.cases and not row.refused for row in report.rows)


def test_a_network_is_given_the_same_whatever_the_instruction_set() -> None:
    report = verify("cpu", only="network digits")
    assert not report.failed, report.summary()


def test_a_case_with_several_wrong_layers_is_one() -> None:
    case = all_cases("cpu")[0]
    row = Row(case.subject, cases=2)
    row.fail(case, "a")
    row.fail(case, "b")
    assert "1 of 2 cases are not as promised" in Verification({"name": "cpu"}, "", (row,)).summary()


def test_a_report_says_where_it_comes_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "report.json"
    assert call("verify", "--device", "cpu", "--only", "softmax", "--report", str(file)) == 0
    shown = capsys.readouterr().out
    assert "compared with: instruction set" in shown
    assert " ok" in shown
    report = json.loads(file.read_text("utf-8"))
    assert report["verdict"] == "passed"
    assert report["device"]["name"] == "cpu"
    assert report["mpscnn"]["version"] == mpscnn.__version__
    assert report["system"]["python"] == sys.version
    assert {row["subject"] for row in report["rows"]} == {
        "log_softmax",
        "softmax",
        "LogSoftMax",
        "LogSoftMaxGradient",
        "SoftMax",
        "SoftMaxGradient",
    }


@pytest.mark.skipif("metal" in mpscnn.build_config()["backends"], reason="this build has a Metal engine")
def test_without_a_device_nothing_is_tested(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "report.json"
    assert call("verify", "--device", "metal", "--report", str(file)) == 3
    assert "not tested: " in capsys.readouterr().out
    report = json.loads(file.read_text("utf-8"))
    assert (report["verdict"], report["rows"]) == ("not tested", [])
    assert report["not_tested"] == mpscnn.devices()[1]["reason"]


def test_wrong_usage_is_named(tmp_path: Path) -> None:
    with pytest.raises(mpscnn.ParameterError, match=r"device must be auto or one of 'cpu', .*; got 'gpu'"):
        verify("gpu")
    with pytest.raises(mpscnn.ParameterError, match=r"no conformance check.*MODEL@coreml:cpuOnly"):
        verify("coreml:cpuOnly")
    with pytest.raises(
        mpscnn.ParameterError, match=r"only must be a part of one of .*softmax.*; got 'sofmax'"
    ):
        verify("cpu", only="sofmax")


def test_a_report_that_cannot_be_written_is_named_before_minutes_of_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = str(tmp_path / "missing" / "report.json")
    assert call("verify", "--device", "cpu", "--only", "reshape", "--report", target) == 2
    shown = capsys.readouterr()
    assert f"{target}: cannot be written" in shown.err
    assert "device:" not in shown.out


# ---- Wrong results are noticed ------------------------------------------------------------------------------------

CASE = Case("softmax", "softmax", "small", {"operation": "softmax", "inputs": [[3]], "precision": "float32"})


def compared(expected: Any, found: Any, *, case: Case = CASE, device: str = "cpu") -> Row:
    row = Row(case.subject)
    right, result = (Outcome({"layer": np.float32(value)}, 0.5) for value in (expected, found))
    conformance.compare_case(row, case, right, result, device)
    return row


RIGHT = np.float32([[0.25, 0.5, 0.25], [0.5, 0.25, 0.25]])


def test_results_within_what_is_promised_pass() -> None:
    row = compared(RIGHT, RIGHT * np.float32(1 + 2e-7))
    assert not row.failures
    assert 0 < row.part_of_allowed < 1
    assert (row.cases, row.seconds) == (1, 0.5)


@pytest.mark.parametrize("wrong", [0.251, np.nan, np.inf, -0.25])
def test_one_wrong_number_is_a_failure_with_its_place(wrong: float) -> None:
    found = RIGHT.copy()
    found[1, 2] = wrong
    (failure,) = compared(RIGHT, found).failures
    assert f"result (1, 2) is {np.float32(wrong)!s}, on the CPU 0.25, allowed" in failure.problem
    assert "1 of 6 results are wrong" in failure.problem


@pytest.mark.parametrize("device", ["cpu", pytest.param("metal", marks=pytest.mark.full)])
def test_a_part_in_a_hundred_in_any_result_of_training_is_a_failure(device: str, full: bool) -> None:
    """Change the largest number of each result, also of weights, moments and losses.

    The default tier takes the first and the last case of each kernel.
    """
    training = {
        (recipe["kernel"], name)
        for table in training_cases()
        for cases in table.values()
        for name, recipe in cases
    }
    cases = [case for case in all_cases("cpu") if (case.subject, case.name) in training]
    assert len(cases) == len(training)
    for case in cases if full else first_and_last(cases, lambda case: case.subject):
        right = run(case.recipe, "cpu")
        for name, values in right.items():
            spoiled = values.copy()
            largest = np.abs(values).argmax()
            spoiled.flat[largest] = spoiled.flat[largest] * np.float32(1.01) or np.float32(0.01)
            row = Row(case.subject)
            conformance.compare_case(row, case, Outcome(right), Outcome({**right, name: spoiled}), device)
            assert row.failures, (case.subject, case.name, name)


def test_metal_has_bounds_of_its_own() -> None:
    found = RIGHT * np.float32(1 + 2e-4)
    assert compared(RIGHT, found).failures
    assert not compared(RIGHT, found, device="metal").failures
    assert compared(RIGHT, RIGHT * np.float32(1 + 5e-3), device="metal").failures


def test_a_wrong_shape_is_a_failure() -> None:
    (failure,) = compared(RIGHT, RIGHT[:1]).failures
    assert failure.problem == "shape (1, 3), expected (2, 3)"


def test_what_the_device_refuses_is_no_failure() -> None:
    row = Row("softmax")
    conformance.compare_case(row, CASE, Outcome(), Outcome(problem="not done", refused=True), "metal")
    assert (row.failures, row.refused) == ([], ["small: not done"])


# ---- Processes ----------------------------------------------------------------------------------------------------

WORKER = """
import json, os, signal, sys, time
import numpy as np
folder = sys.argv[2]
for index, recipe in json.load(sys.stdin):
    print(json.dumps({"begin": index}), flush=True)
    what = recipe["do"]
    if what == "crash":
        print("failed assertion", file=sys.stderr, flush=True)
        os.abort()
    if what == "hang":
        signal.pause()
    if what == "live":
        for done in range(10):
            print(json.dumps({"progress": [done, 10]}), flush=True)
            time.sleep(0.3)
    if what == "leave":
        sys.exit(3)
    if what == "refuse":
        print(json.dumps({"refused": index, "reason": "not here"}), flush=True)
        continue
    np.savez(f"{folder}/{index}.npz", np.float32([index]))
    print(json.dumps({"done": index, "seconds": 0.0, "names": ["result"]}), flush=True)
"""


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "WORKER", (sys.executable, "-c", WORKER))


def outcomes(*steps: str, time_limit: float = 60.0) -> list[Any]:
    """Run the steps as cases. Return each case's number, or its problem if it has no results."""
    cases = [Case("group", "subject", step, {"do": step}) for step in steps]
    found = run_cases(cases, "cpu", {}, time_limit)
    return [outcome.problem or int(outcome.results["result"][0]) for outcome in found]


@pytest.mark.usefixtures("scripted")
def test_a_crash_is_an_outcome_and_the_rest_is_run() -> None:
    crash = "the process was ended by SIGABRT: failed assertion"
    assert outcomes("run", "crash", "run", "crash", "crash", "run") == [0, crash, 2, crash, crash, 5]


@pytest.mark.usefixtures("scripted")
def test_a_process_that_leaves_early_is_an_outcome() -> None:
    assert outcomes("run", "leave", "refuse") == [0, "the process ended with status 3", "not here"]


@pytest.mark.usefixtures("scripted")
def test_a_hang_ends_its_group_only() -> None:
    hung = "hung: no answer within 2 s"
    assert outcomes("run", "hang", "run", time_limit=2.0) == [
        0,
        hung,
        "not run, since the one before it hung",
    ]


@pytest.mark.usefixtures("scripted")
def test_a_process_that_cannot_be_killed_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver may keep a process that was killed. It is ended here, after the test has seen its outcome."""
    kept: list[subprocess.Popen[str]] = []
    monkeypatch.setattr(processes, "_END_LIMIT", 0.01)
    monkeypatch.setattr(subprocess.Popen, "kill", lambda process: kept.append(process))
    try:
        assert outcomes("hang", time_limit=2.0) == ["hung: no answer within 2 s"]
    finally:
        monkeypatch.undo()
        for process in kept:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


@pytest.mark.usefixtures("scripted")
def test_a_process_that_reports_progress_does_not_hang() -> None:
    said: list[str] = []
    cases = [Case("group", "subject", "live", {"do": "live"})]
    (outcome,) = run_cases(cases, "cpu", {}, 2.0, said.append)
    assert not outcome.problem
    assert said == [f"self-check: {done} of 10 cases" for done in range(10)]


def test_the_self_check_runs_first_and_its_verdict_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def run(cases: Any, device: str, *_: object) -> list[Outcome]:
        order.append(f"{cases[0].subject} on {device}")
        return [Outcome({"result": RIGHT}, note="right answers") for _ in cases]

    monkeypatch.setattr(conformance, "run_cases", run)
    monkeypatch.setattr(conformance, "allowed_error", lambda *_: {"result": RIGHT})
    check = Case("self-check", "self-check", "all layers", {"self_check": True})
    sides = conformance.Sides("metal", {}, {})
    rows = list(conformance.compare([CASE, check], sides, time_limit=1.0, progress=lambda _: None))
    assert [row.subject for row in rows] == ["self-check", CASE.subject]
    assert rows[0].notes == ["right answers"]
    assert order == ["self-check on metal", f"{CASE.subject} on cpu", f"{CASE.subject} on metal"]


@pytest.mark.parametrize(
    ("groups", "run"),
    [
        ("hhhhr", 3),  # three groups in a row hang without a result
        ("hhrhhrr", 7),  # a group with results lies between
        ("mmmr", 4),  # each group has a result before it hangs
    ],
)
def test_a_device_that_always_hangs_does_not_take_the_limit_of_each_group(
    groups: str, run: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    right, hung = Outcome({"result": RIGHT}), Outcome(problem="hung: no answer", hung=True)
    kinds = {"h": [hung, hung], "r": [right, right], "m": [right, hung]}
    started = []

    def run_cases(cases: Any, device: str, *_: object) -> list[Outcome]:
        if device == "cpu":
            return [right] * len(cases)
        started.append(cases[0].group)
        return kinds[groups[int(cases[0].group)]]

    monkeypatch.setattr(conformance, "run_cases", run_cases)
    monkeypatch.setattr(conformance, "allowed_error", lambda *_: {"result": RIGHT})
    cases = [Case(f"{i}", f"{i}", name, {}) for i in range(len(groups)) for name in ("first", "second")]
    sides = conformance.Sides("metal", {}, {})
    rows = list(conformance.compare(cases, sides, time_limit=1.0, progress=lambda _: None))
    assert [row.cases for row in rows] == [2] * len(groups), "each case is in the report"
    assert len(started) == run
    assert all("three groups in a row hung" in row.failures[0].problem for row in rows[run:])


def test_a_verification_that_ends_early_leaves_its_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = iter([Row("softmax", 3)])
    monkeypatch.setattr("mpscnn.apps.verify.report.compare", lambda *_, **__: interrupted(rows))
    file = tmp_path / "report.json"
    with pytest.raises(KeyboardInterrupt):
        verify_command("cpu", file, "softmax")
    written = json.loads(file.read_text("utf-8"))
    assert written["verdict"] == "not finished"
    assert [row["subject"] for row in written["rows"]] == ["softmax"]


def interrupted(rows: Iterator[Row]) -> Iterator[Row]:
    yield from rows
    raise KeyboardInterrupt


def test_an_error_of_a_case_is_an_outcome() -> None:
    cases = [Case("g", "s", "wrong", {"operation": "nothing", "inputs": [[3]], "precision": "float32"}), CASE]
    first, second = run_cases(cases, "cpu", {}, 60.0)
    assert first.problem.startswith("ParameterError: ")
    assert list(second.results) == ["layer"]
