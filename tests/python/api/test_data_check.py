"""Test the check of labelled photos before a training."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call
from PIL import Image, ImageDraw

import mpscnn
from mpscnn.evaluation import label_suspects
from mpscnn.evaluation.label_suspects import (
    label_margins,
    near_pairs,
    neighbour_distances,
    probabilities_of,
    unseen_probabilities,
)

#: Probabilities and labels, and their quality by cleanlab 2.9.0:
#: cleanlab.rank.get_label_quality_scores(labels, probabilities, method="normalized_margin").
PROBABILITIES = np.array(
    [
        (0.742, 0.25, 0.008),
        (0.006, 0.135, 0.859),
        (0.173, 0.503, 0.324),
        (0.595, 0.091, 0.314),
        (0.07, 0.885, 0.045),
        (0.195, 0.073, 0.732),
        (0.009, 0.109, 0.882),
        (0.156, 0.284, 0.56),
    ]
)
LABELS = np.array([2, 2, 1, 1, 2, 0, 1, 1])
CLEANLAB = (0.133, 0.862, 0.5895, 0.248, 0.08, 0.2315, 0.1135, 0.362)


def test_margins_are_those_of_cleanlab() -> None:
    np.testing.assert_allclose(label_margins(PROBABILITIES, LABELS), CLEANLAB, atol=1e-9)


def test_probabilities_do_not_depend_on_the_own_label(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the penalty may, which is one for all photos."""
    monkeypatch.setattr(label_suspects, "_PENALTIES", [0.1])
    random = np.random.default_rng(0)
    features, classes = random.normal(size=(40, 5)), np.arange(40) % 3
    found = unseen_probabilities(features, classes, 3)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    for label in range(3):
        changed = classes.copy()
        changed[17] = label
        np.testing.assert_allclose(unseen_probabilities(features, changed, 3)[17], found[17], atol=1e-9)
    rest = np.arange(40) != 17
    left_out = probabilities_of(features[[17]], features[rest], classes[rest], 3)[0]
    np.testing.assert_allclose(left_out, found[17], atol=0.05)


def test_wrong_labels_come_first() -> None:
    random = np.random.default_rng(1)
    right = random.integers(0, 4, 400)
    features = random.normal(size=(400, 16)) + 2.5 * np.eye(4, 16)[right]
    wrong = random.choice(400, 20, replace=False)
    given = right.copy()
    given[wrong] = (right[wrong] + random.integers(1, 4, 20)) % 4
    margins = label_margins(unseen_probabilities(features, given, 4), given)
    assert len({*np.argsort(margins)[:20].tolist()} & {*wrong.tolist()}) >= 14


def test_distances_are_those_of_all_pairs() -> None:
    random = np.random.default_rng(2)
    points, others = random.normal(size=(30, 4)), random.normal(size=(25, 4))
    apart = np.linalg.norm(points[:, None] - points, axis=2)
    pairs = [(one, other) for one, other, _ in near_pairs(points, 1.5)]
    assert {*pairs} == {
        (one, other) for one in range(30) for other in range(one + 1, 30) if apart[one, other] <= 1.5
    }
    np.testing.assert_allclose(
        neighbour_distances(points, points, same=True), np.sort(apart, axis=1)[:, 10], atol=1e-6
    )
    across = np.linalg.norm(points[:, None] - others, axis=2)
    np.testing.assert_allclose(
        neighbour_distances(points, others, same=False), np.sort(across, axis=1)[:, 9], atol=1e-6
    )


COLOURS = {"leaf": (40, 150, 50), "sky": (90, 140, 230), "rust": (170, 80, 30)}


def drawn(label: str, seed: int) -> Image.Image:
    """Return a photo in a class's colour with a few random shapes."""
    random = np.random.default_rng([seed, *label.encode()])
    noise = random.normal(0, 12, (48, 48, 3))
    picture = Image.fromarray((np.array(COLOURS[label]) + noise).clip(0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    for _ in range(4):
        x, y, size = random.integers(0, 40, 3).tolist()
        shade = tuple(int(random.uniform(0.6, 1) * value) for value in COLOURS[label])
        pen.ellipse((x, y, x + size, y + size // 2 + 4), fill=shade)
    return picture


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return train/ and val/ of three classes with one fault of each kind."""
    top = tmp_path_factory.mktemp("photos")
    for part, count in (("train", 12), ("val", 4)):
        for label in COLOURS:
            folder = top / part / label
            folder.mkdir(parents=True)
            for seed in range(count - 5 * (label == "rust" and part == "train")):
                drawn(label, seed + 100 * (part == "val")).save(folder / f"{seed}.png")
    drawn("sky", 50).save(top / "train" / "leaf" / "wrong.png")
    drawn("leaf", 3).resize((96, 96)).save(top / "train" / "leaf" / "copy.jpg", quality=80)
    drawn("sky", 2).save(top / "val" / "sky" / "leak.png")
    (top / "train" / "sky" / "broken.png").write_bytes(b"no picture")
    return top


def kinds(found: mpscnn.DataCheck) -> dict[str, list[str]]:
    named: dict[str, list[str]] = {}
    for one in found.findings:
        named.setdefault(one.kind, []).append("/".join(Path(one.photo).parts[-3:]))
    return named


def test_each_kind_is_found(photos: Path, tmp_path: Path) -> None:
    """Some 70 photos go through the bundled classifier."""
    more = tmp_path / "more"
    more.mkdir()
    for seed in range(3):
        drawn("leaf", 500 + seed).save(more / f"{seed}.png")
    Image.blend(drawn("leaf", 600), drawn("sky", 600), 0.5).save(more / "between.png")
    found = mpscnn.check_data(photos, unlabelled=more)
    named = kinds(found)
    assert named["unreadable"] == ["train/sky/broken.png"]
    suspects = {"/".join(Path(one.photo).parts[-3:]): one.other for one in found.of_kind("wrong label")}
    assert suspects["train/leaf/wrong.png"] == "sky"
    assert named["near copy"] == ["train/leaf/copy.jpg"] or named["near copy"] == ["train/leaf/3.png"]
    (leak,) = found.of_kind("leak")
    assert "val/sky/leak.png" in (leak.photo + leak.other)
    assert "one is in train, the other in val" in leak.about
    assert named["few photos"] == ["rust"]
    assert "more/between.png" in {"/".join(Path(one).parts[-2:]) for one in named["label next"]}
    found.write(tmp_path / "report")
    rows = list(csv.DictReader((tmp_path / "report" / "findings.csv").read_text().splitlines()))
    assert [row["kind"] for row in rows] == [one.kind for one in found.findings]
    page = (tmp_path / "report" / "findings.html").read_text()
    assert page.count("<img") >= len(rows) - 2
    assert "looks like &#x27;sky&#x27;" in page


def test_clean_photos_have_no_findings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for label in ("leaf", "sky"):
        (tmp_path / label).mkdir()
        for seed in range(10):
            drawn(label, seed).save(tmp_path / label / f"{seed}.png")
    assert call("check", str(tmp_path), "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"photos": 20, "findings": []}
    assert call("check", str(tmp_path)) == 0
    assert capsys.readouterr().out == "20 photos: nothing to look at\n"


def test_objects_and_their_boxes(tmp_path: Path) -> None:
    boxes: list[dict[str, Any]] = []
    for number in range(12):
        page = Image.new("RGB", (120, 60), "white")
        page.paste(drawn("leaf", number), (4, 6))
        page.paste(drawn("sky", number), (64, 6))
        page.save(tmp_path / f"{number}.png")
        for place, left in ((1, 4), (2, 64)):
            category = 3 - place if number == 5 else place
            boxes.append({"image_id": number, "category_id": category, "bbox": [left, 6, 48, 48]})
    described = {
        "images": [{"id": n, "file_name": f"{n}.png", "width": 120, "height": 60} for n in range(12)],
        "categories": [{"id": 1, "name": "leaf"}, {"id": 2, "name": "sky"}],
        "annotations": [{"id": n, "area": 2304, "iscrowd": 0, **one} for n, one in enumerate(boxes)],
    }
    annotations = tmp_path / "boxes.json"
    annotations.write_text(json.dumps(described))
    found = mpscnn.check_data(tmp_path, annotations=annotations)
    assert [one.photo for one in found.of_kind("wrong label")[:2]] == [str(tmp_path / "5.png")] * 2
    described["annotations"][0]["bbox"] = [100, 6, 48, 48]
    annotations.write_text(json.dumps(described))
    (outside,) = mpscnn.check_data(tmp_path, annotations=annotations).of_kind("box")
    assert "is outside of the photo" in outside.about


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(mpscnn.ImageError):
        mpscnn.check_data(tmp_path / "none")
    (tmp_path / "only").mkdir()
    with pytest.raises(mpscnn.ImageError, match="only"):
        mpscnn.check_data(tmp_path)
