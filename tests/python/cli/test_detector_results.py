"""Test the confusion matrix and the curves of `mpscnn evaluate` for detectors, in all forms and files."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from cli.test_evaluate_areas import SEEN, annotated
from command_line import Command
from constant_detector import save_constant_detector
from PIL import Image

import mpscnn

pytest.importorskip("pycocotools", reason="pycocotools is not installed")

ELSEWHERE = [0.0, 40.0, 30.0, 30.0]
#: The detector finds a cat (90%) on each photo, and shows no dog (20%). On the last but one photo it is in a crowd of
#: cats, and the last one has nothing.
BOXES = [[(17, SEEN)], [(18, SEEN)], [(17, ELSEWHERE)], [(17, SEEN)], []]
COUNTS = [[1, 0, 1], [1, 0, 0], [2, 0, 0]]


@pytest.fixture
def arguments(tmp_path: Path) -> tuple[str, ...]:
    detector, photos = save_constant_detector(tmp_path / "constants.safetensors"), tmp_path / "photos"
    photos.mkdir()
    path = annotated(photos, BOXES)
    content = json.loads(path.read_text())
    content["annotations"][-1] |= {"iscrowd": 1, "area": 3000}
    path.write_text(json.dumps(content))
    return str(photos), "--model", str(detector), "--annotations", str(path)


def test_the_command_prints_it(arguments: tuple[str, ...], command: Command) -> None:
    shown = command("evaluate", *arguments).stdout
    assert "a row for each true class, a column for each found class, of objects with a score of" in shown
    assert [line.split() for line in shown.splitlines()[-3:]] == [
        ["Cat", "1", ".", "1"],
        ["dog", "1", ".", "."],
        ["background", "2", ".", "."],
    ]


def test_json_has_what_that_of_a_classifier_has(arguments: tuple[str, ...], command: Command) -> None:
    found = json.loads(command("evaluate", *arguments, "--json").stdout)
    assert found["labels"] == ["Cat", "dog", "background"]
    assert found["score_threshold"] == 0.5
    table = np.zeros((3, 3), int)
    for cell in found["confusion"]:
        table[cell["class"], cell["found"]] = cell["objects"]
    assert table.tolist() == COUNTS
    cat, dog = found["classes"]
    assert (cat["label"], cat["objects"], cat["precision"], cat["recall"]) == ("Cat", 2, 0.25, 0.5)
    assert (dog["label"], dog["objects"], dog["precision"], dog["recall"], dog["f1"]) == (
        "dog",
        1,
        None,
        0,
        0,
    )
    for one, curve in zip(found["classes"], found["curves"], strict=True):
        assert one["label"] == curve["label"]
        assert np.mean(curve["precision_by_recall"]) == pytest.approx(one["at_half"])
    assert np.mean([one["at_half"] for one in found["classes"]]) == pytest.approx(found["map50"])


def test_files_of_the_command(arguments: tuple[str, ...], tmp_path: Path, command: Command) -> None:
    for suffix in ("png", "html", "csv", "json"):
        assert command("evaluate", *arguments, "--output", str(tmp_path / f"found.{suffix}")).returncode == 0
    with Image.open(tmp_path / "found.png") as picture:
        assert picture.width > 100
    page = (tmp_path / "found.html").read_text()
    assert page.count("<img ") == 2
    rows = list(csv.DictReader(io.StringIO((tmp_path / "found.csv").read_text())))
    assert [(row["label"], row["precision"], row["recall"]) for row in rows] == [
        ("Cat", "0.25", "0.5"),
        ("dog", "", "0.0"),
    ]
    assert json.loads((tmp_path / "found.json").read_text())["confusion"] == COUNTS
    refused = command("evaluate", *arguments, "--output", str(tmp_path / "found.txt"))
    assert "the name must end in .png, .html, .csv, .json" in refused.stderr


def test_python_has_the_matrix_and_the_curves(arguments: tuple[str, ...]) -> None:
    photos, _, detector, _, annotations = arguments
    found = mpscnn.evaluate(mpscnn.load(detector, device="cpu"), photos, annotations=annotations)
    assert found.confusion.tolist() == COUNTS
    assert found.mistakes(1) == [("background", "Cat", 2)]
    cat, dog = found.matches.curves
    assert (cat.objects, cat.right.tolist(), dog.objects) == (2, [True, False, False, False], 1)
    precision, recall = cat.by_score()
    assert (precision[50], recall[50], recall[95]) == (0.25, 0.5, 0.0)
    assert np.isnan(precision[95])
    curves = np.asarray(found.draw_curves())
    assert (curves == (70, 130, 180)).all(-1).any()  # the line of the precision
    assert (curves == (255, 140, 0)).all(-1).any()  # the line of the recall
