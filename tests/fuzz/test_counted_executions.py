"""Test that the command for fuzzers counts executions in all runs, and goes on where it was ended."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from project_scripts import script

fuzz = script(".ci", "fuzz")
#: Stands for a program of libFuzzer. It notes each run, and ends as a file says.
PROGRAM = """#!/bin/sh
echo run >> "{folder}/runs"
echo "stat::number_of_executed_units: 400" >&2
exit $(cat "{folder}/code")
"""


def program_in(folder: Path, code: int) -> Path:
    program = folder / "json_fuzz"
    program.write_text(PROGRAM.format(folder=folder))
    program.chmod(0o755)
    (folder / "code").write_text(str(code))
    return program


def test_a_fuzzer_runs_until_it_has_executed_so_many_inputs(tmp_path: Path) -> None:
    program, corpora = program_in(tmp_path, 0), tmp_path / "corpus"
    corpora.mkdir()
    for until, runs, executed in ((0, 1, 400), (1_000, 3, 1_200), (1_000, 3, 1_200), (1_201, 4, 1_600)):
        fuzz.run_until([program], program.name, corpora, until)
        assert len((tmp_path / "runs").read_text().splitlines()) == runs
        assert json.loads((corpora / "executions.json").read_text()) == {"json_fuzz": executed}


def test_a_crash_ends_the_command_and_is_not_counted(tmp_path: Path) -> None:
    program, corpora = program_in(tmp_path, 77), tmp_path / "corpus"
    with pytest.raises(subprocess.CalledProcessError):
        fuzz.run_until([program], program.name, corpora, 1_000)
    assert not (corpora / "executions.json").exists()
