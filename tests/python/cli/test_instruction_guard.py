"""The script that guards `.ci` against lost speed compares instruction counts with the expected ones."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

GUARD = Path(__file__).parents[3] / "benchmarks" / "instructions" / "instructions.py"
EXPECTED = {"net": {"avx2": 1_000_000}}


@pytest.fixture
def guard(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    if not GUARD.exists():
        pytest.skip("benchmarks/ is not here")
    monkeypatch.syspath_prepend(str(GUARD.parent))
    return importlib.import_module("instructions")


@pytest.mark.parametrize(
    ("count", "status"), [(1_000_000, 0), (1_019_000, 0), (1_021_000, 1), (979_000, 0), (1, 0)]
)
def test_counts_must_not_be_above_those_expected(
    guard: ModuleType, capsys: pytest.CaptureFixture[str], count: int, status: int
) -> None:
    """Lower counts pass, with a notice to record them."""
    assert guard.report({"net": {"avx2": count}}, EXPECTED) == status
    assert ("NOTICE: 1 counts are lower" in capsys.readouterr().out) == (count < 980_000)


def test_what_has_no_expectation_beside_others_is_a_failure(
    guard: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert guard.report({"net": {"avx2": 1_000_000}, "new": {"avx2": 5}}, EXPECTED) == 1
    assert "no expectation" in capsys.readouterr().out
    assert guard.report({"net": {"baseline": 5}}, EXPECTED) == 1
    # This compiler has no expected counts, which main() prints.
    assert guard.report({"net": {"avx2": 5}}, {}) == 0
