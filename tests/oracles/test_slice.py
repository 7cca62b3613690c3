"""Parts of images, against PyTorch's and Python's slices."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import seeds, values

import mpscnn

SHAPE = (9, 8, 21)


@st.composite
def slices(draw: st.DrawFn, extent: int, steps: int) -> slice:
    """One that leaves something."""
    begin = draw(st.integers(0, extent - 1))
    end = draw(st.integers(begin + 1, extent))
    return slice(
        draw(st.sampled_from([begin, begin - extent])),
        draw(st.sampled_from([end, end - extent] if end < extent else [end, None])),
        draw(st.integers(1, steps)),
    )


@given(slices(SHAPE[0], 3), slices(SHAPE[1], 3), slices(SHAPE[2], 1), seeds)
def test_torch(rows: slice, columns: slice, channels: slice, seed: int) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    network = mpscnn.Network(input=SHAPE)
    network.output(network.slice(network.input, rows=rows, columns=columns, channels=channels))
    x = values(seed, (2, *SHAPE))
    expected = torch.from_numpy(x)[:, rows, columns, channels].numpy()
    np.testing.assert_array_equal(network.compile(precision="float32").session(threads=1).run(x), expected)


@given(st.integers(1, 3), st.integers(1, 4), seeds)
def test_torch_split_and_flip(axis: int, parts: int, seed: int) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    network = mpscnn.Network(input=(12, 12, 12))
    sizes = [12 // parts] * (parts - 1) + [12 - 12 // parts * (parts - 1)]
    backward = {("rows", "columns", "channels")[axis - 1]: slice(None, None, -1)}
    for tensor in network.split(network.slice(network.input, **backward), sizes, axis=axis):  # type: ignore[arg-type]
        network.output(tensor)
    x = values(seed, (2, 12, 12, 12))
    results = network.compile(precision="float32").session(threads=1).run(x)
    found = list(results.values()) if isinstance(results, dict) else [results]
    expected = torch.split(torch.flip(torch.from_numpy(x), [axis]), sizes, dim=axis)
    for result, right in zip(found, expected, strict=True):
        np.testing.assert_array_equal(result, right.numpy())
