"""Test `mpscnn train --digits`: from IDX files to a model of digits."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from command_line import call, run
from idx_files import save_idx, write_drawn_digits
from models.drawn_digits import draw

import mpscnn


@pytest.fixture(scope="module")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mnist")
    write_drawn_digits(folder)
    return folder


def test_it_trains_a_reader_of_digits(mnist: Path, tmp_path: Path) -> None:
    """This takes seconds, since a network learns for three epochs and then reads a digit."""
    output = tmp_path / "mine.safetensors"
    result = run("train", "--digits", str(mnist), "--epochs", "3", "-o", str(output), "--threads", "2")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert [line.split(":")[0] for line in lines[:3]] == [f"epoch {i} of 3" for i in (1, 2, 3)]
    right = re.fullmatch(r"test images: ([\d.]+)% right of 40", lines[3])
    assert right
    assert float(right[1]) > 95
    assert lines[4] == f"written: {output}"
    assert f"mpscnn digits --model {shlex.quote(str(output))}" in result.stderr
    photo = tmp_path / "seven.png"
    draw(7).save(photo)
    read = run("digits", "--model", str(output), str(photo))
    assert re.match(rf"{re.escape(str(photo))}: 7 ", read.stdout)


@pytest.mark.ci
def test_the_same_seed_makes_the_same_file(mnist: Path, tmp_path: Path) -> None:
    files = []
    for threads, seed in (("1", "3"), ("2", "3"), ("1", "4")):
        files.append(tmp_path / f"{threads}{seed}.safetensors")
        arguments = ["--epochs", "1", "--seed", seed, "--threads", threads, "-o", str(files[-1])]
        assert run("train", "--digits", str(mnist), *arguments).returncode == 0
    first, second, third = (path.read_bytes() for path in files)
    assert first == second
    assert first != third


@pytest.mark.ci
def test_the_small_reader_learns_from_views(mnist: Path, tmp_path: Path) -> None:
    """The bundled model was trained this way. The same seed gives the same file; without --augment it differs."""
    files = []
    for views, threads in ((["--augment"], "1"), (["--augment"], "2"), ([], "1")):
        files.append(tmp_path / f"{len(files)}.safetensors")
        options = ["--model", "digits", "--epochs", "2", "--batch-size", "32", "--threads", threads]
        result = run("train", "--digits", str(mnist), *options, *views, "-o", str(files[-1]))
        assert result.returncode == 0, result.stderr
    first, second, plain = (path.read_bytes() for path in files)
    assert first == second
    assert first != plain
    bundled, made = mpscnn.load("digits"), mpscnn.load(files[0])
    assert made.network.to_dict() == bundled.network.to_dict()
    assert made.preprocess == bundled.preprocess
    assert made.labels == bundled.labels


def test_labels_that_are_no_digits(mnist: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for file in mnist.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    save_idx(tmp_path / "t10k-labels-idx1-ubyte.gz", np.full(40, 10, np.uint8))
    output = str(tmp_path / "x.safetensors")
    assert call("train", "--digits", str(tmp_path), "--output", output) == 1
    assert "t10k-labels-idx1-ubyte.gz: labels must be digits, 0 to 9, got 10" in capsys.readouterr().err


def test_files_that_are_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("train", "--digits", str(tmp_path)) == 1
    assert (
        "there is neither train-images-idx3-ubyte nor train-images-idx3-ubyte.gz" in capsys.readouterr().err
    )
