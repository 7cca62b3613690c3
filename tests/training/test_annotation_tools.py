"""Test the files of tools for annotations: the same objects and outlines in all formats, and what is refused."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mpscnn
from mpscnn.evaluation.detector_truth import read_truth
from mpscnn.training.scenes.labelled import count_objects
from mpscnn.training.scenes.masks import read_masks
from mpscnn.training.scenes.photos import opened_with_mask
from mpscnn.training.scenes.source import read_objects

WIDTH, HEIGHT = 40, 20
#: Two objects of the photo a.png: a triangle and a rectangle. The photo b.png has none.
TRIANGLE = [(4.0, 2.0), (16.3, 2.0), (4.0, 14.2)]
BOX = (20.0, 5.0, 30.0, 15.0)
BOXES = [[4, 2, 16.3, 14.2], [20, 5, 30, 15]]
LABELS = ("cat", "dog")


def corners() -> list[tuple[float, float]]:
    left, top, right, bottom = BOX
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def flat(points: list[tuple[float, float]], wide: float = 1, high: float = 1) -> list[float]:
    return [number for x, y in points for number in (x * wide, y * high)]


def yolo(folder: Path) -> Path:
    (folder / "labels").mkdir()
    (folder / "labels/classes.txt").write_text("cat\ndog\n")
    lines = [[0, *flat(TRIANGLE, 1 / WIDTH, 1 / HEIGHT)], [1, *flat(corners(), 1 / WIDTH, 1 / HEIGHT)]]
    (folder / "labels/a.txt").write_text("\n".join(" ".join(map(str, line)) for line in lines))
    return folder / "labels"


def coco(folder: Path, second: Any = None) -> Path:
    images = [
        {"id": number, "file_name": f"{name}.png", "width": WIDTH, "height": HEIGHT}
        for number, name in enumerate("ab")
    ]
    entries = [
        {"image_id": 0, "category_id": kind, "bbox": [x0, y0, x1 - x0, y1 - y0], "segmentation": outline}
        for kind, (x0, y0, x1, y1), outline in zip(
            (1, 2), BOXES, ([flat(TRIANGLE)], [flat(corners())] if second is None else second), strict=True
        )
    ]
    categories = [{"id": number, "name": name} for number, name in enumerate(LABELS, start=1)]
    content = {"images": images, "categories": categories, "annotations": entries}
    (folder / "coco.json").write_text(json.dumps(content))
    return folder / "coco.json"


def coco_runs(folder: Path) -> Path:
    """Run lengths go down the columns."""
    left, top, right, bottom = map(int, BOX)
    runs = [left * HEIGHT + top]
    for _ in range(right - left):
        runs += [bottom - top, HEIGHT - bottom + top]
    return coco(folder, {"size": [HEIGHT, WIDTH], "counts": [*runs[:-1], WIDTH * HEIGHT - sum(runs[:-1])]})


def labelme(folder: Path) -> Path:
    (folder / "json").mkdir()
    shapes = [
        {"label": "cat", "points": TRIANGLE, "shape_type": "polygon"},
        {"label": "dog", "points": [BOX[2:], BOX[:2]], "shape_type": "rectangle"},
        {"label": "dog", "points": [[1, 1]], "shape_type": "point"},
    ]
    for name, of_photo in (("a", shapes), ("b", [])):
        entry = {
            "shapes": of_photo,
            "imagePath": f"..\\p\\{name}.png",
            "imageWidth": WIDTH,
            "imageHeight": HEIGHT,
        }
        (folder / f"json/{name}.json").write_text(json.dumps(entry))
    return folder / "json"


def cvat(folder: Path) -> Path:
    def points(given: list[tuple[float, float]]) -> str:
        return ";".join(f"{x:.2f},{y:.2f}" for x, y in given)

    (folder / "annotations.xml").write_text(
        f"<annotations><version>1.1</version><image id='0' name='p/a.png' width='{WIDTH}' height='{HEIGHT}'>"
        f"<polygon label='cat' points='{points(TRIANGLE)}'/><polygon label='dog' points='{points(corners())}'/>"
        f"<points label='dog' points='1,1'/></image>"
        f"<image id='1' name='b.png' width='{WIDTH}' height='{HEIGHT}'/></annotations>"
    )
    return folder / "annotations.xml"


def cvat_mask(folder: Path) -> Path:
    path = cvat(folder)
    text = path.read_text()
    start = text.index("<polygon label='dog'")
    end = text.index("/>", start) + 2
    left, top, right, bottom = map(int, BOX)
    size = f"left='{left}' top='{top}' width='{right - left}' height='{bottom - top}'"
    path.write_text(
        f"{text[:start]}<mask label='dog' rle='0, {(right - left) * (bottom - top)}' {size}/>{text[end:]}"
    )
    return path


def via(folder: Path) -> Path:
    def region(points: list[tuple[float, float]], label: Any) -> dict[str, Any]:
        xs, ys = ([point[axis] for point in points] for axis in (0, 1))
        shape = {"name": "polygon", "all_points_x": xs, "all_points_y": ys}
        return {"shape_attributes": shape, "region_attributes": {"label": label, "note": "x"}}

    regions = [region(TRIANGLE, "cat"), region(corners(), {"dog": True, "cat": False})]
    entries = {
        "a.png123": {"filename": "a.png", "size": 123, "regions": regions, "file_attributes": {}},
        "b.png5": {"filename": "b.png", "size": 5, "regions": [], "file_attributes": {}},
    }
    (folder / "via.json").write_text(json.dumps({"_via_settings": {}, "_via_img_metadata": entries}))
    return folder / "via.json"


def label_studio(folder: Path) -> Path:
    def result(points: list[tuple[float, float]], label: str) -> dict[str, Any]:
        per_cent = [[x * 100 / WIDTH, y * 100 / HEIGHT] for x, y in points]
        value = {"points": per_cent, "polygonlabels": [label]}
        return {"type": "polygonlabels", "original_width": WIDTH, "original_height": HEIGHT, "value": value}

    results = [result(TRIANGLE, "cat"), result(corners(), "dog")]
    tasks = [
        {"id": 1, "data": {"image": "/data/upload/1/0123abcd-a.png"}, "annotations": [{"result": results}]},
        {"id": 2, "data": {"image": "/data/local-files/?d=p/b.png"}, "annotations": [{"result": []}]},
    ]
    (folder / "studio.json").write_text(json.dumps(tasks))
    return folder / "studio.json"


def table(folder: Path, header: str = "filename,width,height,class,xmin,ymin,xmax,ymax") -> Path:
    text = io.StringIO()
    writer = csv.writer(text)
    known = {"filename": "a.png", "path": "a.png", "width": WIDTH, "height": HEIGHT}
    if header:
        writer.writerow(header.split(","))
    for name, box in zip(LABELS, BOXES, strict=True):
        edges = dict(zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
        cells = known | edges | {"class": name}
        columns = header.split(",") if header else ["path", *edges, "class"]
        writer.writerow([cells[column] for column in columns])
    writer.writerow(["b.png", *([""] * (len((header or "1,2,3,4,5,6").split(",")) - 1))])
    (folder / "table.csv").write_text(text.getvalue())
    return folder / "table.csv"


OUTLINES: list[Callable[[Path], Path]] = [
    yolo, coco, coco_runs, labelme, cvat, cvat_mask, via, label_studio,
]  # fmt: skip


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "p").mkdir()
    for name in "ab":
        Image.new("RGB", (WIDTH, HEIGHT), "gray").save(tmp_path / f"p/{name}.png")
    return tmp_path / "p"


@pytest.mark.parametrize("write", [*OUTLINES, table, lambda folder: table(folder, "")])
def test_all_tools_have_the_same_objects(photos: Path, write: Callable[[Path], Path]) -> None:
    annotations = write(photos.parent)
    found = read_objects(photos, annotations)
    assert found.labels == LABELS
    first, second = sorted(found.photos, key=lambda photo: photo.path)
    assert first.boxes_in_pixels((WIDTH, HEIGHT)).round(2).tolist() == BOXES
    assert (first.classes.tolist(), second.classes.tolist()) == ([0, 1], [])
    assert count_objects(found.photos).dropped == (write in (labelme, cvat, cvat_mask))
    assert len(read_truth(photos, annotations).samples) == 2


@pytest.mark.parametrize("write", OUTLINES)
def test_outlines_are_masks(photos: Path, write: Callable[[Path], Path]) -> None:
    annotations = write(photos.parent)
    masked = read_masks(photos, annotations)
    assert masked.labels == ("background", *LABELS)
    mask, empty = (opened_with_mask(one)[1] for one in sorted(masked.photos, key=lambda one: one.path))
    assert not empty.any()
    left, top, right, bottom = map(int, BOX)
    wanted = np.zeros_like(mask)
    wanted[top:bottom, left:right] = 2
    np.testing.assert_array_equal(mask == 2, wanted == 2)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    inside = (columns > 4) & (rows > 2) & ((columns - 4) / 12.3 + (rows - 2) / 12.2 < 1)
    np.testing.assert_array_equal(mask == 1, inside)


def test_segmenters_are_measured_with_outlines(photos: Path) -> None:
    network = mpscnn.Network(input=(8, 8, 3), name="nothing")
    network.output(network.conv2d(network.input, 3, 1, name="c"))
    network.load_weights(
        {"c.weight": np.zeros((3, 1, 1, 3), np.float32), "c.bias": np.array([1, 0, 0], np.float32)}
    )
    model = mpscnn.Model(network, preprocess="unit", labels=["background", "dog", "cat"])
    expected = mpscnn.evaluate(model, photos, masks=coco(photos.parent))
    assert expected.confusion[1].sum() == 100  # the dog has another number in the model
    settings = photos.parent / "data.yaml"
    yolo(photos.parent)
    (photos.parent / "labels").rename(photos.parent / "p.labels")
    (photos.parent / "images").mkdir()
    (photos.parent / "labels").mkdir()
    for name in "ab":
        (photos / f"{name}.png").rename(photos.parent / f"images/{name}.png")
    (photos.parent / "p.labels/a.txt").rename(photos.parent / "labels/a.txt")
    settings.write_text("train: images\nnames: [cat, dog]\n")
    found = mpscnn.evaluate(model, settings)  # type: ignore[call-overload]
    np.testing.assert_array_equal(found.confusion, expected.confusion)
    with pytest.raises(mpscnn.ParameterError, match="has no class"):
        mpscnn.evaluate(mpscnn.Model(network, preprocess="unit", labels=["a", "b", "c"]), settings)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("channels", "ids", "matches"),
    [(3, (1, 2), True), (3, (7, 90), True), (3, (2, 1), False), (4, (1, 2), False), (2, (1, 2), False)],
)
def test_outlines_for_segmenters_without_names(
    photos: Path, channels: int, ids: tuple[int, int], matches: bool
) -> None:
    """Classes are matched by order if the model has as many, and the list has the order of the ids."""
    network = mpscnn.Network(input=(8, 8, 3), name="nothing")
    network.output(network.conv2d(network.input, channels, 1, name="c"))
    bias = np.eye(1, channels, dtype=np.float32)[0]
    network.load_weights({"c.weight": np.zeros((channels, 1, 1, 3), np.float32), "c.bias": bias})
    model = mpscnn.Model(network, preprocess="unit")
    content = json.loads(coco(photos.parent).read_text())
    changed = {
        entry["id"]: number
        for entry, number in zip(
            sorted(content["categories"], key=lambda one: int(one["id"])), ids, strict=True
        )
    }
    content["categories"] = sorted(content["categories"], key=lambda one: int(one["id"]))
    for entry in content["categories"]:
        entry["id"] = changed[entry["id"]]
    for entry in content["annotations"]:
        entry["category_id"] = changed[entry["category_id"]]
    path = photos.parent / "others.json"
    path.write_text(json.dumps(content))
    if matches:
        assert mpscnn.evaluate(model, photos, masks=path).confusion[1].sum() > 0
    else:
        with pytest.raises(mpscnn.ParameterError, match=r"load the model with labels="):
            mpscnn.evaluate(model, photos, masks=path)


def test_poses_of_yolo_need_the_number_of_keypoints(photos: Path) -> None:
    labels = yolo(photos.parent)
    (labels / "a.txt").write_text("1 0.5 0.5 0.2 0.4 0.5 0.5 2 0.4 0.4 1\n")
    settings = photos.parent / "data.yaml"
    settings.write_text("names: [cat, dog]\nkpt_shape: [2, 3]\n")
    assert read_objects(photos, labels).photos[0].boxes.round(3).tolist() == [[0.4, 0.3, 0.6, 0.7]]
    (labels / "a.txt").write_text("1 0.5 0.5 0.2 0.4 0.5\n")
    settings.write_text("names: [cat, dog]\n")
    with pytest.raises(mpscnn.ParameterError, match=r"poses need a data.yaml with kpt_shape"):
        read_objects(photos, labels)


def _edited(write: Callable[[Path], Path], old: str, new: str) -> Callable[[Path], Path]:
    def spoil(folder: Path) -> Path:
        path = write(folder)
        file = next(path.glob("a.*")) if path.is_dir() else path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))
        return path

    return spoil


BAD = [
    (_edited(labelme, '"polygon"', '"blob"'), r"a\.json: shapes\[0\]: a shape 'blob' of 3 points is not read"),
    (_edited(labelme, "[4.0, 2.0]", "[4.0]"), "the points must be pairs of x and y"),
    (_edited(labelme, '"cat"', "1"), "'label' must be a text, got 1"),
    (_edited(cvat, "4.00,2.00;", ""), "three or more of x,y"),
    (_edited(cvat, "label='cat'", ""), "has no label"),
    (_edited(cvat, "<image id='0'", "<track/><image id='0'"), "has tracks of a video"),
    (_edited(cvat_mask, "0, 100", "0, 99"), "do not fill width x height"),
    (_edited(via, '"label": "cat"', '"kind": "cat"'), "'kind', 'note' do not tell the class: call one of them 'label'"),
    (_edited(via, '"polygon"', '"spline"'), "a shape 'spline' is not read"),
    (_edited(label_studio, "polygonlabels", "brushlabels"), r"'brushlabels' is not read.*Brushes: export as COCO"),
    (_edited(label_studio, '["cat"]', '["cat", "dog"]'), "must have one class"),
    (_edited(table, "xmin", "from"), "has no columns xmin"),
    (_edited(table, "4,2,16.3,14.2", "16.3,14.2,4,2"), r"table\.csv: line 2: the box \(16.3, 14.2, 4, 2\) has no area"),
    (_edited(table, "4,2,16.3,14.2", "4,2,x,14"), "line 2: the edges must be finite numbers"),
    (_edited(coco, "[4.0, 2.0, 16.3, 2.0, 4.0, 14.2]", "[4.0, 2.0]"), "x and y of three or more corners"),
    (_edited(coco_runs, "[20, 40]", "[20, 41]"), "do not fill its size"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "message"), BAD, ids=range(len(BAD)))
def test_wrong_entries_are_refused_with_their_place(
    photos: Path, spoil: Callable[[Path], Path], message: str
) -> None:
    with pytest.raises(mpscnn.ParameterError, match=message):
        read_objects(photos, spoil(photos.parent))


def test_boxes_are_no_masks(photos: Path) -> None:
    with pytest.raises(mpscnn.ParameterError, match="the object 1 is only a box; a segmenter needs outlines"):
        read_masks(photos, table(photos.parent))
