"""Test pages with digits for training: the digits' positions, and that the seed alone decides about everything."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from project_scripts import script

import mpscnn

digit_pages = script("training", "digit_pages")
page_detector = script("training", "page_detector").page_detector
DigitPages, Page, BOX_MARGIN, PAGE_SIDE = (
    getattr(digit_pages, name) for name in ("DigitPages", "Page", "BOX_MARGIN", "PAGE_SIDE")
)

COUNT = 60


def digits() -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return ten images with one bar each, which is as high as digits of MNIST and 3 to 12 pixels wide."""
    images = np.zeros((10, 28, 28, 1), np.float32)
    for digit in range(10):
        images[digit, 4:24, 8 : 11 + digit] = 1
    return images, np.arange(10, dtype=np.uint8)


def pages(seed: int = 0, **options: bool) -> DigitPages:
    return DigitPages(*digits(), pages=COUNT, seed=seed, **options)


@pytest.fixture(scope="module")
def made() -> list[Page]:
    made = pages(views=False)
    return [made.page(number, epoch=0) for number in range(COUNT)]


def test_pages_have_digits_of_all_sizes(made: list[Page]) -> None:
    heights = np.concatenate([page.boxes[:, 3] - page.boxes[:, 1] for page in made]) * PAGE_SIDE
    assert heights.min() < 22
    assert heights.max() > 70
    assert {int(digit) for page in made for digit in page.classes} == set(range(10))
    counts = [len(page.classes) for page in made]
    assert max(counts) >= 10
    assert np.mean(counts) > 4
    for page in made:
        assert page.image.shape == (PAGE_SIDE, PAGE_SIDE)
        assert page.image.dtype == np.float32
        assert page.image.min() >= 0
        assert page.image.max() <= 1
        assert page.boxes.min(initial=0) >= 0
        assert page.boxes.max(initial=0) <= 1


def ink_of(box: NDArray[np.float32]) -> tuple[float, float, float, float]:
    """Return the edges of a box in pixels, without the margin around the digit."""
    left, top, right, bottom = (float(edge) * PAGE_SIDE for edge in box)
    margin = (bottom - top) / (1 + 2 * BOX_MARGIN) * BOX_MARGIN
    return left + margin, top + margin, right - margin, bottom - margin


def test_digits_do_not_lie_on_each_other(made: list[Page]) -> None:
    for page in made:
        inks = [ink_of(box) for box in page.boxes]
        for i, (left, top, right, bottom) in enumerate(inks):
            for other in inks[:i]:
                wide = min(right, other[2]) - max(left, other[0])
                high = min(bottom, other[3]) - max(top, other[1])
                assert wide < 0.5 or high < 0.5


def test_there_is_ink_in_the_boxes(made: list[Page]) -> None:
    """The bars fill their boxes without the margin, and are darker or lighter than the paper around them."""
    clear = total = 0
    for page in made:
        for box in page.boxes:
            left, top, right, bottom = (round(edge) for edge in ink_of(box))
            outer = [round(float(edge) * PAGE_SIDE) for edge in box]
            inside = page.image[top:bottom, left:right]
            area = page.image[outer[1] : outer[3], outer[0] : outer[2]]
            around = (area.sum() - inside.sum()) / max(area.size - inside.size, 1)
            total += 1
            clear += abs(float(inside.mean() - around)) > 0.15
    assert total > 200
    assert clear > 0.95 * total


def test_dark_and_light_papers(made: list[Page]) -> None:
    levels = [float(np.median(page.image)) for page in made]
    assert min(levels) < 0.3
    assert max(levels) > 0.7


def same(one: Page, other: Page) -> bool:
    return np.array_equal(one.image, other.image) and np.array_equal(one.boxes, other.boxes)


def test_the_seed_decides() -> None:
    first, again, other = pages(5), pages(5), pages(6)
    assert same(first.page(3, epoch=1), again.page(3, epoch=1))
    assert not same(first.page(3, epoch=1), other.page(3, epoch=1))
    assert not same(first.page(3, epoch=1), first.page(3, epoch=2))
    assert not same(first.page(3, epoch=0), first.page(3))
    assert not same(first.page(3, epoch=0), first.page(4, epoch=0))


def test_batches_have_the_pages() -> None:
    made = pages()
    batches = list(made.batches(25, epoch=2))
    assert [len(images) for images, _ in batches] == [25, 25, 10]
    images, labels = batches[1]
    page = made.page(30, epoch=2)
    assert images.shape == (25, PAGE_SIDE, PAGE_SIDE, 1)
    np.testing.assert_array_equal(images[5, ..., 0], page.image * 2 - 1)
    np.testing.assert_array_equal(labels[5]["boxes"], page.boxes)
    np.testing.assert_array_equal(labels[5]["classes"], page.classes)
    later = list(made.batches(25, epoch=2, first=1))
    np.testing.assert_array_equal(later[0][0], images)


def test_every_digit_has_an_anchor() -> None:
    """Most digits overlap at least two of the detector's anchors so much that these anchors learn the digit."""
    network = page_detector()
    assert network.detection is not None
    detector = network.detection.detector((PAGE_SIDE, PAGE_SIDE))
    made = pages()
    missed = total = 0
    for number in range(COUNT):
        page = made.page(number, epoch=0)
        for box, digit in zip(page.boxes, page.classes, strict=True):
            targets = detector.targets(box[None], [digit], columns=11, iou_threshold=0.45)
            learning = int((targets[:, 4] == 0).sum())
            total += 1
            missed += learning < 2  # each digit has at least one anchor anyway
    assert total > 200
    assert missed < 0.1 * total


def test_what_is_refused() -> None:
    images, labels = digits()
    with pytest.raises(mpscnn.ParameterError, match="pages must be at least 1, got 0"):
        DigitPages(images, labels, pages=0, seed=0)
    with pytest.raises(mpscnn.ParameterError, match="as many labels, got 10 and 9"):
        DigitPages(images, labels[:9], pages=1, seed=0)
    with pytest.raises(mpscnn.ParameterError, match="got 0 and 0"):
        DigitPages(images[:0], labels[:0], pages=1, seed=0)


def test_images_without_ink_are_left_out() -> None:
    page = DigitPages(np.zeros((3, 28, 28, 1), np.float32), np.zeros(3, np.uint8), pages=1, seed=0).page(0)
    assert page.boxes.shape == (0, 4)
    assert len(page.classes) == 0
