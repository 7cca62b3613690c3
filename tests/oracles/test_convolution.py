"""Convolutions and fully connected layers against PyTorch and ONNX Runtime."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from ops.single_layer import run_layer, seeds, values
from reference.convolution import convolution
from tolerance import assert_close, linear_bound

import mpscnn

HEIGHT, WIDTH = 11, 8


def axis(draw: st.DrawFn, size: int) -> tuple[int, int, int, int, int]:
    """(kernel, stride, dilation, padding before, padding after) with at least one output."""
    kernel, stride, dilation = draw(st.integers(1, 5)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    reach = (kernel - 1) * dilation + 1
    before = draw(st.integers(0, reach - 1))
    after = draw(st.integers(max(0, reach - size - before), max(reach - 1, reach - size - before)))
    return kernel, stride, dilation, before, after


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """Groups from one to depthwise with a multiplier, even kernels, dilation, asymmetric padding."""
    groups = draw(st.integers(1, 6))
    attributes: dict[str, Any] = {"padding": "explicit", "groups": groups}
    attributes["output_channels"] = groups * draw(st.integers(1, 9))
    attributes["inputs"] = groups * draw(st.sampled_from([1, 1, 2, 5]))
    for size, side, suffix, before, after in (
        (HEIGHT, "height", "y", "pad_top", "pad_bottom"),
        (WIDTH, "width", "x", "pad_left", "pad_right"),
    ):
        names = (f"kernel_{side}", f"stride_{suffix}", f"dilation_{suffix}", before, after)
        attributes |= dict(zip(names, axis(draw, size), strict=True))
    return attributes


def draw_arrays(seed: int, attributes: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Input, weight, bias; "inputs" is taken out of the attributes."""
    channels, outputs = attributes.pop("inputs"), attributes["output_channels"]
    shape = (
        outputs,
        attributes["kernel_height"],
        attributes["kernel_width"],
        channels // attributes["groups"],
    )
    return values(seed, (2, HEIGHT, WIDTH, channels)), values(seed + 1, shape), values(seed + 2, (outputs,))


def planar(array: Any) -> Any:
    """NHWC, or [out][kh][kw][in], as NCHW."""
    return np.ascontiguousarray(array.transpose(0, 3, 1, 2))


def compare(attributes: dict[str, Any], x: Any, weight: Any, bias: Any, oracle: Any) -> None:
    result = run_layer("convolution", [x], attributes, weights={"weight": weight, "bias": bias})
    _, magnitude = convolution(x, weight, bias, attributes)
    assert_close(result, np.asarray(oracle, np.float64).transpose(0, 2, 3, 1), 2 * linear_bound(magnitude))


@given(cases(), seeds)
def test_torch(attributes: dict[str, Any], seed: int) -> None:
    torch = pytest.importorskip("torch")
    a = attributes
    x, weight, bias = draw_arrays(seed, a)
    padded = torch.nn.functional.pad(
        torch.from_numpy(planar(x)), (a["pad_left"], a["pad_right"], a["pad_top"], a["pad_bottom"])
    )
    oracle = torch.nn.functional.conv2d(
        padded,
        torch.from_numpy(planar(weight)),
        torch.from_numpy(bias),
        stride=(a["stride_y"], a["stride_x"]),
        dilation=(a["dilation_y"], a["dilation_x"]),
        groups=a["groups"],
    )
    compare(a, x, weight, bias, oracle.numpy())


def run_onnx(node: str, x: Any, weight: Any, bias: Any, attributes: dict[str, Any]) -> Any:
    """The result of one ONNX node."""
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node(node, ["x", "w", "b"], ["y"], **attributes)],
        "oracle",
        [helper.make_tensor_value_info("x", floats, [None] * 4)],
        [helper.make_tensor_value_info("y", floats, [None] * 4)],
        [onnx.numpy_helper.from_array(weight, "w"), onnx.numpy_helper.from_array(bias, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def onnx_attributes(a: dict[str, Any]) -> dict[str, Any]:
    return {
        "strides": [a["stride_y"], a["stride_x"]],
        "dilations": [a["dilation_y"], a["dilation_x"]],
        "group": a["groups"],
    }


@given(cases(), seeds)
def test_onnxruntime(attributes: dict[str, Any], seed: int) -> None:
    a = attributes
    x, weight, bias = draw_arrays(seed, a)
    pads = [a["pad_top"], a["pad_left"], a["pad_bottom"], a["pad_right"]]
    oracle = run_onnx("Conv", planar(x), planar(weight), bias, onnx_attributes(a) | {"pads": pads})
    compare(a, x, weight, bias, oracle)


@given(cases(), seeds)
def test_onnxruntime_same_padding(attributes: dict[str, Any], seed: int) -> None:
    a = attributes
    # ONNX Runtime knows this padding without dilation only, and as TensorFlow's only where windows leave no gaps.
    a |= {"dilation_y": 1, "dilation_x": 1}
    a |= {
        "kernel_height": max(a["kernel_height"], a["stride_y"]),
        "kernel_width": max(a["kernel_width"], a["stride_x"]),
    }
    x, weight, bias = draw_arrays(seed, a)
    for side in ("pad_top", "pad_bottom", "pad_left", "pad_right"):
        del a[side]
    a["padding"] = "same"
    oracle = run_onnx(
        "Conv", planar(x), planar(weight), bias, onnx_attributes(a) | {"auto_pad": "SAME_UPPER"}
    )
    compare(a, x, weight, bias, oracle)


def test_torch_batch_norm_between_convolution_and_neuron() -> None:
    """Folding keeps the order: convolution, bias, normalization, neuron."""
    torch = pytest.importorskip("torch")
    convolve, norm = torch.nn.Conv2d(5, 7, 3, padding=1), torch.nn.BatchNorm2d(7, eps=1e-3)
    with torch.no_grad():
        for index, parameter in enumerate(
            (convolve.weight, convolve.bias, norm.weight, norm.bias, norm.running_mean)
        ):
            parameter.copy_(torch.from_numpy(values(index, tuple(parameter.shape))))
        norm.running_var.copy_(torch.from_numpy(values(9, (7,)) ** 2 + 0.1))
    network = mpscnn.Network(input=(6, 5, 5))
    x = network.conv2d(network.input, 7, 3, padding=1, name="conv")
    network.output(network.batch_norm(x, epsilon=1e-3, activation="relu6", name="norm"))
    network.load_weights(
        {
            "conv.weight": convolve.weight.detach().numpy().transpose(0, 2, 3, 1),
            "conv.bias": convolve.bias.detach().numpy(),
            "norm.gamma": norm.weight.detach().numpy(),
            "norm.beta": norm.bias.detach().numpy(),
            "norm.mean": norm.running_mean.numpy(),
            "norm.variance": norm.running_var.numpy(),
        }
    )
    image = values(20, (2, 6, 5, 5))
    oracle = (
        torch.nn.functional.relu6(norm.eval()(convolve(torch.from_numpy(planar(image))))).detach().numpy()
    )
    result = network.compile(precision="float32").session().run(image)
    np.testing.assert_allclose(result, oracle.transpose(0, 2, 3, 1), rtol=1e-4, atol=1e-4)


@given(st.integers(1, 5), st.integers(1, 7), st.integers(1, 9), st.integers(1, 30), seeds)
def test_torch_fully_connected_on_an_image(
    height: int, width: int, channels: int, outputs: int, seed: int
) -> None:
    """Images that are not square tell [out][height][width][in] from any other order."""
    torch = pytest.importorskip("torch")
    x, weight = (
        values(seed, (2, height, width, channels)),
        values(seed + 1, (outputs, height, width, channels)),
    )
    oracle = torch.nn.functional.linear(
        torch.from_numpy(planar(x)).flatten(1), torch.from_numpy(planar(weight)).flatten(1)
    ).numpy()
    result = run_layer("fully_connected", [x], {"outputs": outputs}, weights={"weight": weight})
    magnitude = np.abs(x).reshape(2, -1).astype(np.float64) @ np.abs(weight).reshape(outputs, -1).T
    assert_close(result, oracle.astype(np.float64), 2 * linear_bound(magnitude))
