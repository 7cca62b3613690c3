"""Helpers for tests of the command line: calls, and a tiny classifier of red, green and blue photos."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mpscnn
from mpscnn.apps.cli import main

LABELS = ("red", "green", "blue")
COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "gray": (128, 128, 128)}


def colour_network(name: str = "colours") -> mpscnn.Network:
    """Return a network that computes the softmax of ten times each channel's mean."""
    network = mpscnn.Network(input=(8, 8, 3), name=name)
    x = network.global_average_pool2d(network.input, name="pool")
    x = network.dense(network.flatten(x, name="flat"), 3, name="dense")
    network.output(network.softmax(x, name="softmax"))
    network.load_weights({"dense.weight": 10 * np.eye(3, dtype=np.float32)})
    return network


def save_colour_model(path: Path, name: str = "colours", labels: Sequence[str] = LABELS) -> Path:
    """Write the classifier of `colour_network` as a model file."""
    colour_network(name).save(
        path, labels=labels, preprocess="unit", information={"license": "Apache-2.0", "source": "a test"}
    )
    return path


def save_photo(path: Path, colour: str, size: tuple[int, int] = (40, 30)) -> Path:
    """Write a photo of one colour."""
    Image.new("RGB", size, COLOURS[colour]).save(path)
    return path


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command line in a new process."""
    command = [sys.executable, "-m", "mpscnn", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)


@dataclass(frozen=True)
class Ended:
    """The exit code and the output of a call of the command line in this process."""

    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Ended]
"""The type of the fixture `command`: the command line in this process."""


def call(*arguments: str) -> int:
    """Call the command line in this process, and return its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["mpscnn", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    code = ended.value.code
    assert code is None or isinstance(code, int)
    return code or 0
