"""Test views of digits: they depend only on epoch and seed, stay in 0..1, and move what they should."""

from __future__ import annotations

import numpy as np

from mpscnn.training.digit_views import DigitViews, random_views

SIDE = 28


def strokes(count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return images of upright bars."""
    images = np.zeros((count, SIDE, SIDE, 1), np.float32)
    images[:, 6:22, 12:16] = 1
    return images


def test_views_are_digits_still() -> None:
    views = random_views(strokes(200), np.random.default_rng(0))
    assert views.shape == (200, SIDE, SIDE, 1)
    assert views.dtype == np.float32
    assert views.min() >= 0
    assert views.max() <= 1
    ink = views.sum((1, 2, 3))
    assert ink.min() / strokes(1).sum() > 0.3
    assert ink.max() / strokes(1).sum() < 3
    assert ink.std() > 1
    # Bars move to the left as often as to the right.
    columns = (views.sum((1, 3)) * np.arange(SIDE)).sum(1) / ink
    assert abs(columns.mean() - 13.5) < 0.3
    assert columns.std() > 0.3


def test_an_epoch_is_a_function_of_seed_and_number() -> None:
    data = DigitViews(strokes(50), np.arange(50, dtype=np.uint8) % 10, seed=1)
    first = [(x.copy(), y.copy()) for x, y in data.batches(16, epoch=0)]
    assert [len(x) for x, _ in first] == [16, 16, 16, 2]
    for (x, y), (again, labels) in zip(first[1:], data.batches(16, epoch=0, first=1), strict=True):
        np.testing.assert_array_equal(x, again)
        np.testing.assert_array_equal(y, labels)
    other = next(iter(data.batches(16, epoch=1)))
    assert not np.array_equal(first[0][0], other[0])
    plain = next(iter(data.batches(16)))
    np.testing.assert_array_equal(plain[0], strokes(16))
    assert plain[1].tolist() == [*range(10), *range(6)]
