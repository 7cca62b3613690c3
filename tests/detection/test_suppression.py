"""Compare scores, suppression and the order of detections with brute force in float64."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray
from patience import little_work
from reference import detection as reference

import mpscnn

# Whole multiples of 1/64 have exact areas, so that no comparison depends on rounding.
GRID = 64
THRESHOLDS = [0.0, 0.25, 0.375, 0.5, 0.75, 1.0]

seeds = st.integers(0, 2**32 - 1)


def random_boxes(generator: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Return random boxes. Many overlap, some are empty, and some have their edges in the wrong order."""
    low = generator.integers(-4, 24, (count, 2))
    high = low + generator.integers(-1, 24, (count, 2))
    return np.concatenate([low, high], axis=1).astype(np.float32) / GRID


def separate_scores(generator: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return scores so far apart that rounding cannot change their order. Some are equal."""
    steps = generator.permutation(shape[0] * shape[1]).reshape(shape)
    steps[generator.uniform(size=shape) < 0.1] = steps[0, 0]
    return ((steps + 1) / (shape[0] * shape[1] + 2)).astype(np.float32)


@st.composite
def suppressions(draw: st.DrawFn, method: str) -> dict[str, Any]:
    return {
        "method": method,
        "per_class": draw(st.booleans()),
        "iou_threshold": draw(st.sampled_from(THRESHOLDS)),
        "sigma": draw(st.sampled_from([0.25, 0.5, 1.0])),
        "score_threshold": draw(st.sampled_from([0.0, 0.125, 0.5, 0.875])),
        "max_candidates": draw(st.sampled_from([0, 0, 1, 5, 20])),
        "max_per_class": draw(st.integers(1, 20)),
        "max_detections": draw(st.integers(1, 40)),
        "classes_per_box": draw(st.integers(1, 4)),
    }


def detector_of(
    suppression: dict[str, Any], kind: str = "probability", background: bool = False, levels: Any = ()
) -> Any:
    settings = {
        "version": 1,
        "anchors": {"rule": "none"},
        "boxes": {"order": "xy", "levels": list(levels)},
        "scores": {"kind": kind, "background": background},
        "suppression": suppression,
    }
    return mpscnn.Detector(settings, (300, 300))


def compare(found: list[mpscnn.Detection], boxes: NDArray[np.float32], expected: list[Any]) -> None:
    assert [entry.index for entry in found] == [label for _, label, _ in expected]
    np.testing.assert_allclose([entry.score for entry in found], [score for *_, score in expected], rtol=2e-5)
    for entry, (box, _, _) in zip(found, expected, strict=True):
        assert tuple(entry.box) == tuple(boxes[box].tolist())


@given(seeds, st.integers(1, 60), st.integers(1, 9), suppressions("hard"))
def test_hard_suppression_is_brute_force(
    seed: int, count: int, classes: int, suppression: dict[str, Any]
) -> None:
    generator = np.random.default_rng(seed)
    boxes, scores = random_boxes(generator, count), separate_scores(generator, (count, classes))
    expected = reference.detect(boxes.astype(np.float64), scores.astype(np.float64), suppression)
    compare(detector_of(suppression).run(boxes, scores), boxes, expected)


@given(seeds, st.lists(st.integers(1, 20), min_size=1, max_size=4), st.integers(1, 5), st.integers(1, 30))
def test_levels_limit_candidates(seed: int, levels: list[int], classes: int, maximum: int) -> None:
    generator = np.random.default_rng(seed)
    count = sum(levels)
    boxes, scores = random_boxes(generator, count), separate_scores(generator, (count, classes))
    suppression = {"method": "hard", "per_class": True, "iou_threshold": 0.5, "score_threshold": 0.125}
    suppression |= {"max_candidates": 0, "max_per_class": 9, "max_detections": 20}
    left = reference.best_of_levels(scores.astype(np.float64), levels, maximum)
    expected = reference.detect(boxes.astype(np.float64), left, suppression)
    detector = detector_of(suppression | {"max_per_level": maximum}, levels=levels)
    compare(detector.run(boxes, scores), boxes, expected)
    with pytest.raises(mpscnn.ShapeError, match=f"{count + 1} boxes, but the levels have {count} together"):
        detector.run(np.zeros((count + 1, 4)), np.zeros((count + 1, classes)))


@given(seeds, st.integers(1, 40), st.integers(1, 4), st.data(), st.sampled_from(["linear", "gaussian"]))
def test_soft_suppression_is_brute_force(
    seed: int, count: int, classes: int, data: st.DataObject, method: str
) -> None:
    suppression = data.draw(suppressions(method))
    generator = np.random.default_rng(seed)
    boxes, scores = random_boxes(generator, count), separate_scores(generator, (count, classes))
    expected = reference.detect(boxes.astype(np.float64), scores.astype(np.float64), suppression)
    gaps = np.diff([score for *_, score in expected])
    near = [score for *_, score in expected if abs(score - suppression["score_threshold"]) < 1e-5]
    if near or (np.abs(gaps) < 1e-5).any():
        return  # rounding would decide about the order or the threshold
    compare(detector_of(suppression).run(boxes, scores), boxes, expected)


@given(seeds, st.integers(1, 30), st.integers(2, 100), st.sampled_from(["sigmoid", "softmax"]), st.booleans())
def test_scores_of_logits(seed: int, count: int, columns: int, kind: str, background: bool) -> None:
    """The boxes do not overlap. So each score above the threshold is a detection."""
    generator = np.random.default_rng(seed)
    logits = (generator.standard_normal((count, columns)) * 4.0).astype(np.float32)
    boxes = np.array([(i, 0, i + 0.5, 1) for i in range(count)], np.float32)
    threshold = 0.25
    maximum = count * columns
    suppression = {"score_threshold": threshold, "max_per_class": maximum, "max_detections": maximum}
    found = detector_of(suppression, kind, background).run(boxes, logits)
    expected = reference.probabilities(logits.astype(np.float64), kind, background)
    if (np.abs(expected - threshold) < 1e-6).any():
        return  # rounding decides
    rows, labels = np.nonzero(expected >= threshold)
    wanted = {(int(row), int(label)): expected[row, label] for row, label in zip(rows, labels, strict=True)}
    assert {(int(entry.box.left), entry.index) for entry in found} == set(wanted)
    for entry in found:
        assert entry.score == pytest.approx(wanted[int(entry.box.left), entry.index], rel=1e-5)


@pytest.mark.parametrize("threshold", [1.0, 1.0 - 2.0**-24, 0.5, 1e-6])
def test_scores_that_equal_the_threshold_are_kept(threshold: float) -> None:
    every = detector_of({"score_threshold": 0.0}, "sigmoid")
    chosen = detector_of({"score_threshold": threshold}, "sigmoid")
    box = [(0, 0, 1, 1)]
    for logit in np.linspace(-40, 40, 801):
        (entry,) = every.run(box, [[logit]])
        assert len(chosen.run(box, [[logit]])) == (entry.score >= np.float32(threshold))


def test_logits_that_no_exponential_can_take() -> None:
    boxes = [(0, 0, 1, 1), (2, 0, 3, 1)]
    for kind in ("sigmoid", "softmax"):
        found = detector_of({"score_threshold": 0.5}, kind, background=True).run(
            boxes, [[-3e38, 3e38, -3e38], [3e38, -3e38, 0.0]]
        )
        scores = {(entry.box.left, entry.index): entry.score for entry in found}
        assert scores == ({(0.0, 0): 1.0, (2.0, 1): 0.5} if kind == "sigmoid" else {(0.0, 0): 1.0})


def test_a_class_is_not_suppressed_by_another() -> None:
    boxes = [(0, 0, 1, 1), (0, 0, 1, 0.9)]
    scores = [(0.9, 0.0), (0.0, 0.8)]
    assert [entry.index for entry in detector_of({"per_class": True}).run(boxes, scores)] == [0, 1]
    assert [entry.index for entry in detector_of({"per_class": False}).run(boxes, scores)] == [0]


def test_limits_of_a_call_replace_the_settings() -> None:
    detector = detector_of({"score_threshold": 0.6, "iou_threshold": 0.5})
    boxes = [(0, 0, 1, 1), (0, 0, 1, 0.75), (2, 0, 3, 1)]
    scores = [[0.9], [0.8], [0.3]]
    assert len(detector.run(boxes, scores)) == 1
    assert len(detector.run(boxes, scores, score_threshold=0.2)) == 2
    assert len(detector.run(boxes, scores, score_threshold=0.2, iou_threshold=0.8)) == 3
    assert len(detector.run(boxes, scores, score_threshold=0.2, iou_threshold=0.8, max_detections=2)) == 2


def test_order_and_labels() -> None:
    boxes = np.array([(i, 0, i + 1, 1) for i in range(4)], np.float32)[None]
    scores = np.array([(0.5, 0.5), (0.75, 0.0), (0.0, 0.5), (0.25, 0.0)], np.float32)[None]
    found = detector_of({"score_threshold": 0.25}).run(boxes, scores, labels=["cat", "dog"])
    assert [(entry.label, entry.box.left) for entry in found] == [
        ("cat", 1.0),
        ("cat", 0.0),
        ("dog", 0.0),
        ("dog", 2.0),
        ("cat", 3.0),
    ]
    assert repr(found[0]) == "<Detection: cat 75.0% at (1, 0, 2, 1)>"
    assert (found[0].box.width, found[0].box.height) == (1.0, 1.0)
    assert [entry.label for entry in detector_of({}).run(boxes, scores)][:2] == ["class 0", "class 0"]
    for labels in ("ab", 2):
        with pytest.raises(mpscnn.ParameterError, match="labels must be a sequence of names, got"):
            detector_of({}).run(boxes, scores, labels=labels)  # type: ignore[arg-type]


def test_nothing_found() -> None:
    assert detector_of({}).run([(0, 0, 1, 1)], [[0.001]]) == []


@pytest.mark.parametrize("method", ["hard", "linear", "gaussian"])
@pytest.mark.parametrize("per_class", [True, False])
def test_as_many_candidates_as_there_are_anchors(method: str, per_class: bool) -> None:
    """The number of candidates is limited, because soft suppression of all boxes took minutes."""
    maximum = 30_000 if method == "hard" else 5_000
    count = 100_000
    boxes = np.array([(i, 0, i + 1.25, 1) for i in range(count)], np.float32)  # each overlaps its neighbours
    scores = np.linspace(1.0, 0.5, count, dtype=np.float32)[:, None]
    suppression = {
        "method": method,
        "per_class": per_class,
        "iou_threshold": 0.9,
        "score_threshold": 0.0,
        "max_per_class": count,
        "max_detections": count,
    }
    with little_work():
        found = detector_of(suppression).run(boxes, scores)
    assert sorted(entry.box.left for entry in found) == list(range(maximum))


def test_the_classes_of_many_boxes_are_limited_as_candidates_are() -> None:
    boxes = np.array([(i, 0, i + 0.5, 1) for i in range(400)], np.float32)
    scores = np.random.default_rng(0).permutation(400 * 200).reshape(400, 200).astype(np.float32) / 80_000
    suppression = {
        "per_class": False,
        "classes_per_box": 200,
        "score_threshold": 0.0,
        "max_detections": 100_000,
    }
    found = detector_of(suppression).run(boxes, scores)
    assert [entry.score for entry in found] == sorted(scores.reshape(-1), reverse=True)[:30_000]


def test_the_best_candidates_of_all_classes_are_looked_at() -> None:
    boxes = np.array([(i, 0, i + 0.5, 1) for i in range(400)], np.float32)
    scores = np.random.default_rng(0).permutation(400 * 100).reshape(400, 100).astype(np.float32) / 40_000
    suppression = {"score_threshold": 0.0, "max_per_class": 400, "max_detections": 40_000}
    found = detector_of(suppression).run(boxes, scores)
    expected = sorted(scores.reshape(-1), reverse=True)[:30_000]
    assert [entry.score for entry in found] == expected
