"""Test that the command for fuzzers counts executions in all runs, goes on where it was ended, and takes turns."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path

import pytest
from project_scripts import script

fuzz = script(".ci", "fuzz")
#: Stands for a program of libFuzzer. It notes the largest length of each run, and ends as a file says.
PROGRAM = """#!/bin/sh
for word in "$@"; do
    case "$word" in -max_len=*) echo "{name} ${{word#*=}}" >> "{folder}/runs";; esac
done
echo "stat::number_of_executed_units: 400" >&2
exit $(cat "{folder}/code")
"""
NAMES = sorted(source.stem for source in fuzz.FUZZERS.glob("*.cpp"))


@pytest.fixture
def corpora(tmp_path: Path) -> Path:
    """Return the folder of corpora, beside programs that stand for all fuzzers."""
    for name in NAMES:
        program = tmp_path / name
        program.write_text(PROGRAM.format(folder=tmp_path, name=name))
        program.chmod(0o755)
    (tmp_path / "code").write_text("0")
    corpora = tmp_path / "corpus"
    for name in NAMES:
        (corpora / name).mkdir(parents=True)
        (corpora / name / "input").write_bytes(b"input")
    return corpora


def run(corpora: Path, until: int) -> list[str]:
    """Run the command, and return a line for each run of a program: its name and the largest length."""
    notes = corpora.parent / "runs"
    notes.write_text("")
    fuzz.run_cpp(corpora.parent, corpora, 1.0, until)
    return notes.read_text().splitlines()


def counts(corpora: Path) -> dict[str, int]:
    counted: dict[str, int] = json.loads((corpora / "executions.json").read_text())
    return counted


def test_each_fuzzer_runs_until_it_has_executed_so_many_inputs(
    corpora: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        fuzz, "cores", lambda: 1
    )  # with more, a step may begin before the last one is counted
    for until, steps, executed in ((0, 1, 800), (2_000, 2, 2_400), (2_000, 0, 2_400), (2_401, 1, 3_200)):
        assert len(run(corpora, until)) == 2 * steps * len(NAMES)
        assert counts(corpora) == dict.fromkeys(NAMES, executed)


def test_short_inputs_come_before_long_ones(corpora: Path) -> None:
    lengths: dict[str, list[int]] = {name: [] for name in NAMES}
    for line in run(corpora, 0):
        name, length = line.split()
        lengths[name].append(int(length))
    for name, (short, long) in lengths.items():
        assert short == fuzz.SHORT.get(name, fuzz.SHORT_TEXT) < long == fuzz.LONG


def test_fuzzers_take_turns(corpora: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a command that is ended after an hour would have run the first fuzzer only."""
    monkeypatch.setattr(fuzz, "cores", lambda: 1)
    order = [line.split()[0] for line in run(corpora, 1_000)[::2]]
    assert order == NAMES * 2


def test_the_last_fuzzer_runs_on_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "cores", lambda: 3)
    together = threading.Barrier(3)

    def step(name: str) -> bool:
        together.wait(timeout=60)
        return False

    fuzz.in_turn(["json_fuzz"], step, again=True)


def test_a_crash_ends_the_command_and_is_not_counted(corpora: Path) -> None:
    (corpora.parent / "code").write_text("77")
    with pytest.raises(subprocess.CalledProcessError):
        run(corpora, 1_000)
    assert not (corpora / "executions.json").exists()
