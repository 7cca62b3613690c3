"""Run a verification, and report it."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from mpscnn._private.report import Column, Report
from mpscnn.apps.verify.conformance import SELF_CHECK, Row, Sides, all_cases, compare
from mpscnn.errors import ParameterError
from mpscnn.runtime.library import build_config, devices

#: A part of the names of virtual GPUs in virtual machines.
_VIRTUAL = "Paravirtual"


@dataclass(frozen=True)
class Verification(Report):
    """The results of a verification, with a row for each operation, class of raw kernels and network.

    Args:
        device: the device's entry in the list of `mpscnn.devices`.
        compared_with: a description of the engine that the results are compared with.
        rows: the results. If the verification ended early, they are those of the cases that ran before.
        not_tested: the reason why nothing was tested, and `rows` is empty; otherwise "".
        finished: whether all cases ran.
    """

    device: dict[str, Any]
    compared_with: str
    rows: tuple[Row, ...] = ()
    not_tested: str = ""
    finished: bool = False

    @property
    def failed(self) -> bool:
        """True if any result was not as promised."""
        return not self.not_tested and any(row.failures for row in self.rows)

    def _entries(self) -> tuple[Row, ...]:
        return self.rows

    def _columns(self) -> tuple[Column, ...]:
        return (
            Column("operation", lambda row: row.subject),
            Column("cases", lambda row: str(row.cases), right=True),
            Column("worst error", lambda row: f"{row.error:.2g}", right=True),
            Column("allowed", lambda row: f"{row.allowed:.2g}", right=True),
            Column("ms", lambda row: f"{row.seconds * 1e3:.0f}", right=True),
            Column("result", _result),
        )

    def _dropped(self) -> tuple[str, ...]:
        return "ms", "cases"

    def _sentences(self) -> list[str]:
        return [self.summary()]

    def summary(self) -> str:
        """Return the verdict, each failure, and what to do next."""
        name = self.device["name"]
        if self.not_tested:
            return f"not tested: {self.not_tested}"
        refused = sum(len(row.refused) for row in self.rows)
        count = sum(row.cases for row in self.rows)
        if not self.failed:
            left_out = f" ({refused} that this engine does not have are left out)" if refused else ""
            return f"{count} cases{left_out}: device {name!r} computes what is promised."
        failures = [(row, failure) for row in self.rows for failure in row.failures]
        lines = [f"{row.subject}, {failure.case}: {failure.problem}" for row, failure in failures]
        advice = (
            "Please attach the report (--report FILE) to an issue. `mpscnn verify --device "
            f"{name} --only {failures[0][0].subject!r}` repeats the first of them"
        )
        if name != "cpu":
            advice += "; device='cpu' computes everything meanwhile"
        wrong = len({(row.subject, failure.case) for row, failure in failures})
        return "\n".join([*lines, f"{wrong} of {count} cases are not as promised. {advice}."])

    def _verdict(self) -> str:
        if self.not_tested:
            return "not tested"
        if self.failed:
            return "failed"
        return "passed" if self.finished else "not finished"

    def to_dict(self) -> dict[str, Any]:
        """Return the report for an issue: system, device, versions, rows, and how to reproduce each failure."""
        return {
            "verdict": self._verdict(),
            "not_tested": self.not_tested,
            "device": self.device,
            "compared_with": self.compared_with,
            "mpscnn": build_config(),
            "system": {
                "platform": platform.platform(),
                "macos": platform.mac_ver()[0],
                "machine": platform.machine(),
                "python": sys.version,
                "numpy": np.__version__,
            },
            "rows": [asdict(row) for row in self.rows],
        }


def verify(
    device: str = "auto",
    *,
    only: str = "",
    time_limit: float = 120.0,
    progress: Callable[[str], None] = lambda _: None,
    seen: Callable[[Verification], None] = lambda _: None,
) -> Verification:
    """Run the conformance set on a device.

    Args:
        device: "metal", a Metal device listed by `mpscnn.devices`, or "cpu", whose best instruction set is compared
            with the simplest one of the build; "auto": "metal" if there is one, otherwise "cpu".
        only: test only rows of the table whose names contain this.
        time_limit: seconds that a case may take, on the device and on the CPU engine.
        progress: called with the name of each group before it runs.
        seen: called with the report before the first case, and whenever it has got a row. If the verification ends
            early, the report of the last call has what was seen.

    Raises:
        ParameterError: the device is unknown, or no row has such a name.
    """
    described = _described(device)
    name = described["name"]
    sides = _sides(name)
    report = Verification(described, _compared_with(name, sides))
    cases = [case for case in all_cases(name) if only.lower() in case.subject.lower()]
    if not cases:
        known = ", ".join(sorted({case.subject for case in all_cases(name)}))
        raise ParameterError(f"only must be a part of one of {known}; got {only!r}")
    if not described["available"]:
        return replace(report, not_tested=described["reason"])
    seen(report)
    for row in compare(cases, sides, time_limit=time_limit, progress=progress):
        report = replace(report, rows=(*report.rows, row))
        seen(report)
        if row.subject == SELF_CHECK and row.failures and _VIRTUAL in described["description"]:
            reason = f"the device of a virtual machine, {row.failures[0].problem}"
            return replace(report, not_tested=reason)
    return replace(report, finished=True)


def _described(device: str) -> dict[str, Any]:
    """Return a device's entry in the list of `mpscnn.devices`."""
    if device.partition(":")[0] == "coreml":
        raise ParameterError(
            f"device {device!r} has no conformance check, since it runs whole networks: "
            f"`mpscnn compare MODEL MODEL@{device}` compares the layers of a network with the CPU engine's"
        )
    listed = devices()
    if device == "auto":
        metal = [entry for entry in listed if entry["name"] == "metal" and entry["available"]]
        return (metal or listed)[0]
    for entry in listed:
        if device == entry["name"] or device in _other_names(entry):
            return entry
    known = ", ".join(repr(name) for entry in listed for name in (entry["name"], *_other_names(entry)))
    raise ParameterError(f"device must be auto or one of {known}; got {device!r}")


def _other_names(entry: dict[str, Any]) -> list[str]:
    """Return the other names of a Metal device: its description, and its registry id in both notations."""
    if "registry_id" not in entry:
        return []
    number = entry["registry_id"]
    return [f"metal:{name}" for name in (entry.get("description"), number, int(number, 16)) if name]


def _sides(device: str) -> Sides:
    if device != "cpu":
        # The self-check is one of the cases, so it must not prevent the others.
        return Sides(device, {"MPSCNN_SKIP_SELF_CHECK": "1"}, {})
    config = build_config()
    simplest = config["instruction_sets"][0]
    # A processor that lacks all sets of the build has none in use.
    return Sides(
        device,
        {"MPSCNN_CPU": config["instruction_set"] or simplest},
        {"MPSCNN_CPU": simplest, "MPSCNN_FUSION": "none"},
    )


def _compared_with(device: str, sides: Sides) -> str:
    if device != "cpu":
        return f"the CPU engine, instruction set {build_config()['instruction_set']}"
    return f"instruction set {sides.reference['MPSCNN_CPU']}, each layer alone"


def _result(row: Row) -> str:
    if row.failures:
        return f"{len(row.failures)} wrong: {row.failures[0].problem}"[:60]
    return "not in this engine" if len(row.refused) == row.cases else "ok"
