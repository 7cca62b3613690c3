"""Gradients of normalizations' inputs against the float64 reference and PyTorch."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray
from ops.single_layer import run_training, seeds, values
from reference import normalization_gradient as reference
from reference.normalization import length

import mpscnn

images = st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6), st.integers(1, 40))


def bound(gradient: NDArray[Any], x: NDArray[Any], gamma: Any, epsilon: float, axes: tuple[int, ...]) -> Any:
    """Return a bound for the errors of means, of all terms, and of deviations from a large mean."""
    x = x.astype(np.float64)
    scale = 1 / np.sqrt(x.var(axes, keepdims=True) + epsilon)
    steep = 1 + (np.abs(x - x.mean(axes, keepdims=True)) * scale).max()
    return 4e-6 * scale * np.abs(gradient * gamma).max() * steep**2 + 1e-30


@given(images, st.data(), st.sampled_from([0.0, 3.0, 300.0]), seeds, st.booleans())
def test_groups(shape: tuple[int, ...], data: st.DataObject, mean: float, seed: int, scaled: bool) -> None:
    channels = shape[-1]
    groups = data.draw(st.sampled_from([g for g in range(1, channels + 1) if channels % g == 0]))
    gradient, x, gamma = (
        values(seed, shape),
        values(seed + 1, shape) + np.float32(mean),
        values(seed + 2, (1, channels)),
    )
    inputs = [gradient, x, *([gamma] if scaled else [])]
    result = run_training(
        "group_normalization_gradient", inputs, {"groups": groups, "epsilon": 0.125}, threads=1 + seed % 3
    )
    factor = gamma[0] if scaled else 1.0
    expected = reference.group_normalization_gradient(gradient, x, factor, groups, 0.125)
    limit = (
        bound(gradient, x, factor, 0.125, (1, 2, 3)).max() + 4e-6 * np.abs(gradient * factor).max() / 0.125
    )
    assert (np.abs(result - expected) <= limit).all()


@given(
    st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6), st.integers(1, 600)),
    st.sampled_from([0.0, 3.0, 300.0]),
    seeds,
    st.booleans(),
)
def test_layers(shape: tuple[int, ...], mean: float, seed: int, scaled: bool) -> None:
    gradient, x = values(seed, shape), values(seed + 1, shape) + np.float32(mean)
    gamma = values(seed + 2, (1, shape[-1]))
    inputs = [gradient, x, *([gamma] if scaled else [])]
    result = run_training("layer_normalization_gradient", inputs, {"epsilon": 0.125}, threads=1 + seed % 3)
    factor = gamma[0] if scaled else 1.0
    expected = reference.layer_normalization_gradient(gradient, x, factor, 0.125)
    assert (np.abs(result - expected) <= bound(gradient, x, factor, 0.125, (3,))).all()


@given(
    st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.integers(1, 300)),
    st.sampled_from(["deviation", "root_mean_square", "l2_norm", "l1_norm"]),
    st.sampled_from(["inside", "outside", "minimum"]),
    st.sampled_from([0.125, 3.0]),
    seeds,
    st.booleans(),
)
def test_norms(shape: tuple[int, ...], norm: str, rule: str, epsilon: float, seed: int, scaled: bool) -> None:
    gradient, x, gamma = values(seed, shape), values(seed + 1, shape), values(seed + 2, (1, shape[-1]))
    attributes = {"norm": norm, "epsilon_rule": rule, "epsilon": epsilon}
    inputs = [gradient, x, *([gamma] if scaled else [])]
    result = run_training("layer_normalization_gradient", inputs, attributes, threads=1 + seed % 3)
    factor = gamma[0] if scaled else 1.0
    expected = reference.layer_normalization_gradient(gradient, x, factor, **attributes)
    z = x.astype(np.float64) - (x.mean(-1, keepdims=True) if norm == "deviation" else 0.0)
    size = length(z, epsilon, norm, rule)
    root = np.maximum(length(z, 0.0, norm, "inside"), 1e-6)
    magnitude = (np.abs(gradient * factor).sum(-1, keepdims=True) / size) * (1 + np.abs(z) / root)
    assert (np.abs(result - expected) <= 4e-6 * magnitude + 1e-30).all()


@pytest.mark.parametrize("norm", ["root_mean_square", "l2_norm", "l1_norm"])
def test_norms_by_torch(norm: str) -> None:
    gradient, x = values(0, (2, 5, 7, 12)), values(1, (2, 5, 7, 12))

    def function(torch: Any, argument: Any) -> Any:
        if norm == "root_mean_square":
            return argument / torch.sqrt((argument * argument).mean(1, keepdim=True) + 0.25)
        return torch.nn.functional.normalize(argument, p=1 if norm == "l1_norm" else 2, dim=1)

    rule, epsilon = ("inside", 0.25) if norm == "root_mean_square" else ("minimum", 1e-12)
    attributes = {"norm": norm, "epsilon_rule": rule, "epsilon": epsilon}
    result = run_training("layer_normalization_gradient", [gradient, x], attributes)
    np.testing.assert_allclose(result, torch_gradient(function, x, gradient), rtol=1e-4, atol=1e-5)


@given(
    images,
    st.integers(1, 9),
    st.sampled_from([0.0, 0.5, 2.0]),
    st.sampled_from([0.5, 0.75, 1.0, 5.0, 1.3]),
    seeds,
)
def test_neighbouring_channels(
    shape: tuple[int, ...], kernel_size: int, alpha: float, beta: float, seed: int
) -> None:
    gradient, x = values(seed, shape), values(seed + 1, shape)
    attributes = {"kernel_size": kernel_size, "alpha": alpha, "beta": beta, "delta": 1.5}
    result = run_training(
        "cross_channel_normalization_gradient", [gradient, x], attributes, threads=1 + seed % 3
    )
    expected = reference.cross_channel_normalization_gradient(gradient, x, **attributes)
    magnitude = 2 * np.abs(gradient) - reference.cross_channel_normalization_gradient(
        -np.abs(gradient), np.abs(x), **attributes
    )
    assert (np.abs(result - expected) <= 4e-6 * (1 + np.abs(magnitude))).all()


def torch_gradient(function: Any, x: NDArray[Any], gradient: NDArray[Any]) -> NDArray[Any]:
    """Return PyTorch's gradient of a function of NCHW images."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    argument = torch.from_numpy(x.astype(np.float64).transpose(0, 3, 1, 2)).requires_grad_()
    function(torch, argument).backward(torch.from_numpy(gradient.astype(np.float64).transpose(0, 3, 1, 2)))
    result: NDArray[Any] = argument.grad.numpy().transpose(0, 2, 3, 1)
    return result


@pytest.mark.parametrize("groups", [1, 3, 12])
def test_pytorch_groups(groups: int) -> None:
    gradient, x, gamma = values(0, (2, 5, 7, 12)), values(1, (2, 5, 7, 12)) + 2, values(2, (1, 12))

    def function(torch: Any, argument: Any) -> Any:
        weight = torch.from_numpy(gamma[0].astype(np.float64))
        return torch.nn.functional.group_norm(argument, groups, weight, eps=1e-3)

    attributes = {"groups": groups, "epsilon": 1e-3}
    result = run_training("group_normalization_gradient", [gradient, x, gamma], attributes)
    np.testing.assert_allclose(result, torch_gradient(function, x, gradient), rtol=1e-4, atol=3e-6)


def test_pytorch_layers() -> None:
    gradient, x, gamma = values(0, (2, 5, 7, 33)), values(1, (2, 5, 7, 33)) + 2, values(2, (1, 33))

    def function(torch: Any, argument: Any) -> Any:
        weight, last = torch.from_numpy(gamma[0].astype(np.float64)), argument.permute(0, 2, 3, 1)
        return torch.nn.functional.layer_norm(last, (33,), weight, eps=1e-3).permute(0, 3, 1, 2)

    result = run_training("layer_normalization_gradient", [gradient, x, gamma], {"epsilon": 1e-3})
    np.testing.assert_allclose(result, torch_gradient(function, x, gradient), rtol=1e-4, atol=3e-6)


@pytest.mark.parametrize("size", [1, 4, 5])
def test_pytorch_neighbouring_channels(size: int) -> None:
    gradient, x = values(0, (2, 5, 7, 12)), values(1, (2, 5, 7, 12))

    def function(torch: Any, argument: Any) -> Any:
        return torch.nn.functional.local_response_norm(argument, size, alpha=0.5, beta=0.75, k=2.0)

    attributes = {"kernel_size": size, "alpha": 0.5, "beta": 0.75, "delta": 2.0}
    result = run_training("cross_channel_normalization_gradient", [gradient, x], attributes)
    np.testing.assert_allclose(result, torch_gradient(function, x, gradient), rtol=1e-4, atol=3e-6)


@pytest.mark.parametrize(
    ("operation", "attributes"),
    [
        ("group_normalization_gradient", {"groups": 7}),
        ("layer_normalization_gradient", {}),
        ("cross_channel_normalization_gradient", {}),
    ],
)
def test_bits_do_not_depend_on_threads(operation: str, attributes: dict[str, Any]) -> None:
    inputs = [values(0, (1, 40, 40, 35)), values(1, (1, 40, 40, 35)) + 1]
    one = run_training(operation, inputs, attributes)
    for threads in (2, 3, 8):
        np.testing.assert_array_equal(one, run_training(operation, inputs, attributes, threads=threads))


def test_what_is_refused() -> None:
    x, other = np.ones((2, 4, 4, 6), np.float32), np.ones((2, 4, 4, 5), np.float32)
    for operation in ("group_normalization_gradient", "layer_normalization_gradient"):
        with pytest.raises(mpscnn.ShapeError, match="input 0 must have the shape of the result"):
            run_training(operation, [other, x], {})
        with pytest.raises(mpscnn.ShapeError, match=r"input 2, gamma, must have the shape \(1, 6\)"):
            run_training(operation, [x, x, np.ones((1, 5), np.float32)], {})
    with pytest.raises(mpscnn.ParameterError, match="groups must be a divisor of the 6 channels"):
        run_training("group_normalization_gradient", [x, x], {"groups": 4})
