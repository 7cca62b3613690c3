"""`mpscnn train --digits`: from IDX files to a model that reads digits."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from command_line import call, run
from idx_files import save_idx
from models.drawn_digits import draw

import mpscnn


@pytest.fixture(scope="module")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with MNIST's names: drawn digits, each many times, moved about."""
    folder = tmp_path_factory.mktemp("mnist")
    drawn = [mpscnn.preprocess(draw(digit), (28, 28), "mnist", channels=1)[0, ..., 0] for digit in range(10)]
    random = np.random.default_rng(0)
    for part, count in (("train", 640), ("t10k", 40)):
        labels = random.integers(0, 10, count).astype(np.uint8)
        pixels = np.empty((count, 28, 28), np.uint8)
        for i, label in enumerate(labels):
            moved = np.roll(drawn[label], random.integers(-2, 3, 2), (0, 1))
            pixels[i] = np.rint(np.clip(moved + random.normal(0, 0.05, moved.shape), 0, 1) * 255)
        save_idx(folder / f"{part}-images-idx3-ubyte.gz", pixels)
        save_idx(folder / f"{part}-labels-idx1-ubyte.gz", labels)
    return folder


def test_it_trains_a_reader_of_digits(mnist: Path, tmp_path: Path) -> None:
    output = tmp_path / "mine.safetensors"
    result = run("train", "--digits", str(mnist), "--epochs", "3", "-o", str(output), "--threads", "2")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert [line.split(":")[0] for line in lines[:3]] == [f"epoch {i} of 3" for i in (1, 2, 3)]
    right = re.fullmatch(r"test images: ([\d.]+)% right of 40", lines[3])
    assert right
    assert float(right[1]) > 95
    assert lines[4] == f"written: {output}"
    assert f"mpscnn digits --model {output}" in result.stderr
    photo = tmp_path / "seven.png"
    draw(7).save(photo)
    read = run("digits", "--model", str(output), str(photo))
    assert re.match(rf"{re.escape(str(photo))}: 7 ", read.stdout)


def test_the_same_seed_makes_the_same_file(mnist: Path, tmp_path: Path) -> None:
    files = []
    for threads, seed in (("1", "3"), ("2", "3"), ("1", "4")):
        files.append(tmp_path / f"{threads}{seed}.safetensors")
        arguments = ["--epochs", "1", "--seed", seed, "--threads", threads, "-o", str(files[-1])]
        assert run("train", "--digits", str(mnist), *arguments).returncode == 0
    first, second, third = (path.read_bytes() for path in files)
    assert first == second
    assert first != third


def test_the_small_reader_learns_from_views(mnist: Path, tmp_path: Path) -> None:
    """As the bundled one was made: the same seed, the same file; without the views another."""
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


def test_it_trains_a_detector_of_digits_on_pages(mnist: Path, tmp_path: Path) -> None:
    """As the bundled one was made, in a small: the same seed, the same file, whatever the threads."""
    pytest.importorskip("pycocotools", reason="pycocotools is not installed")
    files = []
    for number, (seed, threads) in enumerate((("3", "1"), ("3", "2"), ("4", "2"))):
        files.append(tmp_path / f"{number}.safetensors")
        options = ["--epochs", "2", "--page-count", "24", "--batch-size", "8", "--seed", seed]
        pages = ["--report", str(tmp_path / "pages")] if number == 0 else []
        result = run(
            "train", "--pages", str(mnist), *options, *pages, "--threads", threads, "-o", str(files[-1])
        )
        assert result.returncode == 0, result.stderr
        lines = result.stdout.splitlines()
        assert [line.split(":")[0] for line in lines[:2]] == [f"epoch {i} of 2" for i in (1, 2)]
        assert re.fullmatch(r"24 pages of test images: mAP [\d.]+, [\d.]+ at IoU 0.5", lines[2])
        assert lines[3] == f"written: {files[-1]}"
        assert f"mpscnn detect --model {files[-1]}" in result.stderr
    first, second, other = (path.read_bytes() for path in files)
    assert first == second
    assert first != other
    bundled, made = mpscnn.load("page_digits"), mpscnn.load(files[0])
    assert made.network.to_dict() == bundled.network.to_dict()
    assert (made.preprocess, made.labels) == (bundled.preprocess, bundled.labels)
    assert re.search(
        r"mAP 0\.\d{3} \(COCO\), 0\.\d{3} at IoU 0\.5, on 24 pages", made.information["description"]
    )
    pages_of = str(tmp_path / "pages")
    result = run(
        "evaluate", pages_of, "--model", str(files[0]), "--annotations", f"{pages_of}/annotations.json"
    )
    assert result.returncode == 0, result.stderr
    assert "mAP" in result.stdout


def test_what_does_not_go_with_pages(
    mnist: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(mnist)
    for arguments, message in (
        (["--pages", folder, "--digits", folder], "expected either FOLDER, --digits DIR or --pages DIR"),
        (["--pages", folder, "--augment"], "--augment: does not go with --pages"),
        (["--pages", folder, "--model", "digits"], "--model: does not go with --pages"),
        (["--digits", folder, "--page-count", "3"], "--page-count: does not go with --digits"),
    ):
        assert call(monkeypatch, "train", *arguments) == 2
        assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert call(monkeypatch, "train", "--pages", folder, "--epochs", "0") == 2
    assert "--epochs: pages need 1 or more" in capsys.readouterr().err


def test_pages_of_a_folder_without_digits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pycocotools", reason="pycocotools is not installed")
    assert call(monkeypatch, "train", "--pages", str(tmp_path)) == 1
    assert "there is neither train-images-idx3-ubyte" in capsys.readouterr().err


def test_pages_that_cannot_be_written_are_found_at_the_start(
    mnist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pycocotools", reason="pycocotools is not installed")

    def trained(*given: object, **options: object) -> None:
        raise AssertionError("the training has begun")

    monkeypatch.setattr("mpscnn.apps.cli.train_pages.train_pages", trained)
    command = ["train", "--pages", str(mnist), "-o", str(tmp_path / "mine.safetensors"), "--page-count", "2"]
    for name in ("0001.png", "annotations.json"):
        (tmp_path / name / name).mkdir(parents=True)
        assert call(monkeypatch, *command, "--report", str(tmp_path / name)) == 2
        assert f"{name}: cannot be written: Is a directory" in capsys.readouterr().err


def test_labels_that_are_no_digits(
    mnist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in mnist.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    save_idx(tmp_path / "t10k-labels-idx1-ubyte.gz", np.full(40, 10, np.uint8))
    output = str(tmp_path / "x.safetensors")
    assert call(monkeypatch, "train", "--digits", str(tmp_path), "--output", output) == 1
    assert "t10k-labels-idx1-ubyte.gz: labels must be digits, 0 to 9, got 10" in capsys.readouterr().err


def test_files_that_are_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "train", "--digits", str(tmp_path)) == 1
    assert (
        "there is neither train-images-idx3-ubyte nor train-images-idx3-ubyte.gz" in capsys.readouterr().err
    )
