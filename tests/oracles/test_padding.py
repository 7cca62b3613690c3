"""Borders against torch and numpy."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import run_layer, seeds, values

SIDES = ("top", "bottom", "left", "right")


@given(st.tuples(*[st.integers(0, 4)] * 4), st.sampled_from(["mirror", "clamp"]), seeds)
def test_torch(amounts: tuple[int, int, int, int], mode: str, seed: int) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x = values(seed, (2, 5, 6, 3))
    top, bottom, left, right = amounts
    planes = torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
    name = {"mirror": "reflect", "clamp": "replicate"}[mode]
    expected = torch.nn.functional.pad(planes, (left, right, top, bottom), name).permute(0, 2, 3, 1)
    result = run_layer("padding", [x], {"mode": mode, **dict(zip(SIDES, amounts, strict=True))})
    np.testing.assert_array_equal(result, expected.numpy())


@given(
    st.tuples(*[st.integers(0, 11)] * 6),
    st.sampled_from([("mirror", "reflect"), ("mirror_with_edge", "symmetric"), ("clamp", "edge")]),
    seeds,
)
def test_numpy(amounts: tuple[int, ...], mode: tuple[str, str], seed: int) -> None:
    """Channels too, and borders wider than the image."""
    x = values(seed, (1, 3, 4, 5))
    pairs = [(0, 0), *zip(amounts[::2], amounts[1::2], strict=True)]
    expected = np.pad(x, pairs, mode=mode[1])  # type: ignore[call-overload]
    attributes = dict(zip((*SIDES, "front", "back"), amounts, strict=True))
    np.testing.assert_array_equal(run_layer("padding", [x], {"mode": mode[0], **attributes}), expected)
