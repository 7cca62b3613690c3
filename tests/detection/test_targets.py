"""Test which anchors learn which objects, compared with plain loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from reference import detection as reference

import mpscnn

STORED: dict[str, Any] = {"version": 1, "anchors": {"rule": "stored"}}


def detector(anchors: Any, **boxes: Any) -> mpscnn.Detector:
    return mpscnn.Detector({**STORED, "boxes": boxes}, (64, 64), anchors=anchors)


def drawn_boxes(random: np.random.Generator, count: int) -> NDArray[np.float32]:
    low = random.uniform(0, 0.8, (count, 2))
    high = np.minimum(low + random.uniform(0.02, 0.5, (count, 2)), 1)
    return np.concatenate([low, high], 1).astype(np.float32)


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 60),
    st.integers(0, 8),
    st.sampled_from([0.2, 0.5, 1.0]),
    st.sampled_from(["xy", "yx"]),
)
def test_against_plain_loops(seed: int, anchors: int, objects: int, threshold: float, order: str) -> None:
    random = np.random.default_rng(seed)
    places = random.uniform(0.05, 0.9, (anchors, 4)).astype(np.float32)
    boxes, classes = drawn_boxes(random, objects), random.integers(0, 3, objects)
    own = detector(places, order=order, variances=[0.1, 0.2, 0.3, 0.4])
    found = own.targets(boxes, classes, columns=4, iou_threshold=threshold)
    assert found.shape == (anchors, 8)
    matched = reference.matched(places, boxes, threshold)
    expected = [0 if i is None else classes[i] + 1 for i in matched]
    np.testing.assert_array_equal(found[:, 4:], np.eye(4)[expected])
    decoded = own.decode(found[:, :4])
    for anchor, i in enumerate(matched):
        if i is None:
            assert not found[anchor, :4].any()
        else:
            np.testing.assert_allclose(decoded[anchor], boxes[i], atol=1e-5)


def test_every_object_gets_an_anchor_of_its_own() -> None:
    """Three objects have the same best anchor. The object that overlaps it most gets it."""
    anchors = [(0.5, 0.5, 0.4, 0.4), (0.5, 0.5, 0.2, 0.2), (0.3, 0.3, 0.2, 0.2), (0.9, 0.9, 0.1, 0.1)]
    boxes = [(0.3, 0.3, 0.7, 0.66), (0.3, 0.3, 0.7, 0.7), (0.3, 0.3, 0.7, 0.68)]
    found = detector(anchors).targets(boxes, [0, 1, 2], columns=4)
    assert found[:, 4:].argmax(1).tolist() == [2, 3, 1, 0]


def test_equal_ones() -> None:
    """If overlaps are equal, the anchor and the object with the lower number come first."""
    anchors = [(0.5, 0.5, 0.2, 0.2)] * 3
    found = detector(anchors).targets([(0.4, 0.4, 0.6, 0.6)] * 2, [0, 1], columns=3)
    assert found[:, 4:].argmax(1).tolist() == [1, 2, 1]


def test_an_object_that_no_anchor_overlaps_is_not_learnt() -> None:
    found = detector([(0.2, 0.2, 0.1, 0.1)]).targets([(0.8, 0.8, 0.9, 0.9)], [0], columns=2)
    np.testing.assert_array_equal(found, [[0, 0, 0, 0, 1, 0]])


def test_an_image_without_objects() -> None:
    for boxes in ([], np.zeros((0, 4))):
        found = detector([(0.2, 0.2, 0.1, 0.1)] * 2).targets(boxes, [], columns=2)
        np.testing.assert_array_equal(found, [[0, 0, 0, 0, 1, 0]] * 2)


BOX = (0.1, 0.1, 0.5, 0.5)


@pytest.mark.parametrize(
    ("boxes", "classes", "options", "message"),
    [
        ([(10, 10, 50, 50)], [0], {}, r"box 0 must be left < right .* fractions .* got \(10, 10, 50"),
        ([BOX, (0.5, 0.1, 0.5, 0.5)], [0, 0], {}, r"box 1 must be left < right"),
        ([(-0.1, 0.1, 0.5, 0.5)], [0], {}, "box 0 must be left < right"),
        ([(0.1, 0.1, 0.5, np.nan)], [0], {}, "box 0 must be left < right"),
        ([BOX], [2], {}, "the class of box 0 must be 0 to 1, got 2"),
        ([BOX], [-1], {}, "classes must be numbers from 0 on, got -1"),
        ([BOX], [2**40], {}, "classes must be numbers from 0 on, got 1099511627776"),
        ([BOX], [0.5], {}, "classes must be whole numbers, got float64"),
        ([BOX], [0, 1], {}, r"classes: expected the shape \(1\), got"),
        ([BOX[:3]], [0], {}, r"boxes: expected the shape \(boxes, 4\)"),
        ([BOX], [0], {"iou_threshold": 0.0}, "iou_threshold must be above 0 and at most 1, got 0"),
        ([BOX], [0], {"columns": 1}, "columns must be the background and at least one class.*got 1"),
    ],
)
def test_what_is_refused(boxes: Any, classes: Any, options: dict[str, Any], message: str) -> None:
    own = detector([(0.2, 0.2, 0.1, 0.1)])
    with pytest.raises((mpscnn.ParameterError, mpscnn.ShapeError), match=message):
        own.targets(boxes, classes, **({"columns": 3} | options))


def test_numbers_that_are_not_finite() -> None:
    own = detector([(0.2, 0.2, 0.1, 0.1)], variances=[1e-42, 0.1, 0.2, 0.2])
    with pytest.raises(mpscnn.ParameterError, match="numbers of box 0 at anchor 0 are not finite"):
        own.targets([BOX], [0], columns=2)


def test_heads_without_targets() -> None:
    edges = mpscnn.Detector({"version": 1, "anchors": {"rule": "none"}}, (64, 64))
    with pytest.raises(mpscnn.ParameterError, match="anchor rule 'none' has no targets"):
        edges.targets([BOX], [0], columns=2)
    plain = mpscnn.Detector({**STORED, "scores": {"background": False}}, (64, 64), anchors=[BOX])
    with pytest.raises(mpscnn.ParameterError, match="need a background among the scores"):
        plain.targets([BOX], [0], columns=2)
    with pytest.raises(mpscnn.ParameterError, match="anchor 0 has no area: width 0"):
        detector([(0.2, 0.2, 0.0, 0.1)]).targets([BOX], [0], columns=2)
