"""Transposed convolution against PyTorch and ONNX Runtime."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, given
from ops.single_layer import run_layer, seeds, values
from reference.transposed_convolution import geometry, transposed_convolution
from tolerance import assert_close, linear_bound

HEIGHT, WIDTH = 5, 4


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """Parameters that PyTorch knows."""
    groups = draw(st.integers(1, 3))
    attributes: dict[str, Any] = {
        "padding": "explicit",
        "groups": groups,
        "output_channels": groups * draw(st.integers(1, 5)),
    }
    for side, suffix, before, after in (
        ("height", "y", "pad_top", "pad_bottom"),
        ("width", "x", "pad_left", "pad_right"),
    ):
        kernel, stride, dilation = (draw(st.integers(1, 4)) for _ in range(3))
        attributes |= {f"kernel_{side}": kernel, f"stride_{suffix}": stride, f"dilation_{suffix}": dilation}
        attributes[before] = attributes[after] = draw(st.integers(0, (kernel - 1) * dilation))
        attributes[f"output_padding_{suffix}"] = draw(st.integers(0, max(stride, dilation) - 1))
    assume(all(size > 0 for _, size in geometry(attributes, HEIGHT, WIDTH)))
    return attributes


def draw_arrays(seed: int, attributes: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Input, weight [out][kh][kw][in / groups], bias."""
    x = values(seed, (2, HEIGHT, WIDTH, 3 * attributes["groups"]))
    outputs = attributes["output_channels"]
    shape = (outputs, attributes["kernel_height"], attributes["kernel_width"], 3)
    return x, values(seed + 1, shape), values(seed + 2, (outputs,))


def in_torch_order(weight: Any, groups: int) -> Any:
    """[in][out / groups][kh][kw]: of each group, output and input change places."""
    parts = np.split(weight, groups)
    return np.concatenate([part.transpose(3, 0, 1, 2) for part in parts])


def compare(attributes: dict[str, Any], x: Any, weight: Any, bias: Any, oracle: Any) -> None:
    result = run_layer("transposed_convolution", [x], attributes, weights={"weight": weight, "bias": bias})
    _, magnitude = transposed_convolution(x, weight, bias, attributes)
    assert_close(result, np.asarray(oracle, np.float64).transpose(0, 2, 3, 1), 2 * linear_bound(magnitude))


@given(cases(), seeds)
def test_torch(attributes: dict[str, Any], seed: int) -> None:
    torch = pytest.importorskip("torch")
    x, weight, bias = draw_arrays(seed, attributes)
    a = attributes
    oracle = torch.nn.functional.conv_transpose2d(
        torch.from_numpy(x.transpose(0, 3, 1, 2).copy()),
        torch.from_numpy(in_torch_order(weight, a["groups"])),
        torch.from_numpy(bias),
        stride=(a["stride_y"], a["stride_x"]),
        padding=(a["pad_top"], a["pad_left"]),
        output_padding=(a["output_padding_y"], a["output_padding_x"]),
        groups=a["groups"],
        dilation=(a["dilation_y"], a["dilation_x"]),
    )
    compare(attributes, x, weight, bias, oracle.numpy())


@given(cases(), seeds)
def test_onnxruntime(attributes: dict[str, Any], seed: int) -> None:
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    a = attributes
    # Unlike PyTorch it does not take output padding up to the dilation.
    assume(a["output_padding_y"] < a["stride_y"] and a["output_padding_x"] < a["stride_x"])
    x, weight, bias = draw_arrays(seed, attributes)
    helper = onnx.helper
    node = helper.make_node(
        "ConvTranspose",
        ["x", "w", "b"],
        ["y"],
        strides=[a["stride_y"], a["stride_x"]],
        dilations=[a["dilation_y"], a["dilation_x"]],
        pads=[a["pad_top"], a["pad_left"], a["pad_bottom"], a["pad_right"]],
        output_padding=[a["output_padding_y"], a["output_padding_x"]],
        group=a["groups"],
    )
    floats = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [node],
        "oracle",
        [helper.make_tensor_value_info("x", floats, [None] * 4)],
        [helper.make_tensor_value_info("y", floats, [None] * 4)],
        [
            onnx.numpy_helper.from_array(in_torch_order(weight, a["groups"]), "w"),
            onnx.numpy_helper.from_array(bias, "b"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    (oracle,) = session.run(None, {"x": np.ascontiguousarray(x.transpose(0, 3, 1, 2))})
    compare(attributes, x, weight, bias, oracle)
