"""Test the output of `classify`, `detect` and `segment` for other programs: JSON and CSV, also for photos that fail."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import photo_models
import pytest
from command_line import Command, save_photo

COMMANDS = {"classification": "classify", "detection": "detect", "segmentation": "segment"}


@pytest.fixture(params=photo_models.NETWORKS)
def arguments(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """Return the command line of each task, with its model."""
    photo_models.load(tmp_path, request.param)
    model = str(tmp_path / f"{request.param}.safetensors")
    return [COMMANDS[request.param], "--model", model, "--device", "cpu", "--precision", "float32"]


@pytest.fixture
def photos(tmp_path: Path) -> list[str]:
    """Return three paths. The second file cannot be read."""
    paths = [tmp_path / "red.png", tmp_path / "bad.png", tmp_path / "green.png"]
    save_photo(paths[0], "red")
    paths[1].write_bytes(b"no photo")
    save_photo(paths[2], "green")
    return [str(path) for path in paths]


def test_json_has_an_entry_for_each_photo(arguments: list[str], photos: list[str], command: Command) -> None:
    result = command(*arguments, *photos, "--json")
    assert result.returncode == 1
    first, bad, last = (json.loads(line) for line in result.stdout.splitlines())
    assert [entry["image"] for entry in (first, bad, last)] == photos
    for entry in (first, bad, last):
        assert (entry["device"], entry["precision"]) == ("cpu", "float32")
        assert entry["model"] in ("colours", "boxes", "areas")
    assert bad["error"].startswith(f"{photos[1]}: is not an image")
    assert bad["error"] in result.stderr
    assert bad["error_kind"] == "ImageError"
    assert "error" not in first
    assert "error" not in last


def test_csv_is_one_table(arguments: list[str], photos: list[str], command: Command) -> None:
    result = command(*arguments, *photos, "--csv")
    assert result.returncode == 1
    assert photos[1] in result.stderr
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert {row["image"] for row in rows if row["error"]} == {photos[1]}
    assert {row["error_kind"] for row in rows if row["error"]} == {"ImageError"}
    rows = [row for row in rows if not row["error"]]
    assert {row["image"] for row in rows} == {photos[0], photos[2]}
    assert {row["label"] for row in rows} <= {"red", "green", "blue"}
    number = {"classify": "probability", "detect": "score", "segment": "fraction"}[arguments[0]]
    assert all(0.0 < float(row[number]) <= 1.0 for row in rows)


def test_one_form_at_a_time(arguments: list[str], photos: list[str], command: Command) -> None:
    result = command(*arguments, *photos, "--csv", "--json")
    assert result.returncode == 2
    assert "choose one" in result.stderr


def test_odd_names_stay_on_one_line(arguments: list[str], tmp_path: Path, command: Command) -> None:
    photo = save_photo(tmp_path / "a\n\x1b[31m,b.png", "red")
    result = command(*arguments, str(photo), "--csv")
    assert "\x1b" not in result.stdout
    names = {row["image"] for row in csv.DictReader(io.StringIO(result.stdout))}
    assert names == {str(photo).replace("\n", "\\n").replace("\x1b", "\\x1b")}
