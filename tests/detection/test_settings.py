"""Test the errors for settings, anchors and heads that are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mpscnn

SIZES: dict[str, Any] = {"rule": "sizes", "strides": [16], "sizes": [[[10, 10]]]}


def settings(**members: Any) -> dict[str, Any]:
    return {"version": 1, "anchors": {"rule": "scales"}, **members}


def test_defaults_are_filled_in() -> None:
    described = mpscnn.Detector(settings(), (300, 300)).settings
    assert described["version"] == 1
    assert described["boxes"]["output"] == "boxes"
    assert described["boxes"]["variances"] == pytest.approx([0.1, 0.1, 0.2, 0.2])
    assert described["scores"] == {"output": "scores", "kind": "sigmoid", "background": True}
    assert described["anchors"]["strides"] == [16, 32, 64, 128, 256, 512]
    assert described["suppression"]["method"] == "hard"


@pytest.mark.parametrize(
    "given",
    [
        settings(),
        settings(anchors=SIZES | {"centers": "grid", "clip": True}),
        settings(anchors={"rule": "none"}, boxes={"order": "xy", "variances": [1, 2, 3, 4], "output": "b"}),
        settings(
            boxes={"max_log_size": 4.0, "clip": True, "levels": [30, 8]}, suppression={"max_per_level": 5}
        ),
        settings(
            scores={"kind": "softmax", "background": False, "output": "s"},
            suppression={
                "method": "gaussian",
                "per_class": False,
                "iou_threshold": 0.25,
                "sigma": 0.75,
                "score_threshold": 0.125,
                "max_candidates": 7,
                "max_per_class": 8,
                "max_detections": 9,
                "classes_per_box": 2,
            },
        ),
    ],
)
def test_every_field_comes_back(given: dict[str, Any]) -> None:
    described = mpscnn.Detector(given, (300, 300)).settings
    assert mpscnn.Detector(described, (300, 300)).settings == described
    for key, value in given.items():
        if isinstance(value, dict):
            assert {name: described[key][name] for name in value} == value
        else:
            assert described[key] == value


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"anchors": {"rule": "scales"}}, "version"),
        (settings(version=2), "this mpscnn reads version 1"),
        ({"version": 1}, "anchors"),
        (settings(colour="red"), "colour"),
        (settings(anchors={"rule": "magic"}), "'magic' is not one of scales, sizes, stored, none"),
        (settings(anchors={"rule": "scales", "sizes": []}), "sizes"),
        (settings(anchors={"rule": "scales", "strides": []}), "'strides' is empty"),
        (settings(anchors={"rule": "scales", "strides": [0]}), "a stride is 0"),
        (settings(anchors={"rule": "scales", "min_scale": 0}), "min_scale is 0"),
        (settings(anchors={"rule": "scales", "max_scale": -1}), "max_scale is -1"),
        (settings(anchors={"rule": "scales", "aspect_ratios": [0]}), "an aspect ratio is 0"),
        (settings(anchors={"rule": "scales", "interpolated_ratio": -1}), "interpolated_ratio is -1"),
        (
            settings(anchors={"rule": "scales", "aspect_ratios": [], "interpolated_ratio": 0}),
            "no aspect ratios",
        ),
        (settings(anchors={"rule": "scales", "strides": [1]}), "more than 1000000"),
        (settings(anchors=SIZES | {"strides": [16, 32]}), "sizes of 1 feature maps for 2 strides"),
        (settings(anchors=SIZES | {"sizes": [[]]}), "a feature map has no sizes"),
        (settings(anchors=SIZES | {"sizes": [[[10]]]}), "has 1 numbers, expected 2"),
        (settings(anchors=SIZES | {"sizes": [[[0, 10]]]}), "a width is 0"),
        (settings(anchors=SIZES | {"sizes": [[[10, -1]]]}), "a height is -1"),
        (settings(anchors={"rule": "stored"}), "none are stored"),
        (settings(anchors={"rule": "stored", "count": 3}), "count"),
        (settings(boxes={"order": "zx"}), "'zx' is not one of xy, yx"),
        (settings(boxes={"variances": [1, 1, 1]}), "has 3 numbers, expected 4"),
        (settings(boxes={"variances": [1, 1, 1, 0]}), "a variance is 0"),
        (settings(boxes={"max_log_size": 41}), "max_log_size is 41"),
        (settings(boxes={"max_log_size": 0}), "max_log_size is 0"),
        (settings(boxes={"levels": [4, 0]}), "a level has 0 boxes"),
        (settings(suppression={"max_per_level": 4}), "max_per_level needs 'levels'"),
        (
            settings(boxes={"levels": [4]}, suppression={"max_per_level": 4, "per_class": False}),
            "and 'per_class' of the suppression",
        ),
        (settings(suppression={"max_per_level": -1}), "max_per_level is -1"),
        (settings(scores={"kind": "none"}), "'none' is not one of probability, sigmoid, softmax"),
        (settings(scores={"logits": True}), "logits"),
        (settings(suppression={"method": "soft"}), "'soft' is not one of hard, linear, gaussian"),
        (settings(suppression={"iou_threshold": 1.5}), "iou_threshold is 1.5"),
        (settings(suppression={"score_threshold": -0.1}), "score_threshold is -0.1"),
        (settings(suppression={"sigma": 0}), "sigma is 0"),
        (settings(suppression={"max_candidates": -1}), "max_candidates is -1"),
        (settings(suppression={"max_per_class": 0}), "max_per_class is 0"),
        (settings(suppression={"max_detections": 0}), "max_detections is 0"),
        (settings(suppression={"classes_per_box": 0}), "classes_per_box is 0"),
        (settings(suppression={"top": 3}), "top"),
    ],
)
def test_refused_settings(given: dict[str, Any], message: str) -> None:
    with pytest.raises(mpscnn.ParameterError, match=message) as caught:
        mpscnn.Detector(given, (1200, 1200))
    assert "detection" in str(caught.value)


def test_settings_that_are_no_json() -> None:
    with pytest.raises(mpscnn.ParameterError, match="detection: version must be finite, got nan"):
        mpscnn.Detector({"version": float("nan")}, (300, 300))
    with pytest.raises(mpscnn.ParameterError, match="detection: expected an object, got null"):
        mpscnn.Detector(None, (300, 300))  # type: ignore[arg-type]


def test_settings_may_hold_arrays() -> None:
    variances = np.array([0.5, 0.5, 0.25, 0.25], np.float32)
    described = mpscnn.Detector(settings(boxes={"variances": variances}), (300, 300)).settings
    assert described["boxes"]["variances"] == variances.tolist()


def test_refused_sizes_and_anchors() -> None:
    with pytest.raises(mpscnn.ParameterError, match="height x width is 0x300"):
        mpscnn.Detector(settings(), (0, 300))
    for size in ((300.5, 300), (300, 300, 3), "300"):
        with pytest.raises(mpscnn.ParameterError, match="input_size must be a whole number or"):
            mpscnn.Detector(settings(), size)  # type: ignore[arg-type]
    stored = settings(anchors={"rule": "stored"})
    with pytest.raises(mpscnn.ParameterError, match="stored anchor 1 is not finite"):
        mpscnn.Detector(stored, (300, 300), anchors=[[0, 0, 1, 1], [0, np.inf, 1, 1]])
    with pytest.raises(mpscnn.ShapeError, match=r"anchors: expected the shape \(boxes, 4\)"):
        mpscnn.Detector(stored, (300, 300), anchors=[[0, 0, 1]])
    with pytest.raises(mpscnn.ShapeError, match="anchors: cannot be read as numbers"):
        mpscnn.Detector(stored, (300, 300), anchors=[[1, 2], [3]])
    with pytest.raises(mpscnn.ParameterError, match="anchor rule is not 'stored'"):
        mpscnn.Detector(settings(), (300, 300), anchors=[[0, 0, 1, 1]])


def test_heads_that_do_not_fit() -> None:
    detector = mpscnn.Detector(settings(), (300, 300))
    with pytest.raises(
        mpscnn.ShapeError, match="1900 boxes, but there are 1917 anchors for an input of 300x300"
    ):
        detector.run(np.zeros((1900, 4)), np.zeros((1900, 91)))
    with pytest.raises(mpscnn.ShapeError, match="1900 boxes, but there are 1917 anchors"):
        detector.decode(np.zeros((1900, 4)))
    with pytest.raises(mpscnn.ShapeError, match="scores: 1916 rows for 1917 boxes"):
        detector.run(np.zeros((1917, 4)), np.zeros((1916, 91)))
    with pytest.raises(mpscnn.ShapeError, match=r"boxes: expected the shape \(boxes, 4\), got \(1917, 5\)"):
        detector.run(np.zeros((1917, 5)), np.zeros((1917, 91)))
    with pytest.raises(mpscnn.ShapeError, match="1 columns, the first of them the background, have no class"):
        detector.run(np.zeros((1917, 4)), np.zeros((1917, 1)))
    with pytest.raises(mpscnn.ShapeError, match="of one image"):
        detector.run(np.zeros((2, 1917, 4)), np.zeros((2, 1917, 91)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite(value: float) -> None:
    detector = mpscnn.Detector(settings(), (300, 300))
    boxes, scores = np.zeros((1917, 4)), np.zeros((1917, 91))
    boxes[1916, 3] = value
    with pytest.raises(mpscnn.ParameterError, match=r"number 3 of box 1916 is .*boxes must be finite"):
        detector.run(boxes, scores)
    boxes[1916, 3] = 0.0
    for column in (0, 1, 90):
        scores[:] = -9.0
        scores[7, column] = value
        with pytest.raises(
            mpscnn.ParameterError, match=f"score {column} of box 7 is .*scores must be finite"
        ):
            detector.run(boxes, scores)


@pytest.mark.parametrize(
    ("argument", "values"),
    [
        ("score_threshold", [0.0, -0.1, 1.5, float("nan"), "high", True]),
        ("iou_threshold", [0, 2]),
        ("max_detections", [0, 1.5, True]),
    ],
)
def test_limits_out_of_range(argument: str, values: list[Any]) -> None:
    detector = mpscnn.Detector(settings(), (300, 300))
    for value in values:
        with pytest.raises(mpscnn.ParameterError, match=f"{argument} must be"):
            detector.run(np.zeros((1917, 4)), np.zeros((1917, 91)), **{argument: value})
