"""Rotate a photo, and mix it with another one, as augmentation."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Mixing", "mix", "rotate"]

Mixing = Literal["mixup", "cutmix"]
#: Both parameters of the beta distribution from which mixup draws the share of a photo (Zhang et al. 2018, ImageNet).
_MIXUP_BETA = 0.2


def rotate(view: NDArray[np.float32], degrees: float) -> NDArray[np.float32]:
    """Return an image (height, width, channels) rotated about its centre, counterclockwise.

    Pixels are interpolated linearly. Beyond the edges, the pixels of the edges are repeated.
    """
    height, width = view.shape[:2]
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    rows -= (height - 1) / 2
    columns -= (width - 1) / 2
    y = np.clip(cosine * rows + sine * columns + (height - 1) / 2, 0, height - 1)
    x = np.clip(cosine * columns - sine * rows + (width - 1) / 2, 0, width - 1)
    top, left = y.astype(np.intp), x.astype(np.intp)
    bottom, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    down, along = (y - top)[..., None], (x - left)[..., None]
    upper = view[top, left] * (1 - along) + view[top, right] * along
    lower = view[bottom, left] * (1 - along) + view[bottom, right] * along
    return np.asarray(upper * (1 - down) + lower * down, np.float32)


def mix(
    view: NDArray[np.float32], other: NDArray[np.float32], kind: Mixing, random: np.random.Generator
) -> float:
    """Mix another image of the same shape into an image, in place. Return the share of the first one.

    Args:
        view: the image that is changed, (height, width, channels).
        other: the other image.
        kind: "mixup": the images are added with a random share each (Zhang et al. 2018). "cutmix": a random rectangle
            of the other image replaces that of the first one (Yun et al. 2019).
        random: the generator of the share and the place.
    """
    if kind == "mixup":
        share = float(random.beta(_MIXUP_BETA, _MIXUP_BETA))
        view *= np.float32(share)
        view += np.float32(1 - share) * other
        return share
    height, width = view.shape[:2]
    side = math.sqrt(1 - float(random.random()))
    rows, columns = round(side * height), round(side * width)
    top, left = int(random.integers(0, height - rows + 1)), int(random.integers(0, width - columns + 1))
    view[top : top + rows, left : left + columns] = other[top : top + rows, left : left + columns]
    return float(1 - rows * columns / (height * width))
