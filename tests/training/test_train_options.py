"""Test that the functions for training on photos check their options before they look at the photos."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpscnn
from mpscnn import ParameterError, registry
from mpscnn.apps.train.photo_training import open_backbone
from mpscnn.training.digits import train_digits

NO_PHOTOS = "no such folder"
DETECTOR = partial(mpscnn.train_detector, NO_PHOTOS, annotations="none.json")
SEGMENTER = partial(mpscnn.train_segmenter, NO_PHOTOS, masks="none")
CLASSIFIER = partial(mpscnn.train_classifier, NO_PHOTOS)
ALL: dict[str, Callable[..., Any]] = {"classify": CLASSIFIER, "detect": DETECTOR, "segment": SEGMENTER}


@pytest.mark.parametrize("task", ALL)
def test_augment_is_a_truth_value_or_the_range_of_the_task(task: str) -> None:
    own, other = "Augmentation", "SceneAugmentation"
    if task != "classify":
        own, other = other, own
    for wrong in ("flip", "none", 0.5, {"flip": 0}, [], 1, None, getattr(mpscnn, other)(flip=0)):
        with pytest.raises(
            ParameterError, match=rf"True, False or an mpscnn\.{own} here, which has flip=, crop="
        ) as e:
            ALL[task](augment=wrong)
        assert str(e.value).endswith(f"got {wrong!r:.100}")
    for right in (True, False, getattr(mpscnn, own)(flip=0)):
        with pytest.raises(mpscnn.Error, match=r"is not a folder of masks|none\.json: |no such folder"):
            ALL[task](augment=right)


@pytest.mark.parametrize("task", ALL)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threads": 0}, "threads must be"),
        ({"threads": -1}, "threads must be"),
        ({"device": "no such device"}, "no such device"),
        ({"device": "cuda"}, "'cuda' is not supported"),
        ({"output": "x.mlpackage"}, r"\.safetensors, got x\.mlpackage; model\.save\('x\.mlpackage'\)"),
    ],
)
def test_choices_are_checked_before_the_photos(task: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(mpscnn.Error, match=message):
        ALL[task](**options)


def test_the_default_network_does_not_depend_on_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = type(registry.models()[0])
    here = entry.location
    bundled = "cifar10_mobilenet_v2"
    monkeypatch.setattr(
        entry, "location", lambda self: here(self) if self.name == bundled else Path("downloaded.safetensors")
    )
    assert open_backbone(None).network.name == bundled


def trained(callbacks: Any) -> mpscnn.History:
    net = mpscnn.Network(input=(4,))
    net.output(net.softmax(net.dense(net.input, 2)))
    data = np.random.default_rng(0).random((8, 4), np.float32), np.arange(8) % 2
    return mpscnn.Trainer(net).fit(data, epochs=3, validation_data=data, callbacks=callbacks)


def test_callbacks_of_keras(tmp_path: Path) -> None:
    """Takes some seconds where Keras is installed, because its import takes them."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras: Any = pytest.importorskip("keras", reason="needs Keras")
    called: list[str] = []
    ends = keras.callbacks.LambdaCallback(
        on_train_begin=lambda _: called.append("begin"), on_train_end=lambda _: called.append("end")
    )
    seen = keras.callbacks.History()
    table = tmp_path / "epochs.csv"
    history = trained([ends, seen, keras.callbacks.CSVLogger(str(table)), keras.callbacks.TerminateOnNaN()])
    assert called == ["begin", "end"]
    assert seen.history["val_loss"] == history["val_loss"]
    assert [float(row["loss"]) for row in csv.DictReader(table.read_text().splitlines())] == history.losses

    class Stops(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.model.stop_training = epoch == 1

    assert len(trained(Stops())) == 2
    batches = keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_: None)
    for wrong, message in (
        (keras.callbacks.EarlyStopping(), r"early_stopping= takes"),
        (keras.callbacks.ModelCheckpoint(str(tmp_path / "a.keras")), r"output= of mpscnn\.train keeps"),
        (keras.callbacks.ReduceLROnPlateau(), "takes a schedule"),
        (keras.callbacks.LearningRateScheduler(lambda epoch: 0.1), "takes a schedule"),
        (batches, "has on_train_batch_end, which is never called here"),
    ):
        for train in (trained, *(partial(one, callbacks=wrong) for one in ALL.values())):
            with pytest.raises(ParameterError, match=message):
                train(*[wrong][: train is trained])


def test_validation_is_a_share_or_annotations() -> None:
    with pytest.raises(
        ParameterError, match=r"validation must be a path, got tuple; a share is a number such as"
    ):
        DETECTOR(validation=(1, 2))


@pytest.mark.parametrize(
    ("call", "lead"),
    [
        (lambda: mpscnn.load().predict("a.jpg", verbose=0), "only fit and train show their progress"),
        (lambda: mpscnn.load().save("x.mlpackage", compute_units="ALL"), "an app chooses Core ML's units"),
        (lambda: DETECTOR(optimizer="adam"), "chooses the optimizer; mpscnn.train has its own"),
        (lambda: DETECTOR(shuffle=True), "take seed=, which shuffles"),
        (lambda: mpscnn.EarlyStopping(mode="min"), "it takes patience, monitor"),  # type: ignore[call-arg]
        (lambda: mpscnn.EarlyStopping(monitor="val_map"), "is the mAP of a detector"),  # type: ignore[arg-type]
        (lambda: mpscnn.Detector(num_classes=3), "functions of mpscnn.models build"),  # type: ignore[call-arg]
        (lambda: mpscnn.Video("v.mp4"), r"`mpscnn\.video\(path, model\)` calls this"),  # type: ignore[call-arg]
        (lambda: mpscnn.video("v.mp4", mpscnn.load(), output="o.mp4"), "mpscnn detect clip.mp4 --output"),
        (
            lambda: mpscnn.load().predict(mpscnn.samples.photo("cat"))["label"],
            "label and probabilities are attributes",
        ),
    ],
)
def test_calls_of_keras_lead_to_ours(call: Callable[[], Any], lead: str) -> None:
    with pytest.raises((TypeError, ParameterError), match=lead):
        call()


def test_other_functions_check_augment() -> None:
    with pytest.raises(ParameterError, match="augment must be"):
        mpscnn.ImageFolder(NO_PHOTOS, augment=mpscnn.SceneAugmentation())  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="augment must be True or False"):
        train_digits(None, None, augment=0.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"mpscnn\.SceneAugmentation\(flip=0\.5\) of train_detector"):
        mpscnn.SceneAugmentation(rotation=10)  # type: ignore[call-arg]
