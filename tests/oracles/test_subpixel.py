"""Channels that become pixels, against PyTorch and ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ops.single_layer import run_layer, seeds, values
from reference.subpixel import subpixel_convolution
from tolerance import assert_close, linear_bound


@given(st.integers(1, 4), st.integers(1, 7), seeds)
def test_torch_pixel_shuffle(scale: int, channels: int, seed: int) -> None:
    torch = pytest.importorskip("torch")
    x = values(seed, (2, 3, 4, channels * scale**2))
    oracle = torch.nn.functional.pixel_shuffle(torch.from_numpy(x.transpose(0, 3, 1, 2).copy()), scale)
    result = run_layer("depth_to_space", [x], {"scale": scale, "order": "channel_major"})
    np.testing.assert_array_equal(result, oracle.numpy().transpose(0, 2, 3, 1))


@given(st.integers(1, 3), st.integers(1, 5), seeds)
def test_torch_convolution_and_pixel_shuffle(scale: int, channels: int, seed: int) -> None:
    torch = pytest.importorskip("torch")
    x, weight = values(seed, (1, 6, 5, 4)), values(seed + 1, (channels * scale**2, 3, 3, 4))
    oracle = torch.nn.functional.pixel_shuffle(
        torch.nn.functional.conv2d(
            torch.from_numpy(x.transpose(0, 3, 1, 2).copy()),
            torch.from_numpy(weight.transpose(0, 3, 1, 2).copy()),
            padding=1,
        ),
        scale,
    )
    attributes: dict[str, Any] = {"output_channels": channels, "scale": scale, "order": "channel_major"}
    attributes |= {"kernel_height": 3, "kernel_width": 3, "padding": "same"}
    result = run_layer("subpixel_convolution", [x], attributes, weights={"weight": weight})
    _, magnitude = subpixel_convolution(x, weight, None, attributes)
    assert_close(result, np.asarray(oracle, np.float64).transpose(0, 2, 3, 1), 2 * linear_bound(magnitude))


@pytest.mark.parametrize(("mode", "order"), [("DCR", "position_major"), ("CRD", "channel_major")])
def test_onnxruntime(mode: str, order: str) -> None:
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("DepthToSpace", ["x"], ["y"], blocksize=3, mode=mode)],
        "oracle",
        [helper.make_tensor_value_info("x", floats, [None] * 4)],
        [helper.make_tensor_value_info("y", floats, [None] * 4)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    x = values(0, (2, 4, 5, 45))
    (oracle,) = session.run(None, {"x": np.ascontiguousarray(x.transpose(0, 3, 1, 2))})
    result = run_layer("depth_to_space", [x], {"scale": 3, "order": order})
    np.testing.assert_array_equal(result, oracle.transpose(0, 2, 3, 1))
