"""Tests of the training of detectors: networks with boxes and scores, and the multibox loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mpscnn
from mpscnn import Adam, Sgd
from mpscnn.training import schedules

SIDE = 32
#: Maps of 4 x 4 and 2 x 2 cells with two shapes each.
SETTINGS: dict[str, Any] = {
    "version": 1,
    "boxes": {"order": "xy"},
    "scores": {"kind": "softmax"},
    "anchors": {
        "rule": "sizes",
        "strides": [8, 16],
        "sizes": [[[10, 10], [14, 8]], [[18, 18], [12, 20]]],
    },
}


def network(*, softmax: bool = False, classes: int = 2) -> mpscnn.Network:
    net = mpscnn.Network(input=(SIDE, SIDE, 3), name="shapes")
    x = net.conv2d(net.input, 12, 3, strides=2, padding="same", name="conv1")
    x = net.conv2d(
        net.activation(net.batch_norm(x, name="norm"), "relu"), 16, 3, strides=2, padding="same", name="conv2"
    )
    first = net.conv2d(
        net.activation(x, "relu"), 24, 3, strides=2, padding="same", activation="relu", name="map1"
    )
    second = net.conv2d(first, 24, 3, strides=2, padding="same", activation="relu", name="map2")
    columns = {"boxes": 4, "scores": classes + 1}
    for kind, width in columns.items():
        rows = [
            net.reshape(
                net.conv2d(x, 2 * width, 3, padding="same", name=f"{kind}{number}"),
                (-1, width),
                name=f"{kind}{number}_rows",
            )
            for number, x in enumerate((first, second), 1)
        ]
        joined = net.concat(rows, axis=1, name="logits" if softmax and kind == "scores" else kind)
        net.output(net.softmax(joined, name="scores") if softmax and kind == "scores" else joined)
    net.detection = SETTINGS | ({"scores": {"kind": "probability"}} if softmax else {})
    net.labels = [f"class {i}" for i in range(classes)]
    net.initialize_weights(seed=4)
    return net


def shapes(count: int, seed: int = 0) -> tuple[NDArray[np.float32], list[dict[str, Any]]]:
    """Return images of noise with up to two bright rectangles, red (class 0) or green (class 1), and their labels."""
    random = np.random.default_rng(seed)
    images = random.normal(0, 0.1, (count, SIDE, SIDE, 3)).astype(np.float32)
    labels = []
    for image in images:
        boxes, classes = [], []
        for half in random.permutation(2)[: random.integers(0, 3)]:
            width, height = random.integers(7, 15), random.integers(7, 15)
            left, top = 16 * half + random.integers(0, 17 - width), random.integers(0, SIDE - height)
            kind = random.integers(0, 2)
            image[top : top + height, left : left + width, kind] += 1
            boxes.append((left / SIDE, top / SIDE, (left + width) / SIDE, (top + height) / SIDE))
            classes.append(int(kind))
        labels.append({"boxes": np.array(boxes, np.float32).reshape(-1, 4), "classes": classes})
    return images, labels


def weights_of(net: mpscnn.Network) -> dict[str, NDArray[Any]]:
    return {name: np.array(value) for name, value in net.weights.items()}


def assert_same(a: mpscnn.Network, b: mpscnn.Network) -> None:
    for name, value in weights_of(a).items():
        np.testing.assert_array_equal(value, b.weights[name], err_msg=name)


def targets(labels: list[dict[str, Any]], columns: int = 3) -> NDArray[np.float32]:
    own = mpscnn.Detector(SETTINGS, (SIDE, SIDE))
    return np.stack([own.targets(one["boxes"], one["classes"], columns=columns) for one in labels])


def test_it_finds_what_it_has_learnt() -> None:
    """This takes seconds, since a detector learns from 1,200 images for 12 epochs."""
    data, others = shapes(1200), shapes(60, seed=1)
    optimizer = Adam(schedules.cosine(5e-3, 12 * 75))
    trainer = mpscnn.Trainer(network(), loss="multibox", optimizer=optimizer, seed=3)
    before = trainer.evaluate(others)
    epochs = list(trainer.iter_epochs(data, epochs=12, batch_size=16, validation_data=others))
    after = epochs[-1]
    assert after.loss < 0.3 * epochs[0].loss
    assert after.validation_loss is not None
    assert after.validation_loss < 0.5 * before.loss
    assert after.validation_accuracy is not None
    assert after.validation_accuracy > 0.6
    net = trainer.network
    assert net.detection is not None
    own = net.detection.detector((SIDE, SIDE))
    answers = net.compile(device="cpu", precision="float32").session().run(others[0])
    assert isinstance(answers, dict)
    found = wanted = 0
    for i, label in enumerate(others[1]):
        objects = own.run(answers["boxes"][i], answers["scores"][i], score_threshold=0.4)
        for box, kind in zip(label["boxes"], label["classes"], strict=True):
            wanted += 1
            found += any(
                entry.index == kind and np.abs(np.subtract(entry.box, box)).max() < 0.1 for entry in objects
            )
    assert wanted == 60
    assert found > 45


def test_labels_and_targets_are_the_same() -> None:
    x, labels = shapes(8)
    one, other = (mpscnn.Trainer(network(), loss="multibox", optimizer=Sgd(0.01)) for _ in range(2))
    assert one.step(x, labels) == other.step(x, targets(labels))
    assert_same(one.network, other.network)
    assert one.evaluate((x, labels)) == other.evaluate((x, targets(labels)))
    assert one.step(x, tuple(labels)) == one_loss(one, x, labels)


def one_loss(trainer: mpscnn.Trainer, x: Any, labels: Any) -> float:
    """Return the loss of the trainer's last step, computed by a second trainer that makes the same steps."""
    again = mpscnn.Trainer(network(), loss="multibox", optimizer=Sgd(0.01))
    losses = [again.step(x, labels) for _ in range(trainer.steps)]
    return losses[-1]


def test_the_gradients_are_those_of_the_loss() -> None:
    x, labels = shapes(4)
    loss = {"kind": "multibox", "negative_ratio": 2.0, "box_weight": 0.5, "delta": 0.5}
    wanted = targets(labels)
    net = network()
    checks = mpscnn.check_gradients(net, x, wanted, loss=loss, step=1e-4)
    assert {check.name for check in checks} == {"image", *net.weights} - {"norm.mean", "norm.variance"}
    for check in checks:
        assert check.error < 5e-2, check
        if check.name not in ("conv1.bias",):  # the normalization subtracts the bias again
            assert check.slope != 0, check


def test_options_of_trainers_hold_for_detectors_too(tmp_path: Path) -> None:
    """Test frozen layers, added gradients, averages, and that resuming from a checkpoint gives the same bits."""
    x, labels = shapes(48)
    options: dict[str, Any] = {"frozen": ("conv1", "norm"), "accumulate": 2, "average": 0.9, "seed": 7}
    loss = {"kind": "multibox", "iou_threshold": 0.4}
    whole, half = (mpscnn.Trainer(network(), loss=loss, optimizer=Adam(1e-3), **options) for _ in range(2))
    list(whole.iter_epochs((x, labels), epochs=3, batch_size=8))
    next(half.iter_epochs((x, labels), epochs=3, batch_size=8))
    half.save(tmp_path / "run.checkpoint")
    resumed = mpscnn.Trainer.resume(tmp_path / "run.checkpoint", optimizer=Adam(1e-3))
    list(resumed.iter_epochs((x, labels), epochs=3, batch_size=8))
    assert_same(whole.network, resumed.network)
    assert_same(whole.averaged, resumed.averaged)
    assert resumed.evaluate((x, labels)) == whole.evaluate((x, labels))
    np.testing.assert_array_equal(whole.network.weights["conv1.weight"], network().weights["conv1.weight"])


@pytest.mark.parametrize("threshold", ["0.5", None, float("nan"), 0, 1.5, True, [0.5]])
def test_a_threshold_that_is_none(threshold: Any) -> None:
    message = "loss: iou_threshold must be (above 0 and at most 1|finite), got"
    with pytest.raises(mpscnn.ParameterError, match=message):
        mpscnn.Trainer(network(), loss={"kind": "multibox", "iou_threshold": threshold})
    detector = mpscnn.Detector(SETTINGS, (SIDE, SIDE))
    with pytest.raises(mpscnn.ParameterError, match="iou_threshold must be above 0 and at most 1, got"):
        detector.targets([[0.1, 0.1, 0.5, 0.5]], [0], columns=3, iou_threshold=threshold)


def test_anchors_of_the_file_are_kept(tmp_path: Path) -> None:
    net = network()
    anchors = mpscnn.Detector(SETTINGS, (SIDE, SIDE)).anchors
    net.detection = mpscnn.DetectionHead(SETTINGS | {"anchors": {"rule": "stored"}}, anchors)
    x, labels = shapes(8)
    trainer = mpscnn.Trainer(net, loss="multibox", optimizer=Sgd(0.01))
    trainer.step(x, labels)
    trainer.save(tmp_path / "run.checkpoint")
    resumed = mpscnn.Trainer.resume(tmp_path / "run.checkpoint", optimizer=Sgd(0.01))
    assert resumed.step(x, labels) == trainer.step(x, labels)
    resumed.network.save(tmp_path / "detector.safetensors", labels=["red", "green"])
    found = mpscnn.load(tmp_path / "detector.safetensors").network.detection
    assert found is not None
    np.testing.assert_array_equal(found.anchors, anchors)


def test_images_without_objects() -> None:
    """A batch of images without objects is learnt from only if the loss has min_negatives."""
    x = shapes(4)[0]
    nothing = [{"boxes": [], "classes": []}] * 4
    trainer = mpscnn.Trainer(network(), loss="multibox", optimizer=Sgd(0.1))
    assert trainer.step(x, nothing) == 0.0
    assert np.isnan(trainer.evaluate((x, nothing)).accuracy)
    trainer = mpscnn.Trainer(network(), loss={"kind": "multibox", "min_negatives": 3}, optimizer=Sgd(0.001))
    losses = [trainer.step(x, nothing) for _ in range(5)]
    assert losses[-1] < losses[0]


BOX = (0.1, 0.1, 0.5, 0.5)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"boxes": [(0.1, 0.1, 1.5, 0.5)], "classes": [0]},
            r"labels of image 1: .*box 0 must be left < right",
        ),
        ({"boxes": [BOX], "classes": [2]}, "labels of image 1: .*class of box 0 must be 0 to 1, got 2"),
        ({"boxes": [BOX], "classes": []}, r"labels of image 1: .*classes: expected the shape \(1\)"),
        ({"boxes": [BOX]}, r"labels of image 1 must have 'boxes' and 'classes', got \['boxes'\]"),
        ({"boxes": [BOX], "labels": [0]}, r"must have 'boxes' and 'classes', got \['boxes', 'labels'\]"),
    ],
)
def test_bad_labels(wrong: dict[str, Any], message: str) -> None:
    trainer = mpscnn.Trainer(network(), loss="multibox")
    x, good = shapes(2)[0], {"boxes": [BOX], "classes": [1]}
    with pytest.raises((mpscnn.ParameterError, mpscnn.ShapeError), match=message):
        trainer.step(x, [good, wrong])
    assert trainer.steps == 0


def test_labels_of_another_shape() -> None:
    trainer = mpscnn.Trainer(network(), loss="multibox")
    x, labels = shapes(2)
    with pytest.raises(mpscnn.ShapeError, match="there are 2 images and labels of 1"):
        trainer.step(x, labels[:1])
    with pytest.raises(mpscnn.ShapeError, match="there are 2 inputs and 1 labels"):
        list(trainer.iter_epochs((x, labels[:1]), epochs=1))
    with pytest.raises(mpscnn.ShapeError, match=r"list with a mapping .* or targets, .* \(2, 40, 7\), got"):
        trainer.step(x, targets(labels)[:, :-1])


def test_networks_that_are_no_detectors() -> None:
    plain = network()
    plain.detection = None
    with pytest.raises(mpscnn.ParameterError, match="'shapes' has no detection"):
        mpscnn.Trainer(plain, loss="multibox")
    sigmoid = network()
    sigmoid.detection = SETTINGS | {"scores": {"kind": "sigmoid"}}
    with pytest.raises(mpscnn.ParameterError, match=r"scores of the kind 'softmax' .* says 'sigmoid'"):
        mpscnn.Trainer(sigmoid, loss="multibox")
    named = network()
    named.detection = SETTINGS | {"boxes": {"output": "rectangles"}}
    with pytest.raises(mpscnn.ParameterError, match="'shapes' has no output 'rectangles'"):
        mpscnn.Trainer(named, loss="multibox")
    other = network()
    other.detection = SETTINGS | {"anchors": {"rule": "sizes", "strides": [8], "sizes": [[[9, 9]]]}}
    with pytest.raises(
        mpscnn.ShapeError, match="has 40 boxes, its detection 16 anchors for an input of 32 x 32"
    ):
        mpscnn.Trainer(other, loss="multibox")
    swapped = network()
    swapped.detection = SETTINGS | {"boxes": {"output": "scores"}, "scores": {"output": "boxes"}}
    with pytest.raises(mpscnn.ShapeError, match=r"must be \(n, anchors, 4\) and .*, got \(n, 40, 3\) and"):
        mpscnn.Trainer(swapped, loss="multibox")
    with pytest.raises(mpscnn.ParameterError, match="the multibox loss takes no weights"):
        mpscnn.Trainer(network(), loss="multibox", weighted=True)
    with pytest.raises(mpscnn.ParameterError, match=r"loss: unknown .*'ratio'"):
        mpscnn.Trainer(network(), loss={"kind": "multibox", "ratio": 3})
    with pytest.raises(mpscnn.ParameterError, match="must have one output, has 2"):
        mpscnn.Trainer(network())
