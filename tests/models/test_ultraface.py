"""Test a detector of the SSD family that has its own rule for anchors. Its weights also run in onnxruntime."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from exact_engines import onnxruntime_session

import mpscnn
from mpscnn import converters

SIZE = (240, 320)
PREPROCESS = {"mean": [127.0, 127.0, 127.0], "scale": [1 / 128.0, 1 / 128.0, 1 / 128.0]}
FACES = {"face.jpg": 4, "grace_hopper.bmp": 1}


@pytest.fixture(scope="module")
def model(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> mpscnn.Model:
    source = shared / "models/ultraface/version-slim-320_without_postprocessing.tflite"
    network = converters.read_network([source], name="ultraface")
    shapes = {tensor.shape[-1]: tensor.name for tensor in network.outputs}
    network.detection = mpscnn.models.ultraface_head(boxes=shapes[4], scores=shapes[2])
    path = tmp_path_factory.mktemp("ultraface") / "ultraface.safetensors"
    network.save(path, preprocess=PREPROCESS, labels=["face"], dtype="float32")
    return mpscnn.load(path, device="cpu", precision="float32")


@pytest.mark.parametrize(("name", "count"), FACES.items())
def test_faces_are_found(model: mpscnn.Model, shared: Path, name: str, count: int) -> None:
    found = model.predict(shared / "images" / name)
    assert [entry.label for entry in found] == ["face"] * count
    assert all(entry.score > 0.99 for entry in found)
    for box in (entry.box for entry in found):
        assert 0.5 < box.width / box.height < 1.0  # in the photo's pixels, faces are higher than wide


def test_pets_have_no_face(model: mpscnn.Model, shared: Path) -> None:
    assert not model.predict(shared / "images/pets.jpg", score_threshold=0.9)


@pytest.mark.parametrize("name", [*FACES, "pets.jpg", "parrot.jpg"])
def test_boxes_and_scores_are_onnxruntimes(model: mpscnn.Model, shared: Path, name: str) -> None:
    oracle = onnxruntime_session(shared / "models/ultraface/version-slim-320.onnx")
    x = mpscnn.preprocess(shared / "images" / name, SIZE, PREPROCESS)
    scores, boxes = oracle.run(["scores", "boxes"], {"input": x.transpose(0, 3, 1, 2)})
    with model.session() as session:
        heads = session.run(x)
    assert isinstance(heads, dict)
    found = {value.shape[-1]: value for value in heads.values()}
    assert model.network.detection is not None
    detector = model.network.detection.detector(SIZE)
    np.testing.assert_allclose(detector.decode(found[4][0]), boxes[0], atol=1e-3)
    np.testing.assert_allclose(found[2], scores, atol=1e-3)


@pytest.mark.parametrize("name", FACES)
def test_faces_are_where_they_were(model: mpscnn.Model, shared: Path, name: str) -> None:
    """Compare with stored rows [score, left, top, right, bottom], once checked with onnxruntime, as photo fractions."""
    golden = json.loads((Path(__file__).parent / "golden" / "ultraface_faces.json").read_text("utf-8"))
    found = model.predict(shared / "images" / name)
    width, height = found.photo_size
    rows = [
        [e.score, e.box.left / width, e.box.top / height, e.box.right / width, e.box.bottom / height]
        for e in found
    ]
    np.testing.assert_allclose(rows, golden[name], atol=1e-3)


def test_weights_of_pytorch_are_the_same_detector(
    model: mpscnn.Model, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is of the older form of torch.save, from a GPU. It gives the boxes of the TensorFlow Lite file."""
    monkeypatch.setenv("MPSCNN_CACHE", str(tmp_path / "cache"))
    path = shared / "models/ultraface/version-slim-320.pth"
    assert [one.label for one in mpscnn.load(path).predict(shared / "images/face.jpg")] == ["face"] * 4
    other = mpscnn.load(path, device="cpu", precision="float32")
    assert other.program.name == "version-slim-320"
    for name in FACES:
        photo = shared / "images" / name
        expected, found = model.predict(photo), other.predict(photo)
        assert len(found) == len(expected)
        for mine, theirs in zip(found, expected, strict=True):
            assert mine.score == pytest.approx(theirs.score, abs=1e-3)
            width, height = found.photo_size
            for side, extent in (("left", width), ("top", height), ("right", width), ("bottom", height)):
                assert getattr(mine.box, side) / extent == pytest.approx(
                    getattr(theirs.box, side) / extent, abs=1e-3
                )
