"""Compare the indices of StridedSlice with NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpscnn.converters.values.strided_slice import expand_indices, indices
from mpscnn.errors import UnsupportedError, WeightsError

X = np.arange(24).reshape(2, 3, 4)
# Indices of X in NumPy, with their begins, ends and strides, and the masks in the order of `MASKS`.
WRITTEN: dict[str, tuple[Any, list[list[int]], list[int]]] = {
    "plain": (np.s_[0:1, 1:3, 0:4:2], [[0, 1, 0], [1, 3, 4], [1, 1, 2]], [0, 0, 0, 0, 0]),
    "open": (np.s_[:1, 1:], [[9, 1], [1, 9], [1, 1]], [1, 2, 0, 0, 0]),
    "backwards": (np.s_[:, ::-1], [[0, 0], [0, 0], [1, -1]], [3, 3, 0, 0, 0]),
    "numbers": (np.s_[1, -1], [[1, -1], [0, 0], [1, 1]], [0, 0, 0, 0, 3]),
    "ellipsis": (np.s_[..., 1:3], [[0, 1], [0, 3], [1, 1]], [0, 0, 1, 0, 0]),
    "number behind an ellipsis": (np.s_[..., 2], [[0, 2], [0, 0], [1, 1]], [0, 0, 1, 0, 2]),
    "new axes": (np.s_[None, :, None, ..., None], [[0] * 5, [0] * 5, [1] * 5], [2, 2, 8, 21, 0]),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_indices(name: str) -> None:
    wanted, ranges, masks = WRITTEN[name]
    made = indices(ranges, masks)
    assert np.array_equal(X[tuple(made)], X[wanted])


PARTS = st.one_of(
    st.none(), st.integers(-2, 1), st.builds(slice, st.none() | st.integers(-3, 3), st.none(), st.just(1))
)


@given(st.lists(PARTS, max_size=5), st.none() | st.integers(0, 5))
def test_each_axis_has_an_index(made: list[Any], ellipsis: int | None) -> None:
    if ellipsis is not None:
        made.insert(ellipsis, Ellipsis)
    if sum(entry is not None and entry is not Ellipsis for entry in made) > X.ndim:
        with pytest.raises(WeightsError, match="of 3 axes"):
            expand_indices(made, X.ndim)
        return
    entries = expand_indices(made, X.ndim)
    assert sum(entry is not None for entry in entries) == X.ndim
    assert np.array_equal(X[tuple(entries)], X[tuple(made)])


def test_contradictions() -> None:
    with pytest.raises(WeightsError, match="differ in number"):
        indices([[0], [1, 2], [1]], [0] * 5)
    with pytest.raises(WeightsError, match="more than one ellipsis"):
        indices([[0, 0], [0, 0], [1, 1]], [0, 0, 3, 0, 0])
    with pytest.raises(UnsupportedError, match="free size"):
        indices([[None], [1], [1]], [0] * 5)
