"""Test operations that square or multiply intermediate values, at magnitudes whose squares are beyond float32."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from ops.single_layer import LARGEST, large_numbers, run_layer, run_training, values
from reference import normalization_gradient
from reference.neuron import neuron, neuron_gradient
from reference.normalization import (
    batch_statistics,
    cross_channel_base,
    cross_channel_normalization,
    group_statistics,
    length,
    local_contrast_normalization,
    spatial_normalization,
    windows,
)
from reference.pooling import pooling
from tolerance import (
    FLOAT32_EPS,
    STATISTICS_ULPS,
    assert_close,
    linear_bound,
    local_contrast_bound,
    neuron_bound,
    power_bound,
    statistics_bound,
)

# The powers of the float64 reference may be infinite, as those of zeros and the largest numbers are.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

MAGNITUDES = 1e-30, 1e-25, 1e-20, 1e-15, 1e-5, 1.0, 1e5, 1e10, 1e15, 1e19, 1e25, 1e30, *LARGEST
# Numbers that float32 has, because a power of a large base depends much on its exponent.
EXPONENTS = 0.0, 0.5, 0.75, 1.0, 1.375, 5.0, -0.5
DELTAS = 0.0, 2.0**-16, 1.0, 1e10


def images(magnitude: float, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return large_numbers, and an image with numbers of all magnitudes up to this one."""
    x = large_numbers(shape, magnitude)
    exponents = np.random.default_rng(1).uniform(0, max(np.log10(magnitude) + 30, 0), (1, *shape))
    mixed = np.sign(values(2, (1, *shape))) * magnitude * 10**-exponents
    return np.concatenate([x, mixed.astype(np.float32)])


def rounded(reference: Any) -> Any:
    """Return the reference with infinities instead of numbers beyond float32."""
    beyond = np.abs(reference) > np.finfo(np.float32).max
    return np.where(beyond, np.copysign(np.inf, reference), reference)


@pytest.mark.parametrize("magnitude", MAGNITUDES)
@pytest.mark.parametrize("beta", EXPONENTS)
@pytest.mark.parametrize("delta", DELTAS)
def test_cross_channel(magnitude: float, beta: float, delta: float) -> None:
    x = images(magnitude, (3, 2, 37))
    for kernel_size, alpha in ((5, 2.0**-13), (4, 1.0), (99, 2.0**66), (1, 0.0)):
        if alpha == delta == 0.0:
            continue
        attributes = {"kernel_size": kernel_size, "alpha": alpha, "beta": beta, "delta": delta}
        reference = rounded(cross_channel_normalization(x, **attributes))
        result = run_layer("cross_channel_normalization", [x], attributes)
        assert_close(result, reference, power_bound(reference, beta))


@pytest.mark.skipif(
    os.environ.get("MPSCNN_DEVICE") == "metal", reason="on Metal its squares must be within float32"
)
@pytest.mark.parametrize("magnitude", MAGNITUDES)
@pytest.mark.parametrize("beta", [0.5, 0.75, 1.0, 1.375, 5.0])
@pytest.mark.parametrize("delta", DELTAS)
def test_cross_channel_gradient(magnitude: float, beta: float, delta: float) -> None:
    x = images(magnitude, (3, 2, 37))
    for size in (1e-3, 1.0, 1e20):
        gradient = values(0, x.shape) * np.float32(size)
        attributes = {"kernel_size": 5, "alpha": 0.0625, "beta": beta, "delta": delta}
        result = run_training("cross_channel_normalization_gradient", [gradient, x], attributes)
        expected = normalization_gradient.cross_channel_normalization_gradient(gradient, x, **attributes)
        magnitudes = normalization_gradient.cross_channel_normalization_gradient(
            -np.abs(gradient), np.abs(x), **attributes
        )
        own = 2 * np.abs(gradient) * cross_channel_base(x, 5, 0.0625, delta) ** -beta
        bound = 4 * (2 + beta) * FLOAT32_EPS * (own + magnitudes) + 1e-37 * max(1.0, size)
        known = np.isfinite(expected)  # the reference itself overflows a float64 elsewhere
        assert_close(result[known], rounded(expected[known]), bound[known])


@pytest.mark.parametrize("magnitude", MAGNITUDES)
@pytest.mark.parametrize("beta", EXPONENTS)
@pytest.mark.parametrize("edge", ["zero", "clamp"])
def test_spatial(magnitude: float, beta: float, edge: str) -> None:
    x = images(magnitude, (5, 4, 9))
    for delta in DELTAS:
        for kernel_height, kernel_width in ((3, 3), (4, 3)):
            attributes = {"kernel_height": kernel_height, "kernel_width": kernel_width, "edge": edge}
            attributes |= {"alpha": 0.5, "beta": beta, "delta": delta, "offset_x": 1}
            reference = rounded(spatial_normalization(x, attributes))
            result = run_layer("spatial_normalization", [x], attributes)
            assert_close(result, reference, power_bound(reference, beta))


@pytest.mark.parametrize("magnitude", MAGNITUDES)
@pytest.mark.parametrize("beta", [0.5, 0.75, 1.0, 5.0])
@pytest.mark.parametrize("edge", ["zero", "clamp"])
def test_local_contrast(magnitude: float, beta: float, edge: str) -> None:
    x = images(magnitude, (5, 4, 9))
    for kernel_height, kernel_width in ((3, 3), (4, 3)):
        attributes = {"kernel_height": kernel_height, "kernel_width": kernel_width, "edge": edge}
        attributes |= {"alpha": 0.5, "beta": beta, "delta": 1.0, "p0": 0.75, "pm": 0.5, "ps": 2.0}
        reference = rounded(local_contrast_normalization(x, attributes))
        taps, centre = windows(x, attributes)
        size, variance = np.abs(taps).mean(axis=0), taps.var(axis=0)
        bound = local_contrast_bound(2 * (np.abs(centre) + size), size, variance, attributes, reference)
        result = run_layer("local_contrast_normalization", [x], attributes)
        assert_close(result, reference, bound)


@pytest.mark.parametrize("magnitude", MAGNITUDES)
@pytest.mark.parametrize("edge", ["exclude", "zero", "clamp"])
def test_pooled_norms(magnitude: float, edge: str) -> None:
    x = images(magnitude, (5, 4, 37))
    x[0, :3] = 0.0
    attributes = {"kind": "l2_norm", "kernel_height": 3, "kernel_width": 2, "edge": edge, "padding": "same"}
    reference = rounded(pooling(x, attributes))
    assert_close(run_layer("pooling", [x], attributes), reference, linear_bound(reference))


@pytest.mark.cpu("Metal adds the numbers of a channel in float32, with more rounding")
@pytest.mark.parametrize("magnitude", MAGNITUDES)
def test_batch_statistics(magnitude: float) -> None:
    for x in images(magnitude, (3, 70, 90, 9)):
        reference = batch_statistics(x)
        result = run_layer("batch_statistics", [x], {}, threads=2)
        assert_close(result, rounded(reference), statistics_bound(reference))


@pytest.mark.parametrize("magnitude", [1e-15, 1e-5, 1.0, 1e10, 1e15, 1e18])
def test_batch_normalization_gradients(magnitude: float) -> None:
    """The variances of all these magnitudes are within the range of float32."""
    x, gradient = values(0, (4, 5, 6, 9)) * np.float32(magnitude), values(1, (4, 5, 6, 9))
    statistics = batch_statistics(x).astype(np.float32)
    epsilon = 1e-5
    attributes = {"epsilon": epsilon}
    sums = run_training("batch_normalization_sums", [gradient, x, statistics], attributes)
    result = run_training("batch_normalization_gradient", [gradient, x, statistics, sums], attributes)
    mean, variance = batch_statistics(x)[0, :, 0]
    scale = 1 / np.sqrt(variance + np.float32(epsilon))
    normalized = (x.astype(np.float64) - mean) * scale
    axes = 0, 1, 2
    expected = scale * (gradient - gradient.mean(axes) - normalized * (gradient * normalized).mean(axes))
    bound = STATISTICS_ULPS * FLOAT32_EPS * scale * 20 * np.ones(x.shape)
    assert_close(result, expected, bound)


def norm_gradient_bound(gradient: NDArray[Any], x: NDArray[Any], size: Any, axes: tuple[int, ...]) -> Any:
    """Return the allowed error of a norm's gradient. `size` is the norm, and `x` is about the mean, if there is one."""
    given = np.abs(gradient).astype(np.float64).max(axes, keepdims=True)
    with np.errstate(all="ignore"):
        steep = 1 + np.nan_to_num(np.abs(x) / size).max(axes, keepdims=True)
        bound = 4 * STATISTICS_ULPS * FLOAT32_EPS * np.nan_to_num(given / size) * steep**2
    return bound + 1e-42


@pytest.mark.cpu("on Metal, gradients of norms need squares within float32")
@pytest.mark.parametrize("magnitude", MAGNITUDES)
@pytest.mark.parametrize("norm", ["deviation", "root_mean_square", "l2_norm"])
def test_layer_normalization_gradients(magnitude: float, norm: str) -> None:
    x = images(magnitude, (3, 2, 37))[[0, 4, 5]]  # without constant pixels
    for rule, epsilon in (("inside", 2.0**-16), ("outside", 0.0)):
        for scale in (1.0, min(magnitude, 1e37)):
            gradient = values(0, x.shape) * np.float32(scale)
            attributes = {"norm": norm, "epsilon_rule": rule, "epsilon": epsilon}
            result = run_training("layer_normalization_gradient", [gradient, x], attributes)
            expected = normalization_gradient.layer_normalization_gradient(gradient, x, 1.0, **attributes)
            z = x.astype(np.float64)
            z -= z.mean(-1, keepdims=True) if norm == "deviation" else 0.0
            size = length(z, epsilon, norm, rule)
            count = x.shape[-1] if norm == "l2_norm" else 1
            bound = norm_gradient_bound(gradient, z * np.sqrt(count), size, (3,))
            assert_close(result, rounded(expected), bound)


@pytest.mark.cpu("on Metal, gradients of norms need squares within float32")
@pytest.mark.parametrize("magnitude", MAGNITUDES)
@pytest.mark.parametrize("groups", [1, 3, 12])
def test_group_normalization_gradients(magnitude: float, groups: int) -> None:
    x = images(magnitude, (5, 6, 12))[[0, 3, 4, 5]]  # without constant groups
    for scale in (1.0, min(magnitude, 1e37)):
        gradient = values(0, x.shape) * np.float32(scale)
        attributes = {"groups": groups, "epsilon": 2.0**-16}
        result = run_training("group_normalization_gradient", [gradient, x], attributes, threads=2)
        expected = normalization_gradient.group_normalization_gradient(gradient, x, 1.0, **attributes)
        mean, variance = group_statistics(x, groups)
        size = np.sqrt(variance + 2.0**-16)
        bound = norm_gradient_bound(gradient, x - mean, size, (1, 2, 3))
        assert_close(result, expected, np.broadcast_to(bound.max((1, 2, 3), keepdims=True), x.shape))


@pytest.mark.parametrize("kind", ["gelu", "gelu_tanh", "hard_swish", "mish", "softsign", "swish"])
def test_neurons_that_multiply_their_input(kind: str) -> None:
    magnitudes = np.array(MAGNITUDES, np.float32)
    x = np.concatenate([magnitudes, -magnitudes]).reshape(1, 1, 1, -1)
    attributes: dict[str, Any] = {"kind": kind} | ({"b": 1.0} if kind == "swish" else {})
    reference = neuron(x, attributes)
    assert_close(run_layer("neuron", [x], attributes), reference, neuron_bound(x, attributes, reference))
    slope = run_training("neuron_gradient", [np.ones_like(x), x], attributes)
    np.testing.assert_allclose(slope, neuron_gradient(np.ones_like(x), x, attributes), rtol=1e-5, atol=1e-6)
