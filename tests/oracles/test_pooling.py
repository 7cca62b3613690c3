"""Poolings against torch and onnxruntime."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, given
from numpy.typing import NDArray
from ops.single_layer import run_layer, seeds, values
from tolerance import assert_close, linear_bound

torch = pytest.importorskip("torch", reason="torch is not installed")

small = st.integers(1, 4)
sizes = st.integers(2, 12)


def planes(x: NDArray[np.float32]) -> Any:
    return torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))


def window_of(kernel: tuple[int, int], stride: tuple[int, int]) -> dict[str, Any]:
    sides = dict(zip(("kernel_height", "kernel_width"), kernel, strict=True))
    return sides | dict(zip(("stride_y", "stride_x"), stride, strict=True))


def padded(padding: tuple[int, int]) -> dict[str, Any]:
    vertical, horizontal = padding
    sides = {"pad_top": vertical, "pad_bottom": vertical, "pad_left": horizontal, "pad_right": horizontal}
    return {"padding": "explicit", **sides}


@given(
    st.tuples(sizes, sizes), st.tuples(small, small), st.tuples(small, small), st.tuples(small, small),
    st.booleans(), st.data(), seeds,
)  # fmt: skip
def test_max(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    ceil_mode: bool,
    data: st.DataObject,
    seed: int,
) -> None:
    padding = (data.draw(st.integers(0, kernel[0] // 2)), data.draw(st.integers(0, kernel[1] // 2)))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    overhang = [step - 1 if ceil_mode else 0 for step in stride]
    assume(all(r <= s + 2 * p + o for r, s, p, o in zip(reach, size, padding, overhang, strict=True)))
    x = values(seed, (2, *size, 5))
    expected = torch.nn.functional.max_pool2d(planes(x), kernel, stride, padding, dilation, ceil_mode)
    attributes = window_of(kernel, stride) | padded(padding) | {"ceil_mode": ceil_mode, "kind": "max"}
    attributes |= dict(zip(("dilation_y", "dilation_x"), dilation, strict=True))
    assume(
        bool(torch.isfinite(expected).all())
    )  # a window that covers no pixel: -infinity there, refused here
    np.testing.assert_array_equal(run_layer("pooling", [x], attributes), expected.permute(0, 2, 3, 1).numpy())


@given(
    st.tuples(sizes, sizes), st.tuples(small, small), st.tuples(small, small), st.booleans(), st.booleans(),
    st.data(), seeds,
)  # fmt: skip
def test_average(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    ceil_mode: bool,
    count_padding: bool,
    data: st.DataObject,
    seed: int,
) -> None:
    padding = (data.draw(st.integers(0, kernel[0] // 2)), data.draw(st.integers(0, kernel[1] // 2)))
    overhang = [step - 1 if ceil_mode else 0 for step in stride]
    assume(all(k <= s + 2 * p + o for k, s, p, o in zip(kernel, size, padding, overhang, strict=True)))
    x = values(seed, (2, *size, 5))

    def average(of: NDArray[np.float32]) -> NDArray[np.float64]:
        pool = torch.nn.functional.avg_pool2d
        result = pool(planes(of).double(), kernel, stride, padding, ceil_mode, count_padding)
        return np.asarray(result.permute(0, 2, 3, 1))

    attributes = window_of(kernel, stride) | padded(padding) | {"kind": "average", "ceil_mode": ceil_mode}
    result = run_layer("pooling", [x], attributes | {"count_padding": count_padding})
    assert_close(result, average(x), linear_bound(average(np.abs(x))))


@given(st.tuples(sizes, sizes), st.tuples(small, small), st.tuples(small, small), seeds)
def test_l2_norm(size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], seed: int) -> None:
    assume(all(taps <= extent for taps, extent in zip(kernel, size, strict=True)))
    x = values(seed, (2, *size, 5))
    expected = (
        torch.nn.functional.lp_pool2d(planes(x).double(), 2, kernel, stride).permute(0, 2, 3, 1).numpy()
    )
    result = run_layer("pooling", [x], window_of(kernel, stride) | {"kind": "l2_norm"})
    assert_close(result, expected, linear_bound(expected))


@pytest.mark.parametrize("kind", ["max", "average"])
def test_a_window_larger_than_the_padded_image_with_ceil_mode(kind: str) -> None:
    x = values(0, (2, 3, 9, 5))
    pool = torch.nn.functional.max_pool2d if kind == "max" else torch.nn.functional.avg_pool2d
    expected = pool(planes(x).double(), 4, 2, 0, ceil_mode=True).permute(0, 2, 3, 1).numpy()
    result = run_layer("pooling", [x], window_of((4, 4), (2, 2)) | {"kind": kind, "ceil_mode": True})
    assert_close(result, expected, linear_bound(np.abs(expected) + 1))


@given(
    st.tuples(sizes, sizes), st.tuples(small, small), st.tuples(small, small),
    st.sampled_from(["MaxPool", "AveragePool", "LpPool"]), seeds,
)  # fmt: skip
def test_automatic_padding_of_onnx(
    size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], operator: str, seed: int
) -> None:
    """SAME_UPPER is TensorFlow's SAME. onnxruntime refuses strides beyond the kernel, which it pads by less than 0."""
    assume(all(step <= taps for step, taps in zip(stride, kernel, strict=True)))
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    x = values(seed, (1, *size, 3))
    tensor = onnx.TensorProto.FLOAT
    node = onnx.helper.make_node(
        operator, ["x"], ["y"], kernel_shape=kernel, strides=stride, auto_pad="SAME_UPPER"
    )
    graph = onnx.helper.make_graph(
        [node],
        "pooling",
        [onnx.helper.make_tensor_value_info("x", tensor, [1, 3, *size])],
        [onnx.helper.make_tensor_value_info("y", tensor, None)],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"x": np.ascontiguousarray(x.transpose(0, 3, 1, 2))})
    kind = {"MaxPool": "max", "AveragePool": "average", "LpPool": "l2_norm"}[operator]
    result = run_layer("pooling", [x], window_of(kernel, stride) | {"kind": kind, "padding": "same"})
    expected = expected.transpose(0, 2, 3, 1).astype(np.float64)
    # The peer computes in float32 too.
    bound = 0.0 if kind == "max" else linear_bound(np.full(expected.shape, 4 * np.abs(x).max()))
    assert_close(result, expected, bound)
