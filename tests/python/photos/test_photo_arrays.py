"""Test arrays as photos: floats outside the range, orders of channels, and NumPy's files."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import photo_models
import pytest
from command_line import call, colour_network

import mpscnn

RED = np.zeros((30, 40, 3), np.uint8)
RED[..., 0] = 255
BLUE = RED[..., ::-1]


@pytest.fixture
def model(tmp_path: Path) -> mpscnn.Model:
    path = tmp_path / "colours.safetensors"
    colour_network().save(path, labels=["red", "green", "blue"], preprocess="unit")
    return mpscnn.load(path, device="cpu")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_of_bytes_range_are_refused(model: mpscnn.Model, dtype: Any) -> None:
    assert model.predict((RED / 255).astype(dtype))[0].label == "red"
    message = r"array \(30, 40, 3\) float\d\d: has values from 0 to 255; floats mean 0 to 1: divide by 255"
    with pytest.raises(mpscnn.ImageError, match=message):
        model.predict(RED.astype(dtype))


def test_floats_of_a_networks_range_are_refused(model: mpscnn.Model) -> None:
    with pytest.raises(
        mpscnn.ImageError, match=r"from -1 to 1; floats mean 0 to 1: scale them to it, or .*session"
    ):
        model.predict((RED / 127.5 - 1).astype(np.float32))
    # Values slightly outside 0 to 1 are accepted, because sharp resizing produces them.
    assert model.predict((RED / 255 * 1.2 - 0.1).astype(np.float32))[0].label == "red"


@pytest.mark.parametrize("task", photo_models.NETWORKS)
def test_channel_order_in_every_task(task: str, tmp_path: Path) -> None:
    model = photo_models.load(tmp_path, task)
    random = np.random.default_rng(3)
    photo = random.integers(0, 256, (20, 30, 3), np.uint8) // np.array([1, 3, 9], np.uint8)
    mirrored = np.ascontiguousarray(photo[..., ::-1])
    expected = model.predict(photo)
    method = {"classification": model.classify, "detection": model.detect, "segmentation": model.segment}[
        task
    ]
    assert not photo_models.same(model.predict(mirrored), expected)
    found = [
        model.predict(mirrored, channel_order="bgr"),
        method(mirrored, channel_order="bgr"),
    ]
    with mpscnn.Runner(model) as runner:
        found.append(runner.submit(mirrored, channel_order="bgr").result())
        found += runner.map([mirrored], channel_order="bgr")
    for result in found:
        if isinstance(expected, mpscnn.Segmentation):
            np.testing.assert_array_equal(result.labels, expected.labels)
        else:
            assert list(result) == list(expected)
    # The picture of the result shows the photo in its own colours.
    np.testing.assert_array_equal(np.asarray(found[0].draw()), np.asarray(expected.draw()))


def test_channel_order_in_features_and_preprocess(model: mpscnn.Model) -> None:
    extractor = model.features("pool")
    expected = extractor.run(RED)["pool"]
    np.testing.assert_array_equal(extractor.run(BLUE, channel_order="bgr")["pool"], expected)
    np.testing.assert_array_equal(mpscnn.preprocess(BLUE, 8, channel_order="bgr"), mpscnn.preprocess(RED, 8))


# ---- Files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["C", "F"])
def test_array_files_are_photos(tmp_path: Path, model: mpscnn.Model, order: Any) -> None:
    path = tmp_path / "frame.npy"
    np.save(path, np.array(RED, order=order))
    opened = mpscnn.open_photo(path)
    np.testing.assert_array_equal(opened.pixels, RED)
    assert model.predict(path)[0].label == "red"
    assert model.predict(path, channel_order="bgr")[0].label == "blue"


def test_channel_order_on_the_command_line(
    tmp_path: Path, model: mpscnn.Model, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "frame.npy"
    np.save(path, RED)
    arguments = ["classify", str(path), "--model", str(tmp_path / "colours.safetensors"), "--json"]
    assert call(*arguments, "--channel-order", "bgr") == 0
    assert json.loads(capsys.readouterr().out)["predictions"][0]["label"] == "blue"
    assert call(*arguments, "--channel-order", "xyz") == 2
    assert "'bgrx'" in capsys.readouterr().err


def damaged(content: bytes, change: str) -> bytes:
    if change == "cut":
        return content[:-1]
    if change == "longer":
        return content + b"x"
    if change == "no header":
        return content[:20]
    if change == "version":
        return content[:6] + b"\x09" + content[7:]
    if change == "huge":
        return content.replace(b"(30, 40, 3)", b"(9999999,9)")
    if change == "many pixels":
        return content.replace(b"(30, 40, 3), }  ", b"(20000,20000), }")
    if change == "long header":
        return content[:8] + b"\xff\xff" + content[10:]
    if change == "negative":
        return content.replace(b"(30, 40, 3)", b"(30,-40, 3)")
    if change == "objects":
        stream = io.BytesIO()
        np.save(stream, np.array([object()], object), allow_pickle=True)
        return stream.getvalue()
    return struct.pack("<8s", b"nonsense")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("cut", "damaged or cut off: its elements have 3,599 bytes, its header says 3,600"),
        ("longer", "damaged or cut off: its elements have 3,601 bytes"),
        ("no header", "its header cannot be read"),
        ("version", "version 9.0"),
        ("huge", r"has the shape \(9999999, 9\)"),
        ("many pixels", r"has the shape \(20000, 20000\); allowed are 200,000,000 pixels"),
        ("objects", "holds '.O', not numbers"),
        ("long header", "its header has 65,535 bytes, at most 10,000"),
        ("negative", r"its header says shape \(30, -40, 3\)"),
        ("nonsense", "not a NumPy file"),
    ],
)
def test_damaged_array_files(tmp_path: Path, change: str, message: str) -> None:
    path = tmp_path / "frame.npy"
    np.save(path, RED)
    path.write_bytes(damaged(path.read_bytes(), change))
    with pytest.raises(mpscnn.ImageError, match=rf"frame\.npy: .*{message}"):
        mpscnn.open_photo(path)
