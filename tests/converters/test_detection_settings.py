"""Settings of a detector from a JSON file: `mpscnn convert --detection`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from constant_detector import SETTINGS, constant_network

import mpscnn
from mpscnn import converters


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What stands for a file without settings of its own, with the outputs "boxes" and "scores" of two classes."""
    network = constant_network()
    network.detection = None
    monkeypatch.setattr(converters, "read_network", lambda sources, **options: network)
    return ["raw_heads.tflite"]


def write(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_the_file_becomes_a_detector(tmp_path: Path, source: list[str]) -> None:
    settings = write(tmp_path / "settings.json", SETTINGS)
    labels = write(tmp_path / "labels.txt", "cat\ndog\n")
    output = tmp_path / "detector.safetensors"
    converters.convert_files(source, output, detection=settings, labels=labels, preprocess="unit")
    model = mpscnn.load(output, device="cpu")
    assert model.task == "detection"
    (found,) = model.predict(np.zeros((8, 8, 3), np.uint8))
    assert (found.label, tuple(found.box)) == ("cat", (2, 1, 6, 4))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (None, "settings.json: cannot be read"),
        ("{", "settings.json: is not a JSON file"),
        ([1], "settings.json: expected an object"),
        (SETTINGS | {"colour": 1}, "colour"),
        (SETTINGS | {"scores": 1}, "scores"),
        (SETTINGS | {"scores": {"output": "other"}}, "'other'"),
        (SETTINGS | {"scores": SETTINGS["scores"] | {"background": True}}, "2 labels, but the network has 1"),
        (SETTINGS | {"anchors": {"rule": "stored"}}, "anchors"),
    ],
)
def test_settings_that_are_refused(tmp_path: Path, source: list[str], settings: Any, message: str) -> None:
    path = tmp_path / "settings.json"
    if settings is not None:
        write(path, settings)
    labels = write(tmp_path / "labels.txt", "cat\ndog\n")
    output = tmp_path / "detector.safetensors"
    with pytest.raises(mpscnn.Error, match=message):
        converters.convert_files(source, output, detection=path, labels=labels)
    assert not output.exists()
