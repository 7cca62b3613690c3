"""Nearest and bilinear resize against the float64 reference."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import precisions, run_layer, seeds, values
from reference.resize import resize
from tolerance import FLOAT32_EPS, assert_close

import mpscnn

extents = st.integers(1, 13)


@given(
    st.tuples(extents, extents, extents, extents),
    st.integers(1, 20),
    st.sampled_from(["nearest", "bilinear"]),
    st.sampled_from(["half_pixel", "corners", "asymmetric"]),
    seeds,
    precisions(),
)
def test_sizes(
    sizes: tuple[int, int, int, int], channels: int, kind: str, alignment: str, seed: int, precision: str
) -> None:
    height, width, out_height, out_width = sizes
    x = values(seed, (2, height, width, channels), precision=precision)
    attributes: dict[str, Any] = {
        "kind": kind,
        "alignment": alignment,
        "height": out_height,
        "width": out_width,
    }
    reference = resize(x, out_height, out_width, kind, alignment)
    # Fractions are rounded to float32 too, so the error scales with the values that are mixed.
    bound = 0.0 if kind == "nearest" else 8 * FLOAT32_EPS * float(np.abs(x).max())
    half = precision == "float16" and kind == "bilinear"
    assert_close(run_layer("resize", [x], attributes, precision=precision), reference, bound, half=half)


@pytest.mark.parametrize("kind", ["nearest", "bilinear"])
def test_scale_follows_the_input(kind: str) -> None:
    network = mpscnn.Network(input=(None, None, 3))
    network.output(network.resize(network.input, scale=(2, 3), method=kind))
    session = network.compile(precision="float32").session()
    for height, width in ((2, 3), (5, 4)):
        x = values(0, (1, height, width, 3))
        reference = resize(x, 2 * height, 3 * width, kind, "half_pixel")
        np.testing.assert_allclose(session.run(x), reference, rtol=1e-5, atol=1e-6)


def test_nan_stays_local() -> None:
    x = np.zeros((1, 4, 4, 1), np.float32)
    x[0, 0, 0, 0] = np.nan
    result = run_layer("resize", [x], {"height": 8, "width": 8})
    assert np.isnan(result[0, 0, 0, 0])
    assert np.isfinite(result[0, 4:, 4:]).all()


def test_contradictions_are_refused() -> None:
    network = mpscnn.Network(input=(4, 4, 3))
    with pytest.raises(mpscnn.ParameterError, match="scale_y must be 1 when height is given"):
        network.resize(network.input, (8, 8), scale=2)


@pytest.mark.parametrize("size", [4, None])
def test_sizes_beyond_all_memory_are_refused(size: int | None) -> None:
    network = mpscnn.Network(input=(size, size, 1))
    enormous = {"scale_y": 1 << 24, "scale_x": 1 << 24}

    def use_two() -> None:
        x = network.layer("resize", [network.input], enormous)
        network.output(network.layer("resize", [x], enormous, name="second"))
        network.compile(device="cpu").output_shapes((1, 4, 4, 1))

    with pytest.raises(
        mpscnn.ShapeError, match=r"layer 'second': resize: .* an extent is at most 2147483647"
    ):
        use_two()


@pytest.mark.parametrize("batch", [1, 1 << 30])
def test_inputs_beyond_all_memory_are_refused(batch: int) -> None:
    network = mpscnn.Network(input=(1 << 24, 1 << 24, 1 if batch > 1 else 1 << 24))
    network.output(network.global_max_pool2d(network.input))
    with pytest.raises(mpscnn.ShapeError, match="has too many elements"):
        network.compile(device="cpu").output_shapes((batch, *network.input.shape[1:]))


def test_memory_that_there_is_not_is_an_error() -> None:
    network = mpscnn.Network(input=(4, 4, 1))
    network.output(network.layer("resize", [network.input], {"scale_y": 1 << 24, "scale_x": 1 << 24}))
    session = network.compile(device="cpu").session()
    x = np.zeros((1, 4, 4, 1), np.float32)
    with pytest.raises(MemoryError, match="cannot be allocated"):
        session.run(x, out=np.zeros(1, np.float32))
