"""Test what pictures of results and trainings show: the labels of boxes, and the axes of charts."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from PIL import Image

from mpscnn.evaluation.classifier import Evaluation
from mpscnn.training import curves
from mpscnn.training.curves import Chart, axis_steps, charts_picture
from mpscnn.vision.box import Box
from mpscnn.vision.box_drawing import draw_boxes, label_places
from mpscnn.vision.found_object import Detection

PICTURE = (400, 300)
SIZE = (90, 20)


@pytest.mark.parametrize("step", [0, 3, 12])
@pytest.mark.parametrize("corner", [(-20, -10), (100, 80), (390, 290)])
def test_labels_of_boxes_do_not_cover_each_other(corner: tuple[int, int], step: int) -> None:
    left, top = corner
    boxes = [Box(left + step * i, top + step * i, left + 150 + step * i, top + 160) for i in range(12)]
    places = label_places(boxes, [SIZE] * len(boxes), PICTURE)
    for (ax, ay), (bx, by) in itertools.combinations(places, 2):
        assert abs(ax - bx) > SIZE[0] or abs(ay - by) > SIZE[1]
    for x, y in places:
        assert 0 <= x <= PICTURE[0] - SIZE[0]
        assert 0 <= y <= PICTURE[1] - SIZE[1]


def test_a_label_is_above_its_box_if_there_is_room() -> None:
    assert label_places([Box(50, 60, 200, 200)], [SIZE], PICTURE) == [(50, 40)]
    assert label_places([Box(50, 5, 200, 200)], [SIZE], PICTURE) == [(50, 0)]
    assert label_places([Box(0, 0, 9, 9)], [(500, 400)], PICTURE) == [(0, 0)]  # larger than the picture


def test_labels_are_above_all_boxes() -> None:
    entries = [Detection("cat", 0.9, Box(10 * i, 60, 200, 200), i) for i in range(4)]
    drawn = np.asarray(draw_boxes(Image.new("RGB", PICTURE, "white"), entries))
    assert (drawn != 255).any()
    assert draw_boxes(Image.new("RGB", PICTURE), []).size == PICTURE


@pytest.mark.parametrize(
    ("top", "steps"),
    [
        (1.0, [0.2, 0.4, 0.6, 0.8]),
        (2.3, [0.5, 1.0, 1.5, 2.0]),
        (0.001, [0.0002, 0.0004, 0.0006, 0.0008]),
        (30, [10, 20]),
        (0.0, []),
        (math.inf, []),
        (math.nan, []),
    ],
)
def test_axes_have_round_numbers(top: float, steps: list[float]) -> None:
    assert axis_steps(top) == pytest.approx(steps)


def test_charts_write_the_numbers_of_their_axes(monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import ImageDraw

    texts: list[str] = []
    write = ImageDraw.ImageDraw.text

    def text(self: ImageDraw.ImageDraw, place: tuple[float, float], said: str, **options: object) -> None:
        texts.append(said)
        write(self, place, said, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", text)
    losses = [2.3 / (1 + epoch) for epoch in range(30)]
    picture = charts_picture(
        [Chart("loss", {"training": losses}, 2.3, "2.3"), Chart("mAP", {"": [0.5] * 30}, 1.0, "100%")]
    )
    assert picture.size == (curves._WIDTH, 2 * curves._HEIGHT)
    assert {"0", "0.5", "1", "1.5", "2", "2.3", "10", "20", "epoch 30"} <= {*texts}
    assert {"20%", "40%", "60%", "80%", "100%"} <= {*texts}


def test_few_classes_have_no_accuracy_of_the_first_five() -> None:
    for classes, told in ((4, "top-1 50.00%"), (6, "top-1 50.00%, top-5 100.00%")):
        confusion = np.zeros((classes, classes), np.int64)
        confusion[0, :2] = 1
        result = Evaluation(tuple(map(str, range(classes))), confusion, 2, 1.0)
        assert result.accuracy_text() == told
        assert told in repr(result)
        assert result.table().split("\n")[0].split() == ["true", "class", "0", "1"]
