"""Test tiny YOLO v2 with the file of Darknet, against arithmetic that is written out here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mpscnn
from mpscnn.models.yolo import VOC_ANCHORS

Array = NDArray[Any]
CLASSES = 3
CHANNELS = [3, 16, 32, 64, 128, 256, 512, 1024, 16]
LAST = 5 * (5 + CLASSES)


def darknet_file(path: Path, seed: int = 0) -> list[dict[str, Array]]:
    """Write a file of version 0.2 with random weights, and return them."""
    random = np.random.default_rng(seed)
    layers = []
    content = np.array([0, 2, 0], "<i4").tobytes() + np.array([64], "<i8").tobytes()
    for number in range(9):
        inputs = CHANNELS[number]
        outputs = CHANNELS[number + 1] if number < 8 else LAST
        side = 3 if number < 8 else 1
        layer: dict[str, Array] = {"bias": random.normal(0, 0.3, outputs)}
        if number < 8:
            layer |= {"scale": random.uniform(0.5, 1.5, outputs), "mean": random.normal(0, 0.1, outputs)}
            layer["variance"] = random.uniform(0.5, 2, outputs)
        deviation = np.sqrt(2 / (inputs * side * side))
        layer["kernel"] = random.normal(0, deviation, (outputs, inputs, side, side))
        layer = {name: values.astype(np.float32) for name, values in layer.items()}
        layers.append(layer)
        content += b"".join(values.tobytes() for values in layer.values())
    path.write_bytes(content)
    return layers


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Array]], mpscnn.Network]:
    path = tmp_path_factory.mktemp("darknet") / "tiny.weights"
    layers = darknet_file(path)
    return path, layers, mpscnn.models.tiny_yolo_v2(path, classes=CLASSES, input_size=(64, 96), hidden=16)


def test_the_first_layer_is_darknets(case: Any) -> None:
    """Darknet computes scale (x - mean) / (sqrt(variance) + 1e-6) + bias, then x > 0 ? x : x / 10."""
    _, layers, network = case
    x = np.random.default_rng(1).random((1, 64, 96, 3), dtype=np.float32)
    first = mpscnn.FeatureExtractor(network, layers=["conv1"], device="cpu").run(x)["conv1"]
    layer = layers[0]
    padded = np.pad(x[0].astype(np.float64), [(1, 1), (1, 1), (0, 0)])
    sums = sum(
        padded[i : i + 64, j : j + 96] @ layer["kernel"][:, :, i, j].T.astype(np.float64)
        for i in range(3)
        for j in range(3)
    )
    y = layer["scale"] * (sums - layer["mean"]) / (np.sqrt(layer["variance"]) + 1e-6) + layer["bias"]
    np.testing.assert_allclose(np.asarray(first)[0], np.where(y > 0, y, 0.1 * y), rtol=1e-4, atol=1e-4)


def test_boxes_and_scores_are_yolos(case: Any) -> None:
    """A box has its centre at sigmoid(t) in its cell, and exp(t) times the size of its anchor."""
    _, _, network = case
    x = np.random.default_rng(2).random((1, 64, 96, 3), dtype=np.float32)
    program = network.compile(device="cpu", precision="float32")
    outputs = program.run(x)
    codes, scores = np.asarray(outputs["boxes"])[0], np.asarray(outputs["scores"])[0]
    raw = np.asarray(mpscnn.FeatureExtractor(network, layers=["conv9"], device="cpu").run(x)["conv9"])[0]
    raw = raw.astype(np.float64).reshape(2, 3, 5, 5 + CLASSES)
    sigmoid = 1 / (1 + np.exp(-raw[..., [0, 1, 4]]))
    grid = np.stack(np.meshgrid(np.arange(3), np.arange(2)), -1)[:, :, None]
    anchors = np.array(VOC_ANCHORS)
    centers, sizes = grid + sigmoid[..., :2], anchors * np.exp(raw[..., 2:4])
    shares = np.exp(raw[..., 5:]) / np.exp(raw[..., 5:]).sum(-1, keepdims=True)
    np.testing.assert_allclose(scores, (shares * sigmoid[..., 2:]).reshape(-1, CLASSES), rtol=1e-4, atol=1e-6)
    # The codes of the settings: the distance from the middle of the cell in sizes of the anchor, and logarithms.
    shapes = np.tile(anchors, (6, 1))
    found_centers = codes[:, :2] * shapes + np.broadcast_to(grid + 0.5, (2, 3, 5, 2)).reshape(-1, 2)
    np.testing.assert_allclose(found_centers, centers.reshape(-1, 2), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(np.exp(codes[:, 2:]) * shapes, sizes.reshape(-1, 2), rtol=1e-4)


def test_a_photo_has_boxes_with_labels(case: Any, tmp_path: Path) -> None:
    path, layers, _ = case
    network = mpscnn.models.tiny_yolo_v2(path, classes=CLASSES, input_size=64, hidden=16)
    network.save(tmp_path / "tiny.safetensors", labels=["a", "b", "c"])
    found = mpscnn.load(tmp_path / "tiny.safetensors", device="cpu").detect(
        mpscnn.samples.photo("cat"), score_threshold=0.01
    )
    assert len(found) > 0
    assert {one.label for one in found} <= {"a", "b", "c"}
    assert len(layers) == 9


def test_sizes_of_the_published_files() -> None:
    """The published files have 63,471,556 bytes for VOC (version 0.1) and 44,948,600 bytes for COCO (0.2)."""
    for classes, header, size in ((20, 16, 63_471_556), (80, 20, 44_948_600)):
        network = mpscnn.models.tiny_yolo_v2(classes=classes)
        kernels = [spec["shape"] for spec in network.weight_specs() if spec["role"] == "weight"]
        count = sum(int(np.prod(shape)) for shape in kernels)
        count += sum(4 * shape[0] for shape in kernels[:-1]) + kernels[-1][0]
        assert header + 4 * count == size


def test_files_that_do_not_fit(case: Any, tmp_path: Path) -> None:
    path, _, _ = case
    with pytest.raises(
        mpscnn.WeightsError, match=r"bytes, but this network has weights of .* choose classes"
    ):
        mpscnn.models.tiny_yolo_v2(path)
    damaged = tmp_path / "short.weights"
    damaged.write_bytes(b"1234")
    with pytest.raises(mpscnn.WeightsError, match="damaged: has 4 bytes"):
        mpscnn.models.tiny_yolo_v2(damaged)
    with pytest.raises(mpscnn.WeightsError, match="cannot be read"):
        mpscnn.models.tiny_yolo_v2(tmp_path / "none.weights")
    numbers = np.frombuffer(path.read_bytes(), np.uint8).copy()
    numbers[20:24] = 255  # NaN
    damaged.write_bytes(numbers.tobytes())
    with pytest.raises(mpscnn.WeightsError, match="not finite"):
        mpscnn.models.tiny_yolo_v2(damaged, classes=CLASSES, hidden=16)
    for wrong in ({"input_size": 100}, {"anchors": [(1, 2, 3)]}, {"anchors": [(0, 1)]}):
        with pytest.raises(mpscnn.ParameterError):
            mpscnn.models.tiny_yolo_v2(**wrong)  # type: ignore[arg-type]
    with pytest.raises(mpscnn.ParameterError, match="multiples of 224"):
        mpscnn.models.vgg16(input_size=256)
