"""Fully connected layers, against PyTorch and ONNX Runtime."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import run_layer, seeds, values
from reference.fully_connected import fully_connected
from tolerance import assert_close, linear_bound

extents = st.integers(1, 6), st.integers(1, 6), st.integers(1, 20), st.integers(1, 70)


@given(st.integers(1, 4), *extents, seeds)
def test_torch(batch: int, height: int, width: int, channels: int, outputs: int, seed: int) -> None:
    """Images are read row by row: as PyTorch reads an image with its channels last."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x = values(seed, (batch, height, width, channels))
    weight, bias = values(seed + 1, (outputs, height, width, channels)), values(seed + 2, (outputs,))
    exact = [torch.from_numpy(array.astype(np.float64)) for array in (x, weight, bias)]
    expected = torch.nn.functional.linear(exact[0].flatten(1), exact[1].flatten(1), exact[2])
    _, magnitude = fully_connected(x, weight, bias)
    result = run_layer("fully_connected", [x], {"outputs": outputs}, weights={"weight": weight, "bias": bias})
    assert_close(result, expected.numpy(), linear_bound(magnitude))


@pytest.mark.parametrize("features", [1, 7, 64, 401])
def test_onnxruntime(features: int) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    weight, bias, x = values(0, (33, features)), values(1, (33,)), values(2, (5, features))
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "weight", "bias"], ["y"], transB=1)],
        "oracle",
        [helper.make_tensor_value_info("x", floats, [None, features])],
        [helper.make_tensor_value_info("y", floats, [None, 33])],
        [onnx.numpy_helper.from_array(weight, "weight"), onnx.numpy_helper.from_array(bias, "bias")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (oracle,) = session.run(None, {"x": x})
    _, magnitude = fully_connected(x, weight, bias)
    result = run_layer("fully_connected", [x], {"outputs": 33}, weights={"weight": weight, "bias": bias})
    assert_close(result, oracle, 2 * linear_bound(magnitude))
