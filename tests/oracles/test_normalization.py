"""Normalizations as PyTorch and ONNX Runtime see them."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray
from ops.single_layer import run_layer, seeds, values

torch = pytest.importorskip("torch", reason="torch is not installed")

shapes = st.tuples(st.integers(1, 3), st.integers(2, 9), st.integers(2, 9), st.integers(1, 24))


def to_torch(x: NDArray[Any]) -> Any:
    """NCHW in double, so that the oracle has no rounding of its own."""
    return torch.from_numpy(x.astype(np.float64)).permute(0, 3, 1, 2)


def assert_agrees(result: NDArray[Any], expected: Any) -> None:
    np.testing.assert_allclose(result, expected.permute(0, 2, 3, 1).numpy(), rtol=2e-5, atol=2e-5)


@given(shapes, st.integers(1, 9), st.sampled_from([0.5, 0.75, 5.0]), st.sampled_from([0.1, 1.0]), seeds)
def test_local_response_norm(shape: tuple[int, ...], size: int, beta: float, alpha: float, seed: int) -> None:
    x = values(seed, shape)
    attributes = {"kernel_size": size, "alpha": alpha, "beta": beta, "delta": 2.0}
    expected = torch.nn.functional.local_response_norm(to_torch(x), size, alpha=alpha, beta=beta, k=2.0)
    assert_agrees(run_layer("cross_channel_normalization", [x], attributes), expected)


@given(shapes, seeds)
def test_instance_norm(shape: tuple[int, ...], seed: int) -> None:
    x, channels = values(seed, shape), shape[3]
    gamma, beta = values(seed + 1, (channels,)), values(seed + 2, (channels,))
    expected = torch.nn.functional.instance_norm(
        to_torch(x), weight=torch.from_numpy(gamma).double(), bias=torch.from_numpy(beta).double(), eps=1e-3
    )
    weights = {"gamma": gamma, "beta": beta}
    result = run_layer("group_normalization", [x], {"groups": channels, "epsilon": 1e-3}, weights=weights)
    assert_agrees(result, expected)


@given(shapes, st.data(), seeds)
def test_group_norm(shape: tuple[int, ...], data: st.DataObject, seed: int) -> None:
    x, channels = values(seed, shape), shape[3]
    groups = data.draw(st.sampled_from([g for g in range(1, channels + 1) if channels % g == 0]))
    gamma = values(seed + 1, (channels,))
    expected = torch.nn.functional.group_norm(
        to_torch(x), groups, weight=torch.from_numpy(gamma).double(), eps=1e-3
    )
    result = run_layer(
        "group_normalization", [x], {"groups": groups, "epsilon": 1e-3}, weights={"gamma": gamma}
    )
    assert_agrees(result, expected)


@given(shapes, seeds)
def test_batch_norm_of_its_own_statistics(shape: tuple[int, ...], seed: int) -> None:
    x = values(seed, shape)
    statistics = run_layer("batch_statistics", [x], {})
    np.testing.assert_allclose(statistics[0, 0, 0], to_torch(x).mean((0, 2, 3)), rtol=1e-5, atol=1e-6)
    biased = to_torch(x).var((0, 2, 3), correction=0)
    np.testing.assert_allclose(statistics[0, 1, 0], biased, rtol=1e-5, atol=1e-6)
    repeated = np.repeat(statistics, shape[0], axis=0)
    expected = torch.nn.functional.batch_norm(to_torch(x), None, None, training=True, eps=1e-3)
    assert_agrees(run_layer("batch_normalization", [x, repeated], {"epsilon": 1e-3}), expected)


@given(shapes, st.sampled_from([1, 3, 5, 7]), seeds)
def test_odd_sizes_of_onnx(shape: tuple[int, ...], size: int, seed: int) -> None:
    """ONNX's LRN has the additional channel of an even size behind, so only odd ones are the same."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    x = values(seed, shape)
    helper = onnx.helper
    node = helper.make_node("LRN", ["x"], ["y"], size=size, alpha=0.5, beta=0.75, bias=2.0)
    tensors = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None] * 4) for name in "xy"]
    graph = helper.make_graph([node], "lrn", tensors[:1], tensors[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = session.run(None, {"x": np.ascontiguousarray(x.transpose(0, 3, 1, 2))})[0]
    attributes = {"kernel_size": size, "alpha": 0.5, "beta": 0.75, "delta": 2.0}
    result = run_layer("cross_channel_normalization", [x], attributes)
    np.testing.assert_allclose(result, expected.transpose(0, 2, 3, 1), rtol=1e-5, atol=1e-6)


@given(shapes, st.sampled_from([1, 3, 5]), seeds)
def test_windows_are_those_of_average_pooling(shape: tuple[int, ...], size: int, seed: int) -> None:
    x = values(seed, shape)
    tensor = to_torch(x)

    def mean(of: Any) -> Any:
        return torch.nn.functional.avg_pool2d(of, size, 1, size // 2, count_include_pad=True)

    window = {"kernel_height": size, "kernel_width": size}
    spatial = tensor / (1 + mean(tensor**2)) ** 5
    assert_agrees(run_layer("spatial_normalization", [x], window), spatial)
    contrast = (tensor - mean(tensor)) / torch.sqrt(0.125 + mean(tensor**2) - mean(tensor) ** 2)
    assert_agrees(run_layer("local_contrast_normalization", [x], window | {"delta": 0.125}), contrast)


@given(st.sampled_from([(2, 7, 30), (2, 5, 4, 33), (3, 200)]), seeds)
def test_torch_layer_norm(shape: tuple[int, ...], seed: int) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x, gamma, beta = values(seed, shape), values(seed + 1, shape[-1:]), values(seed + 2, shape[-1:])
    expected = torch.nn.functional.layer_norm(
        torch.from_numpy(x), shape[-1:], torch.from_numpy(gamma), torch.from_numpy(beta)
    ).numpy()
    result = run_layer("layer_normalization", [x], {}, weights={"gamma": gamma, "beta": beta})
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=2e-5)
