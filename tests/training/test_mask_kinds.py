"""Test masks that other tools write: black and white, colours, palettes of single pictures, noise of JPEG."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import mpscnn
from mpscnn.evaluation.segmenter import SegmenterEvaluation
from mpscnn.training.scenes.masks import read_masks
from mpscnn.training.scenes.photos import opened_with_mask

SIDE = 16
NOTE = "no other numbers than 0 and 255, so 255 is the class 1"


def shapes(count: int = 4) -> list[NDArray[np.uint8]]:
    """Return masks of 0 and 1 with a rectangle each."""
    made = []
    for number in range(count):
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[number : number + 6, 2 : 8 + number] = 1
        made.append(mask)
    return made


def gray(mask: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(mask * 255)


def palette(*colors: tuple[int, int, int]) -> Callable[[NDArray[np.uint8]], Image.Image]:
    def picture(mask: NDArray[np.uint8]) -> Image.Image:
        made = Image.fromarray(mask).convert("P")  # numbers of gray become those of the palette
        made.putpalette([value for color in colors for value in color])
        return made

    return picture


def gray_ramp(mask: NDArray[np.uint8]) -> Image.Image:
    return palette(*((value, value, value) for value in range(256)))(mask * 255)


def one_bit(mask: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(mask * 255).convert("1")


def noisy(mask: NDArray[np.uint8]) -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 9, mask.shape)
    return Image.fromarray(np.where(mask > 0, 255 - noise, noise).astype(np.uint8))


def colours(mask: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(np.stack([mask * 255, mask * 0, mask * 0], -1))


def inverted(mask: NDArray[np.uint8]) -> Image.Image:
    return palette((255, 255, 255), (0, 0, 0))(1 - mask)


def adaptive(mask: NDArray[np.uint8]) -> Image.Image:
    """Return a picture whose palette begins with the colour of its first row that has one."""
    first = int(mask[:3].any())
    colors = [(0, 0, 0), (128, 0, 0)]
    return palette(*(colors[::-1] if first else colors))(mask ^ first)


def write(folder: Path, save: Callable[[NDArray[np.uint8]], Image.Image], names: str | None = None) -> None:
    for part in ("p", "m"):
        (folder / part).mkdir(parents=True)
    for number, mask in enumerate(shapes()):
        Image.fromarray(np.repeat(mask[..., None] * 200, 3, -1)).save(folder / f"p/{number}.png")
        save(mask).save(folder / f"m/{number}.png")
    if names is not None:
        (folder / "m/classes.txt").write_text(names)


def segmenter(classes: int = 2) -> mpscnn.Model:
    """Return a segmenter that finds nothing."""
    network = mpscnn.Network(input=(SIDE, SIDE, 3), name="nothing")
    network.output(network.conv2d(network.input, classes, 1, name="c"))
    bias = np.eye(classes, dtype=np.float32)[0]
    network.load_weights({"c.weight": np.zeros((classes, 1, 1, 3), np.float32), "c.bias": bias})
    names = ["background", *(f"class {number}" for number in range(1, classes))]
    return mpscnn.Model(network, preprocess="unit", labels=names)


RIGHT = {
    "numbers": (Image.fromarray, False),
    "black and white": (gray, True),
    "a palette of gray": (gray_ramp, True),
    "one bit": (one_bit, False),
    "a palette": (palette((0, 0, 0), (128, 0, 0)), False),
}


@pytest.mark.parametrize("kind", RIGHT)
@pytest.mark.parametrize("names", [None, "background\nclass 1\n"])
def test_masks_of_two_classes_in_all_forms_are_the_same(tmp_path: Path, kind: str, names: str | None) -> None:
    save, noted = RIGHT[kind]
    write(tmp_path, save, names)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        masked = read_masks(tmp_path / "p", tmp_path / "m")
        found = mpscnn.evaluate(segmenter(), tmp_path / "p", masks=tmp_path / "m")
    assert [NOTE in str(one.message) for one in caught] == [True, True] * noted
    assert masked.labels == ("background", "class 1")
    for photo, mask in zip(masked.photos, shapes(), strict=True):
        np.testing.assert_array_equal(opened_with_mask(photo)[1], mask)
    share = 1 - np.mean([mask.mean() for mask in shapes()])
    assert found.mean_iou == pytest.approx(share / 2)  # the background is found, the class 1 is not


WRONG = {
    "noise of JPEG": (noisy, r"noise of JPEG: save numpy.where\(mask > 127, 1, 0\)"),
    "colours": (colours, "is a picture of mode RGB.*Write the number of its class in place of each colour"),
    "white is 0": (inverted, "white as 0 and black as 1.*swap the numbers"),
    "own palettes": (adaptive, "a palette of its own, so its numbers are not those of classes"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_masks_that_do_not_say_their_classes_are_refused(tmp_path: Path, kind: str) -> None:
    save, message = WRONG[kind]
    write(tmp_path, save, "background\nclass 1\n")
    with pytest.raises(mpscnn.Error, match=message):
        read_masks(tmp_path / "p", tmp_path / "m")
    with pytest.raises(mpscnn.Error, match=message):
        mpscnn.evaluate(segmenter(), tmp_path / "p", masks=tmp_path / "m")


def test_black_and_white_for_more_than_two_classes_is_refused(tmp_path: Path) -> None:
    write(tmp_path, gray, "background\nclass 1\nclass 2\n")
    message = "no other numbers than 0 and 255, and there are 3 classes"
    with pytest.raises(mpscnn.ParameterError, match=message):
        read_masks(tmp_path / "p", tmp_path / "m")
    (tmp_path / "m/classes.txt").unlink()
    with pytest.raises(mpscnn.ParameterError, match=message):
        mpscnn.evaluate(segmenter(3), tmp_path / "p", masks=tmp_path / "m")


def test_255_is_ignored_beside_other_numbers(tmp_path: Path) -> None:
    write(tmp_path, lambda mask: Image.fromarray(np.where(np.eye(SIDE) > 0, 255, mask).astype(np.uint8)))
    masked = read_masks(tmp_path / "p", tmp_path / "m")
    assert set(np.unique(opened_with_mask(masked.photos[0])[1])) == {0, 1, 255}
    found = mpscnn.evaluate(segmenter(), tmp_path / "p", masks=tmp_path / "m")
    assert found.confusion.sum() == 4 * (SIDE * SIDE - SIDE)


def test_measures_over_no_pixels_are_undefined() -> None:
    nothing = np.full((SIDE, SIDE), 255, np.uint8)
    photo = np.zeros((SIDE, SIDE, 3), np.uint8)
    with pytest.raises(mpscnn.ParameterError, match="the masks ignore all pixels"):
        mpscnn.evaluate_segmenter(segmenter(), [(photo, nothing)])
    empty = SegmenterEvaluation(("a", "b"), np.zeros((2, 3), np.int64), 1, 1.0)
    assert math.isnan(empty.mean_iou)
    assert math.isnan(empty.pixel_accuracy)
    assert "mean IoU undefined" in repr(empty)
