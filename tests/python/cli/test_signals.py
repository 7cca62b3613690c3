"""Test that signals end the commands quietly, with the usual exit codes, whenever they come."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

#: Sends a signal to its own process when a module is imported. Python imports this before it starts the program.
SITE = """
import importlib.abc, os, sys

class Sender(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == os.environ["SEND_AT"]:
            del os.environ["SEND_AT"]
            sys.meta_path.remove(self)
            os.kill(os.getpid(), int(os.environ["SEND"]))

sys.meta_path.insert(0, Sender())
"""
#: Modules of each step of a start, in order: the library, the core, the commands, their packages, and one command.
STEPS = (
    "mpscnn._core",
    "numpy",
    "mpscnn.model",
    "mpscnn.apps",
    "mpscnn.apps.cli.failures",
    "mpscnn.apps.cli.app",
    "typer",
    "rich",
    "mpscnn.registry",
)
SCRIPT = "import sys\nfrom mpscnn.apps.cli import main\nsys.exit(main())\n"


def ended(
    folder: Path, step: str, number: int, command: list[str], inherited: signal.Handlers = signal.SIG_DFL
) -> tuple[int, str]:
    """Run a command, send it a signal when it imports a module, and return its exit code and stderr."""
    (folder / "sitecustomize.py").write_text(SITE)
    paths = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, *command],
        env={**os.environ, "PYTHONPATH": paths, "SEND_AT": step, "SEND": str(int(number))},
        preexec_fn=partial(signal.signal, number, inherited),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("step", STEPS)
def test_ctrl_c_in_an_import_ends_quietly(step: str, tmp_path: Path) -> None:
    code, told = ended(tmp_path, step, signal.SIGINT, ["-m", "mpscnn", "models"])
    assert (code, told) in [(130, ""), (130, "interrupted\n")]


def test_ctrl_c_in_an_import_of_the_installed_command(tmp_path: Path) -> None:
    script = tmp_path / "mpscnn"
    script.write_text(SCRIPT)
    assert ended(tmp_path, "mpscnn._core", signal.SIGINT, [str(script), "models"]) == (130, "")


def test_an_ignored_ctrl_c_stays_ignored(tmp_path: Path) -> None:
    code, told = ended(tmp_path, "numpy", signal.SIGINT, ["-m", "mpscnn", "models"], signal.SIG_IGN)
    assert (code, told) == (0, "")


def test_ctrl_c_raises_in_other_programs(tmp_path: Path) -> None:
    program = "try:\n    import mpscnn\nexcept KeyboardInterrupt:\n    print('caught', file=__import__('sys').stderr)"
    assert ended(tmp_path, "mpscnn._core", signal.SIGINT, ["-c", program]) == (0, "caught\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_training_leaves_no_lock(number: int, tmp_path: Path) -> None:
    program = (
        "import os\n"
        "from mpscnn.apps.cli import main, train_digits\n"
        f"train_digits.train_digits = lambda *_, **__: os.kill(os.getpid(), {int(number)})\n"
        "main()\n"
    )
    output = tmp_path / "out" / "model.safetensors"
    output.parent.mkdir()
    code, told = ended(
        tmp_path, "", number, ["-c", program, "train", "--digits", "mnist", "--output", str(output)]
    )
    assert (code, told) == (128 + number, "interrupted\n")
    assert list(output.parent.iterdir()) == []
