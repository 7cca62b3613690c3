"""Test that a detector learns what its teacher finds beside the labelled objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call
from constant_detector import EDGES, constant_network, save_constant_detector
from training.labelled_scenes import HEIGHT, LABELS, WIDTH, write_scenes
from training.small_backbone import small_backbone

import mpscnn
from mpscnn import ParameterError, UnsupportedError
from mpscnn.training.scenes.labelled import LabelledPhoto
from mpscnn.training.scenes.source import read_objects
from mpscnn.training.scenes.taught import add_found

#: The teacher's box in pixels of the photos.
FOUND = np.asarray(EDGES) * (WIDTH, HEIGHT, WIDTH, HEIGHT)


def teacher(labels: tuple[str, ...] = ("red", "cat")) -> mpscnn.Model:
    network = constant_network()
    network.preprocess, network.labels = "unit", list(labels)
    return mpscnn.Model(network, device="cpu", threads=1)


@pytest.mark.parametrize("size", [None, (0, 0), (WIDTH, HEIGHT)], ids=["fractions", "own pixels", "pixels"])
def test_finds_beside_labelled_objects_are_added(tmp_path: Path, size: Any) -> None:
    scenes = write_scenes(tmp_path, 1)
    path = str(scenes.photos / "00.png")
    unit = np.ones(4) if size is not None else np.tile((WIDTH, HEIGHT), 2)
    same, apart = FOUND + (2, 1, 2, 1), FOUND + (0, 18, 0, 18)  # noqa: RUF005 - these are sums
    for labelled, added in (([], 1), ([apart], 1), ([same], 0), ([apart, same], 0)):
        boxes = np.reshape(labelled, (-1, 4)) / unit
        classes = np.zeros(len(boxes), np.int64)
        photo = LabelledPhoto(path, "place", boxes, classes, size, shapes=(None,) * len(boxes))
        (taught,), count = add_found([photo], LABELS, teacher(), "constants")
        assert count == added
        np.testing.assert_allclose(taught.boxes[: len(boxes)], boxes)
        np.testing.assert_allclose(taught.boxes[len(boxes) :] * unit, np.tile(FOUND, (added, 1)), rtol=1e-5)
        assert taught.classes.tolist() == [0] * len(boxes) + [LABELS.index("red")] * added
        assert taught.shapes == (None,) * len(taught.boxes)
    (taught,), count = add_found([photo], ("cat",), teacher(), "constants")
    assert (count, len(taught.boxes)) == (0, 2)  # its score is 0.2


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (lambda: mpscnn.load("digits"), UnsupportedError, "one is not a detector, but for classification"),
        (lambda: teacher(("cat", "dog")), ParameterError, "one has none of the classes 'green', 'red'"),
    ],
)
def test_refusals(tmp_path: Path, model: Any, error: type[Exception], message: str) -> None:
    scenes = write_scenes(tmp_path, 2)
    with pytest.raises(error, match=message):
        add_found(read_objects(scenes.photos, scenes.coco).photos, LABELS, model(), "one")


def test_the_command_and_the_function_train_with_a_teacher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    scenes = write_scenes(tmp_path, 6)
    small_backbone().save("small.safetensors", dtype="float32")
    file = save_constant_detector(tmp_path / "teacher.safetensors", labels=("red", "cat"))
    options: dict[str, Any] = {"annotations": str(scenes.coco), "size": 32, "epochs": 1, "threads": 1}
    model = mpscnn.train(scenes.photos, "small.safetensors", teacher=file, output="a.safetensors", **options)
    assert f"the teacher {file} adds " in capsys.readouterr().err
    assert f"with the teacher {file}" in model.information["description"]
    arguments = ["--annotations", str(scenes.coco), "--size=32x32", "--epochs=1", "--threads=1"]
    arguments += ["--model=small.safetensors", "--teacher", str(file)]
    assert call("train", str(scenes.photos), *arguments, "--output=b.safetensors") == 0
    assert Path("a.safetensors").read_bytes() == Path("b.safetensors").read_bytes()
    assert call("train", str(scenes.photos), *arguments, "--output", str(file), "--overwrite") == 2
    assert "is the file of the output, too" in capsys.readouterr().err
    assert call("train", str(scenes.photos), *arguments, "--output=c.safetensors", "--temperature=2") == 2
    assert call("train", str(scenes.photos), "--task=segment", "--masks=masks", "--teacher", str(file)) == 2
