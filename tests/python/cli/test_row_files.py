"""Test files of results: `--output FILE.jsonl` and `FILE.csv`, which an ended command continues."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import photo_models
import pytest
from command_line import LABELS, Command, save_colour_model, save_photo
from registry.test_replaced_files import full_disk

import mpscnn
from mpscnn.apps.cli import progress
from mpscnn.apps.cli.row_file import row_file

TASKS = {"classify": "classification", "detect": "detection", "segment": "segmentation"}
KILLED = """
import os, signal, sys
import mpscnn
from mpscnn.apps.cli import main
compute, calls = mpscnn.Model.classify, []
def classify(*given, **options):
    calls.append(given)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return compute(*given, **options)
mpscnn.Model.classify = classify
main()
"""


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a folder with five photos, of which the second one is damaged."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(5):
        save_photo(folder / f"{number}.png", LABELS[number % 3])
    (folder / "1.png").write_bytes(b"no photo")
    return folder


@pytest.fixture
def models(tmp_path: Path) -> Path:
    for task in TASKS.values():
        photo_models.load(tmp_path, task)
    return tmp_path


def without_times(lines: Iterator[str] | list[str]) -> list[dict[str, Any]]:
    return [{**json.loads(line), "milliseconds": 0} for line in lines]


@pytest.mark.parametrize("name", TASKS)
def test_rows_are_what_the_command_prints(name: str, photos: Path, models: Path, command: Command) -> None:
    given = name, str(photos), "--model", str(models / f"{TASKS[name]}.safetensors")
    printed = command(*given, "--json")
    target = models / "rows.jsonl"
    written = command(*given, "--output", str(target))
    assert (written.returncode, written.stdout) == (1, "")
    assert f"{target} is written: 5 photos, 1 failed" in written.stderr
    rows = without_times(target.read_text().splitlines())
    assert rows == without_times(printed.stdout.splitlines())
    assert [row["image"] for row in rows] == sorted(map(str, photos.iterdir()))
    assert [row.get("error_kind") for row in rows] == [None, "ImageError", None, None, None]
    table = models / "rows.CSV"
    assert command(*given, "--output", str(table)).returncode == 1
    assert table.read_text() == command(*given, "--csv").stdout
    cells = list(csv.DictReader(io.StringIO(table.read_text())))
    assert [row["error_kind"] for row in cells if row["image"].endswith("1.png")] == ["ImageError"]
    assert {row["error"] for row in cells if not row["image"].endswith("1.png")} <= {""}
    assert not list(models.glob("*.part")) + list(models.glob("*.lock"))


def test_a_command_continues_after_a_kill(
    photos: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first process is killed at its third photo. The next one computes the rest, and the failed photo again.

    One thread computes one photo at a time, so the rows of the photos before it are written.
    """
    model = str(save_colour_model(tmp_path / "colours.safetensors"))
    target = tmp_path / "rows.jsonl"
    given = ["classify", str(photos), "--model", model, "--output", str(target), "--threads", "1"]
    ended = subprocess.run([sys.executable, "-c", KILLED, *given], capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL
    part = Path(f"{target}.part")
    assert not target.exists()
    with part.open("a") as file:
        file.write('["cut')  # as if the disk had been full
    save_photo(photos / "1.png", "blue")  # it is repaired

    other = command(*given, "--top", "1")
    assert other.returncode == 2
    assert "has the rows of an ended command that differs in its options: remove it" in other.stderr
    save_colour_model(tmp_path / "other.safetensors", labels=["r", "g", "b"])
    renamed = command(*given[:3], str(tmp_path / "other.safetensors"), *given[4:])
    assert "differs in its weights" in renamed.stderr

    computed: list[str] = []
    compute = mpscnn.Model.classify

    def classify(model: Any, photo: Any, **options: Any) -> Any:
        computed.append(str(photo.path) if hasattr(photo, "path") else str(photo))
        return compute(model, photo, **options)

    monkeypatch.setattr(mpscnn.Model, "classify", classify)
    ended_well = command(*given)
    assert ended_well.returncode == 0
    assert "the rows of 2 of 5 photos are there already" in ended_well.stderr
    assert len(computed) == 3
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert [row["image"] for row in rows] == sorted(map(str, photos.iterdir()))
    assert [row["predictions"][0]["label"] for row in rows] == ["red", "blue", "blue", "red", "green"]
    assert not part.exists()


def test_an_interrupted_command_says_how_it_continues(
    photos: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    model = str(save_colour_model(tmp_path / "colours.safetensors"))
    monkeypatch.setattr(mpscnn.Model, "classify", interrupt)
    ended = command("classify", str(photos), "--model", model, "--output", str(tmp_path / "rows.csv"))
    assert ended.returncode == 130
    assert "rows.csv.part keeps the rows so far: the same command continues there" in ended.stderr


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "npz"])
def test_features_have_rows_of_photos_that_failed(
    suffix: str, photos: Path, tmp_path: Path, command: Command
) -> None:
    save_photo(photos / "1.png", "green")
    (photos / "0.png").write_bytes(b"no photo")  # the first one, before the columns are known
    model, target = save_colour_model(tmp_path / "colours.safetensors"), tmp_path / f"features.{suffix}"
    given = "features", str(photos), "--model", str(model), "--layers", "pool", "--output", str(target)
    ended = command(*given, "--json")
    assert ended.returncode == 1
    described = json.loads(ended.stdout)
    (bad,) = described["errors"]
    assert bad.endswith("0.png")
    assert described["errors"][bad]["error_kind"] == "ImageError"
    if suffix == "npz":
        with np.load(target) as arrays:
            assert arrays["photos"].tolist() == sorted(map(str, photos.iterdir()))
            assert np.isnan(arrays["pool"]).reshape(5, -1).any(axis=1).tolist() == [True] + 4 * [False]
            assert [bool(error) for error in arrays["errors"]] == [True] + 4 * [False]
            assert described["shapes"]["pool"] == list(arrays["pool"].shape)
        return
    text = target.read_text()
    as_json = suffix == "jsonl"
    rows = [json.loads(line) for line in text.splitlines()] if as_json else csv.DictReader(io.StringIO(text))
    assert [row["image"] for row in rows if row.get("error_kind")] == [bad]


def test_a_log_has_lines_about_the_progress(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    clock = iter(range(0, 1000, 4))  # seconds
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    with progress.with_progress([*range(8)]) as tracked:
        assert list(tracked) == [*range(8)]
    assert capsys.readouterr().err.splitlines() == [
        "3 of 8 photos, 0.2 per second, 20 s left",
        "6 of 8 photos, 0.2 per second, 8 s left",
    ]


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    with (
        full_disk(),
        pytest.raises(mpscnn.ParameterError, match=r"rows\.csv: cannot be written: "),
        row_file(path, "head", {"model": "a name of more than twenty bytes"}),
    ):
        pass


SETTINGS = {"options": {}}
#: Values that no command has written as the row of a photo.
NO_ROWS = (
    5, "abc", True, [1], [[], 1, 2], [{}, 1, 2], ["x.png", False, "a", 1], ["x.png", False, 5],
    ["x.png", False, None], ["x.png", "no", "a"], {"x.png": 1, "b": 2, "c": 3},
)  # fmt: skip


def continued(path: Path, part: bytes) -> None:
    """Continue a command whose rows so far are `part`."""
    Path(f"{path}.part").write_bytes(part)
    with row_file(path, "", SETTINGS) as rows:
        for photo in rows.waiting(["x.png"]):
            rows.add(photo, "computed\n")
        rows.finish(["x.png"])


@pytest.mark.parametrize("entry", NO_ROWS, ids=repr)
def test_lines_that_are_no_rows_are_refused(tmp_path: Path, entry: Any) -> None:
    part = f"{json.dumps(SETTINGS)}\n{json.dumps(entry)}\n".encode()
    with pytest.raises(mpscnn.ParameterError, match=r"rows\.csv\.part: line 2: must be \[photo"):
        continued(tmp_path / "rows.csv", part)


@pytest.mark.parametrize(
    "line", [b"[" * 100_000 + b"\n", b"\xff\n", b"\0\n", b"9" * 5_000 + b"\n", b'["x.png", false']
)
def test_lines_that_were_cut_are_computed_again(tmp_path: Path, line: bytes) -> None:
    for part in (line, f"{json.dumps(SETTINGS)}\n".encode() + line):
        continued(tmp_path / "rows.csv", part)
        assert (tmp_path / "rows.csv").read_text() == "computed\n"


@pytest.mark.parametrize("target", ["/dev/zero", "pipe", "holes"])
def test_rows_so_far_are_a_regular_file(tmp_path: Path, target: str) -> None:
    """Others have no end, or one far away."""
    part = tmp_path / "rows.csv.part"
    if target == "pipe":
        os.mkfifo(part)
    elif target == "holes":
        part.touch()
        os.truncate(part, 1 << 36)
    else:
        part.symlink_to(target)
    with (
        pytest.raises(mpscnn.ParameterError, match=r"rows\.csv\.part: .*(not a regular file|is a hole)"),
        row_file(tmp_path / "rows.csv", "", SETTINGS),
    ):
        pass
