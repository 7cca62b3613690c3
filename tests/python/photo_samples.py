"""Compare the input that a network gets from a photo with the numbers that its format defines."""

from __future__ import annotations

from typing import Any

import numpy as np

import mpscnn
from mpscnn.vision.photo import open_photo

HEIGHT, WIDTH = 7, 11


def network_input(photo: Any) -> np.ndarray[Any, Any]:
    """Return RGB from 0 to 255 (height, width, 3), as a network gets it."""
    width, height = open_photo(photo).size
    return mpscnn.preprocess(photo, (height, width), "none")[0]


def assert_input(photo: Any, expected: np.ndarray[Any, Any], tolerance: float = 2e-4) -> None:
    """Check that a network gets these numbers, gray or RGB. A step of 16 bits is 3.9e-3."""
    if expected.ndim == 2:
        expected = np.repeat(expected[..., None], 3, axis=-1)
    np.testing.assert_allclose(network_input(photo), expected, rtol=0, atol=tolerance)


def rgb_of_ycbcr(colors: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Convert full-range YCbCr to RGB (JFIF 1.02)."""
    y, blue, red = np.moveaxis(colors.astype(float), -1, 0)
    r, b = y + 1.402 * (red - 128), y + 1.772 * (blue - 128)
    return np.clip(np.stack([r, (y - 0.299 * r - 0.114 * b) / 0.587, b], -1), 0, 255)
