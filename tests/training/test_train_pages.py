"""Test training/train_pages.py, which trains the detector of digits, in a small run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from idx_files import write_drawn_digits
from project_scripts import PROJECT, script

import mpscnn

script("training", "train_pages")
pytest.importorskip("pycocotools", reason="pycocotools is not installed")


@pytest.fixture(scope="module")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mnist")
    write_drawn_digits(folder)
    return folder


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROJECT / "training" / "train_pages.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_same_seed_makes_the_same_file(mnist: Path, tmp_path: Path) -> None:
    """The number of threads changes nothing. The network is that of the bundled detector."""
    files = []
    for number, (seed, threads) in enumerate((("3", "1"), ("3", "2"), ("4", "2"))):
        files.append(tmp_path / f"{number}.safetensors")
        options = ["--epochs", "2", "--page-count", "24", "--batch-size", "8", "--seed", seed]
        report = ["--report", str(tmp_path / "pages")] if number == 0 else []
        result = run(str(mnist), *options, *report, "--threads", threads, "-o", str(files[-1]))
        assert result.returncode == 0, result.stderr
        lines = result.stdout.splitlines()
        assert [line.split(":")[0] for line in lines[:2]] == [f"epoch {i} of 2" for i in (1, 2)]
        assert re.fullmatch(r"24 pages of test images: mAP [\d.]+, [\d.]+ at IoU 0.5", lines[2])
        assert lines[3] == f"written: {files[-1]}"
    first, second, other = (path.read_bytes() for path in files)
    assert first == second
    assert first != other
    bundled, made = mpscnn.load("page_digits"), mpscnn.load(files[0])
    assert made.network.to_dict() == bundled.network.to_dict()
    assert (made.preprocess, made.labels) == (bundled.preprocess, bundled.labels)
    assert re.search(
        r"mAP 0\.\d{3} \(COCO\), 0\.\d{3} at IoU 0\.5, on 24 pages", made.information["description"]
    )
    assert (tmp_path / "pages" / "annotations.json").is_file()


def test_problems_are_found_at_the_start(mnist: Path, tmp_path: Path) -> None:
    output = str(tmp_path / "mine.safetensors")
    (tmp_path / "0001.png").mkdir()
    for arguments, message in (
        ([str(mnist), "--epochs", "0"], "error: --epochs: pages need 1 or more"),
        ([str(tmp_path)], "there is neither train-images-idx3-ubyte"),
        ([str(mnist), "--page-count", "2", "--report", str(tmp_path)], "0001.png: cannot be written"),
    ):
        result = run(*arguments, "-o", output)
        assert result.returncode == 1
        assert message in result.stderr
        assert "Traceback" not in result.stderr
