"""Gradients of poolings against the float64 reference and PyTorch."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray
from ops.single_layer import run_training, seeds, values, windows
from ops.test_pooling import KINDS, every_window_touches
from reference.pooling import pooling
from reference.pooling_gradient import pooling_gradient

import mpscnn


def check(x: NDArray[np.float32], attributes: dict[str, Any], seed: int) -> None:
    result = pooling(x, attributes).astype(np.float32)
    gradient = values(seed + 1, result.shape)
    expected = pooling_gradient(gradient, x, result, attributes)
    positive = np.abs(x) if attributes["kind"] == "l2_norm" else x
    magnitude = pooling_gradient(np.abs(gradient), positive, result, attributes)  # without cancellation
    given_back = run_training("pooling_gradient", [gradient, x, result], attributes, threads=1 + seed % 3)
    assert (np.abs(given_back - expected) <= 1e-6 * magnitude + 1e-37).all()


@given(st.data(), seeds, st.sampled_from(KINDS), st.booleans())
def test_windows(data: st.DataObject, seed: int, kind: str, ties: bool) -> None:
    batch, height, width = data.draw(st.tuples(st.integers(1, 2), st.integers(1, 11), st.integers(1, 11)))
    x = values(seed, (batch, height, width, data.draw(st.integers(1, 37))))
    attributes = data.draw(windows(height, width)) | {"kind": kind}
    if not every_window_touches(attributes, height, width):
        return
    if kind == "average":
        attributes["count_padding"] = data.draw(st.booleans())
        if not attributes["count_padding"]:
            attributes |= {side: data.draw(st.integers(0, 3)) for side in ("zero_pad_y", "zero_pad_x")}
    check(np.round(x) if ties else x, attributes, seed)


@given(st.data(), seeds, st.sampled_from(KINDS), st.sampled_from(["zero", "clamp"]), st.booleans())
def test_edges(data: st.DataObject, seed: int, kind: str, edge: str, ties: bool) -> None:
    """Windows anywhere, wholly outside the image too."""
    height, width = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    x = values(seed, (2, height, width, data.draw(st.integers(1, 19))))
    attributes: dict[str, Any] = {"kind": kind, "edge": edge, "padding": "explicit"}
    axes = (("height", "y", "top", "bottom", height), ("width", "x", "left", "right", width))
    for side, suffix, before, after, size in axes:
        kernel, dilation = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
        outputs, reach = data.draw(st.integers(1, 6)), (kernel - 1) * dilation + 1
        stride, first = data.draw(st.integers(1, 3)), data.draw(st.integers(-reach - 3, size))
        attributes |= {f"kernel_{side}": kernel, f"dilation_{suffix}": dilation, f"stride_{suffix}": stride}
        attributes |= {f"pad_{before}": -first, f"pad_{after}": first + (outputs - 1) * stride + reach - size}
    check(np.round(x) if ties else x, attributes, seed)


@given(
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 13),
    st.integers(1, 13),
    seeds,
    st.sampled_from(KINDS),
)
def test_windows_side_by_side(
    kernel_height: int, kernel_width: int, height: int, width: int, seed: int, kind: str
) -> None:
    """Which store what they give, with pixels left over or windows that hang over the border."""
    fits = kernel_height <= height and kernel_width <= width
    attributes = {
        "kind": kind,
        "kernel_height": kernel_height,
        "kernel_width": kernel_width,
        "stride_y": kernel_height,
        "stride_x": kernel_width,
        "ceil_mode": bool(seed % 2) or not fits,
    }
    check(np.round(values(seed, (2, height, width, 1 + seed % 70))), attributes, seed)


@given(st.integers(1, 15), st.integers(1, 15), st.integers(1, 70), seeds, st.sampled_from(KINDS))
def test_global(height: int, width: int, channels: int, seed: int, kind: str) -> None:
    check(values(seed, (2, height, width, channels)), {"kind": kind, "global": True}, seed)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"), [(2, 2, 0, 1), (3, 2, 1, 1), (3, 1, 1, 2), (3, 3, 0, 1)]
)
@pytest.mark.parametrize("kind", KINDS)
def test_pytorch(kind: str, kernel: int, stride: int, padding: int, dilation: int) -> None:
    """Ties too, which whole numbers have."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    if kind == "l2_norm" and padding > 0:
        padding, dilation = 0, 1
    x = np.round(values(0, (2, 11, 13, 5), scale=2.0)) + (0.5 if kind == "l2_norm" else 0)
    argument = torch.from_numpy(x.astype(np.float64).transpose(0, 3, 1, 2)).requires_grad_()
    functional = torch.nn.functional
    if kind == "max":
        result = functional.max_pool2d(argument, kernel, stride, padding, dilation)
    elif kind == "average":
        dilation = 1
        result = functional.avg_pool2d(argument, kernel, stride, padding)
    else:
        result = functional.lp_pool2d(argument, 2, kernel, stride)
    gradient = values(1, tuple(result.permute(0, 2, 3, 1).shape))
    result.backward(torch.from_numpy(gradient.astype(np.float64).transpose(0, 3, 1, 2)))
    attributes: dict[str, Any] = {"kind": kind, "padding": "explicit", "count_padding": kind == "average"}
    attributes |= {"kernel_height": kernel, "kernel_width": kernel, "stride_y": stride, "stride_x": stride}
    attributes |= {"dilation_y": dilation, "dilation_x": dilation}
    attributes |= {f"pad_{side}": padding for side in ("top", "bottom", "left", "right")}
    inputs = [
        gradient,
        x.astype(np.float32),
        result.detach().numpy().transpose(0, 2, 3, 1).astype(np.float32),
    ]
    given_back = run_training("pooling_gradient", [np.ascontiguousarray(i) for i in inputs], attributes)
    np.testing.assert_allclose(given_back, argument.grad.numpy().transpose(0, 2, 3, 1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kernel", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_bits_do_not_depend_on_threads(kind: str, kernel: int) -> None:
    attributes = {"kind": kind, "kernel_height": kernel, "kernel_width": kernel, "stride_y": 2, "stride_x": 2}
    x = values(0, (3, 60, 61, 24))
    result = pooling(x, attributes).astype(np.float32)
    inputs = [values(1, result.shape), x, result]
    one = run_training("pooling_gradient", inputs, attributes)
    for threads in (2, 3, 8):
        np.testing.assert_array_equal(
            one, run_training("pooling_gradient", inputs, attributes, threads=threads)
        )


def test_other_shapes_are_refused() -> None:
    x, result = np.ones((2, 4, 4, 3), np.float32), np.ones((2, 2, 2, 3), np.float32)
    attributes = {"kernel_height": 2, "kernel_width": 2, "stride_y": 2, "stride_x": 2}
    with pytest.raises(mpscnn.ShapeError, match="input 0 must have the shape of the result"):
        run_training("pooling_gradient", [x, x, result], attributes)
    with pytest.raises(mpscnn.ShapeError, match="input 2 must have the shape of input 0"):
        run_training("pooling_gradient", [result, x, x], attributes)
