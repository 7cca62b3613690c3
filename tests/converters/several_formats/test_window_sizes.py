"""Test padding and numbers of windows for all small windows."""

from __future__ import annotations

from itertools import product

import pytest

from mpscnn.converters.values.window_sizes import count_of_caffe, crop, left_out, same_padding
from mpscnn.errors import UnsupportedError


def test_the_result_has_the_stated_size() -> None:
    for side, stride, reach, size in product(range(1, 5), range(1, 4), range(1, 6), range(1, 14)):
        for first, more_first in ((None, False), (None, True), (0, False), (2, False)):
            before, after, added = crop(
                left_out(side, stride, reach, size), first=first, more_first=more_first
            )
            assert (side - 1) * stride + reach - before - after + added == size
            assert min(before, after, added) >= 0
            assert 0 in (after, added)
            assert first in (None, before)
            if first is None and not added:
                assert before - after in ((0, 1) if more_first else (0, -1))


def test_windows_of_same_padding_begin_at_each_stride() -> None:
    for size, stride, reach in product(range(1, 10), range(1, 4), range(1, 8)):
        before, after = same_padding(size, stride, reach)
        assert (size + before + after - reach) // stride + 1 >= -(-size // stride)
        assert before + after == 0 or (size + before + after - reach) / stride + 1 == -(-size // stride)
        assert after - before in (0, 1)
        assert same_padding(size, stride, reach, more_first=True) == (after, before)


def test_no_window_of_caffe_lies_in_the_padding() -> None:
    """Each window begins before the end of the image and its first padding, and one more would not, or end later."""
    for size, stride, taps, pad in product(range(1, 10), range(1, 4), range(1, 6), range(3)):
        if taps > size + 2 * pad or pad >= taps:
            continue
        for upwards in (False, True):
            try:
                count = count_of_caffe(size, stride, taps, pad, upwards=upwards, padded=pad > 0)
            except UnsupportedError:
                continue
            last = (count - 1) * stride
            assert last < size + pad
            ends_late = last + taps > size + 2 * pad
            assert not ends_late or upwards
            assert last + stride + taps > size + 2 * pad or last + stride >= size + pad


def test_a_last_window_outside_of_the_image_is_refused() -> None:
    assert count_of_caffe(3, 2, 2, 0, upwards=True, padded=False) == 2
    with pytest.raises(UnsupportedError, match="its last window lies outside of the image"):
        count_of_caffe(3, 3, 1, 0, upwards=True, padded=False)
