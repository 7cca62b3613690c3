"""A training that is killed (SIGKILL) at random moments goes on from its checkpoint to the same weights."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("killed_run.py")
#: Lines that an undisturbed run prints: for each of eight epochs, six for batches and one at its end.
LINES = 8 * 7


def run(checkpoint: Path, result: Path, kill_after: int | None) -> tuple[bool, int]:
    """Run the script, and kill it after `kill_after` lines. Return whether it ended, and the number of its lines."""
    command = [sys.executable, str(SCRIPT), str(checkpoint), str(result)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        said = 0
        for _ in process.stdout:
            said += 1
            if said == kill_after:
                process.kill()
        errors = process.stderr.read()
        code = process.wait()
    assert code in (0, -9), errors
    return code == 0, said


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.full)])
def test_killed_trainings_come_to_the_same_weights(kills: int, tmp_path: Path) -> None:
    ended, said = run(tmp_path / "plain.npz", tmp_path / "plain.safetensors", None)
    assert ended
    assert said == LINES
    expected = (tmp_path / "plain.safetensors").read_bytes()
    chance, killed = random.Random(kills), 0
    while killed < kills:
        checkpoint, result = tmp_path / f"{killed}.npz", tmp_path / f"{killed}.safetensors"
        ended = False
        while not ended:
            ended, said = run(checkpoint, result, chance.randint(1, LINES) if killed < kills else None)
            killed += not ended
        assert result.read_bytes() == expected
