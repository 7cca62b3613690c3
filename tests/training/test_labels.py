"""Test trainings on tables of labels: tags and numbers from the table to the files of other formats."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call
from PIL import Image, ImageDraw
from training.photo_labels import SMALL, make_labelled_photos, write_table
from training.small_backbone import save_small_backbone, small_backbone

import mpscnn
from mpscnn import ParameterError
from mpscnn.evaluation.labels import evaluation_of_values
from mpscnn.graph.model_file import change_metadata
from mpscnn.training.classifier import ClassifierOptions, ClassifierTraining
from mpscnn.training.goals import LOSSES
from mpscnn.training.label_measures import best_threshold, similarities
from mpscnn.training.label_table import LabelTable, read_label_table
from mpscnn.training.labelled_folder import LabelledFolder
from mpscnn.training.point_folder import PointFolder
from mpscnn.training.run_folder import RunChoices

HEADS = {
    "tags": ("photo", "red", "blue"),
    "number": ("photo", "weight (kg)", "share"),
    "keypoints": ("photo", "left_x", "left_y", "right_x", "right_y"),
}
PARTS = {"tags": "tags", "number": "numbers", "keypoints": "keypoints"}
TASKS = tuple(HEADS)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with photos and the tables tags.csv, number.csv and keypoints.csv. Some cells are empty."""
    folder = tmp_path_factory.mktemp("labelled")
    made = make_labelled_photos(folder)
    tags: list[list[object]] = [[name, red, blue] for name, red, blue in made]
    numbers: list[list[object]] = [
        [name.removesuffix(".png"), 70 + 5 * red + 3 * blue, (red + blue) / 2] for name, red, blue in made
    ]
    places = np.random.default_rng(5).uniform(0, 40, (len(made), 4)).round(2).tolist()
    points: list[list[object]] = [[name, *place] for (name, *_), place in zip(made, places, strict=True)]
    for rows in (tags, numbers, points):
        rows[3][1] = rows[5][2] = rows[6][1] = ""
    write_table(folder / "tags.csv", HEADS["tags"], *tags)
    write_table(folder / "number.csv", HEADS["number"], *numbers)
    write_table(folder / "keypoints.csv", HEADS["keypoints"], *points)
    return folder


@pytest.fixture(scope="module")
def trained(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, mpscnn.Model]:
    """Return a trained model of each task. The three trainings take 3 s."""
    report = tmp_path_factory.mktemp("report")
    models: dict[str, mpscnn.Model] = {}
    for task in TASKS:
        models[task] = mpscnn.train(
            photos, small_backbone(), task=task, labels=photos / f"{task}.csv", report=report / task, **SMALL
        )
        assert sorted(path.name for path in (report / task).iterdir()) == ["curves.png", "labels.csv"]
    return models


def test_tags(trained: dict[str, Any], photos: Path) -> None:
    model = trained["tags"]
    assert (model.labels, model.scores_are, model.task) == (["red", "blue"], "sigmoid", "classification")
    assert model.history.measures == ("accuracy", "mAP")
    evaluation = mpscnn.evaluate(model, photos, labels=photos / "tags.csv")
    assert evaluation.score is not None
    assert evaluation.score > 0.9
    thresholds = model.answers["thresholds"]
    for name, red, blue in make_labelled_photos(photos)[:8]:
        result = model.predict(photos / name)
        reached = [entry.label for entry in result if entry.probability >= thresholds[entry.index]]
        assert result.tags == tuple(reached) == model.predict(photos / name, top=1).tags
        assert sorted(reached) == sorted(["red"] * red + ["blue"] * blue)
        assert result.to_dict()["tags"] == reached
        assert (", ".join(reached) or "no tag") in repr(result)
    model.network.answers = {"kind": "tags", "thresholds": [1, 0]}
    assert model.predict(photos / "00.png").tags == ("blue",)
    model.network.answers = {"kind": "tags", "thresholds": thresholds}


def test_numbers(trained: dict[str, Any], photos: Path) -> None:
    model = trained["number"]
    assert (model.labels, model.scores_are) == (["weight", "share"], "as is")
    assert model.answers == {"kind": "number", "units": ["kg", ""]}
    assert model.history.measures == ("accuracy", "R2")
    evaluation = mpscnn.evaluate(model, photos, labels=photos / "number.csv")
    assert evaluation.score is not None
    assert evaluation.score > 0.8
    result = model.predict(photos / "00.png")
    assert [entry.index for entry in result] == [0, 1]  # the network's order, not the largest first
    assert [number.value for number in result.numbers] == result.probabilities.tolist()
    assert result.to_dict()["numbers"][0] == {"label": "weight", "value": result[0].probability, "unit": "kg"}
    assert f"weight {result[0].probability:.5g} kg, share" in repr(result)
    assert result.draw().height > 40


def oks_of_coco(true: Any, found: Any, results: list[Any]) -> list[float]:
    """Return the similarity of a point that COCO does not have, by pycocotools."""
    cocoeval = pytest.importorskip("pycocotools.cocoeval", reason="needs pycocotools")
    deviations = (0.026, 0.025, 0.035, 0.079, 0.072, 0.062, 0.107, 0.087, 0.089)
    alike = []
    for place, (point, other, result) in enumerate(zip(true, found, results, strict=True)):
        judge = cocoeval.COCOeval(iouType="keypoints")
        judge.params.kpt_oks_sigmas = np.array([np.mean(deviations)])
        width, height = result.size
        judge._gts[place, 0] = [
            {"keypoints": [*point, 2], "bbox": [0, 0, width, height], "area": width * height}
        ]
        judge._dts[place, 0] = [{"keypoints": [*other, 2], "score": 1.0}]
        alike.append(float(judge.computeOks(place, 0)[0, 0]))
    return alike


def test_points_have_the_deviations_of_coco() -> None:
    """Names with a side have those of their kind, and other names the mean of the nine kinds."""
    cocoeval = pytest.importorskip("pycocotools.cocoeval", reason="needs pycocotools")
    of_coco = cocoeval.Params("keypoints").kpt_oks_sigmas
    sizes, true = np.array([[200, 100]], np.float32), np.full((1, 6), 0.5, np.float32)
    found = true + np.float32(0.02)
    names = ["left_eye", "nose", "disc"]
    expected = [of_coco[1], of_coco[0], np.mean([of_coco[0], *of_coco[1::2]])]
    squares = (0.02 * 200) ** 2 + (0.02 * 100) ** 2
    np.testing.assert_allclose(
        similarities(found, true, sizes, names)[0],
        [np.exp(-squares / (2 * 200 * 100 * (2 * one) ** 2)) for one in expected],
        rtol=1e-4,
    )


def test_a_table_of_empty_cells_has_no_labels(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "00.png")
    network = mpscnn.Network((8, 8, 3), name="weights")
    network.output(network.dense(network.flatten(network.input), 1, name="scores"))
    network.initialize_weights(0)
    network.preprocess, network.labels = "unit", ["weight"]
    network.answers = {"kind": "number", "units": ["kg"]}
    table = write_table(tmp_path / "weights.csv", ("photo", "weight (kg)"), ("00", ""))
    with pytest.raises(mpscnn.ParameterError, match="all cells beside the names of photos are empty"):
        mpscnn.evaluate(mpscnn.Model(network), tmp_path, labels=table)


def test_points(tmp_path: Path) -> None:
    """A training on 60 photos, after which a network with random weights finds a red disc, takes a second."""
    random, rows = np.random.default_rng(3), []
    for number in range(60):
        size = random.integers(40, 80, 2).tolist()
        x, y = (random.uniform(0.2, 0.8, 2) * size).round(1).tolist()
        noise = random.normal(90, 10, (*size[::-1], 3)).clip(0, 255).astype(np.uint8)
        ImageDraw.Draw(picture := Image.fromarray(noise)).ellipse((x - 8, y - 8, x + 8, y + 8), fill="red")
        picture.save(tmp_path / f"{number:02}.png")
        rows.append((f"{number:02}", x, y))
    table = write_table(tmp_path / "points.csv", ("photo", "disc.x", "disc.y"), *rows)
    options = {**SMALL, "epochs": 0, "early_stopping": 20}
    model: Any = mpscnn.train(tmp_path, small_backbone(), task="keypoints", labels=table, **options)
    assert model.answers == {"kind": "keypoints", "names": ["disc"]}
    assert (model.history.measures, model.preprocess["fit"]) == (("accuracy", "R2"), "stretch")
    evaluation = mpscnn.evaluate(model, tmp_path, labels=table)
    results = [model.predict(tmp_path / f"{name}.png") for name, *_ in rows]
    found = np.array([[point.x, point.y] for result in results for point in result.keypoints])
    apart = np.hypot(*(found - [row[1:] for row in rows]).T)
    near = [one <= 0.05 * max(result.size) for one, result in zip(apart, results, strict=True)]
    (figures,) = evaluation.labels
    assert figures.mean_distance == pytest.approx(apart.mean(), rel=1e-4)
    assert figures.pck == pytest.approx(np.mean(near)) == evaluation.score
    assert figures.mean_distance < 6  # 15 for the middle of all photos
    assert figures.oks == pytest.approx(
        np.mean(oks_of_coco(np.array([row[1:] for row in rows]), found, results))
    )
    for suffix in (".csv", ".json", ".html", ".png"):
        evaluation.save(tmp_path / f"measured{suffix}")
    assert str(figures.oks)[:6] in (tmp_path / "measured.csv").read_text()
    with Image.open(tmp_path / "measured.png") as picture:
        assert picture.height > 20
    assert np.asarray(results[0].draw()).shape == np.asarray(Image.open(tmp_path / "00.png")).shape


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_points_move_with_variants_of_photos(tmp_path: Path, orientation: int) -> None:
    """The disc at a point is where the variant's point is, and left and right change places in mirrored variants."""
    for number in range(4):
        picture = Image.new("RGB", (60, 90), "black")
        ImageDraw.Draw(picture).ellipse((14, 24, 22, 32), fill="red")
        ImageDraw.Draw(picture).ellipse((38, 50, 46, 58), fill="blue")
        exif = picture.getexif()
        exif[0x0112] = orientation
        picture.save(tmp_path / f"{number}.png", exif=exif)
    upright: Callable[[float, float], tuple[float, float]] = {
        1: lambda x, y: (x, y),
        3: lambda x, y: (60 - x, 90 - y),
        6: lambda x, y: (90 - y, x),
    }[orientation]
    place = [*upright(18.5, 28.5), *upright(42.5, 54.5)]
    values = np.array([[*place, *place[:2]]] * 4, np.float32)
    names = ["Left eye", "Right eye", "l_ear"]
    table = LabelTable(
        [str(tmp_path / f"{number}.png") for number in range(4)],
        [f"{name}_{axis}" for name in names for axis in "xy"],
        names,
        values,
    )
    augment = mpscnn.Augmentation(rotation=30, brightness=0, contrast=0, saturation=0, crop=0.8)
    folder = PointFolder(
        tmp_path, table, size=(120, 100), preprocess="unit", augment=augment, seed=int(orientation)
    )
    seen = set()
    for epoch in range(4):
        for photo, points in zip(*next(folder.batches(4, epoch=epoch)), strict=True):
            first, second, lone = points.reshape(3, 2)
            is_flipped = bool(np.isnan(lone).all())
            seen.add(is_flipped)
            for channel, point in (
                (0, second if is_flipped else first),
                (2, first if is_flipped else second),
            ):
                rows, columns = np.nonzero(photo[..., channel] > 0.5)
                if not np.isnan(point).any() and len(rows) > 100:  # not cut by the border
                    middle = np.array([columns.mean() + 0.5, rows.mean() + 0.5])
                    np.testing.assert_allclose(point * (100, 120), middle, atol=1)
    assert seen == {False, True}


@pytest.mark.parametrize(
    ("x", "message"), [(0.5, "shares from 0 to 1"), (61, "'a_x' is 61, outside of the photo of 40")]
)
def test_points_outside_of_photos_are_refused(photos: Path, x: float, message: str) -> None:
    values = np.array([[x, 0.5], [0.2, 0.7]], np.float32)
    table = LabelTable([str(photos / f"{name}.png") for name in ("00", "01")], ["a_x", "a_y"], ["a"], values)
    with pytest.raises(ParameterError, match=message):
        PointFolder(photos, table)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("suffix", [".safetensors", ".onnx", ".tflite", ".mlpackage", ".mlmodel", ".aimodel"])
def test_every_format_keeps_answers(
    trained: dict[str, Any], photos: Path, tmp_path: Path, task: str, suffix: str
) -> None:
    """The first package of coremltools takes seconds to import."""
    if suffix.startswith(".ml"):
        pytest.importorskip("coremltools", reason="coremltools is not installed")
    if suffix == ".aimodel":
        pytest.importorskip("coreai", reason="coreai-core is not installed")
    if suffix == ".onnx":
        pytest.importorskip("onnx", reason="onnx is not installed")
    model = trained[task]
    model.save(tmp_path / f"model{suffix}", dtype="float32")
    again = mpscnn.load(tmp_path / f"model{suffix}")
    assert (again.answers, again.labels, again.scores_are) == (model.answers, model.labels, model.scores_are)
    before, after = model.predict(photos / "00.png"), again.predict(photos / "00.png")
    np.testing.assert_allclose(after.probabilities, before.probabilities, rtol=1e-5)
    assert after.tags == before.tags


@pytest.mark.parametrize("suffix", [".mlpackage", ".tflite"])
def test_other_programs_see_no_probabilities_in_numbers(
    trained: dict[str, Any], tmp_path: Path, suffix: str
) -> None:
    place = tmp_path / f"model{suffix}"
    if suffix == ".mlpackage":
        tools = pytest.importorskip("coremltools", reason="coremltools is not installed")
        for task, expected in (("number", False), ("keypoints", False), ("tags", True)):
            trained[task].save(place)
            description = tools.models.MLModel(str(place), skip_model_load=True).get_spec().description
            assert bool(description.predictedFeatureName) == expected
    else:
        for task, expected in (("number", False), ("keypoints", False), ("tags", True)):
            trained[task].save(place)
            assert (b"probability" in place.read_bytes()) == expected


@pytest.mark.parametrize(
    "stated",
    ['{"kind": 3}', '{"kind": "tags", "thresholds": [0.5]}', '{"kind": "keypoints", "names": ["a", "b"]}'],
)
def test_damaged_answers_of_files(trained: dict[str, Any], tmp_path: Path, stated: str) -> None:
    path = tmp_path / "model.safetensors"
    trained["tags"].save(path)
    change_metadata(path, path, {"mpscnn.answers": stated})
    with pytest.raises(mpscnn.WeightsError, match="damaged: network 'tags_of_photos': answers"):
        mpscnn.load(path)
    with pytest.raises(mpscnn.WeightsError, match="damaged: network 'tags_of_photos': answers"):
        mpscnn.Network.load(path)


def test_predictions_of_classes_build_no_network(photos: Path) -> None:
    model = mpscnn.load()
    model.predict(photos / "00.png")
    assert "network" not in vars(model)


def test_measures_are_scikit_learns() -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    random = np.random.default_rng(4)
    scores = random.random((200, 5)).round(1).astype(np.float32)  # with equal scores
    true = (random.random((200, 5)) < scores).astype(np.float32)
    true[:, 4] = 0
    true[random.random(true.shape) < 0.1] = np.nan
    limits = [best_threshold(*pair) for pair in zip(scores.T, true.T, strict=True)]
    found = evaluation_of_values(
        {"kind": "tags", "thresholds": limits}, list("abcde"), scores, true, 1.0
    ).labels
    for one, score, has in zip(found[:4], scores.T, true.T, strict=False):
        known = ~np.isnan(has)
        has, score = has[known], score[known]
        given = score >= one.threshold
        expected = [
            *(metric(has, given) for metric in (metrics.precision_score, metrics.recall_score)),
            metrics.f1_score(has, given),
            metrics.average_precision_score(has, score),
        ]
        np.testing.assert_allclose([one.precision, one.recall, one.f1, one.average_precision], expected)
        assert one.f1 == max(metrics.f1_score(has, score >= limit) for limit in np.unique(score))
    assert (found[4].average_precision, found[4].recall, found[4].threshold) == (None, None, 0.5)

    numbers, read = random.normal(5, 3, (2, 200, 1)).astype(np.float32)
    numbers[::7] = np.nan
    known = ~np.isnan(numbers)
    (one,) = evaluation_of_values({"kind": "number", "units": [""]}, ["a"], read, numbers, 1.0).labels
    pair = numbers[known].astype(np.float64), read[known].astype(np.float64)
    expected = [
        metrics.mean_absolute_error(*pair),
        metrics.root_mean_squared_error(*pair),
        metrics.r2_score(*pair),
    ]
    np.testing.assert_allclose([one.mean_absolute_error, one.root_mean_squared_error, one.r2], expected)


@pytest.mark.parametrize(
    ("loss", "function"),
    [
        ("sigmoid_cross_entropy", "binary_cross_entropy_with_logits"),
        ("mean_squared_error", "mse_loss"),
        ("mean_absolute_error", "l1_loss"),
        ("huber", "huber_loss"),
    ],
)
def test_losses_are_torchs_and_leave_out_what_is_not_known(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loss: str, function: str
) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    task = next(task for task in TASKS if loss in LOSSES[task])
    table = read_label_table(photos / f"{task}.csv", photos, task)
    training, validation = LabelledFolder(photos, table, size=(16, 16)).split(0.5)
    assert np.isnan(validation.targets).any()
    monkeypatch.setattr("mpscnn.training.classifier._HEAD_EPOCHS", 2)  # so the last blocks improve it
    options = ClassifierOptions(epochs=3, views=1, loss=loss, task=task)
    run = ClassifierTraining(
        training, validation, small_backbone(), tmp_path, options=options, choices=RunChoices(threads=1)
    )
    for _ in run.run():
        pass
    best = [record for record in run.history if record.best][-1]
    assert best.phase == f"{task}, last blocks"  # `predictions` computes what these layers compute
    found, true = run.predictions(), validation.targets
    assert run.goal is not None
    if task == "tags":
        found = np.log(found.astype(np.float64) / (1 - found))
    else:
        found, true = run.goal.scaled(found), run.goal.scaled(true)
    each = getattr(torch.nn.functional, function)(
        torch.from_numpy(found.astype(np.float64)), torch.from_numpy(np.nan_to_num(true)), reduction="none"
    ).numpy()
    assert best.validation_loss == pytest.approx(each[~np.isnan(true)].mean(), rel=1e-4)


@pytest.mark.parametrize("task", TASKS)
def test_a_stopped_training_goes_on_to_the_same_file(photos: Path, tmp_path: Path, task: str) -> None:
    def stop(epoch: mpscnn.Epoch) -> None:
        if epoch.index == count - 1:  # the first epoch of the last blocks
            raise KeyboardInterrupt

    arguments = {"task": task, "labels": photos / f"{task}.csv", **SMALL}
    whole = mpscnn.train(photos, small_backbone(), output=tmp_path / "whole.safetensors", **arguments)
    count = len(whole.history)
    output = tmp_path / "stopped.safetensors"
    with pytest.raises(KeyboardInterrupt):
        mpscnn.train(photos, small_backbone(), output=output, callbacks=stop, **arguments)
    others = photos / f"other_{task}.csv"
    others.write_text((photos / f"{task}.csv").read_text().replace(",0", ",1", 1))
    with pytest.raises(ParameterError, match="other"):
        mpscnn.train(photos, small_backbone(), output=output, resume=True, **{**arguments, "labels": others})
    mpscnn.train(photos, small_backbone(), output=output, resume=True, **arguments)
    assert output.read_bytes() == (tmp_path / "whole.safetensors").read_bytes()


def test_mixed_photos_have_shares_of_tags(photos: Path) -> None:
    augment = mpscnn.Augmentation(mixup=1.0)
    arguments = {"augment": augment, **SMALL, "epochs": 0}
    mpscnn.train(photos, small_backbone(), task="tags", labels=photos / "tags.csv", **arguments)
    table = LabelTable(
        [str(photos / f"{n:02}.png") for n in range(20)],
        ["a"],
        [],
        np.arange(20, dtype=np.float32)[:, None] % 2,
    )
    for _, shares in LabelledFolder(photos, table, size=(8, 8), augment=augment).batches(20, epoch=0):
        assert ((shares >= 0) & (shares <= 1)).all()
        assert ((shares > 0) & (shares < 1)).any()
    with pytest.raises(ParameterError, match="mixed photos have no number"):
        mpscnn.train(photos, small_backbone(), task="number", labels=photos / "number.csv", **arguments)


def test_rare_labels_train(photos: Path) -> None:
    paths = [str(photos / f"{number:02}.png") for number in range(40)]
    tags = np.zeros((40, 3), np.float32)
    tags[7, 0] = tags[8:10, 1] = tags[1:, 2] = 1
    for seed in range(5):
        training, validation = LabelledFolder(
            photos, LabelTable(paths, list("abc"), [], tags), seed=seed
        ).split(0.5)
        assert (len(training), len(validation)) == (20, 20)
        assert training.targets.max(0).tolist() == [1, 1, 1]
        assert training.targets.min(0).tolist() == [0, 0, 0]


def test_folders_of_a_split_data_set_are_kept(tmp_path: Path) -> None:
    rows = [
        (f"{part}/{name}", red)
        for part, count in (("train", 8), ("val", 3), ("test", 2))
        for name, red, _ in make_labelled_photos(tmp_path / part, count)
    ]
    table = read_label_table(write_table(tmp_path / "t.csv", ("image", "red"), *rows), tmp_path, "tags")
    training, validation = LabelledFolder(tmp_path, table).split(None)
    assert {Path(path).parent.name for path in training.paths} == {"train"}
    assert {Path(path).parent.name for path in validation.paths} == {"val"}


def test_a_column_may_list_tags(photos: Path, tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.csv", ("file", "tags"), ("00", "b; a"), ("01.png", ""), ("02.png", "b"))
    table = read_label_table(path, photos, "tags")
    assert table.labels == ["a", "b"]
    np.testing.assert_array_equal(table.values, [[1, 1], [0, 0], [0, 1]])
    known = read_label_table(path, photos, "tags", known=["b", "c", "a"])
    np.testing.assert_array_equal(known.values, [[1, 0, 1], [0, 0, 0], [1, 0, 0]])


@pytest.mark.parametrize(
    ("task", "rows", "message"),
    [
        ("tags", [], "the header must be such as photo,beach,sunset"),
        ("tags", [("name", "red"), ("00.png", 1)], "the header must be such as"),
        ("tags", [("photo",), ("00.png",)], "the header must be such as"),
        ("tags", [("photo", "red")], "has no line with a photo"),
        ("tags", [("photo", "red"), ("00.png",)], "line 2: has 1 cells, the header has 2"),
        ("tags", [("photo", "red"), ("none.png", 1)], "line 2: the photo .*none.png' does not exist"),
        (
            "tags",
            [("photo", "red"), ("00.png", 1), (), ("00", 1)],
            "line 4: the photo .* another line before",
        ),
        ("tags", [("photo", "red"), ("00.png", 0.5)], "line 2: 'red' is '0.5'; expected is photo,beach"),
        ("tags", [("photo", "red"), ("00.png", 1), ("01.png", 1)], "'red' is 1 on all photos"),
        ("tags", [("photo", "red"), ("00.png", ""), ("01.png", "")], "'red' has no value"),
        ("tags", [("photo", "tags"), ("00.png", "")], "must have different names"),
        ("tags", [("photo", "red", "red"), ("00.png", 1, 1)], "must have different names"),
        ("number", [("photo", "a (kg)", "a (g)"), ("00.png", 1, 1)], "must have different names"),
        ("number", [("photo", "a"), ("00.png", "1 kg")], "'a' is '1 kg'; expected is photo,weight"),
        ("number", [("photo", "a"), ("00.png", "1e39")], "'a' is '1e39'"),
        ("number", [("photo", "a"), ("00.png", "nan")], "'a' is 'nan'"),
        ("keypoints", [("photo", "a_x"), ("00.png", 1)], "must be x and y of each point"),
        ("keypoints", [("photo", "a_y", "a_x"), ("00.png", 1, 1)], "must be x and y of each point"),
        ("keypoints", [("photo", "a_x", "b_y"), ("00.png", 1, 1)], "must be x and y of each point"),
        ("keypoints", [("photo", "a_x", "a_y", "b"), ("00.png", 1, 1, 1)], "must be x and y of each point"),
    ],
)
def test_refused_tables(photos: Path, tmp_path: Path, task: Any, rows: list[Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        read_label_table(write_table(tmp_path / "t.csv", *rows), photos, task)


def test_refused_arguments(trained: dict[str, Any], photos: Path, tmp_path: Path) -> None:
    def refused(message: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        with pytest.raises((mpscnn.Error, TypeError), match=message):
            function(*arguments, **options)

    tags, number = photos / "tags.csv", photos / "number.csv"
    refused("task='tags' needs labels=", mpscnn.train, photos, task="tags")
    refused("labels= is for task='tags' or 'number'", mpscnn.train, photos, labels=tags)
    refused("labels", mpscnn.train, photos, task="detect", annotations="a.json", labels=tags)
    for task, losses, options in (
        ("tags", "'sigmoid_cross_entropy', 'sigmoid_focal'", {"loss": "focal"}),
        ("number", "'mean_squared_error', 'mean_absolute_error', 'huber'", {"loss": "softmax_cross_entropy"}),
        ("number", "class_weight: is for classes", {"class_weight": "balanced"}),
        ("number", "above 0 and below 1", {"validation": 1.5}),
    ):
        table = photos / f"{task}.csv"
        refused(losses, mpscnn.train, photos, small_backbone(), task=task, labels=table, **options)
    refused(r"labels='labels.csv'\) measures it", mpscnn.evaluate, trained["tags"], photos)
    refused("is for models of tags, numbers or points", mpscnn.evaluate, mpscnn.load(), photos, labels=tags)
    others = tmp_path / "others.csv"
    others.write_text(tags.read_text().replace("red", "green"))
    refused("green, blue; the model has red, blue", mpscnn.evaluate, trained["tags"], photos, labels=others)
    grams = tmp_path / "grams.csv"
    grams.write_text(number.read_text().replace("(kg)", "(g)"))
    refused(r"has the units \['g', ''\]", mpscnn.evaluate, trained["number"], photos, labels=grams)
    network = small_backbone()
    for answers in (
        [],
        {"kind": "points", "thresholds": []},
        {"kind": "keypoints", "names": [3]},
        {"kind": "tags", "units": ["kg"]},
        {"kind": "tags", "thresholds": [1.5]},
        {"kind": "tags", "thresholds": []},
        {"kind": "number", "units": [1]},
        {"kind": "number", "units": "kg"},
    ):
        refused("answers", setattr, network, "answers", answers)
    network.answers = {"kind": "number", "units": ["kg"]}
    refused("there are 1, and the outputs", network.save, tmp_path / "n.safetensors")
    refused(
        '"fit" must be "stretch"', mpscnn.Model, trained["keypoints"].network, preprocess={"fit": "letterbox"}
    )


@pytest.mark.parametrize("task", TASKS)
def test_commands(
    trained: dict[str, Any], photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], task: str
) -> None:
    backbone, output = save_small_backbone(tmp_path / "small.safetensors"), str(tmp_path / "mine.safetensors")
    table, photo = str(photos / f"{task}.csv"), str(photos / "00.png")
    named = {name: value for name, value in SMALL.items() if name != "progress"}
    options = [f"--{name.replace('_', '-')}={value}" for name, value in named.items()]
    given = ["--task", task, "--labels", table, "--model", str(backbone), "--output", output]
    assert call("train", str(photos), *given, *options) == 0
    assert trained[task].report.evaluation.summary() in capsys.readouterr().out
    again = mpscnn.load(output)
    assert again.answers == trained[task].answers
    assert call("classify", photo, "--model", output) == 0
    shown = capsys.readouterr().out
    result = again.predict(photo)
    expected = {"tags": f"tags: {result.answer_text()}", "number": "kg  weight", "keypoints": "  right\n"}
    assert expected[task] in shown
    assert call("classify", photo, "--model", output, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    part = PARTS[task]
    assert found[part] == result.to_dict()[part]
    assert call("evaluate", str(photos), "--model", output, "--labels", table, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert tuple(found["labels"]) == mpscnn.evaluate(again, photos, labels=table).to_dict()["labels"]
    assert call("evaluate", str(photos), "--model", output, "--labels", table) == 0
    assert "photos" in capsys.readouterr().out
    assert call("evaluate", str(photos), "--model", output) == 2
    assert "--labels FILE.csv" in capsys.readouterr().err
    other, about = {
        "tags": ({"kind": "tags", "thresholds": [0, 1]}, "from these probabilities on: 0, 1"),
        "number": ({"kind": "number", "units": ["g", "m"]}, "numbers in g, m"),
        "keypoints": ({"kind": "keypoints", "names": ["nose", "chin"]}, "points: 2: 'nose', 'chin'"),
    }[task]
    assert call("info", output, "--set", f"answers={json.dumps(other)}") == 0
    assert mpscnn.load(output).answers == other
    assert call("info", output) == 0
    assert about in " ".join(capsys.readouterr().out.split())
    assert call("info", output, "--set", "answers={") == 2
    assert call("train", str(photos), "--task", task) == 2
    assert "needs a table of labels" in capsys.readouterr().err


def test_the_service_answers_with_tags_numbers_and_points(
    trained: dict[str, Any], photos: Path, tmp_path: Path
) -> None:
    """A process of its own takes seconds to start."""
    from serving import require_packages, serving

    require_packages()
    files = []
    for task, model in trained.items():
        files.append(tmp_path / f"{task}.safetensors")
        model.save(files[-1], dtype="float32")
    stream = io.BytesIO()
    Image.open(photos / "00.png").save(stream, "PNG")
    with serving(*files, "--device", "cpu") as service:
        listed = service.request("/v1/models").json["models"]
        assert [one["answers"] for one in listed] == [model.answers for model in trained.values()]
        for task, part in PARTS.items():
            answer = service.request(f"/v1/classify?model={task}", stream.getvalue()).json
            expected = trained[task].predict(photos / "00.png").to_dict()
            assert answer[part] == expected[part]


def test_rows_of_ray_keep_answers(trained: dict[str, Any], photos: Path) -> None:
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from mpscnn.apps.ray.rows import result_columns, result_from_row, row_from_result

    for model in trained.values():
        result = model.predict(photos / "00.png")
        (row,) = pa.Table.from_pylist(
            [row_from_result(result)], schema=result_columns("classification")
        ).to_pylist()
        again = result_from_row(row)
        assert [getattr(again, part) for part in PARTS.values()] == [
            getattr(result, part) for part in PARTS.values()
        ]
