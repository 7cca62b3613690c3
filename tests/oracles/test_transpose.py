"""Axes in another order, against PyTorch."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import run_layer, seeds, values


@given(st.permutations((1, 2, 3)), seeds)
def test_torch_permute(axes: list[int], seed: int) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x = values(seed, (2, 5, 18, 33))
    expected = torch.from_numpy(x).permute(0, *axes).numpy()
    np.testing.assert_array_equal(run_layer("transpose", [x], {"axes": axes}), expected)


@given(st.sampled_from([1, 2, 3, 4, 6, 12]), seeds)
def test_torch_channel_shuffle(groups: int, seed: int) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x = values(seed, (2, 5, 4, 36))
    shuffled = torch.nn.ChannelShuffle(groups)(torch.from_numpy(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    np.testing.assert_array_equal(
        run_layer("channel_shuffle", [x], {"groups": groups}), shuffled.contiguous().numpy()
    )
