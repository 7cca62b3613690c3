"""Photos with tables of labels for tests: red above, blue below, or both, and a weight that follows from them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

#: Options of trainings that take less than a second.
SMALL: dict[str, Any] = {
    "epochs": 2,
    "batch_size": 8,
    "trained_layers": 3,
    "views": 2,
    "threads": 1,
    "seed": 1,
    "progress": False,
}


def write_table(path: Path, *rows: Sequence[object]) -> Path:
    """Write a CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def make_labelled_photos(folder: Path, count: int = 40) -> list[tuple[str, int, int]]:
    """Make photos of 40 x 40 pixels. Return the name of each, and whether it has red and blue."""
    random = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for number in range(count):
        red, blue = random.integers(0, 2, 2).tolist()
        pixels = np.full((40, 40, 3), 60.0)
        pixels[:20, :, 0] += 160 * red
        pixels[20:, :, 2] += 160 * blue
        pixels = np.clip(pixels + random.normal(0, 10, pixels.shape), 0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number:02}.png")
        made.append((f"{number:02}.png", red, blue))
    return made
