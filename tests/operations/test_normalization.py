"""Test group and layer normalization, and their gradients."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from operations.generic import *  # noqa: F403
from operations.normalizations import around, epsilon_of, factors
from operations.record import Array, Operation, RawKernel, Sample, autograd, refusals
from operations.windows import nchw, nhwc
from ops.single_layer import LARGEST, large_numbers, run_layer, seeds, values
from reference import normalization_gradient
from reference.normalization import (
    group_normalization,
    group_statistics,
    layer_normalization,
    length,
)
from tolerance import (
    assert_close,
    norm_bound,
    normalized_bound,
)

from mpscnn import Network, ParameterError, ShapeError, kernels

NORMS = "deviation", "root_mean_square", "l2_norm", "l1_norm"
RULES = "inside", "outside", "minimum"
SIZES = [(4, 5, 6)]

# ---- Group normalization --------------------------------------------------------------------------------------


@st.composite
def groups(draw: st.DrawFn, means: tuple[float, ...] = (0.0, 1000.0)) -> Sample:
    x, seed = draw(around(means)), draw(seeds)
    channels = x.shape[-1]
    count = draw(st.sampled_from([count for count in range(1, channels + 1) if channels % count == 0]))
    weights = factors(seed, channels)
    roles = draw(st.sampled_from([(), ("gamma",), ("gamma", "beta")]))
    return Sample([x], {"groups": count, "epsilon": 1e-3}, {role: weights[role] for role in roles})


def expect_groups(sample: Sample) -> Any:
    (x,), count, epsilon = sample.inputs, sample.attributes.get("groups", 1), epsilon_of(sample)
    gamma, beta = sample.weights.get("gamma", 1.0), sample.weights.get("beta", 0.0)
    gamma, beta = np.broadcast_to(gamma, x.shape[-1:]), np.broadcast_to(beta, x.shape[-1:])
    mean, variance = group_statistics(x, count)
    bound = normalized_bound(x, mean, variance, epsilon, gamma, beta)
    return group_normalization(x, count, epsilon, gamma, beta), bound


def is_near_zero(sample: Sample) -> bool:
    """Return True if no group's mean is much larger than its deviation."""
    mean, variance = group_statistics(sample.inputs[0], sample.attributes["groups"])
    return bool((np.abs(mean) <= 4 * np.sqrt(variance + sample.attributes["epsilon"])).all())


def of_several_numbers(samples: st.SearchStrategy[Sample]) -> st.SearchStrategy[Sample]:
    """Filter out groups of one number, which PyTorch refuses for one image."""
    return samples.filter(lambda sample: sample.inputs[0][0].size > sample.attributes["groups"])


def torch_groups(torch: Any, sample: Sample) -> Any:
    x, weights = sample.inputs[0].movedim(-1, 1), sample.weights
    arguments = sample.attributes["groups"], weights.get("gamma"), weights.get("beta")
    return torch.nn.functional.group_norm(x, *arguments, eps=1e-3).movedim(1, -1)


def of_magnitude(count: int, magnitude: float) -> Sample:
    """Return an image of ordinary numbers, and one of numbers of this magnitude, except in one group."""
    x = values(0, (2, 30, 40, 12))
    x[1] *= np.float32(magnitude)
    if count > 1:
        x[1, ..., : 12 // count] = values(1, (30, 40, 12 // count))
    return Sample([x], {"groups": count, "epsilon": 1e-5 if magnitude >= 1 else 2e-38}, factors(1, 12))


def constant_images() -> Sample:
    x = np.full((1, 70, 90, 3), 1e6 / 3, np.float32)
    weights = {"gamma": np.full(3, 5, np.float32), "beta": np.array([1, 2, 3], np.float32)}
    return Sample([x], {"groups": 3}, weights, expected=np.broadcast_to(weights["beta"], x.shape))


@st.composite
def raw_groups(draw: st.DrawFn, instances: bool) -> Sample:
    """Draw two groups, or with `instances` one group for each channel. Raw kernels always have gamma and beta."""
    channels, seed = 2 * draw(st.integers(1, 9)), draw(seeds)
    shape = *(draw(st.integers(1, maximum)) for maximum in (2, 6, 6)), channels
    attributes = {"groups": channels if instances else 2, "epsilon": 0.5}
    return Sample([values(seed, shape)], attributes, factors(seed + 1, channels))


def raw_normalization(sample: Sample) -> kernels.UnaryKernel:
    count, arguments = sample.attributes["groups"], {"epsilon": 0.5, **sample.weights}
    if count == sample.inputs[0].shape[-1]:
        return kernels.InstanceNormalization(**arguments)
    return kernels.GroupNormalization(count, **arguments)


GROUP = Operation(
    "group_normalization",
    expect_groups,
    draws={"tensors": groups()},
    known={
        "constant images become beta": constant_images(),
        "several parts": Sample([values(0, (1, 40, 50, 20))], {"groups": 4}),
        **{
            f"{count} groups, {magnitude}": of_magnitude(count, magnitude)
            for count in (1, 3, 12)
            for magnitude in (1e-20, 1.0, 1e19, 1e30)
        },
        **{
            f"{count} groups, differences beyond float32, {magnitude}": Sample(
                [large_numbers((30, 41, 12), magnitude)], {"groups": count}, factors(1, 12)
            )
            for count in (1, 3, 12)
            for magnitude in LARGEST
        },
    },
    refused=refusals(
        {
            "epsilon must be above 0": {"epsilon": -1.0},
            "groups must be a divisor of the 6 channels, got 0": {"groups": 0},
            "groups must be a divisor of the 6 channels, got 4": {"groups": 4},
        },
        SIZES,
    ),
    torch=torch_groups,
    torch_draws={"tensors": of_several_numbers(groups((0.0,)))},  # PyTorch's variances cancel far from 0
    onnx_draws={"tensors": groups((0.0,)).filter(is_near_zero)},  # elsewhere ONNX Runtime is not precise
    kernels={
        name: RawKernel(raw_groups(name == "InstanceNormalization"), raw_normalization)
        for name in ("GroupNormalization", "InstanceNormalization")
    },
)


def test_nan_spoils_its_own_group_only() -> None:
    x = values(0, (2, 4, 4, 8))
    x[1, 2, 3, 5] = np.nan
    result = run_layer("group_normalization", [x], {"groups": 4})
    assert np.isnan(result[1, ..., 4:6]).all()
    assert np.isnan(result).sum() == 4 * 4 * 2
    np.testing.assert_array_equal(
        np.isnan(run_layer("batch_statistics", [x], {}))[0, :, 0], [[c == 5 for c in range(8)]] * 2
    )


def test_an_image_has_the_same_bits_alone_and_in_a_batch() -> None:
    x = values(0, (3, 65, 33, 24))
    whole = run_layer("group_normalization", [x], {"groups": 6})
    np.testing.assert_array_equal(whole[2:], run_layer("group_normalization", [x[2:]], {"groups": 6}))


# ---- Layer normalization -------------------------------------------------------------------------------------


@st.composite
def layers(
    draw: st.DrawFn,
    norms: tuple[str, ...] = NORMS,
    rules: tuple[str, ...] = RULES,
    means: tuple[float, ...] = (0.0, 3.0, 1000.0),
) -> Sample:
    leading, seed = draw(st.lists(st.integers(1, 5), max_size=2)), draw(seeds)
    norm, rule = draw(st.sampled_from(norms)), draw(st.sampled_from(rules))
    needs_epsilon = (norm, rule) == ("deviation", "inside")
    epsilon = draw(st.sampled_from([1e-3, 0.5] if needs_epsilon else [0.0, 1e-3, 0.5]))
    channels = draw(st.integers(1, 600))
    x = values(seed, (draw(st.integers(1, 3)), *leading, channels))
    if needs_epsilon:
        x = (x + np.float32(draw(st.sampled_from(means)))).astype(np.float16).astype(np.float32)
    weights = factors(seed + 1, channels) if draw(st.booleans()) else {}
    return Sample([x], {"epsilon": epsilon, "norm": norm, "epsilon_rule": rule}, weights)


def is_wide(sample: Sample) -> bool:
    """Return True if no vector is nearly zero, or if epsilon keeps the divisor away from zero."""
    (x,) = sample.inputs
    return bool(sample.attributes["epsilon"] > 0 or (np.square(x).mean(-1) >= 1e-4).all())


def expect_layers(sample: Sample) -> Any:
    (x,), epsilon = sample.inputs, epsilon_of(sample)
    norm, rule = sample.attributes.get("norm", "deviation"), sample.attributes.get("epsilon_rule", "inside")
    gamma, beta = sample.weights.get("gamma", 1.0), sample.weights.get("beta", 0.0)
    gamma, beta = np.broadcast_to(gamma, x.shape[-1:]), np.broadcast_to(beta, x.shape[-1:])
    reference, wide = layer_normalization(x, epsilon, gamma, beta, norm, rule), x.astype(np.float64)
    if (norm, rule) == ("deviation", "inside"):
        mean, variance = wide.mean(-1, keepdims=True), wide.var(-1, keepdims=True)
        return reference, normalized_bound(x, mean, variance, epsilon, gamma, beta)
    mean = np.abs(wide).max(-1, keepdims=True) if norm == "deviation" else 0.0
    size = length(wide - wide.mean(-1, keepdims=True) * (norm == "deviation"), epsilon, norm, rule)
    scaled = np.divide(np.abs(gamma) * (np.abs(x) + mean), size, where=size > 0, out=0 * wide)
    return reference, norm_bound(scaled, beta)


def torch_layers(torch: Any, x: Any, attributes: Any, gamma: Any, beta: Any) -> Any:
    norm, epsilon, functional = attributes["norm"], attributes["epsilon"], torch.nn.functional
    if norm == "deviation":
        return functional.layer_norm(x, x.shape[-1:], gamma, beta, eps=epsilon)
    if norm == "root_mean_square":
        result = x / torch.sqrt((x * x).mean(-1, keepdim=True) + epsilon)
    else:
        result = functional.normalize(x, p=1 if norm == "l1_norm" else 2, dim=-1, eps=epsilon)
    return result * (1 if gamma is None else gamma) + (0 if beta is None else beta)


def torchs(samples: Callable[[tuple[str, ...], tuple[str, ...]], Any]) -> dict[str, Any]:
    """Return strategies for the norms that PyTorch has."""
    return {
        "inside": samples(("deviation", "root_mean_square"), ("inside",)),
        "minimum": samples(("l2_norm", "l1_norm"), ("minimum",)),
    }


def beyond_float32(norm: str, rule: str, magnitude: float) -> Sample:
    """Return numbers whose squares are beyond float32."""
    x = values(0, (2, 3, 4, 37)) * np.float32(magnitude)
    x[1, 1] = 0
    epsilon = 1e-5 if magnitude == 1.0 or rule == "inside" else 0.0
    return Sample([x], {"epsilon": epsilon, "norm": norm, "epsilon_rule": rule}, factors(1, 37))


def halves() -> Sample:
    """Return a vector whose norm is beyond float16."""
    attributes = {"norm": "l2_norm", "epsilon": 0.0}
    expected = np.full(512, np.float16(1 / np.sqrt(512)), np.float32)
    return Sample([np.full((1, 512), 15.0, np.float32)], attributes, precision="float16", expected=expected)


LAYER = Operation(
    "layer_normalization",
    expect_layers,
    draws={"norms": layers(), "deviations": layers(("deviation",), ("inside",))},
    known={"halves": halves()},
    refused=refusals(
        {
            "epsilon must be above 0": {"epsilon": 0.0},
            "epsilon must be at least 0": {"norm": "l2_norm", "epsilon": -1.0},
            "norm: must be one of deviation": {"norm": "l3"},
            "epsilon_rule: must be one of inside": {"epsilon_rule": "never"},
            "order must be 1 or 2, got 3": lambda net, x: net.unit_norm(x, order=3),
        },
        SIZES,
    ),
    torch=lambda torch, sample: torch_layers(
        torch,
        sample.inputs[0],
        sample.attributes,
        sample.weights.get("gamma"),
        sample.weights.get("beta"),
    ),
    torch_draws=torchs(layers),
    # Near zero the gradient is a difference of two large terms: with one channel it is 0, and the terms are 1 / |x|.
    gradient_draws={
        "norms": layers().filter(is_wide),
        "deviations": layers(("deviation",), ("inside",)),
    },
    onnx_draws={"norms": layers(means=(0.0,))},
)


@pytest.mark.parametrize("magnitude", [1e-30, 1e-20, 1.0, 1e19, 1e30, *LARGEST])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("rule", RULES)
def test_norms_whose_squares_are_beyond_float32(norm: str, rule: str, magnitude: float) -> None:
    sample = beyond_float32(norm, rule, min(magnitude, 1e30))
    if magnitude in LARGEST:
        sample = dataclasses.replace(sample, inputs=[large_numbers((3, 4, 37), magnitude)])
    (x,), weights, epsilon = sample.inputs, sample.weights, epsilon_of(sample)
    result = run_layer("layer_normalization", [x], dict(sample.attributes), weights=dict(weights))
    unit = layer_normalization(x, epsilon, 1.0, 0.0, norm, rule)
    bound = 4 * norm_bound(np.abs(weights["gamma"] * unit).max(), weights["beta"])
    assert_close(result, layer_normalization(x, epsilon, **weights, norm=norm, epsilon_rule=rule), bound)


def test_zeros_stay_zeros_without_an_epsilon() -> None:
    network = Network(input=(5,))
    for order in (1, 2):
        network.output(network.unit_norm(network.input, order=order, epsilon=0.0))
    network.output(network.rms_norm(network.input, epsilon=0.0))
    for y in network.compile(precision="float32").session().run(np.zeros((1, 5), np.float32)).values():
        np.testing.assert_array_equal(y, np.zeros((1, 5)))


def test_layer_normalization_takes_an_activation_and_keeps_nan_in_its_pixel() -> None:
    x = values(0, (1, 2, 3, 20))
    x[0, 1, 1, 7] = np.nan
    result = run_layer("layer_normalization", [x], {}, activation={"kind": "relu", "a": 0.5})
    reference = layer_normalization(x, 1e-5, 1.0, 0.0)
    assert np.isnan(result[0, 1, 1]).all()
    assert np.isnan(result).sum() == 20
    expected = np.where(reference < 0, 0.5 * reference, reference)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


# ---- Gradients of group and layer normalization --------------------------------------------------------------


@st.composite
def with_gradient(draw: st.DrawFn, samples: st.SearchStrategy[Sample], means: tuple[float, ...]) -> Sample:
    """Draw the gradient of a normalization, with or without factors."""
    sample, seed = draw(samples), draw(seeds)
    shape = sample.inputs[0].shape
    x = values(seed, shape) + np.float32(draw(st.sampled_from(means)))
    gamma = [values(seed + 2, (1, shape[-1]))] if draw(st.booleans()) else []
    return Sample([values(seed + 1, shape), x, *gamma], sample.attributes)


def gradient_parts(sample: Sample) -> tuple[Array, Array, Any]:
    gradient, x, *gamma = sample.inputs
    return gradient, x, gamma[0][0] if gamma else 1.0


def statistics_gradient_bound(
    gradient: Array, x: Array, gamma: Any, epsilon: float, axes: tuple[int, ...]
) -> Any:
    """Return a bound for the errors of means, of all terms, and of deviations from a large mean."""
    x = x.astype(np.float64)
    scale = 1 / np.sqrt(x.var(axes, keepdims=True) + epsilon)
    steep = 1 + (np.abs(x - x.mean(axes, keepdims=True)) * scale).max()
    return 4e-6 * scale * np.abs(gradient * gamma).max() * steep**2 + 1e-30


@st.composite
def group_samples(draw: st.DrawFn) -> Sample:
    shape = tuple(draw(st.integers(1, maximum)) for maximum in (3, 6, 6, 40))
    counts = [count for count in range(1, shape[-1] + 1) if shape[-1] % count == 0]
    return Sample([np.zeros(shape, np.float32)], {"groups": draw(st.sampled_from(counts)), "epsilon": 0.125})


def expect_group_gradient(sample: Sample) -> Any:
    gradient, x, gamma = gradient_parts(sample)
    count, epsilon = sample.attributes.get("groups", 1), epsilon_of(sample)
    expected = normalization_gradient.group_normalization_gradient(gradient, x, gamma, count, epsilon)
    bound = statistics_gradient_bound(gradient, x, gamma, epsilon, (1, 2, 3)).max()
    return expected, bound + 4e-6 * np.abs(gradient * gamma).max() / epsilon


def torch_group_gradient(torch: Any, sample: Sample) -> Any:
    gradient, x, *gamma = sample.inputs
    norm, attributes = torch.nn.functional.group_norm, sample.attributes
    arguments = attributes["groups"], gamma[0][0] if gamma else None
    return autograd(gradient, x, lambda x: nhwc(norm(nchw(x), *arguments, eps=attributes["epsilon"])))


LARGE = [values(0, (1, 40, 40, 35)), values(1, (1, 40, 40, 35)) + 1]
SHAPE = (2, 4, 4, 6)
REFUSED = [
    *refusals({"input 0 must have the shape of the result": {}}, [(2, 4, 4, 5), SHAPE], ShapeError),
    *refusals({r"input 2, gamma, must have the shape \(1, 6\)": {}}, [SHAPE, SHAPE, (1, 5)], ShapeError),
]

GROUP_GRADIENT = Operation(
    "group_normalization_gradient",
    expect_group_gradient,
    draws={"images": with_gradient(group_samples(), (0.0, 3.0, 300.0))},
    refused=[
        *REFUSED,
        *refusals(
            {"groups must be a divisor of the 6 channels": {"groups": 4}}, [SHAPE, SHAPE], ParameterError
        ),
    ],
    divided={"large": Sample(LARGE, {"groups": 7})},
    torch=torch_group_gradient,
    torch_draws={"images": of_several_numbers(with_gradient(group_samples(), (0.0, 3.0)))},
    training=True,
)


@st.composite
def norm_samples(draw: st.DrawFn, norms: tuple[str, ...], rules: tuple[str, ...]) -> Sample:
    shape = tuple(draw(st.integers(1, maximum)) for maximum in (3, 4, 4, 300))
    epsilon = draw(st.sampled_from([0.125, 3.0]))
    attributes = {"norm": draw(st.sampled_from(norms)), "epsilon_rule": draw(st.sampled_from(rules))}
    return Sample([np.zeros(shape, np.float32)], attributes | {"epsilon": epsilon})


def expect_layer_gradient(sample: Sample) -> Any:
    (gradient, x, gamma), attributes = gradient_parts(sample), sample.attributes
    norm, rule = attributes.get("norm", "deviation"), attributes.get("epsilon_rule", "inside")
    epsilon = epsilon_of(sample)
    expected = normalization_gradient.layer_normalization_gradient(gradient, x, gamma, epsilon, norm, rule)
    if (norm, rule) == ("deviation", "inside"):
        return expected, statistics_gradient_bound(gradient, x, gamma, epsilon, (3,))
    z = x.astype(np.float64) - (x.mean(-1, keepdims=True) if norm == "deviation" else 0.0)
    size = length(z, epsilon, norm, rule)
    root = np.maximum(length(z, 0.0, norm, "inside"), 1e-6)
    magnitude = (np.abs(gradient * gamma).sum(-1, keepdims=True) / size) * (1 + np.abs(z) / root)
    return expected, 4e-6 * magnitude + 1e-30


def torch_layer_gradient(torch: Any, sample: Sample) -> Any:
    gradient, x, *gamma = sample.inputs
    factor = gamma[0][0] if gamma else None
    return autograd(gradient, x, lambda x: torch_layers(torch, x, sample.attributes, factor, None))


LAYER_GRADIENT = Operation(
    "layer_normalization_gradient",
    expect_layer_gradient,
    draws={
        "norms": with_gradient(norm_samples(NORMS, RULES), (0.0,)),
        "deviations": with_gradient(norm_samples(("deviation",), ("inside",)), (0.0, 3.0, 300.0)),
    },
    refused=REFUSED,
    divided={"large": Sample(LARGE)},
    torch=torch_layer_gradient,
    torch_draws={
        name: with_gradient(samples, (0.0, 3.0) if name == "inside" else (0.0,))
        for name, samples in torchs(norm_samples).items()
    },
    training=True,
)

OPERATIONS = [GROUP, LAYER, GROUP_GRADIENT, LAYER_GRADIENT]
