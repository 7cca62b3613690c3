"""Test `mpscnn evaluate` for detectors and segmenters: mean average precision and mean intersection over union."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Command, save_colour_model, save_photo
from constant_detector import save_constant_detector
from PIL import Image

import mpscnn

# ---- Detectors -----------------------------------------------------------------------------------------------------

#: The box of the detector's cat (90 %) and dog (20 %) on photos of 200 x 80 pixels: left, top, width, height.
SEEN = [50.0, 10.0, 100.0, 30.0]
CATEGORIES = [{"id": 17, "name": "Cat"}, {"id": 18, "name": "dog"}]


@pytest.fixture
def detector(tmp_path: Path) -> str:
    return str(save_constant_detector(tmp_path / "constants.safetensors"))


def annotated(folder: Path, boxes: Sequence[Sequence[tuple[int, list[float]]]], **others: Any) -> Path:
    """Write photos, and an annotation file with categories and each photo's boxes."""
    images, entries = [], []
    for number, objects in enumerate(boxes, start=1):
        name = f"{number}.png"
        save_photo(folder / name, "blue", (200, 80))
        images.append({"id": number, "file_name": name, "width": 200, "height": 80})
        entries += [{"image_id": number, "category_id": kind, "bbox": box} for kind, box in objects]
    path = folder / "instances.json"
    path.write_text(json.dumps({"images": images, "categories": CATEGORIES, "annotations": entries} | others))
    return path


@pytest.fixture
def needs_pycocotools() -> None:
    pytest.importorskip("pycocotools", reason="pycocotools is not installed")


@pytest.mark.usefixtures("needs_pycocotools")
def test_evaluate_takes_annotations(tmp_path: Path, detector: str) -> None:
    path = annotated(tmp_path, [[(17, SEEN), (18, SEEN)]])
    model = mpscnn.load(detector, device="cpu")
    assert mpscnn.evaluate(model, tmp_path, annotations=path).map == pytest.approx(1.0)
    assert model.evaluate(tmp_path, annotations=path).images == 1  # type: ignore[attr-defined]


def test_evaluate_names_the_call_for_the_task(tmp_path: Path, detector: str, segmenter: str) -> None:
    for path, argument in ((detector, "annotations="), (segmenter, "masks=")):
        with pytest.raises(mpscnn.ShapeError, match=rf"not a classifier, .* mpscnn\.evaluate.*{argument}"):
            mpscnn.evaluate(mpscnn.load(path, device="cpu"), tmp_path)
    for path, argument, lead in ((detector, "masks", "annotations="), (segmenter, "annotations", "masks=")):
        with pytest.raises(
            mpscnn.ShapeError, match=rf"but made for .*: mpscnn\.evaluate\(model, .*{lead}.* measures"
        ):
            mpscnn.evaluate(mpscnn.load(path, device="cpu"), tmp_path, **{argument: tmp_path / "a"})
    model = mpscnn.load("digits", device="cpu")
    with pytest.raises(
        mpscnn.ShapeError, match=r"is not a detector, but made for classification: mpscnn\.evaluate"
    ):
        mpscnn.evaluate(model, tmp_path, annotations=tmp_path / "a.json")
    for options in ({"masks": "a", "annotations": "b"}, {"masks": "a", "preprocess": "unit"}):
        with pytest.raises(mpscnn.ParameterError, match="takes one of annotations=, masks= and preprocess="):
            mpscnn.evaluate(model, tmp_path, **options)  # type: ignore[call-overload]


@pytest.mark.usefixtures("needs_pycocotools")
def test_nothing_found_and_unknown_classes(tmp_path: Path, detector: str) -> None:
    bird = {"id": 3, "name": "bird"}
    path = annotated(tmp_path, [[(17, SEEN), (3, SEEN)]], categories=[*CATEGORIES, bird])
    model = mpscnn.load(detector, device="cpu")
    result = mpscnn.evaluate_detector(model, tmp_path, path)
    assert result.missing == ("bird",)
    assert result.by_class == pytest.approx({"Cat": 1.0, "dog": nan, "bird": 0.0}, nan_ok=True)
    assert result.map == pytest.approx(0.5)
    result = mpscnn.evaluate_detector(model, tmp_path, path, score_threshold=0.95)
    assert (result.map, result.recall, result.by_class["Cat"]) == (0.0, 0.0, 0.0)
    # The objects have 3,000 pixels, so there are no small and no large ones.
    assert [result.map_small, result.map_medium, result.map_large] == pytest.approx(
        [nan, 0, nan], nan_ok=True
    )
    assert np.isnan(result.by_class["dog"])


@pytest.mark.usefixtures("needs_pycocotools")
def test_command_for_detectors(tmp_path: Path, detector: str, command: Command) -> None:
    path = annotated(tmp_path, [[(17, SEEN)], [(18, SEEN)]])
    (tmp_path / "2.png").write_bytes(b"no photo")
    arguments = ("evaluate", str(tmp_path), "--model", detector, "--annotations", str(path))
    result = command(*arguments)
    assert result.returncode == 1
    assert "2.png: is not an image" in result.stderr
    assert "mAP 1.000 at IoU 0.5 to 0.95, 1.000 at IoU 0.5, 1.000 at 0.75" in result.stdout
    assert "Cat" in result.stdout
    found = json.loads(command(*arguments, "--json").stdout)
    assert (found["images"], found["map"]) == (1, pytest.approx(1.0))
    assert found["by_class"]["Cat"] == pytest.approx(1.0)
    result = command("evaluate", str(tmp_path), "--model", detector)
    assert result.returncode == 2
    assert (
        "is made for detection, which is measured with the objects on the photos: --annotations"
        in result.stderr
    )


VOC = (
    "<annotation><filename>{}.png</filename><size><width>200</width><height>{}</height></size><object><name>cat</name>"
    "<bndbox><xmin>51</xmin><ymin>11</ymin><xmax>150</xmax><ymax>40</ymax></bndbox></object></annotation>"
)
YOLO = "0 0.5 0.3125 0.5 0.375\n"


def annotated_otherwise(folder: Path, form: str) -> tuple[Path, Path]:
    """Write two photos whose only object is the detector's cat, and return their folder and the annotations."""
    photos, labels = (folder / name / "val" for name in ("images", "labels"))
    labels.mkdir(parents=True)
    photos.mkdir(parents=True)
    for number in (1, 2):
        save_photo(photos / f"{number}.png", "blue", (200, 80))
        if form == "voc":
            (labels / f"{number}.xml").write_text(VOC.format(number, 80))
        else:
            (labels / f"{number}.txt").write_text(YOLO)
    if form == "data.yaml":  # the photos for training have no object
        (folder / "images" / "train").mkdir()
        save_photo(folder / "images" / "train" / "3.png", "blue", (200, 80))
        (folder / form).write_text("names: [cat, dog]\ntrain: images/train\nval: images/val\n")
        return folder, folder / form
    (folder / "classes.txt").write_text("cat\ndog\n")
    return photos, labels


@pytest.mark.usefixtures("needs_pycocotools")
@pytest.mark.parametrize("form", ["voc", "txt", "data.yaml"])
def test_annotations_of_other_formats(tmp_path: Path, detector: str, command: Command, form: str) -> None:
    photos, annotations = annotated_otherwise(tmp_path / "shapes", form)
    arguments = (str(photos), "--model", detector, "--annotations", str(annotations))
    found = json.loads(command("evaluate", *arguments, "--json").stdout)
    assert (found["images"], found["map"]) == (2, pytest.approx(1.0))
    if form == "voc":
        (annotations / "2.xml").write_text(VOC.format(2, 81))
        result = command("evaluate", *arguments)
        assert result.returncode == 2
        assert "2.xml: has 200 x 81 pixels, but its upright photo 200 x 80" in result.stderr


@pytest.mark.usefixtures("needs_pycocotools")
@pytest.mark.parametrize(("flag", "expected"), [("0", 0.663), ("1", 1.0), ("true", 1.0)])
def test_difficult_objects_are_left_out(
    tmp_path: Path, detector: str, command: Command, flag: str, expected: float
) -> None:
    """A difficult cat that is not found, and a difficult dog that is found, change nothing."""
    photos, annotations = annotated_otherwise(tmp_path / "shapes", "voc")
    text, begin = VOC.format(2, 80), "<object><name>"
    one = text[text.index(begin) : text.index("</annotation>")]
    difficult = one.replace("<bndbox>", f"<difficult>{flag}</difficult><bndbox>")
    missed = difficult.replace(">51<", ">1<").replace(">150<", ">20<")
    text = text.replace(one, one + missed + difficult.replace("cat", "dog"))
    (annotations / "2.xml").write_text(text)
    arguments = (str(photos), "--model", detector, "--annotations", str(annotations), "--json")
    found = json.loads(command("evaluate", *arguments).stdout)
    assert found["by_class"]["cat"] == pytest.approx(expected, abs=1e-3)
    assert found["by_class"]["dog"] == (None if expected == 1 else pytest.approx(0.5))
    (annotations / "2.xml").write_text(text.replace(f">{flag}</difficult>", ">2</difficult>"))
    result = command("evaluate", *arguments)
    assert "<difficult> must be 0 or 1, got '2'" in result.stderr


def test_a_folder_without_the_photos_is_one_error(tmp_path: Path, detector: str, command: Command) -> None:
    path = annotated(tmp_path, [[(17, SEEN)]] * 3)
    (tmp_path / "empty").mkdir()
    for name in ("empty", "none"):
        result = command("evaluate", str(tmp_path / name), "--model", detector, "--annotations", str(path))
        assert result.returncode == 2
        assert result.stderr.count("error: ") == 1
        problem = "has none of the 3 photos of" if name == "empty" else "is not a folder with photos"
        assert f"{name}: {problem}" in result.stderr


@pytest.mark.usefixtures("needs_pycocotools")
def test_the_file_for_validation_is_measured(tmp_path: Path, detector: str) -> None:
    path = annotated(tmp_path, [[(17, SEEN)]])
    (tmp_path / "coco").mkdir()
    for name in ("train", "val"):
        path.with_name("coco").joinpath(f"instances_{name}.json").write_text(path.read_text())
    model = mpscnn.load(detector, device="cpu")
    assert mpscnn.evaluate_detector(model, tmp_path, tmp_path / "coco").map == pytest.approx(1.0)
    (tmp_path / "coco" / "instances_val.json").unlink()
    with pytest.raises(mpscnn.ParameterError, match=r"has no .json file for test or val"):
        mpscnn.evaluate_detector(model, tmp_path, tmp_path / "coco")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not a JSON file"),
        ("3", "expected an object with images, categories, annotations"),
        ("[]", "has no photos"),
        ({"images": 1}, "'images' must be a list"),
        ({"images": [{"id": 1}]}, r"images\[0\]: file_name cannot be None"),
        (
            {"annotations": [{"image_id": 9, "category_id": 17, "bbox": SEEN}]},
            "image_id 9, which 'images' lack",
        ),
        ({"annotations": [{"image_id": 1, "category_id": 17, "bbox": [1, 2]}]}, "bbox cannot be"),
        *(
            (
                {"annotations": [{"image_id": 1, "category_id": 17, "bbox": SEEN, field: None}]},
                rf"annotations\[0\]: {field} cannot be None",
            )
            for field in ("area", "iscrowd")
        ),
        (
            {"categories": [{"id": 17, "name": "bird"}]},
            "none of the classes of constants, but bird",
        ),
        (
            {"categories": [*CATEGORIES, {"id": 1, "name": "DOG"}]},
            "two categories have the name 'dog', ignoring case",
        ),
    ],
)
def test_annotations_that_are_refused(tmp_path: Path, detector: str, content: Any, message: str) -> None:
    path = annotated(tmp_path, [[(17, SEEN)]], **(content if isinstance(content, dict) else {}))
    if isinstance(content, str):
        path.write_text(content)
    with pytest.raises(mpscnn.ParameterError, match=message):
        mpscnn.evaluate_detector(mpscnn.load(detector, device="cpu"), tmp_path, path)


@pytest.mark.usefixtures("needs_pycocotools")
@pytest.mark.parametrize("orientation", [1, 6])
def test_annotations_for_other_photos_are_refused(tmp_path: Path, detector: str, orientation: int) -> None:
    """Annotations of larger or turned copies of the photos would find all objects at the wrong place."""
    path = annotated(tmp_path, [[(17, SEEN)]])
    exif = Image.Exif()
    exif[274] = orientation
    size = (100, 40) if orientation == 1 else (200, 80)
    Image.new("RGB", size).save(tmp_path / "1.png", exif=exif)
    upright = "100 x 40" if orientation == 1 else "80 x 200"
    with pytest.raises(
        mpscnn.ParameterError, match=rf"images\[0\]: has 200 x 80 pixels, but its upright photo {upright}"
    ):
        mpscnn.evaluate_detector(mpscnn.load(detector, device="cpu"), tmp_path, path)


@pytest.mark.usefixtures("needs_pycocotools")
def test_categories_from_zero_need_labels(tmp_path: Path, detector: str) -> None:
    """Without labels, the first class has the id 1, as in COCO."""
    network = mpscnn.load(detector).network
    network.labels = None
    model = mpscnn.Model(network, device="cpu")
    assert model.labels is None
    for first, names in ((1, ["a", "b"]), (0, ["a", "b", "c"])):
        categories = [{"id": number, "name": name} for number, name in enumerate(names, start=first)]
        path = annotated(tmp_path, [[(1, SEEN)]], categories=categories)
        if first == 0:
            with pytest.raises(
                mpscnn.ParameterError,
                match=r"has 3 classes with the numbers .* and constants has 2 without names",
            ):
                mpscnn.evaluate_detector(model, tmp_path, path)
        else:
            assert mpscnn.evaluate_detector(model, tmp_path, path).by_class["a"] == pytest.approx(1.0)


@pytest.mark.usefixtures("needs_pycocotools")
def test_a_data_yaml_names_photos_and_annotations(tmp_path: Path, detector: str, command: Command) -> None:
    """It is enough for evaluations, in the words of mpscnn and of ultralytics."""
    settings = annotated_otherwise(tmp_path / "shapes", "data.yaml")[1]
    model: Any = mpscnn.load(detector, device="cpu")
    for measured in (
        lambda: mpscnn.evaluate(model, settings),
        lambda: mpscnn.evaluate_detector(model, None, settings),
        lambda: mpscnn.evaluate(model, data=str(settings)),  # type: ignore[call-overload]
        lambda: model.val(data=settings),
    ):
        assert (measured().images, measured().map) == (2, pytest.approx(1.0))
    printed = json.loads(command("evaluate", str(settings), "--model", detector, "--json").stdout)
    assert printed["images"] == 2
    settings.write_text("names: [cat, dog]\ntrain: images/val\nval: images/val\n")  # as coco128.yaml has it
    assert mpscnn.evaluate(model, settings).images == 2
    with pytest.raises(mpscnn.ParameterError, match="leave annotations= out"):
        mpscnn.evaluate(model, settings, annotations=settings)


@pytest.mark.usefixtures("needs_pycocotools")
@pytest.mark.parametrize(
    ("ids", "expected"),
    [((1, 3), 1.0), ((7, 90), 1.0), ((0, 1), 1.0), ((2, 3, 4), None), ((2, 1), None), ((90, 7), None)],
)
def test_numbers_of_classes_with_gaps(
    tmp_path: Path, detector: str, ids: tuple[int, ...], expected: float | None
) -> None:
    """Classes without labels are matched by order if there are as many, listed by their numbers.

    Otherwise the user is asked.
    """
    network = mpscnn.load(detector).network
    network.labels = None
    categories = [{"id": number, "name": f"n{number}"} for number in ids]
    boxes = [[(number, SEEN) for number in ids[:2]]]
    path = annotated(tmp_path, boxes, categories=categories)
    model = mpscnn.Model(network, device="cpu")
    if expected is None:
        with pytest.raises(mpscnn.ParameterError, match="load the model with labels="):
            mpscnn.evaluate_detector(model, tmp_path, path)
    else:
        assert mpscnn.evaluate_detector(model, tmp_path, path).map == pytest.approx(expected)


@pytest.mark.usefixtures("needs_pycocotools")
def test_what_is_no_ordinary_object_is_counted(tmp_path: Path, detector: str, command: Command) -> None:
    empty = [50.0, 10.0, 0.0, 30.0]
    path = annotated(tmp_path, [[(17, SEEN), (17, SEEN), (18, empty)], []])
    content = json.loads(path.read_text())
    content["annotations"][1]["iscrowd"] = 1
    path.write_text(json.dumps(content))
    model = mpscnn.load(detector, device="cpu")
    found = mpscnn.evaluate_detector(model, tmp_path, path)
    counts = found.counts
    assert (counts.without_objects, counts.crowds, counts.difficult, counts.dropped) == (1, 1, 0, 1)
    printed = command("evaluate", str(tmp_path), "--model", detector, "--annotations", str(path)).stdout
    for note in found.notes:
        assert note in " ".join(printed.split())


@pytest.mark.usefixtures("needs_pycocotools")
def test_measures_over_nothing_are_undefined(tmp_path: Path, detector: str) -> None:
    """Only difficult objects: no measure is 1, 0 or -1."""
    model = mpscnn.load(detector, device="cpu")
    photos, annotations = annotated_otherwise(tmp_path / "shapes", "voc")
    for path in annotations.glob("*.xml"):
        path.write_text(path.read_text().replace("<bndbox>", "<difficult>1</difficult><bndbox>"))
    found = mpscnn.evaluate_detector(model, photos, annotations)
    assert np.isnan([found.map, found.map50, found.recall, *found.by_class.values()]).all()
    assert "mAP undefined" in repr(found)


def test_only_detectors_and_segmenters(tmp_path: Path) -> None:
    model = mpscnn.load(save_colour_model(tmp_path / "colours.safetensors"), device="cpu")
    with pytest.raises(mpscnn.ShapeError, match="is not a detector, but made for classification"):
        mpscnn.evaluate_detector(model, tmp_path, tmp_path / "x.json")
    with pytest.raises(mpscnn.ShapeError, match="is not a segmenter, but made for classification"):
        mpscnn.evaluate_segmenter(model, [])


# ---- Segmenters ----------------------------------------------------------------------------------------------------

NAMES = ("background", "red", "green", "blue")


@pytest.fixture
def segmenter(tmp_path: Path) -> str:
    """Return a segmenter whose scores are 0.3 for the background, and the amounts of red, green and blue."""
    network = mpscnn.Network(input=(8, 8, 3), name="colours")
    network.output(network.conv2d(network.input, 4, 1, name="scores"))
    weight = np.concatenate([np.zeros((1, 3)), np.eye(3)]).astype(np.float32)
    bias = np.array([0.3, 0, 0, 0], np.float32)
    network.load_weights({"scores.weight": weight.reshape(4, 1, 1, 3), "scores.bias": bias})
    network.save(tmp_path / "colours.safetensors", labels=NAMES, preprocess="unit")
    return str(tmp_path / "colours.safetensors")


def save_pair(folder: Path, name: str, mask: np.ndarray[Any, Any]) -> None:
    """Write a photo with a red left half and a green right half, and its mask."""
    for part in ("photos", "masks"):
        (folder / part / name).parent.mkdir(exist_ok=True, parents=True)
    photo = np.zeros((8, 8, 3), np.uint8)
    photo[:, :4, 0] = photo[:, 4:, 1] = 255
    Image.fromarray(photo).save(folder / "photos" / f"{name}.png")
    picture = Image.fromarray(mask).convert("P")
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    picture.save(folder / "masks" / f"{name}.png")


def half_and_half() -> np.ndarray[Any, Any]:
    mask = np.full((8, 8), 2, np.uint8)
    mask[:, :4] = 1
    return mask


def test_mean_iou_by_hand(tmp_path: Path, segmenter: str) -> None:
    right, wrong = half_and_half(), half_and_half()
    wrong[:, 2:4] = 3  # a quarter of the photo is labelled blue
    wrong[0] = 255  # eight pixels are not counted
    photo = np.zeros((8, 8, 3), np.uint8)
    photo[:, :4, 0] = photo[:, 4:, 1] = 255
    model = mpscnn.load(segmenter, device="cpu")
    result = mpscnn.evaluate_segmenter(model, [(photo, right), (photo, wrong)])
    assert result.images == 2
    # Red: 32 + 14 of 32 + 28 pixels were found; green: all 32 + 28; blue: none of 14.
    np.testing.assert_allclose(result.ious, [np.nan, 46 / 60, 1.0, 0.0])
    assert result.mean_iou == pytest.approx((46 / 60 + 1) / 3)
    assert result.pixel_accuracy == pytest.approx(106 / 120)


def test_evaluate_takes_masks(tmp_path: Path, segmenter: str) -> None:
    model = mpscnn.load(segmenter, device="cpu")
    for name in ("a", "b"):
        save_pair(tmp_path, name, half_and_half())
    photos, masks = tmp_path / "photos", tmp_path / "masks"
    result = mpscnn.evaluate(model, photos, masks=masks)
    assert (result.images, result.mean_iou) == (2, 1.0)
    (masks / "a.png").unlink()
    with pytest.raises(mpscnn.ImageError, match=r"a\.png: has no mask"):
        mpscnn.evaluate(model, photos, masks=masks)


def test_a_mask_belongs_to_the_photo_of_its_folder(tmp_path: Path, segmenter: str) -> None:
    model = mpscnn.load(segmenter, device="cpu")
    photos, masks = tmp_path / "photos", tmp_path / "masks"
    wrong = np.full((8, 8), 3, np.uint8)
    for name, mask in (("a/1", half_and_half()), ("b/1", wrong), ("b/2", wrong)):
        save_pair(tmp_path, name, mask)
    assert mpscnn.evaluate(model, photos, masks=masks).pixel_accuracy == pytest.approx(1 / 3)
    with pytest.raises(mpscnn.ImageError, match=r"b/1\.png: has the same mask .*a/1\.png; give the folder"):
        mpscnn.evaluate(model, f"{photos}/*/1.png", masks=masks / "a")
    # A folder for training makes the others parts of a data set.
    for part, mask in (("train", wrong), ("val", half_and_half())):
        save_pair(tmp_path / "split", f"{part}/1", mask)
    split = tmp_path / "split"
    result = mpscnn.evaluate(model, split / "photos", masks=split / "masks")
    assert (result.images, result.pixel_accuracy) == (1, 1.0)


def test_masks_with_other_numbers_of_classes_are_refused(tmp_path: Path, segmenter: str) -> None:
    model = mpscnn.load(segmenter, device="cpu")
    save_pair(tmp_path, "1", half_and_half())
    for names, message in (
        (NAMES, None),
        (NAMES[::-1], "has the number 0 there and 3 in colours"),
        ("xyz", None),
    ):
        (tmp_path / "masks" / "classes.txt").write_text("\n".join(names))
        if message is None:
            mpscnn.evaluate(model, tmp_path / "photos", masks=tmp_path / "masks")
        else:
            with pytest.raises(mpscnn.ParameterError, match=message):
                mpscnn.evaluate(model, tmp_path / "photos", masks=tmp_path / "masks")


def test_command_for_segmenters(tmp_path: Path, segmenter: str, command: Command) -> None:
    save_pair(tmp_path, "a", half_and_half())
    save_pair(tmp_path, "b", half_and_half())
    arguments = (
        "evaluate",
        str(tmp_path / "photos"),
        "--model",
        segmenter,
        "--masks",
        str(tmp_path / "masks"),
    )
    result = command(*arguments)
    assert (result.returncode, result.stderr) == (0, "")
    assert "mean IoU 1.000, pixel accuracy 100.00%" in result.stdout
    found = json.loads(command(*arguments, "--json").stdout)
    assert (found["images"], found["mean_iou"], found["ious"]) == (2, 1.0, {"red": 1.0, "green": 1.0})
    (tmp_path / "masks" / "a.png").unlink()
    result = command(*arguments)
    assert result.returncode == 1
    assert "a.png: has no mask" in result.stderr
    result = command("evaluate", str(tmp_path / "photos"), "--model", segmenter)
    assert (
        "is made for segmentation, which is measured with the classes of all pixels: --masks" in result.stderr
    )


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((4, 8), np.uint8), r"its photo has labels \(8, 8\) uint8"),
        (np.full((8, 8), 7, np.uint8), "has the class 7, the model has 4 classes"),
        (np.zeros((8, 8, 3), np.uint8), "a picture of mode RGB; a mask has class numbers"),
    ],
)
def test_masks_that_are_refused(tmp_path: Path, segmenter: str, mask: Any, message: str) -> None:
    path = tmp_path / "mask.png"
    Image.fromarray(mask).save(path)
    photo = np.zeros((8, 8, 3), np.uint8)
    model = mpscnn.load(segmenter, device="cpu")
    with pytest.raises(mpscnn.Error, match=rf"mask\.png: .*{message}"):
        mpscnn.evaluate_segmenter(model, [(photo, path)])
