"""Draw photos for validation with the truth beside what a trained detector or segmenter finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mpscnn.model import Model
from mpscnn.training.scenes.photos import MaskPhotos, ObjectPhotos, opened_with_mask
from mpscnn.training.scenes.training import SceneTraining
from mpscnn.vision.box import Box
from mpscnn.vision.box_drawing import draw_boxes
from mpscnn.vision.found_object import Detection
from mpscnn.vision.segmentation import Segmentation
from mpscnn.vision.visualize import upright_picture

if TYPE_CHECKING:
    from PIL import Image as PillowImage

_MAX_PHOTOS = 6
_SIDE = 320  # the longest side of a picture
_GAP = 8


def example_pictures(training: SceneTraining) -> PillowImage.Image:
    """Return a picture with a row for each of the first photos for validation: the truth, and what is found."""
    from PIL import Image

    model: Any = Model(training.result, device="cpu")
    photos, labels = training.task.validation, training.labels
    pairs = [_pair(model, photos, number, labels) for number in range(min(len(photos), _MAX_PHOTOS))]
    for pair in pairs:
        for picture in pair:
            picture.thumbnail((_SIDE, _SIDE))
    width = max(first.width for first, _ in pairs)
    heights = [max(first.height, second.height) + _GAP for first, second in pairs]
    sheet = Image.new("RGB", (2 * width + _GAP, sum(heights)), "white")
    for (first, second), top in zip(pairs, np.cumsum([0, *heights[:-1]]).tolist(), strict=True):
        sheet.paste(first, (0, top))
        sheet.paste(second, (width + _GAP, top))
    return sheet


def _pair(
    model: Any, photos: Any, number: int, labels: list[str]
) -> tuple[PillowImage.Image, PillowImage.Image]:
    """Return a photo with its true objects or classes, and with those that the model finds."""
    if isinstance(photos, ObjectPhotos):
        labelled = photos.objects.photos[number]
        picture = upright_picture(labelled.path)
        true = [
            Detection(labels[index], 1.0, Box(*box), index)
            for box, index in zip(
                labelled.boxes_in_pixels(picture.size).tolist(), labelled.classes.tolist(), strict=True
            )
        ]
        return draw_boxes(picture, tuple(true)), model.detect(labelled.path).draw()
    assert isinstance(photos, MaskPhotos)
    masked = photos.masked.photos[number]
    _, mask = opened_with_mask(masked)
    truth = Segmentation(mask, tuple(labels), "", "", "", 0.0, photo=masked.path)
    return truth.draw(), model.segment(masked.path).draw()
