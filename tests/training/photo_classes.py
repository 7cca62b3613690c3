"""Make folders of small photos for tests, whose classes differ by colour."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"blue": (40, 60, 200), "green": (40, 180, 60), "red": (200, 50, 40)}


def make_photos(folder: Path, counts: Mapping[str, int], *, side: int = 40, noise: float = 30) -> Path:
    """Make a folder for each class, with `counts` noisy photos of the colour of the class."""
    random = np.random.default_rng(7)
    for label, count in counts.items():
        (folder / label).mkdir(parents=True)
        for i in range(count):
            shape = (side + i % 5, side + i % 3, 3)
            pixels = np.asarray(COLOURS[label.lower()]) + random.normal(0, noise, shape)
            picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
            picture.save(folder / label / f"{i:03}.png")
    return folder
