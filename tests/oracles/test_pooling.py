"""Compare automatic padding of poolings with onnxruntime."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, given
from ops.single_layer import run_layer, seeds, values
from tolerance import assert_close, linear_bound

small = st.integers(1, 4)
sizes = st.integers(2, 12)


@given(
    st.tuples(sizes, sizes), st.tuples(small, small), st.tuples(small, small),
    st.sampled_from(["MaxPool", "AveragePool", "LpPool"]), seeds,
)  # fmt: skip
def test_automatic_padding_of_onnx(
    size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], operator: str, seed: int
) -> None:
    """SAME_UPPER is TensorFlow's SAME. onnxruntime refuses strides above the kernel: its padding would be negative."""
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
    names = ("kernel_height", "kernel_width", "stride_y", "stride_x")
    attributes = dict(zip(names, kernel + stride, strict=True))
    kind = {"MaxPool": "max", "AveragePool": "average", "LpPool": "l2_norm"}[operator]
    result = run_layer("pooling", [x], attributes | {"kind": kind, "padding": "same"})
    expected = expected.transpose(0, 2, 3, 1).astype(np.float64)
    # onnxruntime computes in float32, too.
    bound = 0.0 if kind == "max" else linear_bound(np.full(expected.shape, 4 * np.abs(x).max()))
    assert_close(result, expected, bound)
