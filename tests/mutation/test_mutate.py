"""Test that the tool for mutations changes the lines that it reports, and nothing else."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def mutate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mutate", Path(__file__).with_name("mutate.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["mutate"] = module  # dataclasses look up their module there
    spec.loader.exec_module(module)
    return module


def test_every_subject_exists_and_has_mutants(mutate: ModuleType) -> None:
    for files, tests in mutate.SUBJECTS.items():
        assert all((mutate.PROJECT / test).exists() for test in tests)
        for file in files:
            assert list(mutate.mutants_of(file, tests)), file


def test_a_mutant_is_one_line_of_code_changed(mutate: ModuleType) -> None:
    for files, tests in mutate.SUBJECTS.items():
        for file in files:
            lines = (mutate.PROJECT / mutate.KERNELS / file).read_text().splitlines()
            for mutant in mutate.mutants_of(file, tests):
                assert lines[mutant.line - 1] == mutant.before != mutant.after
                assert not mutant.before.lstrip().startswith("//")


@pytest.mark.parametrize("count", [1, 13, 52])
def test_so_many_are_chosen_from_all_subjects_alike(mutate: ModuleType, count: int) -> None:
    mutants = mutate.chosen(count, "")
    assert len(set(mutants)) == len(mutants) == count
    assert mutants == mutate.chosen(count, "")
    shares = [sum(mutant.file in files for mutant in mutants) for files in mutate.SUBJECTS]
    assert max(shares) - min(shares) <= 1
    assert {mutant.file for mutant in mutate.chosen(5, "elementwise/pooling")} <= {
        "elementwise/pooling.h",
        "elementwise/pooling_taps.h",
        "elementwise/pooling_reduction.h",
    }
