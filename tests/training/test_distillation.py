"""Test that a classifier learns from the answers of another one, its teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call
from numpy.typing import NDArray
from training.photo_classes import COLOURS, make_photos
from training.small_backbone import save_small_backbone, small_backbone

import mpscnn
from mpscnn import ImageFolder, ParameterError, UnsupportedError
from mpscnn.training.distillation import Distillation, Teacher

RANDOM = np.random.default_rng(4)
#: Photos as 0 to 1.
UNIT = {"mean": [0, 0, 0], "scale": [1 / 255] * 3}
LABELS = sorted(COLOURS)
SMALL: dict[str, Any] = {"epochs": 2, "batch_size": 8, "trained_layers": 3, "views": 2, "threads": 1}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("photos"), {"blue": 12, "green": 8, "red": 6}, noise=20)


def colour_teacher(
    labels: list[str], *, end: str = "softmax", side: int = 8, sure: float = 8.0
) -> mpscnn.Network:
    """Return a classifier of the mean colour of a photo, which is right. Its photos are 0 to 1."""
    net = mpscnn.Network(input=(side, side, 3), name="colours")
    scores = net.dense(net.global_average_pool2d(net.input), len(labels), name="scores")
    net.output(
        {"softmax": net.softmax, "sigmoid": lambda x: net.activation(x, "sigmoid")}.get(end, lambda x: x)(
            scores
        )
    )
    rows = np.asarray([COLOURS.get(label, (-255, -255, -255)) for label in labels], np.float32) / 255
    # The nearest colour has the highest score.
    biases = -np.square(rows).sum(1) / 2
    net.load_weights(
        {"scores.weight": sure * rows[:, None, None], "scores.bias": sure * biases}, layout="OHWI"
    )
    net.labels, net.preprocess = labels, UNIT
    return net


def softened(logits: NDArray[Any], temperature: float) -> NDArray[Any]:
    powers = np.exp(logits / temperature)
    return np.asarray(powers / powers.sum(1, keepdims=True))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("temperature", "share"), [(1.0, 0.5), (4.0, 0.9), (3.0, 1.0), (2.0, 0.0)])
def test_the_loss_and_its_gradient_are_those_of_torch(
    temperature: float, share: float, weighted: bool
) -> None:
    torch: Any = pytest.importorskip("torch", reason="torch is not installed")
    functional = torch.nn.functional
    net = mpscnn.Network(input=(7,), name="head")
    net.output(net.softmax(net.dense(net.input, 5, name="classes")))
    net.initialize_weights(seed=1)
    x, y = RANDOM.normal(0, 2, (6, 7)).astype(np.float32), RANDOM.integers(0, 5, 6)
    answers = softened(RANDOM.normal(0, 2, (6, 5)), 1.0).astype(np.float32)
    of_photos = RANDOM.uniform(0, 2, 6).astype(np.float32) if weighted else np.ones(6, np.float32)
    distillation = Distillation(temperature, share)
    trainer = mpscnn.Trainer(
        distillation.student(net),
        loss=distillation.loss(5),
        optimizer=mpscnn.Sgd(1.0),
        weighted=True,
        device="cpu",
    )
    data = (x, *distillation.targets(y, answers, of_photos if weighted else None))

    weight = torch.tensor(
        net.weights["classes.weight"].reshape(5, 7), dtype=torch.float64, requires_grad=True
    )
    logits = torch.from_numpy(x).double() @ weight.T + torch.tensor(net.weights["classes.bias"]).double()
    entropy = functional.cross_entropy(logits, torch.from_numpy(y), reduction="none")
    divergence = functional.kl_div(
        functional.log_softmax(logits / temperature, 1), torch.from_numpy(answers).double(), reduction="none"
    ).sum(1)
    each = (1 - share) * entropy + share * temperature**2 * divergence
    loss = (torch.from_numpy(of_photos).double() * each).mean()
    loss.backward()

    assert trainer.evaluate(data).loss == pytest.approx(loss.item(), rel=1e-6)
    assert trainer.step(*data) == pytest.approx(loss.item(), rel=1e-6)
    found = net.weights["classes.weight"] - trainer.network.weights["classes.weight"]
    np.testing.assert_allclose(
        found.reshape(5, 7), weight.grad.numpy(), atol=1e-6 * float(weight.grad.abs().max())
    )


@pytest.mark.parametrize("end", ["softmax", "sigmoid", "none"])
def test_answers_are_softened_and_matched_by_name(photos: Path, tmp_path: Path, end: str) -> None:
    """The teacher has its own size, its own preprocessing, and the classes in another order beside one more."""
    labels = ["red", "yellow", "blue", "green"]
    network = colour_teacher(labels, end=end)
    data = ImageFolder(photos, size=16, augment=True, seed=3)
    file = tmp_path / "answers.npy"
    done = sum(
        Teacher(network, "colours", LABELS).store_answers(data, file, 2.0, views=2, device="cpu", threads=1)
    )
    assert done == 2 * len(data)
    stored = np.load(file)
    np.testing.assert_allclose(stored.sum(-1), 1, rtol=1e-6)
    assert (stored[0].argmax(1) == data.targets).all()
    logits = network.compile(device="cpu", outputs=["scores"]).session()
    for view in range(2):
        seen = ImageFolder(photos, size=8, preprocess=UNIT, augment=True, seed=3)
        inputs = np.concatenate([images for images, _ in seen.view(view, 8)])
        columns = np.asarray(logits.run(inputs)).reshape(len(inputs), -1)[:, [2, 3, 0]]
        np.testing.assert_allclose(stored[view], softened(columns, 2.0), rtol=1e-4)


def test_a_student_learns_from_the_teacher_alone(photos: Path, tmp_path: Path) -> None:
    """With the share 1 the labels do not count. A teacher that takes red for blue is followed."""
    wrong = colour_teacher(["red", "green", "blue"], sure=40)
    rows = wrong.weights["scores.weight"]
    biases = wrong.weights["scores.bias"]
    wrong.set_weights({"scores.weight": rows[::-1].copy(), "scores.bias": biases[::-1].copy()}, layout="OHWI")
    model = mpscnn.train(
        photos, small_backbone(), teacher=wrong, teacher_share=1, temperature=2, **SMALL | {"epochs": 0}
    )
    assert model.report.teacher_accuracy == pytest.approx(
        2 / 5
    )  # only the two green photos for validation of five
    answers = [model.predict(photos / label / "000.png")[0].label for label in LABELS]
    assert answers == ["red", "green", "blue"]


def test_the_command_and_the_function_agree_and_state_the_teacher(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    save_small_backbone(tmp_path / "small.safetensors")
    colour_teacher(LABELS).save("teacher.safetensors")
    model = mpscnn.train(
        photos,
        "small.safetensors",
        teacher="teacher.safetensors",
        temperature=2,
        output="python.safetensors",
        **SMALL,
    )
    assert "the teacher is teacher.safetensors" in capsys.readouterr().err
    taught = "with the teacher teacher.safetensors (temperature 2, share 0.9)"
    assert taught in model.information["description"]
    assert model.report.teacher_accuracy == 1
    options = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    options += ["--model=small.safetensors", "--teacher=teacher.safetensors", "--temperature=2"]
    assert call("train", str(photos), "--output=shell.safetensors", *options) == 0
    assert "the teacher: 100.00% right" in capsys.readouterr().out
    assert Path("python.safetensors").read_bytes() == Path("shell.safetensors").read_bytes()


def test_the_output_does_not_replace_the_teacher(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "teacher.safetensors"
    colour_teacher(LABELS).save(file)
    before = file.read_bytes()
    with pytest.raises(ParameterError, match=r"teacher: .* is the file of the output, too"):
        mpscnn.train(photos, small_backbone(), teacher=file, output=file, **SMALL)
    options = ["--teacher", str(file), "--output", str(file), "--overwrite"]
    assert call("train", str(photos), *options) == 2
    assert "is the file of the output, too" in capsys.readouterr().err
    assert file.read_bytes() == before


def test_mixed_photos_are_mixed_for_the_teacher_too(photos: Path) -> None:
    augment = mpscnn.Augmentation(mixup=1.0)
    model = mpscnn.train(photos, small_backbone(), teacher=colour_teacher(LABELS), augment=augment, **SMALL)
    assert model.report.teacher_accuracy == 1
    balanced = mpscnn.train(
        photos, small_backbone(), teacher=colour_teacher(LABELS), class_weight="balanced", **SMALL
    )
    assert balanced.labels == LABELS


def test_a_stopped_training_goes_on_with_the_same_teacher_only(photos: Path, tmp_path: Path) -> None:
    def stop(epoch: mpscnn.Epoch) -> None:
        if epoch.index == stop_at:
            raise KeyboardInterrupt

    teacher, output = colour_teacher(LABELS), tmp_path / "mine.safetensors"
    whole = mpscnn.train(photos, small_backbone(), teacher=teacher, **SMALL)
    stop_at = len(whole.history) - 1
    with pytest.raises(KeyboardInterrupt):
        mpscnn.train(photos, small_backbone(), teacher=teacher, callbacks=stop, output=output, **SMALL)
    for other in (None, colour_teacher(LABELS, sure=9)):
        with pytest.raises(ParameterError, match="the run had other options: teacher"):
            mpscnn.train(photos, small_backbone(), teacher=other, resume=True, output=output, **SMALL)
    resumed = mpscnn.train(photos, small_backbone(), teacher=teacher, resume=True, output=output, **SMALL)
    assert resumed.history.losses == whole.history.losses
    for name, value in whole.network.weights.items():
        np.testing.assert_array_equal(resumed.network.weights[name], value)


def unnamed() -> mpscnn.Network:
    net = colour_teacher(LABELS)
    net.labels = None
    return net


def as_it_is() -> mpscnn.Network:
    net = colour_teacher(LABELS, end="none")
    net.scores = "as is"
    return net


@pytest.mark.parametrize(
    ("teacher", "options", "error", "message"),
    [
        (
            lambda: colour_teacher(["blue", "red"]),
            {},
            ParameterError,
            "colours has no class 'green'; its classes are",
        ),
        (unnamed, {}, ParameterError, "colours does not name its classes"),
        (
            as_it_is,
            {},
            UnsupportedError,
            "the results of colours are neither those of a softmax nor of a sigmoid",
        ),
        (
            lambda: mpscnn.load("page_digits").network,
            {},
            UnsupportedError,
            "is not a classifier with one photo of a fixed size",
        ),
        (
            lambda: colour_teacher(LABELS),
            {"loss": "focal"},
            ParameterError,
            "a teacher has its own loss, got 'focal'",
        ),
        (
            lambda: colour_teacher(LABELS),
            {"temperature": 0.5},
            ParameterError,
            "temperature must be 1 to 100",
        ),
        (
            lambda: colour_teacher(LABELS),
            {"teacher_share": 2},
            ParameterError,
            "teacher_share must be 0 to 1",
        ),
        (lambda: None, {"temperature": 2.0}, ParameterError, "temperature: only with a teacher="),
        (
            lambda: colour_teacher(["sea"]),
            {"task": "tags", "labels": "tags.csv"},
            ParameterError,
            "teacher: is for classes, got task='tags'",
        ),
    ],
)
def test_refusals(
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    teacher: Any,
    options: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    names = [f"{label}/{number:03}.png" for label in LABELS for number in range(6)]
    rows = [f"{name},{number % 2}" for number, name in enumerate(names)]
    Path("tags.csv").write_text("\n".join(["photo,sea", *rows]))
    with pytest.raises(error, match=message):
        mpscnn.train(photos, small_backbone(), teacher=teacher(), **options, **SMALL)


@pytest.mark.parametrize("options", [["--temperature=3"], ["--teacher-share=0.5"]])
def test_the_command_refuses_options_without_a_teacher(
    photos: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("train", str(photos), *options) == 2
    assert "only with --teacher" in capsys.readouterr().err
