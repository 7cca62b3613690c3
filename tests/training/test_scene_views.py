"""Test random views of photos with objects and masks: boxes and classes stay with the pixels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from training.labelled_scenes import HEIGHT, WIDTH, Scenes, write_scenes

from mpscnn import ParameterError, SceneAugmentation
from mpscnn.training.scenes.masks import read_masks
from mpscnn.training.scenes.photos import MaskPhotos, ObjectPhotos
from mpscnn.training.scenes.source import read_objects

SIZE = (80, 120)
#: Without changes of light, so that the colours tell the objects.
MOVES = SceneAugmentation(brightness=0, contrast=0, saturation=0)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Scenes:
    return write_scenes(tmp_path_factory.mktemp("scenes"), 12)


def objects(scenes: Scenes, place: Path | None = None, **options: Any) -> ObjectPhotos:
    return ObjectPhotos(read_objects(scenes.photos, place or scenes.coco), SIZE, "tensorflow", **options)


def bright_share(image: Any, box: Any, kind: int) -> float:
    """Return the share of a box's pixels that have the colour of a class."""
    left, top, right, bottom = (np.asarray(box) * (SIZE[::-1] * 2)).round().astype(int)
    part = image[top + 2 : bottom - 2, left + 2 : right - 2]
    return float((part[..., 1 - kind] > 0.5).mean())


@pytest.mark.parametrize("augmentation", [None, MOVES])
def test_boxes_enclose_their_objects(scenes: Scenes, augmentation: SceneAugmentation | None) -> None:
    data, seen = objects(scenes, augmentation=augmentation, seed=3), 0
    for epoch in range(4):
        for images, labels in data.batches(5, epoch=epoch):
            for image, one in zip(images, labels, strict=True):
                assert len(one["boxes"]) == len(one["classes"])
                seen += len(one["boxes"])
                for box, kind in zip(one["boxes"], one["classes"], strict=True):
                    assert bright_share(image, box, int(kind)) > 0.95
                # No object is visible outside of the boxes, except for small parts at an edge of the view.
                covered = np.zeros(SIZE, bool)
                for left, top, right, bottom in np.asarray(one["boxes"]) * (SIZE[::-1] * 2):
                    covered[int(top) : int(np.ceil(bottom)) + 1, int(left) : int(np.ceil(right)) + 1] = True
                assert ((image[..., :2].max(-1) > 0.5) & ~covered).mean() < 0.01
    assert seen > 40


def test_masks_stay_with_their_pixels(scenes: Scenes) -> None:
    masked = read_masks(scenes.photos, scenes.masks)
    for augmentation in (None, MOVES):
        data = MaskPhotos(masked, SIZE, "tensorflow", augmentation=augmentation, seed=1, output_size=(40, 60))
        for images, classes, weights in data.batches(6, epoch=0):
            assert classes.shape == weights.shape == (len(images), 40, 60)
            points = images[:, 1::2, 1::2]
            bright = points[..., 1] > 0.5, points[..., 0] > 0.5
            for kind in (1, 2):
                same = (classes == kind) == bright[kind - 1]
                assert same[weights > 0].mean() > 0.96
            if augmentation is None:
                assert (weights == 0).sum() == len(images)  # the first pixel of each mask is ignored


def test_an_epoch_depends_on_the_seed_alone(scenes: Scenes) -> None:
    def first(**options: Any) -> Any:
        return next(objects(scenes, augmentation=SceneAugmentation(), **options).batches(4, epoch=1))[0]

    np.testing.assert_array_equal(first(seed=5, threads=1), first(seed=5, threads=3))
    assert (first(seed=5) != first(seed=6)).any()
    assert len(objects(scenes)) == 12
    [(later, _)] = objects(scenes, seed=5).batches(4, epoch=1, first=2)
    np.testing.assert_array_equal(later, list(objects(scenes, seed=5).batches(4, epoch=1))[2][0])


@pytest.mark.parametrize(
    ("orientation", "upright_labels"),
    # Below 5 the size does not change, so labels are always those of the upright photo.
    [(number, True) for number in range(1, 9)] + [(number, False) for number in range(5, 9)],
)
def test_labels_of_turned_photos(tmp_path: Path, orientation: int, upright_labels: bool) -> None:
    """The annotations say the size of the photo, and by it whether their tool turned the photo as EXIF says."""
    scenes = write_scenes(tmp_path, 2)
    path = scenes.photos / "01.png"
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = np.asarray(Image.open(path))
    if upright_labels:  # store the pixels so that turning them gives the photo
        turned = turned.swapaxes(0, 1) if orientation >= 5 else turned
        flips = {2: (1, -1), 3: (-1, -1), 4: (-1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}
        rows, columns = flips.get(orientation, (1, 1))
        if orientation in (6, 8):
            rows, columns = columns, rows
        turned = turned[::rows, ::columns]
    Image.fromarray(np.ascontiguousarray(turned)).save(path, exif=exif)
    images, labels = next(objects(scenes).batches(2))
    for box, kind in zip(labels[1]["boxes"], labels[1]["classes"], strict=True):
        assert bright_share(images[1], box, int(kind)) > 0.95


def test_sizes_that_differ(tmp_path: Path) -> None:
    scenes = write_scenes(tmp_path, 2)
    dataset = json.loads(scenes.coco.read_text("utf-8"))
    dataset["images"][0]["width"] = 61
    scenes.coco.write_text(json.dumps(dataset), "utf-8")
    with pytest.raises(
        ParameterError, match=r"images\[0\]: says that the photo has 61 x 40 pixels, but .* 60 x"
    ):
        next(objects(scenes).batches(2))
    del dataset["images"][0]["width"], dataset["images"][0]["height"]
    del dataset["images"][1]["width"], dataset["images"][1]["height"]
    dataset["annotations"][0]["bbox"] = [2, 3, 100, 10]
    scenes.coco.write_text(json.dumps(dataset), "utf-8")
    with pytest.raises(ParameterError, match=r"\(2, 3, 102, 13\) is outside of the photo .* 60 x 40 pixels"):
        next(objects(scenes).batches(2))
    Image.fromarray(np.ones((HEIGHT, WIDTH + 1), np.uint8)).save(scenes.masks / "01.png")
    data = MaskPhotos(read_masks(scenes.photos, scenes.masks), SIZE, "tensorflow", output_size=SIZE)
    with pytest.raises(ParameterError, match=r"01.png: the mask has 61 x 40 pixels, its photo .* 60 x 40"):
        next(data.batches(2))


@pytest.mark.parametrize("name", ["flip", "crop", "shrink", "aspect", "contrast"])
def test_ranges_that_are_refused(name: str) -> None:
    for value in (-1.0, 5.0, float("nan"), "a", None):
        with pytest.raises(ParameterError, match=f"augmentation: {name} must be"):
            SceneAugmentation(**{name: value})  # type: ignore[arg-type]
    assert SceneAugmentation(**{name: True}) == SceneAugmentation()
