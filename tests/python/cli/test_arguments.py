"""Arguments: NumPy's numbers are accepted like Python's, and errors name the wrong argument."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import photo_models
import pytest
from command_line import call

import mpscnn
from mpscnn._private.arguments import whole_number
from mpscnn._private.settings import as_json

PHOTO = np.arange(6 * 5 * 3, dtype=np.uint8).reshape(6, 5, 3)


def test_settings_become_json() -> None:
    given = {
        "a": np.float32(0.5),
        "b": np.array([[1, 2], [3, 4]], np.int64),
        "c": {"d": (True, None, "é"), 5: np.bool_(False)},
    }
    expected = {"a": 0.5, "b": [[1, 2], [3, 4]], "c": {"d": [True, None, "é"], "5": False}}
    assert json.loads(as_json("settings", given)) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"a": {"b": float("nan")}}, "settings: a.b must be finite, got nan"),
        ({"a": [1, np.float32("inf")]}, "settings: a must be finite, got inf"),
        ({"a": {1, 2}}, "settings: a: expected numbers, names or a mapping, got set"),
        ({"a": np.array(1j)}, "settings: a: expected numbers, names or a mapping, got complex"),
        (b"none", "settings: expected numbers, names or a mapping, got bytes"),
    ],
)
def test_refused_settings(given: Any, message: str) -> None:
    with pytest.raises(mpscnn.ParameterError, match=f"^{message}$"):
        as_json("settings", given)


def test_whole_numbers() -> None:
    for number in (1, 7, np.int64(3), np.uint8(7)):
        found = whole_number("n", number, maximum=7)
        assert found == number
        assert type(found) is int
    for wrong in (0, 8, True, 2.0, np.float32(2), "2", None):
        with pytest.raises(mpscnn.ParameterError, match=r"^n must be a (whole )?number from 1 to 7, got "):
            whole_number("n", wrong, maximum=7)
    for fraction in (2.0, np.float32(2), 1.5):
        with pytest.raises(mpscnn.ParameterError, match=r"^n must be a whole number of at least 0, got "):
            whole_number("n", fraction, 0)
    with pytest.raises(mpscnn.ParameterError, match=r"^n must be a number of at least 2, got 1$"):
        whole_number("n", 1, 2)


def test_numbers_of_numpy_serve_as_options(tmp_path: Path) -> None:
    classifier, detector = (photo_models.load(tmp_path, task) for task in ("classification", "detection"))
    assert len(classifier.predict(PHOTO, top=np.int64(2))) == 2  # type: ignore[arg-type]
    assert photo_models.same(
        detector.predict(
            PHOTO, score_threshold=np.float32(0.25), iou_threshold=np.float64(0.5), max_detections=np.int32(3)
        ),  # type: ignore[arg-type]
        detector.predict(PHOTO, score_threshold=0.25, iou_threshold=0.5, max_detections=3),
    )
    with mpscnn.Runner(classifier, np.int64(2), threads=np.int64(1), max_wait=np.float32(0)) as runner:  # type: ignore[arg-type]
        assert runner.inflight == 2
    mean = np.array([1, 2, 3], np.float32)
    np.testing.assert_array_equal(
        mpscnn.preprocess(PHOTO, (np.int64(4), 4), {"mean": mean}),  # type: ignore[arg-type]
        mpscnn.preprocess(PHOTO, 4, {"mean": [1, 2, 3]}),
    )


@pytest.mark.parametrize(
    ("size", "settings", "message"),
    [
        ((4.5, 4), "unit", r"size must be a whole number or \(vertical, horizontal\), got \(4.5, 4\)"),
        ((4, 4, 3), "unit", "size must be a whole number or"),
        (None, "unit", "size must be a whole number or"),
        ((-4, 4), "unit", r"size must be at least 1, got \(-4, 4\)"),
        (10**9, "unit", r"size must be at most 16,384, got 1000000000"),
        ((4, 4), None, "preprocess: expected an object, got null"),
        ((4, 4), {"mean": [float("nan")] * 3}, "preprocess: mean must be finite, got nan"),
        ((4, 4), {"scale": "2"}, "preprocess.scale: expected a number, got a string"),
    ],
)
def test_refused_preprocessing(size: Any, settings: Any, message: str) -> None:
    with pytest.raises(mpscnn.ParameterError, match=message):
        mpscnn.preprocess(PHOTO, size, settings)


@pytest.mark.parametrize("labels", ["ab", 5, {"a", "b"}])
def test_labels_are_a_sequence(tmp_path: Path, labels: Any) -> None:
    network = mpscnn.Network(input=(4, 4, 3))
    network.output(network.conv2d(network.input, 2, 1, name="c"))
    network.initialize_weights()
    with pytest.raises(mpscnn.ParameterError, match="labels must be a sequence of names, got"):
        network.save(tmp_path / "m.safetensors", labels=labels)


@pytest.mark.parametrize(
    "arguments",
    [("classify", "--device", "{}"), ("classify", "--precision", "{}"), ("classify", "--{}"), ("{}",)],
)
def test_messages_about_long_arguments_are_short(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*(text.format("x" * 99_999) for text in arguments)) == 2
    error = capsys.readouterr().err
    assert "xxx ... (" in error
    assert len(error) < 2_500
