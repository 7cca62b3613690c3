"""Resizing against torch."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, given
from numpy.typing import NDArray
from ops.single_layer import run_layer, seeds, values
from tolerance import FLOAT32_EPS, assert_close

torch = pytest.importorskip("torch", reason="torch is not installed")

extents = st.integers(1, 12)


def interpolate(x: NDArray[np.float32], **arguments: Any) -> NDArray[np.float64]:
    planes = torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2))).double()
    return np.asarray(torch.nn.functional.interpolate(planes, **arguments).permute(0, 2, 3, 1))


def bound(x: NDArray[np.float32]) -> float:
    return 8 * FLOAT32_EPS * float(np.abs(x).max())


@given(st.tuples(extents, extents), st.tuples(extents, extents), st.booleans(), seeds)
def test_bilinear(size: tuple[int, int], target: tuple[int, int], corners: bool, seed: int) -> None:
    x = values(seed, (2, *size, 3))
    attributes = {
        "height": target[0],
        "width": target[1],
        "alignment": "corners" if corners else "half_pixel",
    }
    expected = interpolate(x, size=target, mode="bilinear", align_corners=corners)
    assert_close(run_layer("resize", [x], attributes), expected, bound(x))


@given(st.tuples(extents, extents), st.integers(1, 4), st.sampled_from(["asymmetric", "half_pixel"]), seeds)
def test_nearest(size: tuple[int, int], scale: int, alignment: str, seed: int) -> None:
    x = values(seed, (2, *size, 3))
    mode = {"asymmetric": "nearest", "half_pixel": "nearest-exact"}[alignment]
    attributes = {"kind": "nearest", "alignment": alignment, "scale_y": float(scale), "scale_x": float(scale)}
    result = run_layer("resize", [x], attributes)
    np.testing.assert_array_equal(result, interpolate(x, scale_factor=scale, mode=mode))


@given(st.tuples(extents, extents), st.sampled_from([1.25, 1.5, 2.5, 3.0]), seeds)
def test_real_scales(size: tuple[int, int], scale: float, seed: int) -> None:
    # Along an axis whose extent stays, torch copies, whatever the scale.
    assume(all(extent == 1 or int(extent * scale) > extent for extent in size))
    x = values(seed, (1, *size, 3))
    expected = interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)
    assert_close(run_layer("resize", [x], {"scale_y": scale, "scale_x": scale}), expected, bound(x))
