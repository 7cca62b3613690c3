"""Test the evaluation of a classifier: the counts, the table, the picture; `mpscnn evaluate`."""

from __future__ import annotations

import gzip
import json
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import COLOURS, LABELS, call, save_colour_model, save_photo
from PIL import Image

import mpscnn
from mpscnn.evaluation import class_samples
from mpscnn.evaluation.class_samples import ClassFinder


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_colour_model(tmp_path_factory.mktemp("model") / "colours.safetensors"))


def colour(name: str) -> Any:
    return np.full((4, 5, 3), COLOURS[name], np.uint8)


def test_it_counts(model_file: str, tmp_path: Path) -> None:
    model = mpscnn.load(model_file)
    samples = [(colour("red"), 0), (colour("red"), 0), (colour("blue"), 0), (colour("green"), 1)]
    result = mpscnn.evaluate(model, samples)
    assert result.confusion.tolist() == [[2, 0, 1], [0, 1, 0], [0, 0, 0]]
    assert (result.images, result.top1, result.top5) == (4, 0.75, 1.0)
    assert result.labels == LABELS
    assert result.mistakes() == [("red", "blue", 1)]
    assert result.images_per_second == pytest.approx(4 / result.seconds)
    assert repr(result).startswith("<Evaluation of 4 images: top-1 75.00%, ")
    assert [line.split() for line in result.table().splitlines()] == [
        ["true", "class", "red", "green", "blue"],
        ["----------", "---", "-----", "----"],
        ["red", "2", ".", "1"],
        ["green", ".", "1", "."],
        ["blue", ".", ".", "."],
    ]
    assert [(one.label, one.photos, one.precision, one.recall, one.f1) for one in result.classes] == [
        ("red", 3, 1.0, 2 / 3, 0.8),
        ("green", 1, 1.0, 1.0, 1.0),
        ("blue", 0, 0.0, None, 0.0),
    ]
    assert result.class_table().splitlines()[-1].split() == ["blue", "0", "0.000", "0.000"]
    page = result._repr_html_()
    assert "top-1 75.00%" in page
    assert "<img" in page
    result.save(tmp_path / "confusion.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "confusion.png")), np.asarray(result.draw()))


def evaluation_of(confusion: Any) -> mpscnn.Evaluation:
    labels = tuple(f"class {index}" for index in range(len(confusion)))
    return mpscnn.Evaluation(labels, np.asarray(confusion, np.int64), 0, 1.0)


@pytest.mark.parametrize("confusion", [[[4, 0], [2, 0]], [[0, 0], [3, 0]], [[2, 1, 0], [0, 3, 0], [1, 1, 0]]])
def test_means_of_classes_are_those_of_scikit_learn(confusion: list[list[int]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    pairs = [pair for pair, photos in np.ndenumerate(confusion) for _ in range(int(photos))]
    true, found = zip(*pairs, strict=True)
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        true, found, average="macro", zero_division=np.nan
    )
    result = evaluation_of(confusion)
    assert (result.precision, result.recall, result.f1) == pytest.approx((precision, recall, f1))


def test_classes_without_photos_are_left_out() -> None:
    confusion = np.zeros((1001, 1001), np.int64)
    confusion[7, 7], confusion[7, 900] = 3, 2
    result = evaluation_of(confusion)
    assert result.seen_classes == [7, 900]
    assert len(result.table().splitlines()) == 4


def test_of_many_classes_the_commonest_mistakes_are_listed() -> None:
    confusion = np.eye(30, dtype=np.int64) * 5
    confusion[3, 4], confusion[5, 6] = 2, 1_000
    lines = evaluation_of(confusion).table().splitlines()
    assert lines[0].split() == ["true", "class", "taken", "for", "photos"]
    assert [line.split()[-1] for line in lines[2:]] == ["1,000", "2"]


@pytest.mark.parametrize("classes", [2, 30, 60, 200])
def test_pictures_of_any_size(classes: int) -> None:
    picture = evaluation_of(np.eye(classes, dtype=np.int64) * 3).draw()
    pixels = np.asarray(picture.convert("L"))
    assert 60 < picture.width == picture.height < 1500
    cell = {2: 36, 30: 36, 60: 16, 200: 5}[classes]
    start = picture.width - classes * cell
    diagonal = [pixels[start + i * cell + 1, start + i * cell + 1] for i in range(classes)]
    above = [pixels[start + 1, start + i * cell + 1] for i in range(1, classes)]
    assert max(diagonal) < 120
    assert min(above) == 255


def test_classes_by_their_labels(model_file: str) -> None:
    model = mpscnn.load(model_file)
    assert model.labels is not None
    photos = [colour("red"), colour("blue"), colour("blue")]
    numbers = [0, 2, 1]
    of_arrays = mpscnn.evaluate(model, (photos, np.array(numbers)))
    by_number = mpscnn.evaluate(model, zip(photos, numbers, strict=True))
    by_label = mpscnn.evaluate(model, zip(photos, [model.labels[number] for number in numbers], strict=True))
    arrays = [np.array(number) for number in numbers]  # as datasets of other frameworks give labels
    by_array = mpscnn.evaluate(model, zip(photos, arrays, strict=True))
    for found in (of_arrays, by_label, by_array, mpscnn.evaluate(model, photos, numbers)):
        np.testing.assert_array_equal(found.confusion, by_number.confusion)
    with pytest.raises(mpscnn.ParameterError, match="a class for each photo, got 3 and 2"):
        mpscnn.evaluate(model, (photos, np.array(numbers[:2])))
    assert by_number.confusion.sum() == 3
    for label in (True, 1.0, np.array([1, 2]), None):
        with pytest.raises(mpscnn.ParameterError, match="a photo has the label"):
            mpscnn.evaluate(model, [(photos[0], label)])
    with pytest.raises(mpscnn.ParameterError, match=f"did you mean {model.labels[0]!r}"):
        mpscnn.evaluate(model, [(colour("red"), f"{model.labels[0]}s")])


def test_show_opens_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[int, int]] = []
    monkeypatch.setattr(Image.Image, "show", lambda self: shown.append(self.size))
    evaluation_of([[1, 0], [0, 1]]).show()
    assert len(shown) == 1


def test_photos_that_fail(model_file: str) -> None:
    model = mpscnn.load(model_file)
    samples = [(b"", 0), (colour("red"), 0)]
    with pytest.raises(mpscnn.ImageError, match="empty"):
        mpscnn.evaluate(model, samples)
    failed: list[Any] = []
    result = mpscnn.evaluate(model, samples, failed=lambda photo, error: failed.append((photo, str(error))))
    assert result.images == 1
    assert failed == [(b"", "image bytes: is empty (0 bytes)")]
    with pytest.raises(mpscnn.ParameterError, match="classes 0 to 2, a photo has the label 3"):
        mpscnn.evaluate(model, [(colour("red"), 3)])
    for wrong in (-1, True, 1.0, "violet", None):
        with pytest.raises(mpscnn.ParameterError, match=f"a photo has the label {wrong!r}"):
            mpscnn.evaluate(model, [(colour("red"), wrong)])
    for sample in ((colour("red"), 0, 1), 5):
        with pytest.raises(mpscnn.ParameterError, match="expected pairs of a photo and its class"):
            mpscnn.evaluate(model, [sample])
    assert mpscnn.evaluate(model, [[colour("red"), np.int64(0)]]).top1 == 1.0
    with pytest.raises(mpscnn.ParameterError, match="no photo to evaluate with"):
        mpscnn.evaluate(model, [])


def test_any_number_of_photos_may_be_under_way(model_file: str) -> None:
    model = mpscnn.load(model_file)
    samples = [(colour(LABELS[i % 3]), i % 2) if i % 5 else (f"{i}.jpg", 0) for i in range(30)]
    failures: dict[int, list[Any]] = {}
    counts = []
    for inflight in (1, 4):
        failed: list[Any] = failures.setdefault(inflight, [])
        result = mpscnn.evaluate(
            model, samples, inflight=inflight, failed=lambda photo, _, failed=failed: failed.append(photo)
        )
        counts.append((result.confusion.tolist(), result.in_first_five))
    assert counts[0] == counts[1]
    assert failures[1] == failures[4] == [f"{i}.jpg" for i in range(0, 30, 5)]


def test_other_preprocessing(model_file: str) -> None:
    model = mpscnn.load(model_file)
    swapped = {"order": "bgr", "scale": [1 / 255] * 3}
    assert mpscnn.evaluate(model, [(colour("red"), 2)], preprocess=swapped).top1 == 1.0
    assert mpscnn.evaluate(model, [(colour("red"), 2)]).top1 == 0.0


def test_what_is_no_classifier_is_refused(tmp_path: Path) -> None:
    network = mpscnn.Network(input=(8, 8, 3), name="maps")
    network.output(network.average_pool2d(network.input, 2))
    network.save(tmp_path / "maps.safetensors", preprocess="unit")
    with pytest.raises(mpscnn.ShapeError, match="'maps' is not a classifier"):
        mpscnn.evaluate(mpscnn.load(tmp_path / "maps.safetensors"), [(colour("red"), 0)])


def test_folders_are_named_like_labels_or_numbers() -> None:
    labels = ["background", "Egyptian cat", "crane", "crane", "7", "goldfish, Carassius auratus", "hen, 3"]
    finder = ClassFinder(labels)
    assert finder.of_folder(Path("x/egyptian_cat")) == 1
    assert finder.of_folder(Path("x/7")) == 4
    assert finder.of_folder(Path("x/4")) == 4
    assert finder.of_folder(Path("x/goldfish")) == 5
    assert finder.of_folder(Path("x/carassius_auratus")) == 5
    assert finder.of_folder(Path("x/Goldfish, Carassius-auratus")) == 5
    assert finder.of_folder(Path("x/3")) == 6
    with pytest.raises(
        mpscnn.ParameterError, match="the classes 2 and 3 are called 'crane'; use their numbers"
    ):
        finder.of_folder(Path("crane"))
    with pytest.raises(mpscnn.ParameterError, match=r"no class 'background2'; did you mean 'background'"):
        finder.of_folder(Path("background2"))
    with pytest.raises(mpscnn.ParameterError, match=r"no class 'goldfisch'; did you mean 'goldfish'"):
        finder.of_folder(Path("goldfisch"))
    with pytest.raises(
        mpscnn.ParameterError, match="the classes 0 and 1 are called 'cat'; use their numbers"
    ):
        ClassFinder(["cat, tabby", "cat, Egyptian cat"]).of_folder(Path("cat"))
    with pytest.raises(mpscnn.ParameterError, match="numbered 0 to 6"):
        finder.of_folder(Path("9"))


@pytest.mark.parametrize(
    ("labels", "folder", "found"),
    [
        (["1", "10", "2"], "2", 2),
        (["1", "10", "2"], "0", None),  # not the class of the label "1"
        (["10", "2", "7"], "1", None),
        (["10", "2", "7"], "7", 2),
        (["7", "07"], "07", 1),
        (["ten", "2", "7"], "0", 0),
        (["th\u00e9", "caf\u00e9"], "cafe\u0301", 1),
        (["the\u0301", "cafe\u0301"], "caf\u00e9", 1),
    ],
)
def test_numbers_as_labels_and_unicode_forms(labels: list[str], folder: str, found: int | None) -> None:
    finder = ClassFinder(labels)
    if found is not None:
        assert finder.of_folder(Path(folder)) == found
        return
    with pytest.raises(
        mpscnn.ParameterError, match=r"Folders are named like the model's labels; mpscnn.train"
    ):
        finder.of_folder(Path(folder))


def test_names_of_classes_are_prepared_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Many folders cost little, also if there are many labels."""
    prepared: list[str] = []
    monkeypatch.setattr(class_samples, "_plain", lambda name: prepared.append(name) or name)
    labels = [f"class {number}" for number in range(1_000)]
    for label in labels[:200]:
        (tmp_path / label).mkdir()
        (tmp_path / label / "photo.png").touch()
    found = class_samples.samples_in_folders(tmp_path, labels)
    assert sorted(number for _, number in found) == list(range(200))
    assert len(prepared) == 2 * 1_000 + 200


# ---- The command ---------------------------------------------------------------------------------------------


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Write two red photos in the folder "red", and a green and a blue one in the folder "Green"."""
    folder = tmp_path / "photos"
    for name, colours in {"red": ["red", "red"], "Green": ["green", "blue"]}.items():
        (folder / name).mkdir(parents=True)
        for i, one in enumerate(colours):
            save_photo(folder / name / f"{i}.png", one)
    return folder


def test_json(photos: Path, model_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    (photos / "red" / "broken.png").write_bytes(b"x")
    assert call("evaluate", str(photos), "--model", model_file, "--json") == 1
    captured = capsys.readouterr()
    answer = json.loads(captured.out)
    assert (answer["images"], answer["failed"], answer["top1"], answer["top5"]) == (4, 1, 0.75, 1.0)
    assert {"class": 1, "found": 2, "images": 1} in answer["confusion"]
    assert "broken.png" in captured.err


@pytest.mark.parametrize(
    ("parts", "measured"), [(["train", "val", "test"], "test"), (["train", "val"], "val")]
)
def test_a_split_data_set_is_measured_on_its_last_part(
    photos: Path,
    tmp_path: Path,
    model_file: str,
    parts: list[str],
    measured: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    split = tmp_path / "split"
    for part in parts:
        shutil.copytree(photos, split / part)
        if part != measured:
            (split / part / "red" / "0.png").unlink()
    assert call("evaluate", str(split), "--model", model_file, "--json") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["images"] == 4
    assert (
        captured.err
        == f"{split} is split into {', '.join(parts[:-1])} and {parts[-1]}; measured is {split / measured}.\n"
    )


def test_idx_files(tmp_path: Path, model_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    images, labels = tmp_path / "images.gz", tmp_path / "labels"
    images.write_bytes(gzip.compress(struct.pack(">4B3I", 0, 0, 8, 3, 2, 4, 4) + bytes([9] * 32)))
    labels.write_bytes(struct.pack(">4BI", 0, 0, 8, 1, 2) + bytes([0, 2]))
    arguments = ["--idx", str(images), "--idx-labels", str(labels), "--model", model_file, "--json"]
    assert call("evaluate", *arguments) == 0
    answer = json.loads(capsys.readouterr().out)
    # on gray photos all scores are equal, so the first class wins
    assert (answer["images"], answer["top1"]) == (2, 0.5)


def test_wrong_usage(
    photos: Path, tmp_path: Path, model_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(code: int, message: str, *arguments: str) -> None:
        assert call("evaluate", "--model", model_file, *arguments) == code
        captured = capsys.readouterr()
        assert message in captured.err
        assert captured.out == ""

    refused(2, "expected DIR, or --idx with --idx-labels")
    refused(2, "expected DIR, or --idx with --idx-labels", str(photos), "--idx-labels", "x")
    refused(2, "must end in .png", str(photos), "--output", "x.svg")
    refused(1, "has no folders", str(photos / "red"))
    refused(1, "cannot be read", str(tmp_path / "nowhere"))
    (photos / "gren").mkdir()
    refused(2, "no class 'gren'; did you mean 'green'? Folders are named", str(photos))


def test_a_picture_that_cannot_be_written_loses_no_result(
    photos: Path, tmp_path: Path, model_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "missing" / "x.png"
    arguments = [str(photos), "--model", model_file, "--output", str(picture), "--json"]
    assert call("evaluate", *arguments) != 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["images"] == 4
    assert f"{picture}: cannot be written" in captured.err
