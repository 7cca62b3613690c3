"""Test the padding of transposed convolutions whose result has a stated size, for all small windows."""

from __future__ import annotations

from itertools import product

from mpscnn.converters.transposed_window import crop, left_out


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
