"""Compare the average precision that trainings compute with pycocotools."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest

from mpscnn.training.scenes.average_precision import AveragePrecision, FoundObjects

coco = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")
cocoeval = pytest.importorskip("pycocotools.cocoeval", reason="pycocotools is not installed")

CLASSES = 4


def scenes(seed: int) -> list[tuple[FoundObjects, Any, Any]]:
    """Return found and true objects of photos. Many are found, some twice, with wrong classes or at other places."""
    random = np.random.default_rng(seed)
    result = []
    for _ in range(20):
        count = int(random.integers(0, 5))
        corners, sides = random.uniform(0, 200, (count, 2)), random.uniform(10, 100, (count, 2))
        true = np.concatenate([corners, corners + sides], 1)
        classes = random.integers(0, CLASSES - 1, count)  # the last class has no object
        chosen = random.integers(0, count, 2 * count) if count else np.zeros(0, int)
        found = true[chosen] + random.normal(0, 4, (len(chosen), 4))
        kinds = np.where(random.random(len(chosen)) < 0.8, classes[chosen], CLASSES - 1)
        kinds = np.where(random.random(len(chosen)) < 0.1, 0, kinds)
        scores = np.round(random.random(len(chosen)), 2)  # some are equal
        result.append((FoundObjects(found, scores, kinds), true, classes))
    return result


@pytest.mark.parametrize("seed", range(4))
def test_it_is_that_of_pycocotools(seed: int) -> None:
    own = AveragePrecision(CLASSES)
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for image, (found, boxes, classes) in enumerate(scenes(seed)):
        own.add(found, boxes, classes)
        for entries, table, kinds in ((annotations, boxes, classes), (results, found.boxes, found.classes)):
            for row, kind in zip(table.tolist(), kinds.tolist(), strict=True):
                box = [row[0], row[1], row[2] - row[0], row[3] - row[1]]
                entries.append({"image_id": image, "category_id": kind + 1, "bbox": box})
        for entry, score in zip(results[len(results) - len(found.scores) :], found.scores, strict=True):
            entry["score"] = float(score)
    for number, entry in enumerate(annotations, start=1):
        entry |= {"id": number, "area": entry["bbox"][2] * entry["bbox"][3], "iscrowd": 0}
    truth = coco.COCO()
    categories = [{"id": kind + 1, "name": str(kind)} for kind in range(CLASSES)]
    truth.dataset = {
        "images": [{"id": i} for i in range(20)],
        "annotations": annotations,
        "categories": categories,
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluation = cocoeval.COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert own.map == pytest.approx(evaluation.stats[0], abs=1e-9)
    assert own.map50 == pytest.approx(evaluation.stats[1], abs=1e-9)
    assert 0.2 < own.map50 < 0.95
    assert np.isnan(own.by_class()[CLASSES - 1]).all()


def test_nothing_found_and_nothing_to_find() -> None:
    own = AveragePrecision(2)
    nothing = FoundObjects(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))
    assert np.isnan(own.map)
    own.add(nothing, np.array([[0.0, 0, 1, 1]]), np.array([1]))
    assert own.map == own.map50 == 0.0


def test_only_classes_of_a_photo_are_visited() -> None:
    """A few photos cost little, also if the annotations name many classes."""
    visited = 0

    class Boxes(np.ndarray[Any, Any]):
        def __getitem__(self, key: Any) -> Any:
            nonlocal visited
            visited += 1
            return np.asarray(self)[key]

    own, box = AveragePrecision(100_000), np.array([[0.0, 0, 1, 1]])
    for number in range(10):
        found = FoundObjects(box, np.ones(1), np.array([number]))
        own.add(found, box.view(Boxes), np.array([5_000 + number]))
    assert visited == 20
    assert own.map == 0.0
