"""Test `mpscnn.compare_precisions` and `mpscnn compare-precisions`."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call
from PIL import Image

import mpscnn
from mpscnn.comparison import precision_choice
from mpscnn.comparison.precision_choice import Measured
from mpscnn.comparison.precision_table import fastest


def classifier() -> mpscnn.Network:
    network = mpscnn.Network((6, 6, 3))
    x = network.conv2d(network.input, 8, 3, activation="relu6")
    x = network.dense(x, 5)
    network.output(network.softmax(x))
    network.initialize_weights(seed=2)
    return network


def noise(count: int, *shape: int) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.uniform(-1, 1, (1, *shape)).astype(np.float32) for _ in range(count)]


def test_a_classifier() -> None:
    network = classifier()
    images = noise(12, 6, 6, 3)
    right = [
        int(np.argmax(network.compile(device="cpu").session().run(image)))  # type: ignore[arg-type]
        for image in images
    ]
    wrong = [*right[:-3], *((number + 1) % 5 for number in right[-3:])]
    found = mpscnn.compare_precisions(network, images, classes=wrong, runs=2)
    assert (found.images, found.compared) == (12, "images")
    precisions = mpscnn.devices()[0]["precisions"]
    assert set(found.refused) == {"int8"}  # the network has no integers
    assert [row.numbers for row in found.rows] == [
        *(precision for precision in precisions if precision != "int8"),
        "float32, weights int8",
        "float16, weights int8",
    ]
    first, half = found.rows[:2]
    assert (first.error, first.agreement, first.accuracy) == (0.0, 1.0, 0.75)
    assert 0.0 < half.error < 0.01
    for row in found.rows:
        weights = "int8" if "int8" in row.numbers else "auto"
        program = network.compile(device="cpu", precision=row.precision, weights=weights)
        assert program.numbers == row.numbers
        assert row.fingerprint == program.fingerprint()
        assert row.weight_bytes == program.weight_bytes
        assert row.arena_bytes == program.arena_bytes((1, 6, 6, 3))
        assert row.milliseconds > 0.0
    assert "same images" in repr(found)
    assert "75.0%" in repr(found)
    assert json.loads(json.dumps(found.to_dict()))["rows"][1]["precision"] == "float16"


def test_sums_in_halves_are_a_row_for_those_who_ask() -> None:
    found = mpscnn.compare_precisions(
        classifier(), noise(4, 6, 6, 3), precisions=["float16"], accumulate_dtype="float16", runs=1
    )
    assert [row.numbers for row in found.rows] == ["float32", "float16", "float16, sums in halves"]
    assert 0.0 < found.rows[1].error < found.rows[2].error < 0.1
    with pytest.raises(mpscnn.ParameterError, match="accumulate_dtype"):
        mpscnn.compare_precisions(classifier(), noise(1, 6, 6, 3), accumulate_dtype="double")  # type: ignore[arg-type]


def test_answers_that_change_are_counted() -> None:
    """In float16 the second class overflows to infinity and wins."""
    network = mpscnn.Network((1, 1, 2))
    network.output(network.dense(network.input, 2, name="scores"))
    network.set_weights({"scores.weight": np.array([[70000.0, 0.0], [0.0, 60000.0]]).reshape(2, 1, 1, 2)})
    images = [np.array([[[[1.0, 1.1]]]], np.float32), np.array([[[[0.1, 1.0]]]], np.float32)]
    large = mpscnn.compare_precisions(network, images, runs=1)
    assert "70000" in large.refused["float16"]
    assert "70000" in large.refused["float16, weights int8"]
    assert large.rows[0].precision == "float32"
    network.set_weights({"scores.weight": np.array([[60000.0, 0.0], [0.0, 60001.0]]).reshape(2, 1, 1, 2)})
    images = [np.array([[[[1.0, 1.0]]]], np.float32), np.array([[[[0.1, 1.0]]]], np.float32)]
    found = mpscnn.compare_precisions(network, images, precisions=["float16"], runs=1)
    # 60001 is rounded to 60000 in float16. Of equal scores the first wins.
    assert found.rows[1].agreement == 0.5


def test_a_result_that_is_no_number_shows_whichever_output_it_is_of() -> None:
    network = mpscnn.Network((1, 1, 2))
    x = network.input
    small, large, larger = (network.dense(x, 2, name=name) for name in ("small", "large", "larger"))
    # In float16 both results are infinite, and their difference is NaN.
    for result in (small, network.subtract(larger, large, name="difference")):
        network.output(result)
    for name, size in (("small", 1.0), ("large", 50000.0), ("larger", 60000.0)):
        weight = np.array([[size, 0.0], [0.0, size]]).reshape(2, 1, 1, 2)
        network.set_weights({f"{name}.weight": weight})
    found = mpscnn.compare_precisions(
        network, [np.full((1, 1, 1, 2), 2.0, np.float32)], precisions=["float16"], runs=1
    )
    assert np.isnan(found.rows[1].error)


def test_segmentations_count_pixels() -> None:
    network = mpscnn.Network((4, 5, 3))
    network.output(network.conv2d(network.input, 6, 1))
    network.initialize_weights()
    found = mpscnn.compare_precisions(network, noise(2, 4, 5, 3), runs=1)
    assert found.compared == "pixels"
    assert found.rows[0].agreement == 1.0
    assert found.rows[0].accuracy is None


def test_detectors_count_objects() -> None:
    model = mpscnn.load("page_digits", device="cpu")
    page = Image.new("L", (160, 160), 255)
    digit = Image.fromarray(np.where(np.eye(20, dtype=bool), 0, 255).astype(np.uint8)).resize((40, 40))
    page.paste(digit, (60, 60))
    images = [
        mpscnn.preprocess(page, 160, model.preprocess or "none", channels=model.network.input.shape[-1] or 3)
    ]
    network = model.network
    found = mpscnn.compare_precisions(network, images, runs=1)
    assert found.compared == "objects"
    assert all(row.agreement is not None and 0.0 <= row.agreement <= 1.0 for row in found.rows)
    assert found.rows[0].agreement == 1.0


def test_wrong_arguments() -> None:
    network = classifier()
    with pytest.raises(mpscnn.ParameterError, match="no images"):
        mpscnn.compare_precisions(network, [])
    with pytest.raises(mpscnn.ParameterError, match="2 classes for 1 images"):
        mpscnn.compare_precisions(network, noise(1, 6, 6, 3), classes=[0, 1])
    for wrong in ([1000], [-1], ["cat"], np.zeros((1, 1)), 3, {1}):
        with pytest.raises(mpscnn.ParameterError, match="classes"):
            mpscnn.compare_precisions(network, noise(1, 6, 6, 3), classes=wrong)  # type: ignore[arg-type]
    for images in (5.5, None, [np.array(["a"])]):
        with pytest.raises(mpscnn.ParameterError, match="images must be"):
            mpscnn.compare_precisions(network, images)
    with pytest.raises(mpscnn.UnsupportedError, match="does not say how a photo becomes its input"):
        mpscnn.compare_precisions(network, "photo.jpg")
    with pytest.raises(mpscnn.ParameterError, match="the images are not all finite"):
        mpscnn.compare_precisions(network, [np.full((1, 6, 6, 3), np.nan, np.float32)])
    with pytest.raises(mpscnn.ShapeError, match="got a number"):
        mpscnn.compare_precisions(network, [3.0])  # type: ignore[list-item]
    with pytest.raises(mpscnn.ParameterError, match="expected a Network or a Model, got str"):
        mpscnn.compare_precisions("digits", noise(1, 6, 6, 3))  # type: ignore[arg-type]
    with pytest.raises(mpscnn.ParameterError, match="runs"):
        mpscnn.compare_precisions(network, noise(1, 6, 6, 3), runs=0)
    with pytest.raises(mpscnn.ShapeError):
        mpscnn.compare_precisions(network, noise(1, 5, 6, 3))


def test_on_the_command_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    labels = (mpscnn.load(device="cpu").labels or [])[:2]
    for i, label in enumerate(labels):
        (tmp_path / label).mkdir()
        for k in range(3):
            Image.new("RGB", (64, 64), (90 * i, 60 * k, 80)).save(tmp_path / label / f"{k}.png")
    command = ("compare-precisions", "cifar10_mobilenet_v2", "--runs", "1", "--images")
    assert call(*command, str(tmp_path)) == 0
    out = capsys.readouterr().out
    assert "6 photos" in out
    assert "accuracy" in out
    assert "float16, weights int8" in out
    assert call(*command, str(tmp_path / labels[0]), "--max-images", "1", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["images"] == 1
    assert shown["rows"][0]["accuracy"] in (0.0, 1.0)
    (tmp_path / labels[0]).rename(tmp_path / "holiday")
    assert call(*command, str(tmp_path)) == 0
    assert "accuracy" not in capsys.readouterr().out


def test_without_photos_it_says_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert call("compare-precisions", "digits", "--runs", "1") == 0
    shown = capsys.readouterr()
    assert "4 random inputs" in shown.out
    assert "--images" in shown.err
    assert call("compare-precisions", "digits", "--images", str(tmp_path)) == 2
    assert "no photo" in capsys.readouterr().err


# ---- The fastest precision ------------------------------------------------------------------------------------------


def row(error: float, milliseconds: float) -> Measured:
    return Measured({"precision": f"{error}"}, error, milliseconds)


def test_the_fastest_precision_within_an_error() -> None:
    rows = [
        row(0.0, 10.0),
        row(0.001, 8.0),
        row(0.01, 5.0),
        row(0.02, 4.9),
        row(0.5, 1.0),
        row(math.nan, 0.1),
    ]
    chosen = {within: fastest(rows, within).error for within in (0, 0.0009, 0.001, 0.02, 1.0, 1e9)}
    # A gain of less than a twentieth is no gain.
    assert chosen == {0: 0.0, 0.0009: 0.0, 0.001: 0.001, 0.02: 0.01, 1.0: 0.5, 1e9: 0.5}


@pytest.mark.parametrize("within", [-0.1, math.nan, math.inf, "0.1", True])
def test_a_wrong_error(within: object) -> None:
    with pytest.raises(mpscnn.ParameterError, match="within: expected a number of at least 0"):
        mpscnn.load(classifier(), within=within)  # type: ignore[call-overload]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[mpscnn.PrecisionTable]:
    """Let float16 be fast, whatever this machine measures. Return the list of what is measured."""
    made: list[mpscnn.PrecisionTable] = []
    times = {"float32": 5.0, "float16": 1.0}

    def compare(*arguments: Any, **options: Any) -> mpscnn.PrecisionTable:
        table = mpscnn.compare_precisions(*arguments, **options)
        rows = [replace(entry, milliseconds=times.get(entry.numbers, 9.0)) for entry in table.rows]
        made.append(replace(table, rows=tuple(rows)))
        return made[-1]

    monkeypatch.setenv("MPSCNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(precision_choice, "compare_precisions", compare)
    return made


def test_load_takes_the_fastest_precision(measured: list[mpscnn.PrecisionTable], tmp_path: Path) -> None:
    network = classifier()
    assert mpscnn.load(network, within=0.1).program.precision == "float16"
    assert mpscnn.load(network, within=0.0).program.precision == "float32"
    assert len(measured) == 1  # the cache has the figures, whatever the error is
    (kept,) = (tmp_path / "cache" / "precisions").glob("*.json")
    for damaged in (
        "",
        "[]",
        '[{"options": {"precision": "huge"}, "error": 0, "milliseconds": 1}]',
        "[" * 99_999,
    ):
        kept.write_text(damaged)
        assert mpscnn.load(network, within=0.1).program.precision == "float16"
    assert len(measured) == 5
    network.initialize_weights(seed=3)
    mpscnn.load(network, within=0.1, threads=1)
    assert len(measured) == 6


def test_compile_takes_the_fastest_precision(measured: list[mpscnn.PrecisionTable]) -> None:
    network = classifier()
    hidden = network.to_dict()["nodes"][0]["name"]
    for within, precision in ((0.1, "float16"), (0.0, "float32")):
        assert network.compile(precision="auto", within=within).precision == precision
        program = network.compile(within=within, outputs=[hidden])
        assert (program.precision, [*program.outputs]) == (precision, [hidden])
    assert len(measured) == 2  # the network, and its first layer


def test_photos_are_measured_where_a_network_takes_them(measured: list[mpscnn.PrecisionTable]) -> None:
    mpscnn.load(within=0.1, device="cpu")
    assert (measured[0].images, measured[0].compared) == (3, "images")


def test_a_cache_that_cannot_be_written(
    measured: list[mpscnn.PrecisionTable], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MPSCNN_CACHE", str(tmp_path / "file"))
    for _ in range(2):
        assert mpscnn.load(classifier(), within=0.1).program.precision == "float16"
    assert len(measured) == 2


def test_networks_that_cannot_be_measured() -> None:
    free = mpscnn.Network((None, None, 3))
    free.output(free.activation(free.input, "relu"))
    with pytest.raises(mpscnn.UnsupportedError, match="compare_precisions"):
        mpscnn.load(free, within=0.1)
    with pytest.raises(mpscnn.ParameterError, match="precision must be 'auto', got 'float16'"):
        mpscnn.load(classifier(), within=0.1, precision="float16")


def test_the_command_names_the_fastest_precision(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "small.safetensors"
    classifier().save(path)
    assert call("compare-precisions", str(path), "--runs", "1", "--within", "0") == 0
    assert "The fastest with an error of at most 0: --precision float32" in capsys.readouterr().out
