"""Test the confusion matrix of detectors, and their precision and recall by score, against counts in plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from training.test_average_precision import CLASSES, scenes

from mpscnn.training.scenes.average_precision import AveragePrecision, FoundObjects
from mpscnn.training.scenes.object_matches import STEPS, ObjectConfusion, ObjectMatches, PrecisionCurve

Box = tuple[float, ...]


def iou(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    both = max(width, 0.0) * max(height, 0.0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return both / (sum(areas) - both)


def counted_by_hand(
    found: FoundObjects, boxes: np.ndarray, classes: np.ndarray, threshold: float
) -> list[list[int]]:
    """Count pairs of a photo with lists: the best free true object for each found one, from the highest score on."""
    table = [[0] * (CLASSES + 1) for _ in range(CLASSES + 1)]
    waiting = list(zip(map(tuple, boxes.tolist()), classes.tolist(), strict=True))
    shown = zip(found.scores.tolist(), found.boxes.tolist(), found.classes.tolist(), strict=True)
    for score, box, kind in sorted(shown, key=lambda one: -one[0]):
        if score < threshold:
            continue
        near = max(waiting, key=lambda one: iou(one[0], tuple(box)), default=None)
        if near is not None and iou(near[0], tuple(box)) >= 0.5:
            waiting.remove(near)
            table[near[1]][kind] += 1
        else:
            table[CLASSES][kind] += 1
    for _, kind in waiting:
        table[kind][CLASSES] += 1
    return table


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("threshold", [0.01, 0.3, 0.9])
def test_the_confusion_is_that_of_a_count_by_hand(seed: int, threshold: float) -> None:
    own = ObjectConfusion(CLASSES, threshold)
    expected = np.zeros((CLASSES + 1, CLASSES + 1), np.int64)
    for found, boxes, classes in scenes(seed):
        own.add(found, boxes, classes)
        expected += counted_by_hand(found, boxes, classes, threshold)
    np.testing.assert_array_equal(own.counts, expected)
    assert expected[:CLASSES, :CLASSES].sum() > 0
    assert expected[:, CLASSES].sum() > 0


@pytest.mark.parametrize("seed", range(4))
def test_the_confusion_is_that_of_ultralytics(seed: int) -> None:
    """Its rows are the found classes."""
    metrics = pytest.importorskip("ultralytics.utils.metrics", reason="ultralytics is not installed")
    torch = pytest.importorskip("torch", reason="torch is not installed")
    theirs = metrics.ConfusionMatrix({number: str(number) for number in range(CLASSES)})
    own = ObjectConfusion(CLASSES, 0.3)
    for found, boxes, classes in scenes(seed):
        own.add(found, boxes, classes)
        parts = {"bboxes": found.boxes, "conf": found.scores, "cls": found.classes}
        truth = {"bboxes": boxes, "cls": classes}
        theirs.process_batch(
            {name: torch.tensor(values) for name, values in parts.items()},
            {name: torch.tensor(values) for name, values in truth.items()},
            conf=0.3 - 1e-9,
            iou_thres=0.5,
        )
    np.testing.assert_array_equal(own.counts, theirs.matrix.T)


def test_difficult_objects_and_crowds_are_not_counted() -> None:
    """Neither are objects of their class there. A crowd holds many objects, so parts of it are right."""
    boxes = np.array([[0.0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 100, 60]])
    found = np.array([[0.0, 0, 10, 10], [20, 0, 30, 10], [50, 10, 60, 20], [95, 0, 115, 20], [0, 0, 10, 9]])
    for kind, wrong in ((0, 2), (1, 4)):  # a quarter of the fourth is in the crowd, and the last is a copy
        own = ObjectConfusion(2, 0.5)
        own.add(
            FoundObjects(found, np.array([0.9, 0.8, 0.7, 0.6, 0.55]), np.zeros(5, np.int64)),
            boxes,
            np.array([0, kind, kind]),
            difficult=np.array([False, True, False]),
            crowds=np.array([False, False, True]),
        )
        assert own.counts.tolist() == [[1, 0, 0], [0, 0, 0], [wrong, 0, 0]]


@pytest.mark.parametrize("seed", range(4))
def test_curves_are_those_of_a_count_by_hand(seed: int) -> None:
    own = AveragePrecision(CLASSES)
    for found, boxes, classes in scenes(seed):
        own.add(found, boxes, classes)
    curves = [PrecisionCurve.of(own, number, str(number)) for number in range(CLASSES)]
    for number, curve in enumerate(curves):
        precision, recall = curve.by_score()
        for place in (0, 25, 50, 99, 100):
            found_here = right = objects = 0
            for found, boxes, classes in scenes(seed):
                waiting = [
                    tuple(box) for box, kind in zip(boxes.tolist(), classes, strict=True) if kind == number
                ]
                objects += len(waiting)
                shown = zip(found.scores.tolist(), found.boxes.tolist(), found.classes.tolist(), strict=True)
                for score, box, kind in sorted(shown, key=lambda one: -one[0]):
                    if kind != number or score < STEPS[place]:
                        continue
                    found_here += 1
                    near = max(waiting, key=lambda one, box=box: iou(one, tuple(box)), default=None)
                    if near is not None and iou(near, tuple(box)) >= 0.5:
                        waiting.remove(near)
                        right += 1
            assert curve.objects == objects
            expected = right / found_here if found_here else np.nan
            np.testing.assert_allclose(precision[place], expected, atol=1e-12)
            np.testing.assert_allclose(recall[place], right / objects if objects else np.nan, atol=1e-12)
        average = curve.by_recall().mean()
        np.testing.assert_allclose(average, own.by_class()[number, 0], atol=1e-12)


def test_figures_of_classes() -> None:
    """The last column has the objects that were not found, and the last row what was found on background."""
    counts = np.array([[6, 1, 3], [0, 0, 0], [2, 0, 0]])
    curve = PrecisionCurve("cat", 10, np.zeros(0), np.zeros(0, bool))
    cat, dog = ObjectMatches(("cat", "dog"), 0.3, counts, (curve, curve)).classes
    assert (cat.objects, cat.precision, cat.recall) == (10, 6 / 8, 6 / 10)
    assert cat.f1 == pytest.approx(2 / (8 / 6 + 10 / 6))
    assert (dog.objects, dog.precision, dog.recall, dog.f1) == (0, 0.0, None, 0.0)
