"""Gradients of resizes against the float64 reference and PyTorch."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import run_training, seeds, values
from reference.resize_gradient import resize_gradient
from tolerance import FLOAT32_EPS

import mpscnn

extents = st.integers(1, 9)
roundings = st.sampled_from(["by_alignment", "floor", "ceil", "round_prefer_floor", "round_prefer_ceil"])


def check(sizes: tuple[int, int, int, int], channels: int, attributes: dict[str, Any], seed: int) -> None:
    height, width, out_height, out_width = sizes
    x = np.zeros((2, height, width, channels), np.float32)
    gradient = values(seed, (2, out_height, out_width, channels))
    attributes = attributes | {"height": out_height, "width": out_width}
    result = run_training("resize_gradient", [gradient, x], attributes, threads=1 + seed % 3)
    expected = resize_gradient(gradient, x.shape, attributes)
    # Positions and weights are rounded, and each sum has a term for each result that reads the pixel.
    magnitude = resize_gradient(np.abs(gradient), x.shape, attributes)
    bound = 8 * FLOAT32_EPS * (magnitude + np.abs(gradient).sum())
    assert (np.abs(result - expected) <= bound).all()


@given(
    st.tuples(extents, extents, extents, extents),
    st.integers(1, 40),
    st.sampled_from(["nearest", "bilinear"]),
    st.sampled_from(["half_pixel", "corners", "asymmetric", "pytorch_half_pixel"]),
    roundings,
    seeds,
)
def test_sizes(
    sizes: tuple[int, int, int, int], channels: int, kind: str, alignment: str, rounding: str, seed: int
) -> None:
    check(sizes, channels, {"kind": kind, "alignment": alignment, "rounding": rounding}, seed)


@given(
    st.tuples(extents, extents, extents, extents),
    st.sampled_from(["nearest", "bilinear"]),
    st.sampled_from(["half_pixel", "asymmetric"]),
    st.tuples(*[st.sampled_from([0.0, 0.5, 1.0, 2.0, 2.5])] * 2),
    st.tuples(*[st.integers(-40, 40).map(lambda n: n / 8)] * 2),
    st.sampled_from(["clamp", "zero"]),
    seeds,
)
def test_placements(
    sizes: tuple[int, int, int, int],
    kind: str,
    alignment: str,
    magnification: tuple[float, float],
    offset: tuple[float, float],
    edge: str,
    seed: int,
) -> None:
    attributes: dict[str, Any] = {"kind": kind, "alignment": alignment, "edge": edge}
    attributes |= dict(zip(("magnification_y", "magnification_x"), magnification, strict=True))
    attributes |= dict(zip(("offset_y", "offset_x"), offset, strict=True))
    check(sizes, 3, attributes, seed)


@pytest.mark.parametrize("size", [(10, 14), (13, 9), (3, 4)])
@pytest.mark.parametrize(
    ("mode", "alignment", "corners"),
    [("bilinear", "half_pixel", False), ("bilinear", "corners", True), ("nearest", "asymmetric", None)],
)
def test_pytorch(mode: str, alignment: str, corners: bool | None, size: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x, gradient = values(0, (2, 5, 7, 3)), values(1, (2, *size, 3))
    argument = torch.from_numpy(x.astype(np.float64).transpose(0, 3, 1, 2)).requires_grad_()
    resized = torch.nn.functional.interpolate(argument, size, mode=mode, align_corners=corners)
    resized.backward(torch.from_numpy(gradient.astype(np.float64).transpose(0, 3, 1, 2)))
    attributes = {"kind": mode, "alignment": alignment, "height": size[0], "width": size[1]}
    result = run_training("resize_gradient", [gradient, x], attributes)
    np.testing.assert_allclose(result, argument.grad.numpy().transpose(0, 2, 3, 1), rtol=1e-4, atol=3e-6)


def test_bits_do_not_depend_on_threads() -> None:
    inputs = [values(0, (2, 65, 65, 21)), np.zeros((2, 17, 17, 21), np.float32)]
    attributes = {"height": 65, "width": 65}
    one = run_training("resize_gradient", inputs, attributes)
    for threads in (2, 3, 8):
        np.testing.assert_array_equal(
            one, run_training("resize_gradient", inputs, attributes, threads=threads)
        )


def test_other_shapes_are_refused() -> None:
    x = np.ones((2, 4, 4, 3), np.float32)
    with pytest.raises(mpscnn.ShapeError, match="input 0 must have the shape of the result"):
        run_training("resize_gradient", [x, x], {"height": 8, "width": 8})


def test_lanczos_has_no_gradient() -> None:
    x = np.ones((2, 4, 4, 3), np.float32)
    with pytest.raises(mpscnn.ParameterError, match="kind must be nearest or bilinear, got lanczos"):
        run_training("resize_gradient", [x, x], {"kind": "lanczos", "height": 4, "width": 4})
