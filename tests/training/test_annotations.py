"""Test the readers of annotations of objects and of masks: the same objects from each format, and refusals."""

from __future__ import annotations

import contextlib
import difflib
import io
import itertools
import json
import os
import re
import struct
import unicodedata
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from training.labelled_scenes import HEIGHT, LABELS, WIDTH, Scenes, write_scenes

from mpscnn import Error, ImageError, ParameterError
from mpscnn._private.names import did_you_mean, first_repeated
from mpscnn.evaluation.detector_truth import read_truth
from mpscnn.training.scenes import class_names, yolo_parts
from mpscnn.training.scenes.class_names import names_of_settings
from mpscnn.training.scenes.labelled import (
    LabelledObjects,
    LabelledPhoto,
    ObjectCounts,
    count_objects,
    find_photo,
)
from mpscnn.training.scenes.masks import read_mask, read_masks
from mpscnn.training.scenes.source import read_objects
from mpscnn.training.split_folders import TRAIN, VALIDATION


@pytest.fixture
def scenes(tmp_path: Path) -> Scenes:
    return write_scenes(tmp_path, 4)


def test_all_formats_have_the_same_objects(scenes: Scenes) -> None:
    for place in (scenes.coco, scenes.voc, scenes.yolo, scenes.createml):
        found = read_objects(scenes.photos, place)
        assert found.labels == LABELS
        assert [Path(photo.path).name for photo in found.photos] == [f"{i:02}.png" for i in range(4)]
        for photo, boxes, classes in zip(found.photos, scenes.boxes, scenes.classes, strict=True):
            unit = (WIDTH, HEIGHT) * 2 if photo.size is None else (1, 1, 1, 1)
            np.testing.assert_allclose(photo.boxes * unit, np.reshape(boxes, (-1, 4)), atol=1e-9)
            assert photo.classes.tolist() == classes
    masked = read_masks(scenes.photos, scenes.masks)
    assert masked.labels == ("background", *LABELS)
    assert [Path(one.mask).name for one in masked.photos] == [f"{i:02}.png" for i in range(4)]


def test_yolo_in_its_own_layout(scenes: Scenes, tmp_path: Path) -> None:
    """The text files are in `labels`, which replaces `images` in the photos' paths."""
    scenes.photos.rename(tmp_path / "images")
    scenes.yolo.rename(tmp_path / "labels")
    (tmp_path / "labels" / "classes.txt").unlink()
    settings = tmp_path / "data.yaml"
    settings.write_text("train: images\nnc: 2\nnames:\n  0: green\n  1: red\n", "utf-8")
    found = read_objects(tmp_path / "images", settings)
    assert found.labels == LABELS
    assert [photo.classes.tolist() for photo in found.photos] == scenes.classes
    assert read_objects(tmp_path / "images", tmp_path / "labels").counts().tolist() == found.counts().tolist()


@pytest.mark.parametrize(
    "text",
    [
        "names: [green, 'red']  # two\nnc: 2\n",
        "nc: 2\nnames: [\n  green,\n  red\n]\n",
        'names:\n- green\n- "red"\nnc: 2\n',
        "names:\n  - green\n  - red\n",
        "names: {0: green, 1: red}\n",
        "\ufeffnames: ['green', red]\n",
        "names: {0: \"green\", 1: 'red'}\n",
        "names: {1: red, 0: green}\n",  # the entries of a mapping have no order
        "names:\n  1: red\n  0: green\n",
        "names:\n  '0': green\n  \"1\": red\n",
    ],
)
def test_names_of_a_data_yaml(tmp_path: Path, text: str) -> None:
    (tmp_path / "data.yaml").write_text(text, "utf-8")
    assert names_of_settings(tmp_path / "data.yaml") == list(LABELS)


def test_names_with_quotation_marks(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("names: ['a, b', \"c: d\", 'it''s']\nnc: 3\n", "utf-8")
    assert names_of_settings(tmp_path / "data.yaml") == ["a, b", "c: d", "it's"]


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """Return the folder of a YOLO data set with 3 photos in images/one, 2 in images/two and 1 in other/images."""
    scenes, folder = write_scenes(tmp_path / "scenes", 6), tmp_path / "split"
    for number, place in enumerate(["images/one"] * 3 + ["images/two"] * 2 + ["other/images"]):
        texts = folder / place.replace("images", "labels")
        for source, target in ((scenes.photos, folder / place), (scenes.yolo, texts)):
            target.mkdir(parents=True, exist_ok=True)
            for file in source.glob(f"{number:02}.*"):
                file.rename(target / file.name)
    (folder / "two.txt").write_text("./images/two/03.png\nimages/two/04.png\n\n", "utf-8")
    (folder / "bad.txt").write_text("images/two/03.png\nimages/two/05.png\n", "utf-8")
    return folder


def numbers_of(photos: Sequence[LabelledPhoto] | None) -> str | None:
    return None if photos is None else "".join(sorted(Path(photo.path).stem[1:] for photo in photos))


@pytest.mark.parametrize(
    ("settings", "train", "held"),
    [
        ("", None, None),
        ("train: images/one\nval: images/two", "012", "34"),
        ("train: images/two\nval: other/images  # held out", "34", "5"),
        ("train: images/one\nvalid: [images/two, other/images]\ntest:", "012", "345"),
        ("train:\n  - images/one\n  - 'other/images'\nval: two.txt", "0125", "34"),
        ("train: ../images/one\nval: ../images/two\ntest: ../test/images", "012", "34"),
        ("path: .\ntrain: images/one\nval: images/two", "012", "34"),
        ("path: split\ntrain: images/one\nval: images/two", "012", "34"),
        ("path: images\ntrain: one\nval: two\ntest: ../other/images", "012", "34"),
        ("train: images/one\ntest: images/two", "012", None),
    ],
)
def test_the_parts_of_a_data_yaml(split: Path, settings: str, train: str | None, held: str | None) -> None:
    """The parts are obeyed with the folder, without it, and for a folder of text files with a data.yaml next to it."""
    (split / "data.yaml").write_text(f"names: [green, red]\n{settings}\n", "utf-8")
    for folder in (split, None):
        found = read_objects(folder, split / "data.yaml")
        assert (numbers_of(found.photos_of(TRAIN)), numbers_of(found.photos_of(VALIDATION))) == (train, held)
    found = read_objects(split / "images", split / "labels")
    if train == "012" and held in (None, "34"):
        assert (numbers_of(found.photos_of(TRAIN)), numbers_of(found.photos_of(VALIDATION))) == (train, held)
    else:
        assert (train is None) == (found.stated == {})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (f"train: images/one\nval: {'x' * 5000}", "data.yaml: val: '.*x' does not exist"),
        ("train: images\nval: images/two", "03.png is in both 'train' and 'val'. A photo that trains cannot"),
        ("val: images/two", "data.yaml: has 'val', but no 'train'"),
        (
            "train: images/one\nval: images/none",
            "val: .*images/none' does not exist; entries begin in 'path'",
        ),
        ("train: images/one\nval: data.yaml", "'val' must be a folder of photos, a list .* got 'data.yaml'"),
        ("train: images/one\nval: {a: images/two}", "'val' must be a folder of photos, a list"),
        ("train: images/one\nval: *two", r"the entry of 'val' '\*two' is not read: write a folder of photos"),
        ("train: images/one\nval: bad.txt", "bad.txt: line 2: the photo 'images/two/05.png' does not exist"),
        ("train: images/one\nval: images/two\nvalid: two.txt", "'val' and 'valid' mean the same"),
        ("train: images/one\ntrain: images/two", "data.yaml: has 2 'train'; write it once"),
        ("path: none\ntrain: images/one", "path: the folder .*none' does not exist; write the place"),
        ("path: [a, b]\ntrain: images/one", "'path' must be one folder"),
        *(
            (f"{begin}train: {entry}", f"train: '{entry}' leads to all files of this machine")
            for begin, entry in (("", "/"), ("path: /\n", "."), ("path: /usr\n", ".."))
        ),
    ],
)
def test_parts_of_a_data_yaml_that_are_refused(split: Path, settings: str, message: str) -> None:
    (split / "data.yaml").write_text(f"names: [green, red]\n{settings}\n", "utf-8")
    with pytest.raises(ParameterError, match=message):
        read_objects(split, split / "data.yaml")


@pytest.mark.parametrize(
    ("settings", "measured"),
    [
        ("train: images/two\nval: images/two", "34"),  # as coco128.yaml has it
        ("val: images/two", "34"),
        ("test: other/images", "5"),
        ("train: none\nval: images/two\ntest: none", "34"),
        ("train: images\nval: none\ntest: images/two", "34"),
    ],
)
def test_an_evaluation_reads_only_the_part_that_it_measures(
    split: Path, settings: str, measured: str
) -> None:
    """Rules of training, that parts differ and that there is one to train with, do not concern it."""
    (split / "data.yaml").write_text(f"names: [green, red]\n{settings}\n", "utf-8")
    for folder in (split, None):
        assert numbers_of(list(read_truth(folder, split / "data.yaml").labelled.values())) == measured
    if measured == "34":
        two = read_truth(split / "images" / "two", split / "labels" / "two")
        assert numbers_of(list(two.labelled.values())) == measured
    with pytest.raises(ParameterError, match=r"is in both|but no 'train'|does not exist"):
        read_objects(None, split / "data.yaml")
    (split / "data.yaml").write_text("names: [green, red]\ntrain: images/one\n", "utf-8")
    assert numbers_of(list(read_truth(None, split / "data.yaml").labelled.values())) == "012"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("test: none", "has 'test', but no photos to measure with"),
        ("train: images/one\nval: none", "val: .*none' does not exist; entries begin in 'path'"),
        ("val: images/two\nvalid: two.txt", "'val' and 'valid' mean the same"),
    ],
)
def test_parts_that_measure_nothing_are_refused(split: Path, settings: str, message: str) -> None:
    (split / "data.yaml").write_text(f"names: [green, red]\n{settings}\n", "utf-8")
    with pytest.raises(ParameterError, match=message):
        read_truth(None, split / "data.yaml")


def test_annotations_for_validation_need_no_photos_for_training(split: Path) -> None:
    (split / "other.yaml").write_text("val: images/two\ntest: other/images\nnames: [green, red]\n", "utf-8")
    found = read_objects(split, split / "other.yaml", trains=False)
    assert numbers_of(found.photos_of(VALIDATION)) == "34"
    with pytest.raises(ParameterError, match="has 'val' and 'test', but no 'train'"):
        read_objects(split, split / "other.yaml")


def test_parts_outside_of_the_given_folder_are_refused(split: Path) -> None:
    (split / "data.yaml").write_text("names: [green, red]\ntrain: images\nval: other/images\n", "utf-8")
    found = read_objects(split / "images", split / "data.yaml")
    assert numbers_of(found.photos_of(TRAIN)) == "01234"
    with pytest.raises(
        ParameterError, match=r"data.yaml: val: 1 of its 1 photos, such as .*05.png, are not in"
    ):
        found.photos_of(VALIDATION)


def test_only_a_data_yaml_names_its_photos(scenes: Scenes) -> None:
    for place in (scenes.coco, scenes.voc, scenes.yolo):
        with pytest.raises(ParameterError, match="needs the folder with the photos"):
            read_objects(None, place)


def edited(change: Callable[[Any], object]) -> Callable[[Scenes], Path]:
    """Return a function that changes the content of a COCO file and returns its place."""

    def write(scenes: Scenes) -> Path:
        dataset = json.loads(scenes.coco.read_text("utf-8"))
        change(dataset)
        scenes.coco.write_text(json.dumps(dataset), "utf-8")
        return scenes.coco

    return write


def with_box(*box: float) -> Callable[[Scenes], Path]:
    return edited(lambda dataset: dataset["annotations"][1].update(bbox=list(box)))


def hollow(name: str, begin: str = "", size: int = 1 << 40) -> Callable[[Scenes], Path]:
    """Return a function that makes a file of `size` bytes: a text, then a hole, which takes no place on the disk."""

    def change(scenes: Scenes) -> Path:
        place = written(name, begin)(scenes)
        os.truncate(scenes.photos.parent / name, size)
        return place

    return change


def written(name: str, content: str | bytes) -> Callable[[Scenes], Path]:
    """Return a function that writes a file next to the photos' folder, and returns the folder or file to read."""

    def write(scenes: Scenes) -> Path:
        path = scenes.photos.parent / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path if path.suffix in (".json", ".yaml") else path.parent

    return write


def createml(*objects: Any) -> Callable[[Scenes], Path]:
    """Write a Create ML file with these objects of the photo 01.png; without objects, a number instead of a list."""
    return written("a.json", json.dumps([{"image": "01.png", "annotations": list(objects) or 1}]))


def _alone(file: Path) -> Path:
    (folder := file.with_name("alone")).mkdir()
    return file.rename(folder / "a.json").parent


def voc(content: str) -> Callable[[Scenes], Path]:
    return written("voc/01.xml", content)


OBJECT = "<object><name>red</name><bndbox>{}</bndbox></object>"
EDGES = "<xmin>{}</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax>"
PHOTO = "<annotation><filename>01.png</filename>{}</annotation>"
ENTITIES = '<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>' + PHOTO.format("&b;")

BAD: list[tuple[Callable[[Scenes], Path], str]] = [
    (lambda scenes: scenes.coco.with_name("none.json"), "none.json: cannot be read"),
    (
        lambda scenes: scenes.coco.with_name("none"),
        "none: is neither a folder nor a .json, .yaml, .xml or .csv",
    ),
    (lambda scenes: scenes.photos, "there are no names of classes; write them into .*classes.txt"),
    (written("a.json", "{"), "a.json: is not a JSON file"),
    (written("a.json", b"\xff\xfe"), "a.json: is not a JSON file"),
    (written("a.json", "[" * 100_000), "a.json: is not a JSON file"),
    (written("a.json", "{}"), "a.json: 'images' must be a list"),
    (written("a.json", "1"), "a.json: expected an object with images"),
    (written("a.json", "[]"), "a.json: has no photos"),
    (written("a.json", "[1]"), r"a.json: \[0\]: must be an object with 'image' and 'annotations'"),
    (written("a.json", "[{}]"), r"a.json: \[0\]: 'image' must be a text, got None"),
    (createml(), r"a.json: \[0\]: 'annotations' must be a list"),
    (createml(1), r"a.json: \[0\]: annotations\[0\]: must be an object with 'label' and 'coordinates'"),
    (createml({"label": "red", "coordinates": {"x": 5}}), "'coordinates' must have x, y, width, height"),
    (createml({"coordinates": dict.fromkeys(("x", "y", "width", "height"), 5)}), "'label' must be a text"),
    (
        createml({"label": "a", "coordinates": {"x": 5, "y": 5, "width": -1, "height": 5}}),
        r"a.json: \[0\]: annotations\[0\]: the box \(5.5, 2.5, 4.5, 7.5\) has no area",
    ),
    (
        lambda scenes: _alone(scenes.coco),
        "is a folder, and its file a.json tells no part by its name; give the",
    ),
    (edited(lambda d: d["images"].clear()), r"annotations\[0\]: has the image_id 101, which 'images' lack"),
    (edited(lambda d: d["annotations"].clear()), "coco.json: has no objects"),
    (edited(lambda d: d["images"][2].update(id=100)), r"images\[2\]: the id 100 is used twice"),
    (
        edited(lambda d: d["images"][2].update(file_name="x.png")),
        r"images\[2\]: the photo '.*x.png' does not",
    ),
    (edited(lambda d: d["images"][2].update(file_name="")), r"images\[2\]: the photo .* is a folder"),
    (edited(lambda d: d["images"][2].update(width=0)), r"images\[2\]: width and height cannot be 0 and 40"),
    (edited(lambda d: d["images"][2].update(width=10**400)), r"images\[2\]: width and height cannot be 1000"),
    (
        edited(lambda d: d["images"][2].update(file_name="./01.png")),
        r"images\[2\]: .*images\[1\] has annotations",
    ),
    (edited(lambda d: d["images"][2].update(id=1 << 64)), r"images\[2\]: id cannot be 184467"),
    (edited(lambda d: d["categories"][0].update(name="green")), "two categories have the name 'green'"),
    (edited(lambda d: d["categories"][0].update(name="\ud800")), "is not a JSON file: .*surrogates"),
    (edited(lambda d: d["annotations"][1].update(category_id=1)), r"\[1\]: has the category_id 1, which"),
    (with_box(1, 2, 3), r"annotations\[1\]: bbox cannot be \[1, 2, 3\]"),
    (with_box(1, 2, float("nan"), 4), r"annotations\[1\]: bbox cannot be \[1, 2, nan, 4\]"),
    (with_box(5, 2, -3, 4), r"annotations\[1\] of image 101: the box \(5, 2, 2, 6\) has no area"),
    (
        with_box(50, 2, 20, 4),
        r"\[1\] of image 101: the box \(50, 2, 70, 6\) is outside of the photo of 60 x 40",
    ),
    (hollow("voc/01.xml"), r"01.xml: has 1,099,511,627,776 bytes, of which the disk holds [0-9,]+; the rest"),
    *(
        (hollow(name, begin, size), message)
        for size, message in (
            (1 << 20, "is not a text file: it has zero bytes"),
            (1 << 40, r"of which the disk holds [0-9,]+; the rest is a hole"),
        )
        for name in ("a.json", "data.yaml", "yolo/classes.txt", "yolo/01.txt")
        for begin in ("", "{\n")
    ),
    (voc("<annotation>"), "01.xml: is not an XML file"),
    (voc("<svg/>"), "01.xml: begins with <svg>"),
    (voc(ENTITIES), "01.xml: declares a document type or entities"),
    (written("voc/01.xml", ENTITIES.encode("utf-16")), "01.xml: is not in an encoding such as UTF-8"),
    (written("voc/01.xml", ENTITIES.encode("utf-16-be")), "01.xml: is not in an encoding such as UTF-8"),
    (voc("<annotation/>"), "01.xml: an element <annotation> has no <filename>"),
    (voc(PHOTO.format("<object/>")), "01.xml: an element <object> has no <name>"),
    (voc(PHOTO.format("<object><name>a</name></object>")), "01.xml: object 1: has no <bndbox>"),
    (voc(PHOTO.format(OBJECT.format(EDGES.format("nan")))), "object 1: <xmin> must be a number, got 'nan'"),
    (voc(PHOTO.format(OBJECT.format(EDGES.format(70)))), r"object 1: the box \(69, 0, 9, 9\) has no area"),
    (voc(PHOTO.replace("01", "00").format("")), "01.xml: .*00.xml has annotations of the same photo"),
    (voc(PHOTO.replace("01", "x").format("")), "01.xml: the photo '.*x.png' does not exist"),
    (written("yolo/01.txt", "0 0.5 0.5 0.1"), "01.txt: line 1: must be a class number"),
    (written("yolo/01.txt", "\n0 0.5 0.5 0.1 nan"), "01.txt: line 2: must be a class number"),
    (written("yolo/01.txt", "2 0.5 0.5 0.1 0.1"), "line 1: the class 2 is unknown; there are 2: .*green"),
    (written("yolo/01.txt", "0.5 0.5 0.5 0.1 0.1"), "line 1: the class 0.5 is unknown"),
    *(
        (
            written("yolo/01.txt", f"1 {box}"),
            "line 1: the box has .* YOLO's numbers are shares .* from 0 to 1",
        )
        for box in ("80 80 20 20", "0.5 0.5 20 0.5", "-3 0.5 0.1 0.1")
    ),
    (written("yolo/01.txt", "0 0.95 0.5 0.2 0.1"), "line 1: the box .* is outside of the photo of 1 x 1"),
    (written("yolo/01.txt", "0 0.5 0.5 -0.1 0.1"), "line 1: the box .* has no area"),
    (written("yolo/01.txt", "0_1 0.5 0.5 0.1 0.1"), "line 1: must be a class number"),
    (written("yolo/01.txt", b"\xff"), "01.txt: is not a text file"),
    (written("yolo/classes.txt", "red\nred\n"), "classes.txt: a class is named twice: 'red'"),
    (written("data.yaml", "nc: 3"), "data.yaml: has no 'names'"),
    (written("data.yaml", "names: red"), "data.yaml: 'names' must be a list or a mapping, got 'red'"),
    (written("data.yaml", "names:\n  1: red"), "data.yaml: the numbers of 'names' must be 0, 1, 2"),
    (written("data.yaml", "names: [a]"), "data.yaml: no photo of .* has a text file"),
    (written("data.yaml", "nc: 3\nnames: [a, b]"), "data.yaml: has 2 'names', but 'nc' is 3"),
    (written("data.yaml", "names: [a]\nnames: [b]"), "data.yaml: has 2 'names'; write it once"),
    *(
        (
            written("data.yaml", f"names:\n- {name}\n- b"),
            "data.yaml: the name .* is not read: write the names into",
        )
        for name in ("name: a", "- a", "[a]", "'a", '"\\t"', "&a b", "*a", "!a b", "|", "a]")
    ),
]


@pytest.mark.parametrize(("spoil", "message"), BAD, ids=range(len(BAD)))
def test_bad_annotations(scenes: Scenes, spoil: Callable[[Scenes], Path], message: str) -> None:
    place = spoil(scenes)
    with pytest.raises(ParameterError, match=message):
        read_objects(scenes.photos, place)


def test_shares_of_the_photo_are_refused_in_each_format_of_pixels(scenes: Scenes) -> None:
    coco = json.loads(scenes.coco.read_text())
    for entry in coco["annotations"]:
        entry["bbox"] = [0.2, 0.1, 0.5, 0.9]
    created = json.loads(scenes.createml.read_text())
    for entry in created:
        for one in entry["annotations"]:
            one["coordinates"] = {"x": 0.5, "y": 0.5, "width": 0.4, "height": 1}
    scenes.coco.write_text(json.dumps(coco))
    scenes.createml.write_text(json.dumps(created))
    for file in scenes.voc.glob("*.xml"):
        file.write_text(re.sub(r"<(xmin|ymin)>.*?</", r"<\1>0.1</", file.read_text()))
        file.write_text(re.sub(r"<(xmax|ymax)>.*?</", r"<\1>0.8</", file.read_text()))
    for place in (scenes.coco, scenes.voc, scenes.createml):
        for read in (read_objects, read_truth):
            with pytest.raises(ParameterError, match=r"boxes lie in the first pixel .* multiply x and width"):
                read(scenes.photos, place)


def test_entries_of_create_ml_in_a_coco_file(scenes: Scenes) -> None:
    scenes.coco.write_text(json.dumps({"images": json.loads(scenes.createml.read_text())}))
    with pytest.raises(ParameterError, match="entries of Create ML, whose files are this list alone"):
        read_objects(scenes.photos, scenes.coco)


def test_objects_within_objects_are_no_objects(scenes: Scenes) -> None:
    inner = OBJECT.replace("red", "green").format(EDGES.format(1))
    place = voc(PHOTO.format(OBJECT.format(EDGES.format(1)).replace("</object>", inner + "</object>")))(
        scenes
    )
    (found,) = (photo for photo in read_objects(scenes.photos, place).photos if photo.path.endswith("01.png"))
    assert len(found.classes) == 1


@pytest.mark.parametrize(("spoil", "message"), BAD, ids=range(len(BAD)))
def test_evaluation_refuses_what_training_refuses(
    scenes: Scenes, spoil: Callable[[Scenes], Path], message: str
) -> None:
    """The only difference: an evaluation reports photos of COCO's files that are missing one by one."""
    annotations = spoil(scenes)
    if "does not" in message or "is a folder" in message:
        with contextlib.suppress(ParameterError):
            read_truth(scenes.photos, annotations)
        return
    with pytest.raises(ParameterError, match=message):
        read_truth(scenes.photos, annotations)


@pytest.mark.parametrize("edge", [0, 1])
def test_corners_in_place_of_sizes_are_refused(scenes: Scenes, edge: int) -> None:
    def corners(dataset: dict[str, Any]) -> None:
        for entry in dataset["annotations"]:
            left, top, width, height = entry["bbox"]
            entry["bbox"] = (
                [left + width, top + height, -width, -height] if edge else [left, top, left + 59, top + 39]
            )

    place = edited(corners)(scenes)
    for read in (read_objects, read_truth):
        with pytest.raises(ParameterError, match=r"annotations\[\d+\] of image \d+: the box"):
            read(scenes.photos, place)


def photo_of(found: LabelledObjects) -> LabelledPhoto:
    """Return the photo that `voc` writes anew."""
    return next(photo for photo in found.photos if photo.path.endswith("01.png"))


def test_an_object_of_voc_may_have_several_boxes(scenes: Scenes) -> None:
    second = "<bndbox><xmin>20</xmin><ymin>2</ymin><xmax>30</xmax><ymax>9</ymax></bndbox></object>"
    both = OBJECT.format(EDGES.format(1)).replace("</object>", second)
    photo = photo_of(read_objects(scenes.photos, voc(PHOTO.format(both))(scenes)))
    assert photo.boxes.tolist() == [[0, 0, 9, 9], [19, 1, 30, 9]]
    wrong = both.replace("<xmax>30", "<xmax>3")
    with pytest.raises(ParameterError, match=r"object 1: the box \(19, 1, 3, 9\) has no area"):
        read_objects(scenes.photos, voc(PHOTO.format(wrong))(scenes))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("green\nred\n\n\n", ["green", "red"]),
        ("green\n\nred\n", "line 2: is blank"),
        ("\ngreen\nred\n", "line 1: is blank"),
        ("1 red\n0 green\n", ["green", "red"]),
        ("1: green\n2: red\n", ["green", "red"]),
        ("1 euro\n2 euro\n", ["1 euro", "2 euro"]),
        ("7 dwarfs\n101 dalmatians\n", ["7 dwarfs", "101 dalmatians"]),
        ("0 green\n1 red\n3 blue\n", ["green", "red", "class 2", "blue"]),
    ],
)
def test_the_lines_of_names(scenes: Scenes, text: str, expected: list[str] | str) -> None:
    (scenes.yolo / "classes.txt").write_text(text)
    if isinstance(expected, list):
        assert class_names.names_beside(scenes.yolo) == expected
        return
    with pytest.raises(ParameterError, match=expected):
        read_objects(scenes.photos, scenes.yolo)


def test_two_lists_of_names_must_agree(scenes: Scenes) -> None:
    (scenes.yolo / "classes.txt").write_text("red\ngreen\n")
    settings = scenes.yolo.parent / "data.yaml"
    settings.write_text("names: [green, red]\n")
    with pytest.raises(
        ParameterError, match=r"classes.txt: names the classes 'red', 'green', but .*data.yaml"
    ):
        read_objects(scenes.photos, scenes.yolo)
    settings.write_text("names: [red, green]\n")
    assert read_objects(scenes.photos, scenes.yolo).labels == ("red", "green")


@pytest.mark.parametrize(
    ("lines", "names", "expected"),
    [
        ("1 euro\n2 pound\n", "['1 euro', '2 pound']", ("1 euro", "2 pound")),  # the numbers are in the names
        ("2 pound\n1 euro\n", "['2 pound', '1 euro']", ("2 pound", "1 euro")),
        ("1 red\n2 green\n", "[red, green]", ("red", "green")),  # the numbers count the lines
        ("1 green\n0 red\n", "[red, green]", ("red", "green")),
        ("cafe\u0301\ntea\n", "[caf\u00e9, tea]", ("caf\u00e9", "tea")),  # two forms of one letter
    ],
)
def test_two_lists_of_names_with_numbers_and_accents(
    scenes: Scenes, lines: str, names: str, expected: tuple[str, ...]
) -> None:
    (scenes.yolo / "classes.txt").write_text(lines, "utf-8")
    (scenes.yolo.parent / "data.yaml").write_text(f"names: {names}\n", "utf-8")
    assert read_objects(scenes.photos, scenes.yolo).labels == expected


@pytest.mark.parametrize(
    "name",
    ["a.jpg", "a", "C:\\\\data\\\\photos\\\\a.jpg", "/home/x/a.jpg", "photos\\a.jpg", "/home/x/a"],
)
def test_names_of_photos_by_other_machines(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.jpg").touch()
    assert find_photo(tmp_path, name, "file") == str(tmp_path / "a.jpg")
    (tmp_path / "a.png").touch()
    (tmp_path / "a.txt").touch()
    if "." in name:
        assert find_photo(tmp_path, name, "file") == str(tmp_path / "a.jpg")
        return
    with pytest.raises(ParameterError, match="may be each of"):
        find_photo(tmp_path, name, "file")


@pytest.mark.parametrize(("stored", "stated"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_of_photos_in_the_other_unicode_form(tmp_path: Path, stored: str, stated: str) -> None:
    path = tmp_path / unicodedata.normalize(stored, "größe é.jpg")
    path.touch()
    for name in ("größe é.jpg", "größe é"):
        assert Path(find_photo(tmp_path, unicodedata.normalize(stated, name), "file")) == path


def test_a_size_of_zero_is_that_of_the_photo(scenes: Scenes) -> None:
    size = "<size><width>0</width><height>0</height></size>"
    found = read_objects(scenes.photos, voc(PHOTO.format(size + OBJECT.format(EDGES.format(1))))(scenes))
    assert photo_of(found).size == (0, 0)
    place = edited(lambda dataset: [image.update(width=0, height=0) for image in dataset["images"]])(scenes)
    assert {photo.size for photo in read_objects(scenes.photos, place).photos} == {(0, 0)}


def test_files_with_a_byte_order_mark(scenes: Scenes) -> None:
    for path in (scenes.coco, scenes.yolo / "classes.txt", scenes.yolo / "01.txt"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    for place in (scenes.coco, scenes.yolo):
        found = read_objects(scenes.photos, place)
        assert found.labels == LABELS
        assert found.photos[1].classes.tolist() == scenes.classes[1]


def test_names_are_compared_in_one_pass() -> None:
    """Each name is compared with few others, so a file of many names costs little."""
    compared = 0

    class Name(str):
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return str(self) == str(other)

    names = [Name(min(number, 1_998)) for number in range(2_000)]
    assert first_repeated(names) == "1998"
    assert compared < 4_000
    assert first_repeated(names[:-1]) is None
    classes = names[:-1]
    compared = 0
    assert (
        LabelledObjects(tuple(classes), ()).numbered_like(list(map(Name, classes)), "").labels[-1] == "1998"
    )
    assert compared < 8_000


def test_folders_of_a_data_yaml_are_read_once(scenes: Scenes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries that mean the same folder cost little, however many there are."""
    read: list[Path] = []
    find = yolo_parts.labelled_photo_paths
    monkeypatch.setattr(
        yolo_parts, "labelled_photo_paths", lambda folder: read.append(folder) or find(folder)
    )
    folder, settings = scenes.photos.name, scenes.photos.parent / "data.yaml"
    entries = [f"{'./' * number}{folder}" for number in range(50)] * 2
    settings.write_text(f"names: [a]\ntrain: [{', '.join(entries)}]\n", "utf-8")
    parts = yolo_parts.parts_of_settings(settings)
    assert len(read) == 1
    assert len(parts[TRAIN].photos) == 4


def test_a_data_yaml_is_read_once_for_all_its_keys(scenes: Scenes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand spellings of a key without entries cost little."""
    read: list[Path] = []
    lines_of = class_names.text_lines
    monkeypatch.setattr(class_names, "text_lines", lambda path: read.append(path) or lines_of(path))
    spellings = map("".join, itertools.product(*zip("validation", "VALIDATION", strict=True)))
    settings = scenes.photos.parent / "data.yaml"
    settings.write_text("".join(f"{key}:\n" for key in spellings), "utf-8")
    assert yolo_parts.parts_of_settings(settings) == {}
    assert len(read) == 1


def test_few_of_many_known_names_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []
    monkeypatch.setattr(
        difflib, "get_close_matches", lambda name, known, **_: compared.extend(known) or known[:1]
    )
    assert did_you_mean("a" * 100, ["b" * 99] * 100_000) == f"; did you mean {'b' * 99!r}?"
    assert len(compared) < 500


def test_a_box_that_sticks_out_by_rounding_is_cut_off(scenes: Scenes) -> None:
    place = with_box(50, -0.6, 10.9, 9)(scenes)
    assert read_objects(scenes.photos, place).photos[1].boxes[1].tolist() == [50, 0, 60, 8.4]


def test_boxes_of_unknown_photo_sizes_are_cut_off_or_refused(scenes: Scenes) -> None:
    """Files of Create ML do not state the sizes of photos, so boxes are checked when a photo is read."""

    def box_in_pixels(x: float, width: float) -> list[float]:
        given = {"label": "red", "coordinates": {"x": x, "y": 5, "width": width, "height": 4}}
        (photo,) = read_objects(scenes.photos, createml(given)(scenes)).photos
        return photo.boxes_in_pixels((WIDTH, HEIGHT))[0].tolist()

    assert box_in_pixels(4.5, 10) == [0, 3, 9.5, 7]
    assert box_in_pixels(55.5, 10) == [50.5, 3, 60, 7]
    for x, width in ((3, 10), (57, 10), (-1, 1), (61, 1)):
        with pytest.raises(
            ParameterError, match=r"\[0\]: the box .* is outside of the photo .*01.png, which"
        ):
            box_in_pixels(x, width)


def test_crowds_are_not_learned(scenes: Scenes) -> None:
    place = edited(lambda dataset: dataset["annotations"][0].update(iscrowd=1))(scenes)
    found = read_objects(scenes.photos, place)
    assert [len(one.photos[1].boxes) for one in (found, found.learned())] == [2, 1]
    assert count_objects(found.photos) == ObjectCounts(without_objects=1, crowds=1, difficult=0, dropped=0)

    def all_crowds(dataset: dict[str, Any]) -> None:
        for entry in dataset["annotations"]:
            entry["iscrowd"] = 1

    place = edited(all_crowds)(scenes)
    with pytest.raises(ParameterError, match="all objects are crowds"):
        read_objects(scenes.photos, place).learned()


@pytest.mark.parametrize(
    "spoil",
    [
        with_box(5, 2, 0, 4),
        with_box(5, 2, 4, 0),
        written("yolo/01.txt", "0 0.5 0.5 0 0.1"),
        voc(PHOTO.format(OBJECT.format(EDGES.format(10)))),
    ],
)
def test_boxes_without_an_area_are_dropped_and_counted(
    scenes: Scenes, spoil: Callable[[Scenes], Path]
) -> None:
    found = read_objects(scenes.photos, spoil(scenes))
    assert count_objects(found.photos).dropped == 1


def test_bad_photos(scenes: Scenes, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="nothing: is not a folder with photos"):
        read_objects(tmp_path / "nothing", scenes.coco)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match="empty: the folder has no photos"):
        read_objects(tmp_path / "empty", scenes.yolo)


def mask_of(pixels: Any) -> Callable[[Path], object]:
    return lambda path: Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (Path.unlink, "01.png: has no mask; expected is '.*masks/01.png'"),
        (mask_of([[0, 3]]), "01.png: has the class 3, but there are 3 classes: .*background"),
        (mask_of([[[0, 3, 9]]]), "01.png: is a picture of mode RGB; a mask has class numbers"),
        (lambda path: path.write_bytes(b"text"), "01.png: is no picture"),
        (
            lambda path: Image.new("L", (60, 40)).save(path, "JPEG"),
            "01.png: is compressed as JPEG, which does not keep",
        ),
    ],
)
def test_bad_masks(scenes: Scenes, spoil: Callable[[Path], object], message: str) -> None:
    spoil(scenes.masks / "01.png")
    with pytest.raises(Error, match=message):
        read_masks(scenes.photos, scenes.masks)


NUMBERS = np.array([[0, 1, 2, 3], [3, 2, 1, 0]], np.uint8)


def gray_png(bits: int) -> bytes:
    """Return a gray PNG of NUMBERS with a few bits a sample, as optimisers of PNG files write it."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    height, width = NUMBERS.shape
    rows = ["".join(format(number, f"0{bits}b") for number in row) for row in NUMBERS.tolist()]
    content = b"".join(b"\0" + int(row, 2).to_bytes(len(row) // 8, "big") for row in rows)
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(content)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def encoded(name: str, **options: Any) -> bytes:
    """Return the file of a format with NUMBERS."""
    file = io.BytesIO()
    Image.fromarray(NUMBERS).save(file, name, **options)
    return file.getvalue()


def with_palette() -> bytes:
    """Return a PNG of two bits a sample with NUMBERS as places in a palette."""
    file, picture = io.BytesIO(), Image.fromarray(NUMBERS)
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    picture.save(file, "PNG", bits=2)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        *((gray_png(bits), "") for bits in (2, 4, 8)),
        *((encoded(name), "") for name in ("PNG", "GIF", "BMP", "TIFF", "PPM")),
        (with_palette(), ""),
        (encoded("TIFF", compression="jpeg"), "is compressed as JPEG"),
        (encoded("TIFF", tiffinfo={262: 0}), "has gray samples of another range than 0 to 255"),
        (b"P5 4 2 3 " + NUMBERS.tobytes(), "has gray samples of another range than 0 to 255"),
        (b"P2 4 2 3 0 1 2 3 3 2 1 0", "has gray samples of another range than 0 to 255"),
        (encoded("WEBP", lossless=True), "is a picture of mode RGB"),
    ],
)
def test_masks_keep_their_numbers_in_all_formats(tmp_path: Path, content: bytes, message: str) -> None:
    """Pillow scales gray samples of few bits to 0 to 255."""
    path = tmp_path / "mask.png"
    path.write_bytes(content)
    if message:
        with pytest.raises(ImageError, match=message):
            read_mask(path)
    else:
        np.testing.assert_array_equal(read_mask(path), NUMBERS)


MASKS_WITHOUT_NAMES = [
    ([0, 0], "no other class than 0"),
    ([0, 3, 255], "the class 3, but not '1', '2': number the classes without gaps, or name all of them"),
]


@pytest.mark.parametrize(("orientation", "turn"), [(1, 0), (3, 2), (6, -1), (8, 1)], ids=["1", "3", "6", "8"])
def test_masks_are_turned_like_photos(tmp_path: Path, orientation: int, turn: int) -> None:
    exif = Image.Exif()
    exif[0x112] = orientation
    Image.fromarray(NUMBERS).save(tmp_path / "mask.png", exif=exif)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), np.rot90(NUMBERS, turn))


def test_masks_of_one_bit(tmp_path: Path) -> None:
    Image.fromarray(NUMBERS > 1).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), NUMBERS > 1)


def test_masks_without_names(scenes: Scenes) -> None:
    (scenes.masks / "classes.txt").unlink()
    assert read_masks(scenes.photos, scenes.masks).labels == ("background", "class 1", "class 2")
    for numbers, message in MASKS_WITHOUT_NAMES:
        for path in scenes.masks.glob("*.png"):
            mask_of([numbers])(path)
        with pytest.raises(ParameterError, match=f"masks: the masks have {message}"):
            read_masks(scenes.photos, scenes.masks)
    with pytest.raises(ParameterError, match="none: is not a folder of masks"):
        read_masks(scenes.photos, scenes.masks.with_name("none"))
