"""Test annotations in which any one value is wrong, and values that stand for far more than their bytes."""

from __future__ import annotations

import contextlib
import json
import re
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from training.test_annotation_tools import HEIGHT, OUTLINES, WIDTH, table

import mpscnn
from mpscnn.training.label_table import TableTask, read_label_table
from mpscnn.training.scenes.masks import read_outlines
from mpscnn.training.scenes.shapes import Shape, bitmap, drawn
from mpscnn.training.scenes.source import read_objects

#: Values of other kinds than a file has at a place.
VALUES = (
    None, True, -5, 0.5, 10**12, 10**30, 1e300, "", "text", "1e300", "http://[",
    [], [1], [None], [[]], [[1]], {}, {"a": 1},
)  # fmt: skip
TEXTS = ("", "-1", "0.5", "1e24", "9" * 19, "9" * 30, "1e300", "text", '"', "nan")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "p").mkdir()
    for name in "ab":
        Image.new("RGB", (WIDTH, HEIGHT), "gray").save(tmp_path / f"p/{name}.png")
    return tmp_path / "p"


def create_ml(folder: Path) -> Path:
    box = {"label": "cat", "coordinates": {"x": 5, "y": 5, "width": 4, "height": 4}}
    (folder / "createml.json").write_text(json.dumps([{"image": "a.png", "annotations": [box]}]))
    return folder / "createml.json"


def voc(folder: Path) -> Path:
    (folder / "voc").mkdir()
    box = "".join(f"<{edge}>{n}</{edge}>" for n, edge in enumerate(("xmin", "ymin", "xmax", "ymax"), start=3))
    (folder / "voc/a.xml").write_text(
        f"<annotation><filename>a.png</filename><size><width>{WIDTH}</width><height>{HEIGHT}</height></size>"
        f"<object><name>cat</name><difficult>0</difficult><bndbox>{box}</bndbox></object></annotation>"
    )
    return folder / "voc"


def tags(folder: Path) -> Path:
    (folder / "tags.csv").write_text("photo,weight (kg)\na.png,1\nb.png,2\n")
    return folder / "tags.csv"


def spoiled(content: str, *, is_json: bool) -> Iterator[str]:
    """Yield the text of a file with another value at each place, one at a time."""
    if not is_json:
        places = [found.span() for found in re.finditer(r"[\w.()-]+", content)]
        for begin, end in places:
            yield from (content[:begin] + one + content[end:] for one in TEXTS)
        return
    whole = json.loads(content)

    def walk(value: Any, put: Callable[[Any], None]) -> Iterator[str]:
        for one in VALUES:
            put(one)
            yield json.dumps(whole)
        put(value)
        for key in (
            [*value] if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        ):
            yield from walk(value[key], lambda one, key=key: value.__setitem__(key, one))

    for key in [*whole] if isinstance(whole, dict) else range(len(whole)):
        yield from walk(whole[key], lambda one, key=key: whole.__setitem__(key, one))


def read_all(photos: Path, annotations: Path) -> None:
    """Read annotations for detectors and for segmenters, and draw the masks."""
    if annotations.name == "tags.csv":
        read_label_table(annotations, photos, "number")
        return
    read_objects(photos, annotations)
    draw_all(photos, annotations)


def draw_all(photos: Path, annotations: Path) -> None:
    for photo in read_outlines(photos, annotations).photos:
        photo.numbers((WIDTH, HEIGHT))


def error_of(read: Callable[..., None], *given: Path) -> Exception | None:
    try:
        read(*given)
    except Exception as error:
        return error
    return None


@pytest.mark.parametrize("write", [*OUTLINES, create_ml, voc, table, tags])
def test_a_wrong_value_anywhere_has_a_clear_error(photos: Path, write: Callable[[Path], Path]) -> None:
    """The file is read, or an error of mpscnn names it. Takes a second for each of the larger formats."""
    annotations = write(photos.parent)
    files = (
        [path for path in annotations.rglob("*") if path.is_file()] if annotations.is_dir() else [annotations]
    )
    count = 0
    for file in files:
        whole = file.read_text()
        for content in spoiled(whole, is_json=file.suffix == ".json"):
            file.write_text(content)
            count += 1
            error = error_of(read_all, photos, annotations)
            assert error is None or (isinstance(error, mpscnn.Error) and str(photos.parent) in str(error)), (
                content,
                error,
            )
        file.write_text(whole)
    assert count > 40


def runs_of_coco(folder: Path, runs: Any, size: Any) -> Path:
    entry = {
        "image_id": 0,
        "category_id": 1,
        "bbox": [1, 1, 5, 5],
        "segmentation": {"size": size, "counts": runs},
    }
    content = {
        "images": [{"id": 0, "file_name": "a.png", "width": WIDTH, "height": HEIGHT}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [entry] * 3,
    }
    (folder / "coco.json").write_text(json.dumps(content))
    return folder / "coco.json"


def mask_of_cvat(folder: Path, runs: str, size: tuple[int, int], left: str = "0") -> Path:
    mask = f"<mask label='cat' rle='{runs}' left='{left}' top='0' width='{size[0]}' height='{size[1]}'/>"
    (folder / "a.xml").write_text(f"<annotations><image name='a.png'>{mask * 3}</image></annotations>")
    return folder / "a.xml"


LARGE = [
    lambda folder: runs_of_coco(folder, [10**12], [HEIGHT, WIDTH]),
    lambda folder: runs_of_coco(folder, [2**80], [HEIGHT, WIDTH]),
    lambda folder: runs_of_coco(folder, "PPPPPPPPPP1", [HEIGHT, WIDTH]),
    lambda folder: runs_of_coco(folder, [1, 2**28 - 1], [1 << 14, 1 << 14]),
    lambda folder: runs_of_coco(folder, [2**40], [1 << 20, 1 << 20]),
    lambda folder: mask_of_cvat(folder, f"0,{2**28}", (1 << 14, 1 << 14)),
    lambda folder: mask_of_cvat(folder, "0,4", (-2, -2)),
    lambda folder: mask_of_cvat(folder, "1,3", (2, 2), "1e300"),
]


@pytest.mark.parametrize("write", LARGE, ids=range(len(LARGE)))
def test_masks_take_no_memory_for_pixels_that_a_photo_lacks(
    photos: Path, write: Callable[[Path], Path]
) -> None:
    path = write(photos.parent)
    read_objects(photos, table(photos.parent))  # imports modules
    tracemalloc.start()
    with pytest.raises(mpscnn.ParameterError, match=re.escape(str(path))):
        draw_all(photos, path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


@pytest.mark.parametrize("by_columns", [False, True])
def test_the_edges_of_runs_are_those_of_their_pixels(by_columns: bool) -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        height, width = random.integers(1, 7, 2).tolist()
        cuts = np.sort(random.integers(0, height * width + 1, 4))
        found = bitmap(
            2, 3, (height, width), np.diff([0, *cuts, height * width]).tolist(), by_columns=by_columns
        )
        pixels = found.pixels()
        assert pixels.shape == (height, width)
        rows, columns = (np.flatnonzero(pixels.any(axis=axis)) for axis in (1, 0))
        wanted = (2, 3, 2, 3)
        if rows.size:
            wanted = (2 + columns[0], 3 + rows[0], 3 + columns[-1], 4 + rows[-1])
        assert found.edges() == wanted
        mask = drawn([Shape(bitmap=found)], [5], (5, 6), (1, 1))
        on_photo = np.zeros((20, 20), bool)
        on_photo[3 : 3 + height, 2 : 2 + width] = pixels
        np.testing.assert_array_equal(mask == 5, on_photo[:6, :5])


SLOW: list[tuple[TableTask, str]] = [
    ("number", f"photo,a{' ' * 60_000}(\na.png,1\nb.png,2\n"),
    ("number", f"photo,{'a (' * 20_000}\na.png,1\nb.png,2\n"),
    ("number", "photo,a\n" + f"a{chr(0x301) * 30_000}{chr(0x327) * 30_000},1\n"),
    ("tags", "photo,tags\na.png," + ";".join(f"{i:x}" for i in range(9_900)) + "\n"),
    ("tags", "photo,tags\na.png," + ";".join(f"{i:x}" for i in range(30_000)) + "\n"),
    ("tags", 'photo,tags\na.png,"' + "a,\n" * 60_000),
    ("keypoints", f"photo,{'_x' * 30_000},{'_y' * 30_000}\na.png,1,2\n"),
]


@pytest.mark.parametrize(("task", "content"), SLOW, ids=range(len(SLOW)))
def test_tables_cost_what_their_bytes_cost(photos: Path, task: TableTask, content: str) -> None:
    """Each took seconds or raised an error of the module csv, and takes some hundredths of a second."""
    path = photos.parent / "t.csv"
    path.write_text(content)
    begun = time.process_time()
    with contextlib.suppress(mpscnn.ParameterError):
        read_label_table(path, photos, task)
    assert time.process_time() - begun < 1


def test_a_cell_without_an_end_is_refused_with_its_line(photos: Path) -> None:
    path = photos.parent / "t.csv"
    path.write_text('filename,class,xmin,ymin,xmax,ymax\na.png,"' + "a,\n" * 60_000)
    with pytest.raises(mpscnn.ParameterError, match=r"t\.csv: line \d+: field larger"):
        read_objects(photos, path)
