"""Compare a device with the CPU engine, case by case, by the promised accuracy of both."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.apps.verify.case import Case, Recipe, allowed_error
from mpscnn.apps.verify.kernel_cases import kernel_cases
from mpscnn.apps.verify.layer_cases import layer_cases
from mpscnn.apps.verify.layers import Arrays
from mpscnn.apps.verify.processes import Outcome, run_cases

#: The row that lets "auto" choose the device if it passes.
SELF_CHECK = "self-check"

#: After this many groups in a row that hang and have no result, no further group runs, because each would take the time
#: limit.
_HUNG_GROUPS = 3

#: Networks that come with the package.
_NETWORKS = ("default", "digits", "page_digits")


def all_cases(device: str) -> list[Case]:
    """Return the conformance set: the self-check, operations, raw kernels, and the layers of bundled networks.

    The cases of a group follow each other.
    """
    networks = [
        Case(f"network {name}", f"network {name}", precision, {"network": name, "precision": precision})
        for name in _NETWORKS
        for precision in ("float32", "float16")
    ]
    by_group = sorted(
        [*layer_cases(), *kernel_cases()], key=lambda case: (case.group.startswith("kernels"), case.group)
    )
    check = [] if device == "cpu" else [Case(SELF_CHECK, SELF_CHECK, "all layers", {"self_check": True})]
    return [*check, *by_group, *networks]


@dataclass
class Failure:
    """A case whose results are not as promised. `case` is its name, and `recipe` repeats it."""

    case: str
    problem: str
    recipe: Recipe


@dataclass
class Row:
    """The results of all cases of one subject."""

    subject: str
    cases: int = 0
    error: float = 0.0
    """The worst error, which is the one with the largest share of its allowed error."""
    allowed: float = 0.0
    part_of_allowed: float = 0.0
    """The worst error divided by the allowed error; infinite if no error is allowed."""
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    """The verdict of the self-check."""
    refused: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def fail(self, case: Case, problem: str) -> None:
        """Add a failure of a case."""
        self.failures.append(Failure(case.name, problem, case.recipe))


@dataclass(frozen=True)
class Sides:
    """The device that is compared, and the environment variables of both processes."""

    device: str
    subject: dict[str, str]
    reference: dict[str, str]


def compare(
    cases: Sequence[Case], sides: Sides, *, time_limit: float, progress: Callable[[str], None]
) -> Iterator[Row]:
    """Run the cases on both sides, and yield a row for each subject when its cases are done.

    The self-check runs first, because its result is what a report needs most. It has its own limit for each case, so
    `time_limit` only ends a process that shows no sign of life.
    """
    checks = [case for case in cases if case.recipe.get("self_check")]
    others = [case for case in cases if not case.recipe.get("self_check")]

    hung_groups = 0

    def outcomes_of(group: str, members: Sequence[Case]) -> list[Outcome]:
        nonlocal hung_groups
        if hung_groups == _HUNG_GROUPS:
            return [Outcome(problem="not run, since three groups in a row hung") for _ in members]
        progress(group)
        outcomes = run_cases(members, sides.device, sides.subject, time_limit, progress)
        is_dead = any(outcome.hung for outcome in outcomes) and all(outcome.problem for outcome in outcomes)
        hung_groups = hung_groups + 1 if is_dead else 0
        return outcomes

    def rows_of(group: str, members: Sequence[Case], right: Mapping[Case, Outcome]) -> Iterator[Row]:
        rows: dict[str, Row] = {}
        outcomes = outcomes_of(group, members)
        for case, outcome in zip(members, outcomes, strict=True):
            row = rows.setdefault(case.subject, Row(case.subject))
            compare_case(row, case, right.get(case, Outcome()), outcome, sides.device)
        yield from rows.values()

    if checks:
        yield from rows_of(SELF_CHECK, checks, {})
    if not others:
        return
    progress("the CPU engine")
    right = dict(zip(others, run_cases(others, "cpu", sides.reference, time_limit), strict=True))
    for group, members in itertools.groupby(others, lambda case: case.group):
        yield from rows_of(group, list(members), right)


def compare_case(row: Row, case: Case, expected: Outcome, outcome: Outcome, device: str) -> None:
    """Add a case to its row. The allowed error depends on the `device`."""
    row.cases += 1
    row.seconds += outcome.seconds
    row.notes += [outcome.note] if outcome.note else []
    if outcome.refused:
        row.refused.append(f"{case.name}: {outcome.problem}")
    elif expected.problem:
        row.fail(case, f"on the CPU engine that it is compared with: {expected.problem}")
    elif outcome.problem:
        row.fail(case, outcome.problem)
    elif not case.recipe.get("self_check"):
        _compare_results(
            row, case, expected.results, outcome.results, allowed_error(case.recipe, expected.results, device)
        )


def _compare_results(row: Row, case: Case, expected: Arrays, found: Arrays, bounds: Arrays) -> None:
    for name, right in expected.items():
        what = "" if len(expected) == 1 else f"layer {name}: "
        result = found[name]
        if result.shape != right.shape:
            row.fail(case, f"{what}shape {result.shape}, expected {right.shape}")
            continue
        position, error, bound = _worst(result, right, bounds[name])
        part = _part(error, bound)
        if part >= row.part_of_allowed:
            row.error, row.allowed, row.part_of_allowed = error, bound, part
        if part > 1:
            here = ", ".join(map(str, position))
            row.fail(
                case,
                f"{what}result ({here}) is {result[position]!s}, on the CPU {right[position]!s}, allowed "
                f"{bound:.3g}; {_count(result, right, bounds[name])} of {right.size} results are wrong",
            )


def _errors(result: NDArray[Any], right: NDArray[Any]) -> NDArray[np.float64]:
    """Return the absolute differences; infinite if only one side is NaN or infinite."""
    with np.errstate(invalid="ignore"):
        difference = np.abs(result.astype(np.float64) - right)
    same = (result == right) | (np.isnan(result) & np.isnan(right))
    errors: NDArray[np.float64] = np.where(same, 0.0, np.where(np.isnan(difference), np.inf, difference))
    return errors


def _worst(
    result: NDArray[Any], right: NDArray[Any], bound: NDArray[Any]
) -> tuple[tuple[int, ...], float, float]:
    """Return the index, error and allowed error of the element with the largest share of its allowed error."""
    errors = _errors(result, right)
    allowed_here = np.broadcast_to(bound, errors.shape).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        used = np.where(errors == 0, 0.0, errors / allowed_here)
    position = tuple(int(i) for i in np.unravel_index(int(np.argmax(used)), used.shape))
    return position, float(errors[position]), float(allowed_here[position])


def _count(result: NDArray[Any], right: NDArray[Any], bound: NDArray[Any]) -> int:
    return int(np.count_nonzero(_errors(result, right) > bound))


def _part(error: float, bound: float) -> float:
    if error == 0:
        return 0.0
    return error / bound if bound > 0 else float("inf")
