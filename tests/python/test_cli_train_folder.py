"""`mpscnn train FOLDER`: from photos by class to a model that classifies, and what stops on the way."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import call, run
from training.photo_classes import make_photos
from training.small_backbone import save_small_backbone

import mpscnn
from mpscnn import WeightsError
from mpscnn.training import classifier, feature_store
from mpscnn.training.trainer import Trainer

LABELS = ["blue", "green", "red"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("photos"), dict.fromkeys(LABELS, 24), noise=20)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_backbone(tmp_path_factory.mktemp("backbone") / "small.safetensors")


@pytest.fixture(scope="module")
def trained(photos: Path, backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of an undisturbed run of some epochs, and its report."""
    folder = tmp_path_factory.mktemp("trained")
    result = run(
        *arguments(photos, backbone, folder / "mine.safetensors"), "--report", str(folder / "report")
    )
    assert result.returncode == 0, result.stderr
    (folder / "stdout").write_text(result.stdout)
    (folder / "stderr").write_text(result.stderr)
    return folder / "mine.safetensors"


def arguments(photos: Path, backbone: Path, output: Path) -> list[str]:
    options = ["--epochs", "6", "--batch-size", "4", "--layers", "3", "--views", "2", "--threads", "1"]
    return ["train", str(photos), "--model", str(backbone), "-o", str(output), *options]


def test_the_model_classifies_at_once(trained: Path, photos: Path) -> None:
    lines = (trained.parent / "stdout").read_text().splitlines()
    assert lines[0] == "57 photos to train with and 15 for validation, 3 classes, on small"
    assert any(re.match(r"last layer, epoch 1 of \d+: loss ", line) for line in lines)
    assert any(line.startswith("last blocks, epoch 1 of 6: loss ") for line in lines)
    right = next(re.match(r"validation: ([\d.]+)% right of 15", line) for line in lines if "right of" in line)
    assert right
    assert float(right[1]) == 100
    assert [line.split()[0] for line in lines if re.match(r"  \w+ +100.00%  \(5 of 5\)", line)] == LABELS
    assert f"mpscnn classify --model {trained}" in (trained.parent / "stderr").read_text()
    for label in LABELS:
        answer = run("classify", "--model", str(trained), "--json", str(photos / label / "000.png"))
        assert json.loads(answer.stdout)["predictions"][0]["label"] == label
    model = mpscnn.load(trained)
    assert model.labels == LABELS
    assert model.information["license"] == "Apache-2.0"
    assert not Path(f"{trained}.run").exists()


def test_the_report_shows_how_it_went(trained: Path) -> None:
    report = trained.parent / "report"
    assert {path.name for path in report.iterdir()} == {"confusion.png", "curves.png", "mistakes.html"}
    assert "<h1>100.00% right of 15 photos</h1>" in (report / "mistakes.html").read_text()


def test_the_worst_mistakes_come_first(photos: Path, backbone: Path, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed"  # a class of photos of another's colour cannot be told
    make_photos(mixed, {"red": 10, "green": 10})
    (mixed / "green").rename(mixed / "a <green>")
    for path in sorted((photos / "red").iterdir()):
        (mixed / "a <green>" / f"red{path.name}").write_bytes(path.read_bytes())
    command = arguments(mixed, backbone, tmp_path / "mixed.safetensors")
    result = run(*command, "--epochs", "1", "--report", str(tmp_path))
    assert result.returncode == 0, result.stderr
    page = (tmp_path / "mistakes.html").read_text()
    shares = [float(found) for found in re.findall(r"<figcaption>[^<]*? \(([\d.]+)%\), taken for", page)]
    assert shares
    assert shares == sorted(shares)
    assert "a &lt;green&gt;" in page
    assert "<green>" not in page


def test_the_same_seed_makes_the_same_file(
    photos: Path, backbone: Path, trained: Path, tmp_path: Path
) -> None:
    for name, options in {"two": ["--threads", "2"], "other": ["--seed", "1"]}.items():
        result = run(*arguments(photos, backbone, tmp_path / f"{name}.safetensors"), *options)
        assert result.returncode == 0, result.stderr
    assert (tmp_path / "two.safetensors").read_bytes() == trained.read_bytes()
    assert (tmp_path / "other.safetensors").read_bytes() != trained.read_bytes()


class _Stopped(BaseException):
    """As a kill: nothing may catch it."""


@pytest.mark.parametrize("place", ["features", "head", "keep", "checkpoint", "checkpoint 2"])
def test_a_killed_run_goes_on_to_the_same_file(
    photos: Path, backbone: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    output = tmp_path / "mine.safetensors"
    command = arguments(photos, backbone, output)
    stop_at(monkeypatch, place)
    with pytest.raises(_Stopped):
        call(monkeypatch, *command)
    monkeypatch.undo()
    assert not output.exists()
    assert call(monkeypatch, *command, "--resume") == 0
    assert output.read_bytes() == trained.read_bytes()


def stop_at(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """Ends the run there, with what is written till then."""
    if place == "features":
        whole = feature_store.store_features

        def some(*given: object, **options: object) -> Iterator[int]:
            yield next(whole(*given, **options))  # type: ignore[arg-type]
            raise _Stopped

        monkeypatch.setattr(classifier, "store_features", some)
    elif place == "head":
        monkeypatch.setattr(classifier.ClassifierTraining, "_train_tail", stopped)
    elif place == "keep":
        monkeypatch.setattr(Trainer, "save", stopped)
    else:
        count = 2 if place.endswith("2") else 1
        save, saved = Trainer.save, []

        def save_and_stop(self: Trainer, path: Path) -> None:
            save(self, path)
            saved.append(path)
            if len(saved) == count:
                raise _Stopped

        monkeypatch.setattr(Trainer, "save", save_and_stop)


def stopped(*given: object) -> None:
    raise _Stopped


def test_an_interrupt_writes_the_best_so_far(
    photos: Path,
    backbone: Path,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "mine.safetensors"
    command = arguments(photos, backbone, output)

    def interrupted(self: object) -> Iterator[object]:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(classifier.ClassifierTraining, "_train_tail", interrupted)
    assert call(monkeypatch, *command) == 130
    said = capsys.readouterr()
    assert "validation:" in said.out
    assert "best so far" in said.err
    assert mpscnn.load(output).labels == LABELS
    monkeypatch.undo()
    assert call(monkeypatch, *command, "--resume") == 0
    assert output.read_bytes() == trained.read_bytes()


def test_nothing_to_go_on_with(
    photos: Path,
    backbone: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = arguments(photos, backbone, tmp_path / "mine.safetensors")
    assert call(monkeypatch, *command, "--resume") == 2
    assert "there is no run to go on with" in capsys.readouterr().err
    stop_at(monkeypatch, "head")
    with pytest.raises(_Stopped):
        call(monkeypatch, *command)
    monkeypatch.undo()
    assert call(monkeypatch, *command, "--resume", "--seed", "9") == 2
    assert "other photos, another model or other options" in capsys.readouterr().err


def test_a_full_disk_leaves_what_there_is(
    photos: Path,
    backbone: Path,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "mine.safetensors"
    output.write_bytes(trained.read_bytes())
    command = arguments(photos, backbone, output)

    def full(self: Trainer, path: Path) -> None:
        raise WeightsError(f"{path}: cannot be written: No space left on device")

    monkeypatch.setattr(Trainer, "save", full)
    assert call(monkeypatch, *command) == 1
    said = capsys.readouterr().err
    assert "No space left on device" in said
    assert "--resume goes on from there" in said
    assert output.read_bytes() == trained.read_bytes()


def test_a_loss_that_is_not_finite_is_an_error(
    photos: Path,
    backbone: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What was learnt before stays, and a model that was there too."""
    output = tmp_path / "mine.safetensors"
    output.write_bytes(b"an older model")
    monkeypatch.setattr(classifier, "_RATE", 3e38)
    assert call(monkeypatch, *arguments(photos, backbone, output)) == 1
    said = capsys.readouterr().err
    assert "the weights are those of before the step" in said
    assert "--resume goes on from there" in said
    assert output.read_bytes() == b"an older model"
    monkeypatch.undo()
    assert call(monkeypatch, *arguments(photos, backbone, output)) == 0
    assert mpscnn.load(output).labels == LABELS


def test_photos_that_cannot_be_read_are_all_named(
    photos: Path,
    backbone: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = make_photos(tmp_path / "photos", {"red": 6, "green": 6})
    for name in ("red/000.png", "green/003.png", "green/004.png"):
        (folder / name).write_bytes(b"no photo")
    assert call(monkeypatch, *arguments(folder, backbone, tmp_path / "mine.safetensors")) == 1
    said = capsys.readouterr().err
    for name in ("000.png", "003.png", "004.png"):
        assert name in said


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "expected either FOLDER, --digits DIR or --pages DIR"),
        (["photos", "--digits", "mnist"], "expected either FOLDER, --digits DIR or --pages DIR"),
        (["photos", "-o", "mine.onnx"], "must end in .safetensors"),
        (["photos", "--augment"], "belongs to --digits"),
        (["--digits", "mnist", "--resume"], "belong to FOLDER"),
        (["--digits", "mnist", "--model", "colours"], "must be deep_mnist or digits"),
    ],
)
def test_wrong_usage(
    given: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "train", *given) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_a_model_without_preprocessing(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    net = mpscnn.Network(input=(8, 8, 3), name="mute")
    net.output(net.dense(net.conv2d(net.input, 2, 3), 3))
    net.initialize_weights()
    net.save(tmp_path / "mute.safetensors")
    assert (
        call(monkeypatch, *arguments(photos, tmp_path / "mute.safetensors", tmp_path / "a.safetensors")) == 1
    )
    assert "does not say how a photo becomes its input" in capsys.readouterr().err


def test_a_resumed_run_that_is_stopped_keeps_the_best_of_before(
    photos: Path, backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last layer is not learnt once more, whose first epochs are worse than what the run has."""
    output = tmp_path / "mine.safetensors"
    command = arguments(photos, backbone, output)
    stop_at(monkeypatch, "checkpoint 2")
    with pytest.raises(_Stopped):
        call(monkeypatch, *command)
    monkeypatch.undo()
    folder = output.with_name(output.name + ".run")
    (folder / ".training_cut.npy.left").write_bytes(b"of a kill")
    phases: list[str] = []
    judged = classifier.ClassifierTraining._judged

    def seen(self: classifier.ClassifierTraining, phase: classifier.Phase, *given: Any) -> Any:
        phases.append(phase)
        return judged(self, phase, *given)

    monkeypatch.setattr(classifier.ClassifierTraining, "_judged", seen)
    assert call(monkeypatch, *command, "--resume") == 0
    assert "last layer" not in phases
    assert not folder.exists()
