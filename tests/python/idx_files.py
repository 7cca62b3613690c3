"""Write IDX files for tests."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
from models.drawn_digits import draw

import mpscnn


def save_idx(path: Path, array: np.ndarray) -> Path:
    """Write an array of uint8 as a gzipped IDX file."""
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))
    return path


def write_drawn_digits(folder: Path) -> None:
    """Write files with MNIST's names: each drawn digit many times, shifted and with noise."""
    drawn = [mpscnn.preprocess(draw(digit), (28, 28), "mnist", channels=1)[0, ..., 0] for digit in range(10)]
    random = np.random.default_rng(0)
    for part, count in (("train", 640), ("t10k", 40)):
        labels = random.integers(0, 10, count).astype(np.uint8)
        pixels = np.empty((count, 28, 28), np.uint8)
        for i, label in enumerate(labels):
            moved = np.roll(drawn[label], random.integers(-2, 3, 2), (0, 1))
            pixels[i] = np.rint(np.clip(moved + random.normal(0, 0.05, moved.shape), 0, 1) * 255)
        save_idx(folder / f"{part}-images-idx3-ubyte.gz", pixels)
        save_idx(folder / f"{part}-labels-idx1-ubyte.gz", labels)
