"""Test `mpscnn.train`: from photos sorted by class to a model with its history and report."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from training.photo_classes import make_photos
from training.small_backbone import save_small_backbone, small_backbone

import mpscnn
from mpscnn import ParameterError
from mpscnn.training.fit_data import class_weights
from mpscnn.training.photo_views import rotate

LABELS = ["blue", "green", "red"]
SMALL: dict[str, Any] = {"epochs": 2, "batch_size": 8, "trained_layers": 3, "views": 2, "threads": 1}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("photos"), {"blue": 20, "green": 10, "red": 5}, noise=20)


def test_one_call_gives_a_model_with_history_and_report(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[mpscnn.Epoch] = []
    model = mpscnn.train(photos, small_backbone(), callbacks=seen.append, report=tmp_path / "report", **SMALL)
    assert model.labels == LABELS
    assert [epoch.index for epoch in model.history] == list(range(1, len(seen) + 1))
    assert list(model.history) == seen
    about, *epochs = capsys.readouterr().err.splitlines()
    assert "28 photos to train with" in about
    assert [line.split(":")[1][:5] for line in epochs] == [" loss"] * len(seen)
    assert not any("\r" in line for line in epochs)
    assert model.history.best_epoch is not None
    best = model.history[model.history.best_epoch - 1]
    assert model.history.phases.count("last blocks") == SMALL["epochs"]
    assert f", {SMALL['epochs']} of the last blocks);" in repr(model.history)
    assert model.report.evaluation.top1 == pytest.approx(best.validation_accuracy)
    assert {path.name for path in (tmp_path / "report").iterdir()} == {
        "confusion.png",
        "curves.png",
        "mistakes.html",
    }
    assert model.predict(photos / "red" / "000.png")[0].label in LABELS
    assert "small" in model.information["description"]


OWN_FUNCTIONS = """
import numpy as np
from PIL import ImageOps

def brier(outputs, targets):
    difference = outputs - targets
    return np.square(difference).sum(-1).mean(), 2 * difference / len(outputs)

def gray(photo):
    return ImageOps.grayscale(photo).convert("RGB")

number = 3
"""


@pytest.mark.parametrize("place", ["file", "module"])
def test_the_command_takes_functions_of_the_users(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    from command_line import call

    (tmp_path / "own_functions.py").write_text(OWN_FUNCTIONS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    backbone = save_small_backbone(tmp_path / "small.safetensors")
    own = importlib.import_module("own_functions")
    functions: dict[str, Any]
    named, functions, options = "own_functions.py", {"loss": own.brier}, ["--loss=own_functions.py:brier"]
    if place == "module":  # a loss of the user's takes no weights
        named, functions, options = "own_functions", {"class_weight": "balanced"}, ["--class-weight=balanced"]
    functions["transform"] = own.gray
    mpscnn.train(photos, backbone, output=tmp_path / "python.safetensors", **functions, **SMALL)
    options.append(f"--transform={named}:gray")
    options += [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    assert call("train", str(photos), "--model", str(backbone), "--output=shell.safetensors", *options) == 0
    assert (tmp_path / "python.safetensors").read_bytes() == (tmp_path / "shell.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--loss=dice"],
            "a classifier is trained with 'softmax_cross_entropy', 'focal' or a function of yours",
        ),
        (["--loss=none.py:brier"], "none.py: there is no such file"),
        (["--loss=own_functions.py:cubic"], "own_functions.py has no function 'cubic'"),
        (["--transform=own_functions.py:number"], "own_functions.py has no function 'number'"),
        (["--transform=gray"], "expected FILE.py:FUNCTION or MODULE:FUNCTION, got 'gray'"),
        (["--transform=no_such_module:gray"], "no_such_module cannot be loaded: ModuleNotFoundError"),
        (["--task=detect", "--loss=focal"], "--loss"),
    ],
)
def test_functions_that_the_command_refuses(
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    from command_line import call

    (tmp_path / "own_functions.py").write_text(OWN_FUNCTIONS)
    monkeypatch.chdir(tmp_path)
    assert call("train", str(photos), *options) != 0
    assert message in " ".join(capsys.readouterr().err.split())


def test_a_callback_ends_the_training(photos: Path) -> None:
    model = mpscnn.train(photos, small_backbone(), callbacks=lambda epoch: epoch.index == 2, **SMALL)
    assert len(model.history) == 2


def test_photos_are_rotated_about_their_centre() -> None:
    image = np.random.default_rng(1).random((5, 5, 3), np.float32)
    np.testing.assert_allclose(rotate(image, 90), np.rot90(image), atol=1e-6)
    np.testing.assert_allclose(rotate(image, 180), image[::-1, ::-1], atol=1e-6)
    np.testing.assert_array_equal(rotate(image, 0), image)


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_labels_of_mixed_photos_are_the_shares_of_their_pixels(photos: Path, kind: str) -> None:
    """With a photo of one value for each class, the mean of the pixels tells the shares."""
    values = {label: number + 1.0 for number, label in enumerate(LABELS)}
    folder = photos.parent / f"flat_{kind}"
    for label, value in values.items():
        (folder / label).mkdir(parents=True)
        for i in range(4):
            Image.new("RGB", (16, 16), (int(value),) * 3).save(folder / label / f"{i}.png")
    only = dict.fromkeys(("flip", "brightness", "contrast", "saturation"), False)
    augmentation = mpscnn.Augmentation(**only, crop=1, aspect=1, **{kind: 1.0})
    scale = {"mean": [0.0] * 3, "scale": [1.0] * 3}
    data = mpscnn.ImageFolder(folder, 16, augment=augmentation, preprocess=scale)
    inputs, labels = next(data.batches(12, epoch=0))
    assert labels.sum(1) == pytest.approx(np.ones(12))
    assert ((labels > 0).sum(1) == 2).any()
    assert labels @ np.array(list(values.values())) == pytest.approx(inputs.mean((1, 2, 3)), abs=1e-4)
    again, same = next(data.batches(12, epoch=0))
    np.testing.assert_array_equal(again, inputs)
    np.testing.assert_array_equal(same, labels)
    _, plain = next(data.batches(12))
    assert plain.tolist() == data.targets.tolist()


def test_training_with_all_augmentations(photos: Path) -> None:
    augmentation = mpscnn.Augmentation(flip=True, rotate=15, mixup=0.4, cutmix=0.4)  # type: ignore[call-arg]
    seen: list[tuple[int, int]] = []

    def transform(photo: Any) -> Any:
        seen.append(photo.size)
        return photo.rotate(90)

    model = mpscnn.train(
        photos, small_backbone(), augment=augmentation, transform=transform, class_weight="balanced", **SMALL
    )
    assert model.labels == LABELS
    # 28 photos train. Their first variant is unchanged, and a mixed one reads a second photo.
    assert 28 <= len(seen) <= 56


class _Writer:
    """Stands for TensorBoard's SummaryWriter, for the module mlflow, and for a callback of Keras."""

    def __init__(self) -> None:
        self.written: list[Any] = []


class _TensorBoard(_Writer):
    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.written.append((name, value, step))


class _MlFlow(_Writer):
    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        self.written += [(name, value, step) for name, value in metrics.items()]


class _Keras(_Writer):
    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self.written += [
            (name.replace("val_", "validation_"), value, epoch + 1) for name, value in logs.items()
        ]


@pytest.mark.parametrize("kind", [_TensorBoard, _MlFlow, _Keras])
def test_writers_of_other_tools_get_the_numbers_of_each_epoch(kind: type[_Writer]) -> None:
    net = mpscnn.Network(input=(4,))
    net.output(net.softmax(net.dense(net.input, 2)))
    data = np.random.default_rng(0).random((8, 4), np.float32), np.arange(8) % 2
    writer = kind()
    history = mpscnn.Trainer(net).fit(data, epochs=2, validation_data=data, callbacks=[writer])
    expected = [
        (name, getattr(epoch, name), epoch.index)
        for epoch in history
        for name in (
            "loss",
            "accuracy",
            "validation_loss",
            "validation_accuracy",
            "learning_rate",
            "seconds",
        )
    ]
    assert writer.written == expected


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"a": 2, 0: 3}, "names one class twice: 'a' and 0"),
        ({1: 2}, "1 is the number of one class and the label of another one"),
    ],
)
def test_weights_of_classes_that_are_not_clear(weights: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        class_weights(weights, np.zeros(3, np.int64), 3, ["a", "2", "1"])
    assert class_weights({"1": 2}, np.zeros(3, np.int64), 3, ["a", "2", "1"]).tolist() == [1, 1, 2]
    assert class_weights({2: 5}, np.zeros(3, np.int64), 3, ["0", "1", "2"]).tolist() == [1, 1, 5]


X = np.random.default_rng(0).random((12, 4), np.float32)
Y = np.array([0, 1, 2] * 3 + [0, 0, 0])


def test_balanced_classes_weigh_the_same_in_sum() -> None:
    targets = np.array([0, 0, 0, 1, 2, 2])
    weights = class_weights("balanced", targets, 3)
    assert np.bincount(targets, weights[targets]) == pytest.approx([2, 2, 2])
    assert class_weights({"b": 3, 2: 0.5}, targets, 3, ["a", "b", "c"]).tolist() == [1, 3, 0.5]
    # A class that does not occur changes nothing: the mean weight stays 1.
    np.testing.assert_array_equal(class_weights("balanced", targets, 5)[:3], weights)


@pytest.mark.parametrize("labels", [Y % 2, (Y % 2).reshape(-1, 1), (Y % 2).reshape(-1, 1).astype(np.float32)])
@pytest.mark.parametrize("given", ["balanced", {0: 0.5, 1: 3}])
def test_two_classes_of_one_output_have_their_weights(labels: Any, given: Any) -> None:
    losses = []
    for options in ({"class_weight": given}, {}):
        net = mpscnn.Network(input=(4,))
        net.output(net.dense(net.input, 1))
        net.initialize_weights(seed=2)
        trainer = mpscnn.Trainer(net, loss="sigmoid_cross_entropy", weighted=not options)
        data = (X, labels) if options else (X, labels, class_weights(given, Y % 2, 2)[Y % 2])
        losses.append(trainer.fit(data, epochs=2, batch_size=12, **options).losses)
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (Y - 1, "class numbers of 0 to 2 as labels, got -1"),
        (Y + 1, "class numbers of 0 to 2 as labels, got 3"),
        (np.eye(3, dtype=np.float32)[Y] + np.eye(3, dtype=np.float32)[0], "of element 0 add up to 2, not 1"),
        (np.full((12, 3), np.nan, np.float32), "of element 0 add up to nan, not 1"),
    ],
)
@pytest.mark.parametrize("given", ["balanced", {0: 2}])
def test_labels_without_one_class_have_no_class_weight(labels: Any, message: str, given: Any) -> None:
    with pytest.raises(ParameterError, match=message):
        mpscnn.Trainer(small_network()).fit((X, labels), class_weight=given)


def small_network() -> mpscnn.Network:
    net = mpscnn.Network(input=(4,))
    net.output(net.softmax(net.dense(net.input, 3)))
    net.initialize_weights(seed=2)
    return net


@pytest.mark.parametrize("given", ["balanced", {0: 0.5, 1: 2}])
def test_fit_weighs_classes_as_given_weights_do(given: Any) -> None:
    by_class, by_hand = mpscnn.Trainer(small_network()), mpscnn.Trainer(small_network(), weighted=True)
    weights = class_weights(given, Y, 3)[Y]
    first = by_class.fit((X, Y), epochs=2, batch_size=4, class_weight=given)
    assert first.losses == by_hand.fit((X, Y, weights), epochs=2, batch_size=4).losses
    # Later epochs without weights count all elements the same.
    ones = np.ones(len(Y), np.float32)
    later = by_class.fit((X, Y), epochs=1, batch_size=4)
    assert later.losses == by_hand.fit((X, Y, ones), epochs=1, batch_size=4).losses


def test_fit_weighs_the_photos_of_a_folder(photos: Path) -> None:
    data = mpscnn.ImageFolder(photos, 16)
    trainer = mpscnn.Trainer(small_backbone().replace_head(data.labels))
    trainer.fit(data, batch_size=35, class_weight={"blue": 0.0, "green": 0.0, "red": 0.0})
    assert trainer.history.losses == [0.0]


def test_fit_splits_the_last_elements_off() -> None:
    split, given = mpscnn.Trainer(small_network()), mpscnn.Trainer(small_network())
    data, held = (X[:9], Y[:9]), (X[9:], Y[9:])
    assert (
        split.fit(X, Y, validation_split=0.25)["val_loss"]
        == given.fit(data, validation_data=held)["validation_loss"]
    )


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ((X, Y), {"validation_split": 1.5}, "validation_split must be a number"),
        ((X, Y), {"validation_split": 0.01}, "would be empty"),
        ((X, Y), {"validation_split": 0.5, "validation_data": (X, Y)}, "exclude each other"),
        ([(X, Y)], {"validation_split": 0.5}, "validation_split is for arrays"),
        ([(X, Y)], {"class_weight": "balanced"}, "class_weight is for arrays"),
        ((X, Y), {"class_weight": {7: 1}}, "names no class of the data"),
    ],
)
def test_fit_refuses_wrong_splits_and_weights(data: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        mpscnn.Trainer(small_network()).fit(data, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_weight": "even"}, "class_weight must be 'balanced' or a mapping"),
        *[
            ({"class_weight": given}, r"got .*; dict\(enumerate\(weights\)\) makes the mapping")
            for given in (
                [1, 2],
                (),
                np.ones(2),
            )  # the array is what scikit-learn's compute_class_weight returns
        ],
        ({"class_weight": {"pink": 2}}, "class_weight names no class of the data: 'pink'"),
        ({"class_weight": {"red": -1}}, "the weight of 'red' must be at least 0"),
        ({"task": "dream"}, "task must be one of 'classify'"),
        ({"task": "detection"}, "task='detect' needs annotations="),
        ({"epochs": -1}, "epochs"),
        ({"views": 0}, "views"),
        ({"early_stopping": 0}, "early_stopping"),
        ({"early_stopping": mpscnn.EarlyStopping(3, "loss")}, "always watches .validation_accuracy."),
        ({"validation_split": 1.5}, "the share for validation must be"),
        ({"callbacks": 3}, "callbacks must be functions"),
        ({"loss": "dice"}, "a classifier is trained with 'softmax_cross_entropy', 'focal' or"),
        ({"resume": True}, "resume and restart need output="),
        ({"output": "mine.onnx"}, "must end in .safetensors"),
    ],
)
def test_a_wrong_option_is_named(photos: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        mpscnn.train(photos, small_backbone(), **options)
