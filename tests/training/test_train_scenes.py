"""Test `mpscnn.train` for detectors and segmenters: from photos with labels to a model, its history and report."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from training.labelled_scenes import LABELS, Scenes, write_scenes

import mpscnn
from mpscnn import ParameterError, SceneAugmentation, UnsupportedError
from mpscnn.training.scenes.source import read_objects

SMALL: dict[str, Any] = {"epochs": 2, "batch_size": 4, "size": (32, 48), "threads": 1}


@dataclass(frozen=True)
class Run:
    """A complete training, with the epochs that its callback got and the folder with its files."""

    model: Any
    seen: list[mpscnn.Epoch]
    folder: Path


def tiny() -> mpscnn.Network:
    """Return a classifier with random weights and a last feature map of stride 4."""
    net = mpscnn.Network(input=(16, 16, 3), name="tiny")
    x = net.conv2d(net.input, 8, 3, strides=2, padding="same", activation="relu6", name="conv1")
    x = net.depthwise_conv2d(x, 3, strides=2, padding="same", activation="relu6", name="conv2")
    x = net.conv2d(x, 16, 1, activation="relu6", name="conv3")
    net.output(net.dense(net.global_average_pool2d(x, name="pool"), 3, name="classes"))
    net.initialize_weights(seed=3)
    net.preprocess = "tensorflow"
    return net


def other_weights() -> mpscnn.Network:
    net = tiny()
    net.initialize_weights(seed=4)
    return net


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Scenes:
    return write_scenes(tmp_path_factory.mktemp("scenes"), 10)


def labels_of(scenes: Scenes, task: str) -> dict[str, Any]:
    return {"annotations": scenes.coco} if task == "detect" else {"masks": scenes.masks}


def trained(scenes: Scenes, task: Any, model: Any = None, **options: Any) -> Any:
    return mpscnn.train(
        scenes.photos, model or tiny(), task=task, **labels_of(scenes, task), **SMALL | options
    )


def assert_same(one: mpscnn.Network, other: mpscnn.Network) -> None:
    assert one.to_dict() == other.to_dict()
    for name, value in one.weights.items():
        np.testing.assert_array_equal(value, other.weights[name], err_msg=name)


@pytest.fixture(scope="module")
def runs(scenes: Scenes, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    result = {}
    for task in ("detect", "segment"):
        folder = tmp_path_factory.mktemp(task)
        seen: list[mpscnn.Epoch] = []
        model = trained(
            scenes, task, callbacks=seen.append, report=folder / "report", output=folder / "a.safetensors"
        )
        result[task] = Run(model, seen, folder)
    return result


def test_a_detector(scenes: Scenes, runs: dict[str, Run]) -> None:
    model, folder = runs["detect"].model, runs["detect"].folder
    assert (model.task, model.labels) == ("detection", list(LABELS))
    assert list(model.history) == runs["detect"].seen
    assert len(model.history) == 2
    measures = model.report.evaluation
    best = model.history[(model.history.best_epoch or 0) - 1]
    assert measures.map50 == pytest.approx(best.validation_accuracy)
    assert [one.label for one in measures.by_class] == list(LABELS)
    assert measures.images == 2
    assert {path.name for path in (folder / "report").iterdir()} == {
        "curves.png",
        "predictions.png",
        "classes.csv",
        "confusion.png",
        "precision_recall.png",
        "report.html",
    }
    page = (folder / "report" / "report.html").read_text()
    assert measures.confusion_text() in page
    assert 'src="predictions.png"' in page
    assert measures.confusion[:-1].sum() == sum(curve.objects for curve in measures.matches.curves)
    loaded = mpscnn.load(folder / "a.safetensors")
    assert loaded.preprocess is not None
    assert loaded.preprocess["fit"] == "stretch"
    assert "batch_normalization" not in {node["operation"] for node in loaded.network.to_dict()["nodes"]}
    loaded.predict(scenes.photos / "01.png")
    assert not (folder / "a.safetensors.run").exists()


def test_reports_show_the_truth_beside_the_predictions(runs: dict[str, Run]) -> None:
    """Two photos for validation make two rows of two pictures."""
    for run in runs.values():
        with Image.open(run.folder / "report" / "predictions.png") as sheet:
            pixels = np.asarray(sheet)
        height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
        for top in (0, height):
            for left in (0, width + 4):
                assert pixels[top : top + height - 8, left : left + width - 4].std() > 5
        assert run.model.report.convergence


def test_annotations_without_the_sizes_of_photos_train_the_same_detector(
    scenes: Scenes, runs: dict[str, Run]
) -> None:
    """Boxes of Create ML are in pixels of photos whose sizes it does not state."""
    made = mpscnn.train(scenes.photos, tiny(), annotations=scenes.createml, **SMALL)
    assert_same(made.network, runs["detect"].model.network)
    assert made.network.detection.settings == runs["detect"].model.network.detection.settings


def test_a_segmenter(scenes: Scenes, runs: dict[str, Run]) -> None:
    model = runs["segment"].model
    assert (model.task, model.labels) == ("segmentation", ["background", *LABELS])
    best = model.history[(model.history.best_epoch or 0) - 1]
    assert model.report.evaluation.mean_iou == pytest.approx(best.validation_accuracy)
    assert model.report.evaluation.confusion.sum() == 2 * 32 * 48 - 2  # each mask ignores one pixel
    assert model.predict(scenes.photos / "01.png").labels.shape == (40, 60)


@pytest.mark.parametrize("task", ["detect", "segment"])
def test_a_stopped_training_continues(
    scenes: Scenes, runs: dict[str, Run], tmp_path: Path, task: str
) -> None:
    """A training that was stopped after an epoch gives the same bits, for another number of threads."""
    whole = runs[task].model

    class StoppedError(Exception):
        pass

    def stop(epoch: mpscnn.Epoch) -> None:
        raise StoppedError

    output = tmp_path / "mine.safetensors"
    with pytest.raises(StoppedError):
        trained(scenes, task, output=output, callbacks=stop)
    with pytest.raises(ParameterError, match="an interrupted run; resume=True, --resume in a shell, cont"):
        trained(scenes, task, output=output)
    for options, message in (
        ({"seed": 2, "epochs": 3}, "other options: epochs=2, not 3; seed=0, not 2; "),
        ({"early_stopping": None}, "other options: early_stopping=10, not None; "),
        ({"size": 64}, r"other options: size=\[32, 48\], not \[64, 64\]; "),
        ({"augment": False}, "other options: augment; "),
        ({"validation": 0.5}, "other photos, labels or photos for validation; "),
        (
            {"model": other_weights()},
            "another model; give the same again, or restart=True, --restart in a shell",
        ),
    ):
        with pytest.raises(ParameterError, match=f"the run had {message}"):
            trained(scenes, task, output=output, resume=True, **options)
    resumed = trained(scenes, task, output=output, resume=True, threads=2)
    assert_same(resumed.network, whole.network)
    assert [epoch.loss for epoch in resumed.history] == [epoch.loss for epoch in whole.history]
    with pytest.raises(ParameterError, match="there is no run to resume"):
        trained(scenes, task, output=output, resume=True)


@pytest.mark.full
@pytest.mark.parametrize("form", ["voc", "yolo"])
def test_other_formats_train_the_same_detector(scenes: Scenes, runs: dict[str, Run], form: str) -> None:
    model = mpscnn.train_detector(scenes.photos, tiny(), annotations=getattr(scenes, form), **SMALL)
    assert_same(model.network, runs["detect"].model.network)


def coco_part(scenes: Scenes, folder: Path, numbers: range) -> Path:
    """Write the annotations of some of the photos to a file."""
    dataset = json.loads(scenes.coco.read_text())
    images = [dataset["images"][number] for number in numbers]
    known = {image["id"] for image in images}
    own = [one for one in dataset["annotations"] if one["image_id"] in known]
    path = folder / f"{numbers.start}.json"
    path.write_text(json.dumps({**dataset, "images": images, "annotations": own}))
    return path


def test_other_annotations_for_validation(scenes: Scenes, tmp_path: Path) -> None:
    first, last, every = (coco_part(scenes, tmp_path, range(*ends)) for ends in ((0, 7), (7, 10), (4, 10)))
    options = SMALL | {"epochs": 1}
    model = mpscnn.train(scenes.photos, tiny(), annotations=first, validation=last, **options)
    assert (model.task, model.report.evaluation.images) == ("detection", 3)
    for name in ("validation", "validation_data"):
        with pytest.raises(
            ParameterError, match=r"3 photos are both for training and .*, first '.*04\.png'; "
        ):
            mpscnn.train(scenes.photos, tiny(), annotations=first, **{name: every}, **options)
    with pytest.raises(ParameterError, match=r"share for validation must be .* below 1, got 1.5"):
        trained(scenes, "detect", validation=1.5)


@pytest.mark.parametrize("task", ["classify", "detect", "segment"])
def test_a_photo_that_trains_is_not_for_validation(parts: Scenes, tmp_path: Path, task: Any) -> None:
    """A link to a photo that trains is refused among the photos for validation."""
    if task == "classify":
        folder, labels = tmp_path, {}
        names = ["train/cat/a.png", "train/dog/b.png", "val/cat/c.png", "val/dog/d.png"]
        for number, name in enumerate(names):
            (folder / name).parent.mkdir(parents=True)
            shutil.copy(parts.photos / "train2017" / f"{number:02}.png", folder / name)
    else:
        folder = shutil.copytree(parts.photos, tmp_path / "photos")
        names = ["train2017/01.png", "val2017/06.png"]
        labels = {"annotations": parts.coco} if task == "detect" else {"masks": parts.masks}
    (folder / names[-1]).unlink()
    (folder / names[-1]).symlink_to(folder / names[0])
    with pytest.raises(ParameterError, match=f"1 photo is both .*{names[-1]}', which also is '.*{names[0]}'"):
        mpscnn.train(folder, tiny(), task=task, **labels, epochs=1, threads=1)


def test_a_trained_detector_is_trained_further(scenes: Scenes, runs: dict[str, Run]) -> None:
    first = runs["detect"].model
    again = trained(scenes, "detect", first, size=None, epochs=1, trained_layers=4)
    assert again.network.to_dict() == first.network.to_dict()
    for name, value in first.network.weights.items():
        if name.startswith("conv"):
            np.testing.assert_allclose(again.network.weights[name], value, atol=1e-5)
    with pytest.raises(ParameterError, match="has the size 32 x 48, which cannot be changed"):
        trained(scenes, "detect", first, size=64)


@pytest.mark.full
def test_a_network_without_weights_begins_with_random_ones(scenes: Scenes) -> None:
    net = mpscnn.models.mobilenet_v2(depth_multiplier=0.1, input_size=32)
    net.preprocess = "tensorflow"
    assert trained(scenes, "detect", net, epochs=1).history[0].loss > 0
    assert not net.weights


@pytest.mark.parametrize(
    ("task", "names"),
    [("detect", ("anchor accuracy", "mAP at IoU 0.5")), ("segment", ("pixel accuracy", "mean IoU"))],
)
def test_each_measure_has_its_name(runs: dict[str, Run], task: str, names: tuple[str, str]) -> None:
    """The measure of training and that of validation are not comparable, so each has its chart."""
    history = runs[task].model.history
    assert history.measures == names
    assert [chart.title for chart in history._charts()] == ["loss", *names, "learning rate"]
    assert [list(chart.curves) for chart in history.measure_charts()] == [["training"], ["validation"]]
    assert all(f"{name} " in repr(history) for name in names)
    with Image.open(runs[task].folder / "report" / "curves.png") as picture:
        assert picture.size == (640, 3 * 260)


def test_frozen_layers_keep_their_weights(scenes: Scenes) -> None:
    model = trained(scenes, "detect", trained_layers=1, epochs=1)
    given = tiny().weights
    for layer in ("conv1", "conv2"):
        np.testing.assert_allclose(
            model.network.weights[f"{layer}.weight"], given[f"{layer}.weight"], atol=1e-5
        )
    assert (model.network.weights["conv3.weight"] != given["conv3.weight"]).any()


@pytest.mark.parametrize("task", ["detect", "segment"])
def test_the_command_and_the_function_train_the_same(
    scenes: Scenes, runs: dict[str, Run], tmp_path: Path, task: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from command_line import call

    tiny().save(tmp_path / "tiny.safetensors", dtype="float32")
    shell = tmp_path / f"{task}.safetensors"
    [(option, place)] = labels_of(scenes, task).items()
    options = ["--epochs=2", "--batch-size=4", "--size=32x48", "--threads=1", f"--report={tmp_path / task}"]
    given = [f"--task={task}", f"--{option}={place}", f"--model={tmp_path / 'tiny.safetensors'}"]
    assert call("train", str(scenes.photos), *given, f"--output={shell}", *options) == 0
    assert shell.read_bytes() == (runs[task].folder / "a.safetensors").read_bytes()
    shown = capsys.readouterr()
    names, result = {
        "detect": (
            ("anchor accuracy", "mAP at IoU 0.5"),
            r"mAP [\d.]+ at IoU 0.5 to 0.95, [\d.]+ at IoU 0.5",
        ),
        "segment": (("pixel accuracy", "mean IoU"), r"mean IoU [\d.]+"),
    }[task]
    assert re.search(rf"\w+ 1/2: loss [\d.]+, {names[0]} [\d.]+%, validation {names[1]} [\d.]+%", shown.out)
    assert re.search(f"validation: {result}.*, 2 photos, in", shown.out)
    assert re.search("8 photos to train with and 2 for validation.* pixels, trained from tiny\n", shown.out)
    assert "This is low. More --epochs" in shown.out
    assert f"mpscnn {task} --model" in shown.err


def brier(outputs: Any, targets: Any, weights: Any) -> tuple[Any, Any]:
    """Return the mean square of the errors of probabilities, and its gradient, for outputs that are logits."""
    powers = np.exp(outputs - outputs.max(-1, keepdims=True))
    p = powers / powers.sum(-1, keepdims=True)
    error, count = p - targets, np.count_nonzero(weights.any(-1))
    slope = 2 * weights * error / count
    return (weights * error**2).sum() / count, p * (slope - (slope * p).sum(-1, keepdims=True))


@pytest.mark.parametrize("loss", ["focal", "dice", "dice_cross_entropy", brier])
def test_losses_of_segmenters(scenes: Scenes, tmp_path: Path, loss: Any) -> None:
    whole = trained(scenes, "segment", loss=loss)
    assert np.isfinite(whole.history.losses).all()

    def stop(epoch: mpscnn.Epoch) -> None:
        raise KeyboardInterrupt

    output = tmp_path / "mine.safetensors"
    with pytest.raises(
        KeyboardInterrupt, match=r"mine\.safetensors has the best network so far; resume=True"
    ):
        trained(scenes, "segment", loss=loss, output=output, callbacks=stop)
    assert mpscnn.load(output).labels == whole.labels
    with pytest.raises(ParameterError, match="the run had other options: loss"):
        trained(scenes, "segment", output=output, resume=True)
    assert_same(trained(scenes, "segment", loss=loss, output=output, resume=True).network, whole.network)


def test_the_loss_of_a_detector_has_parameters(scenes: Scenes) -> None:
    heavy, plain = (
        trained(scenes, "detect", loss={"kind": "multibox", "box_weight": weight}, epochs=1)
        for weight in (9, 1)
    )
    assert heavy.history.losses[0] > plain.history.losses[0]


@pytest.fixture(scope="module")
def parts(scenes: Scenes, tmp_path_factory: pytest.TempPathFactory) -> Scenes:
    """Return the scenes with the photos and labels of each part in a folder or file of its own."""
    folder = tmp_path_factory.mktemp("parts")
    coco = folder / "coco"
    coco.mkdir()
    for name, numbers in {"train2017": range(6), "val2017": range(6, 9), "test": range(9, 10)}.items():
        for place in (scenes.photos, scenes.voc, scenes.yolo, scenes.masks):
            (folder / place.name / name).mkdir(parents=True)
            for number in numbers:
                for file in place.glob(f"{number:02}.*"):
                    shutil.copy(file, folder / place.name / name)
        coco_part(scenes, coco, numbers).rename(coco / f"instances_{name}.json")
    for place in (scenes.yolo, scenes.masks):
        for names in place.glob("*.txt"):
            if not names.stem.isdecimal():
                shutil.copy(names, folder / place.name)
    places = {name: folder / name for name in ("photos", "voc", "yolo", "masks")}
    return replace(scenes, coco=coco, **places)


@pytest.mark.parametrize("form", ["coco", "voc", "yolo", "masks"])
def test_folders_train_and_val_are_the_parts(parts: Scenes, form: str) -> None:
    task = "segment" if form == "masks" else "detect"
    labels = {"masks" if form == "masks" else "annotations": getattr(parts, form)}
    options = SMALL | {"epochs": 1}
    model = mpscnn.train(parts.photos, tiny(), task=task, **labels, **options)  # type: ignore[arg-type]
    assert model.report.evaluation.images == 3
    with pytest.raises(ParameterError, match="the photos in val are for validation"):
        mpscnn.train(parts.photos, tiny(), task=task, validation=0.5, **labels, **options)  # type: ignore[arg-type]


def test_parts_that_annotations_state_are_obeyed(parts: Scenes, scenes: Scenes, tmp_path: Path) -> None:
    """COCO files and a data.yaml state the parts of photos that are in one folder."""
    for photo in scenes.photos.iterdir():
        shutil.copy(photo, tmp_path)
    for text in scenes.yolo.iterdir():
        shutil.copy(text, tmp_path)
    names = sorted(path.name for path in scenes.photos.iterdir())
    for part, chosen in {"train": names[:6], "val": names[6:9]}.items():
        (tmp_path / f"{part}_list.txt").write_text("\n".join(chosen))
    settings = tmp_path / "data.yaml"
    settings.write_text(f"names: {list(LABELS)}\ntrain: train_list.txt\nval: val_list.txt\n")
    for place in (parts.coco, settings):
        model = mpscnn.train_detector(tmp_path, tiny(), annotations=place, **SMALL | {"epochs": 1})
        assert model.report.evaluation.images == 3
        with pytest.raises(ParameterError, match="the photos in val are for validation"):
            mpscnn.train_detector(tmp_path, tiny(), annotations=place, validation=0.5, **SMALL)


def test_coco_files_of_parts_that_are_refused(parts: Scenes, tmp_path: Path) -> None:
    for names, message in (
        (["captions", "val"], "captions.json: is not the only file"),
        (["val"], "has no .json file for train"),
    ):
        folder = tmp_path / names[0]
        folder.mkdir()
        for name in names:
            shutil.copy(parts.coco / "instances_val2017.json", folder / f"{name}.json")
        with pytest.raises(ParameterError, match=message):
            read_objects(parts.photos, folder)


def test_the_command_takes_the_photos_of_a_data_yaml(
    parts: Scenes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from command_line import call

    for source, name in ((parts.photos, "images"), (parts.yolo, "labels")):
        shutil.copytree(source, tmp_path / name)
    settings, model = tmp_path / "data.yaml", tmp_path / "tiny.safetensors"
    settings.write_text(f"names: {list(LABELS)}\ntrain: images/train2017\nval: images/val2017\n")
    tiny().save(model, dtype="float32")
    options = [
        "--epochs=1",
        "--batch-size=4",
        "--size=32x48",
        f"--model={model}",
        f"-o{tmp_path / 'a.safetensors'}",
    ]
    assert call("train", "--task=detect", f"--annotations={settings}", *options) == 0
    assert "6 photos to train with and 3 for validation" in capsys.readouterr().out
    assert call("train", "--task=detect", f"--annotations={parts.coco}", *options, "--overwrite") == 2
    assert "needs the folder with the photos" in capsys.readouterr().err
    assert call("train", str(settings), "--task=detect", *options, "--overwrite") == 0
    assert "6 photos to train with and 3 for validation" in capsys.readouterr().out
    assert call("train", str(settings), *options, "--overwrite") == 2
    assert "give --task detect, or --task segment" in capsys.readouterr().err
    assert call("train", str(tmp_path), "--task=segment", *options, "--overwrite") == 2
    assert f"such as --masks {settings}" in capsys.readouterr().err
    for place in ([str(settings)], [f"--masks={settings}"]):
        assert call("train", *place, "--task=segment", *options, "--overwrite") == 2
        assert "outlines" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("names", "place"),
    [
        (["images/train", "images/val", "labels/train", "labels/val"], "labels"),
        (["train/images", "train/labels", "val/images", "val/labels"], "train/labels"),
        (["JPEGImages", "Annotations"], "Annotations"),
        (["train", "val", "data.yaml"], "data.yaml"),
        (["train", "valid", "train/_annotations.createml.json"], "train/_annotations.createml.json"),
    ],
)
def test_a_classifier_is_not_trained_on_annotations(
    scenes: Scenes, tmp_path: Path, names: list[str], place: str
) -> None:
    for name in names:
        path = tmp_path / name
        if path.suffix:
            path.write_text("names: [green, red]\n")
            continue
        path.mkdir(parents=True)
        has_texts = "labels" in name or name == "Annotations"
        source = scenes.yolo / "01.txt" if has_texts else scenes.photos / "01.png"
        shutil.copy(source, path)
    with pytest.raises(mpscnn.ImageError, match=f"with --task detect --annotations .*{place} "):
        mpscnn.train(tmp_path, tiny(), progress=False)


def test_a_file_among_the_photos_is_named_and_photos_that_it_lacks_are_counted(
    scenes: Scenes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from command_line import call

    shutil.copytree(scenes.photos, tmp_path / "photos")
    file = tmp_path / "photos" / "few.json"
    file.write_text(json.dumps(json.loads(scenes.createml.read_text())[:6]))
    assert call("train", "--task=detect", str(tmp_path / "photos")) == 2
    assert f"needs --annotations, such as --annotations {file}" in capsys.readouterr().err.replace("\n", " ")
    mpscnn.train(tmp_path / "photos", tiny(), annotations=file, **SMALL | {"epochs": 1})
    assert "4 photos have no annotations and are left out" in capsys.readouterr().err


def test_options_of_other_tasks(scenes: Scenes, capsys: pytest.CaptureFixture[str]) -> None:
    from command_line import call

    for options, message in (
        (["--task=detect", "--masks=a", "--views=2"], "--masks, --views: do not go with --task detect"),
        (["--task=detect"], "--task detect needs --annotations"),
        (["--task=classify", "--annotations=a.json"], "not go with --task classify, only with --task detect"),
        (
            ["--annotations=a.json", "--masks=a"],
            "--masks: does not go with --task detect, only with --task segment",
        ),
        (
            ["--task=segment", "--annotations=a.json"],
            "only with --task detect; --masks a.json is the place of labels for --task segment",
        ),
        (["--task=detect", "--masks=a"], "; --annotations a is the place of labels for --task detect"),
        (["--task=tags", "--masks=a"], "; --labels a is the place of labels for --task tags"),
        (["--annotations=a.json", "--epochs=0"], "--epochs: --task detect needs 1 or more"),
        (["--masks=a", "--epochs=0"], "--epochs: --task segment needs 1 or more"),
        (["--learning-rate=1"], "not go with --task classify, only with --task detect or --task segment"),
        (["--task=detect", "--annotations=a.json", "--epochs=0"], "--epochs: --task detect needs 1 or more"),
    ):
        assert call("train", str(scenes.photos), *options) == 2
        assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"annotations": None}, "needs annotations=, the place of the annotations"),
        ({"epochs": 0}, "epochs must be"),
        ({"loss": "focal"}, "a detector is trained with 'multibox', got 'focal'"),
        ({"validation_split": 1.5}, "the share for validation must be .*, got 1.5"),
        *(({name: 0, "size": None}, "^size must be") for name in ("input_size", "imgsz", "image_size")),
        ({"learning_rate": -1}, "learning_rate must be above 0, got -1"),
        ({"early_stopping": 0}, "early_stopping must be"),
        ({"trained_layers": -1}, "trained_layers must be"),
        ({"resume": True}, "resume and restart need output="),
        ({"output": "mine.onnx"}, "the name must end in .safetensors"),
    ],
)
def test_options_that_are_refused(scenes: Scenes, options: dict[str, Any], message: str) -> None:
    given = {"annotations": scenes.coco, **SMALL, **options}
    given = {name: value for name, value in given.items() if value is not None}
    with pytest.raises(ParameterError, match=message):
        mpscnn.train(scenes.photos, tiny(), task="detect", **given)
    with pytest.raises(ParameterError, match=r"annotations= is for task='detect', got task='segment'$"):
        mpscnn.train(scenes.photos, tiny(), task="segment", masks=scenes.masks, annotations=scenes.coco)
    with pytest.raises(ParameterError, match="got task='segment'; masks= takes the place of its labels"):
        mpscnn.train(scenes.photos, tiny(), task="segment", annotations=scenes.coco)
    with pytest.raises(ParameterError, match=r"task must be one of .*, got 'paint'"):
        mpscnn.train(scenes.photos, task="paint")  # type: ignore[arg-type]


def test_models_that_are_refused(scenes: Scenes) -> None:
    net = mpscnn.Network(input=(8,), name="numbers")
    net.output(net.dense(net.input, 3))
    net.preprocess = "tensorflow"
    with pytest.raises(UnsupportedError, match=r"'numbers'.*photos need one input"):
        trained(scenes, "detect", net)


@pytest.mark.full
def test_pixels_are_told_apart_within_a_few_epochs(scenes: Scenes) -> None:
    """The shapes are bright and in pure colours, so a small network learns them in some steps."""
    still = SceneAugmentation(flip=0, crop=1, shrink=1, aspect=1, brightness=0, contrast=0, saturation=0)
    model = trained(scenes, "segment", epochs=12, augment=still, learning_rate=0.01)
    assert model.report.evaluation.mean_iou > 0.6
    assert isinstance(model, mpscnn.TrainedModel)


@pytest.mark.parametrize("task", ["detect", "segment"])
@pytest.mark.parametrize("suffix", ["onnx", "mlpackage"])
def test_trained_models_in_other_formats(
    scenes: Scenes, runs: dict[str, Run], tmp_path: Path, task: str, suffix: str
) -> None:
    if suffix == "mlpackage":
        pytest.importorskip("coremltools", reason="coremltools is not installed")
    model, path = runs[task].model, tmp_path / f"mine.{suffix}"
    model.save(path)
    again = mpscnn.load(path)
    assert (again.task, again.labels) == (model.task, model.labels)
    photo = scenes.photos / "01.png"
    if task == "segment":
        assert (again.predict(photo).labels != model.predict(photo).labels).mean() < 0.01
        return
    options = {"score_threshold": 0.01, "max_detections": 5}
    wanted, found = (one.predict(photo, **options) for one in (model, again))
    assert len(wanted) == 5
    np.testing.assert_allclose(found.boxes, wanted.boxes, atol=0.5)


def test_trained_models_in_integers(scenes: Scenes, runs: dict[str, Run]) -> None:
    photos = [scenes.photos / f"{number:02}.png" for number in range(8)]
    for task in ("detect", "segment"):
        quantized, _ = mpscnn.quantize(runs[task].model.network, photos)
        model = mpscnn.Model(quantized, precision="int8")
        assert model.task == runs[task].model.task
        model.predict(photos[1])
