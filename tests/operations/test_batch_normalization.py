"""Test batch normalization, statistics of batches, and the gradients of batch normalization."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import example, given
from operations.generic import *  # noqa: F403
from operations.normalizations import around, epsilon_of, factors
from operations.record import Array, Layers, Operation, RawKernel, Sample, autograd, refusals
from operations.windows import nchw, nhwc
from ops.single_layer import run_training, seeds, values
from reference.batch_normalization_gradient import normalization_gradient as batch_gradient
from reference.batch_normalization_gradient import normalization_sums
from reference.convolution import convolution
from reference.normalization import (
    batch_normalization,
    batch_statistics,
)
from tolerance import (
    FLOAT32_EPS,
    STATISTICS_ULPS,
    assert_close,
    linear_bound,
    start_bound,
    statistics_bound,
)

from mpscnn import Network, ShapeError, Tensor, WeightsError, kernels

SIZES = [(4, 5, 6)]


def statistics(seed: int, channels: int) -> dict[str, Array]:
    variance = np.abs(values(seed + 1, (channels,))) + np.float32(0.1)
    return {"mean": values(seed, (channels,)), "variance": variance} | factors(seed + 2, channels)


# ---- Batch normalization -------------------------------------------------------------------------------------


@st.composite
def by_weights(draw: st.DrawFn) -> Sample:
    """Draw a normalization by statistics that are weights."""
    seed, channels = draw(seeds), draw(st.integers(1, 70))
    return Sample(
        [values(seed, (draw(st.integers(1, 3)), 3, 4, channels))], {}, statistics(seed + 1, channels)
    )


@st.composite
def by_input(draw: st.DrawFn) -> Sample:
    """Draw a normalization by statistics of each image, which are an input."""
    seed, batch, channels = draw(seeds), draw(st.integers(1, 4)), draw(st.integers(1, 20))
    x, given_statistics = values(seed, (batch, 3, 4, channels)), np.abs(values(seed, (batch, 2, 1, channels)))
    return Sample([x, given_statistics], {"epsilon": 0.25})


def expect_batch(sample: Sample) -> Any:
    x, epsilon = sample.inputs[0], epsilon_of(sample, 1e-3)
    if len(sample.inputs) == 1:
        weights = sample.weights
        factor = np.abs(weights["gamma"]) / np.sqrt(weights["variance"] + 1e-3)
        magnitude = factor * (np.abs(x) + np.abs(weights["mean"])) + np.abs(weights["beta"])
        return batch_normalization(x, 1e-3, **weights), linear_bound(magnitude)
    mean, variance = sample.inputs[1][:, :1], sample.inputs[1][:, 1:]
    bound = STATISTICS_ULPS * FLOAT32_EPS * (np.abs(x) + np.abs(mean)) / np.sqrt(variance + epsilon)
    return batch_normalization(x, epsilon, mean, variance, 1.0, 0.0), bound


def torch_batch(torch: Any, sample: Sample) -> Any:
    w = sample.weights
    norm = torch.nn.functional.batch_norm
    return nhwc(norm(nchw(sample.inputs[0]), w["mean"], w["variance"], w["gamma"], w["beta"], eps=1e-3))


def of_the_data(has_weights: bool) -> st.SearchStrategy[Layers]:
    """Draw a batch normalization by the statistics of its batch."""

    @st.composite
    def layers(draw: st.DrawFn) -> Layers:
        batch, channels, seed = draw(st.integers(1, 4)), draw(st.integers(1, 40)), draw(seeds)
        weights = factors(seed, channels) if has_weights else {"gamma": 1.0, "beta": 0.0}

        def build(net: Network, x: Any) -> Any:
            return net.batch_norm(x, statistics=net.batch_statistics(x), epsilon=1e-3, name="norm")

        def expected(x: Array) -> Array:
            return batch_normalization(x, 1e-3, *batch_statistics(x)[0, :, 0], **weights)

        return Layers(
            [(None, None, channels)],
            build,
            expected,
            inputs=[values(seed + 2, (batch, 5, 6, channels))],
            weights={f"norm.{role}": value for role, value in weights.items()} if has_weights else {},
            rtol=1e-5,
            atol=2e-5,
        )

    return layers()


BATCH = Operation(
    "batch_normalization",
    expect_batch,
    draws={"statistics are weights": by_weights(), "statistics are an input": by_input()},
    refused=[
        *refusals({"epsilon must be above 0": {"epsilon": 0.0}}, SIZES),
        *refusals(
            {
                r"must hold means and variances, \(1, 2, 1, 3\)": lambda net, x, y: net.batch_norm(
                    x, statistics=net.batch_statistics(y)
                )
            },
            [(4, 4, 3), (4, 4, 2)],
            ShapeError,
        ),
    ],
    layers={"statistics of the data": of_the_data(False), "and factors": of_the_data(True)},
    torch=torch_batch,
    torch_draws={"statistics are weights": by_weights()},
    gradient_draws={},  # training takes the statistics of the batch; see tests/training/test_gradients.py
    kernels={
        "BatchNormalization": RawKernel(
            by_weights(), lambda sample: kernels.BatchNormalization(**sample.weights, epsilon=1e-3)
        )
    },
)


@given(st.integers(1, 9), st.integers(1, 20), seeds, st.booleans())
@example(4, 1, 378011, False)  # an example with small terms and a large beta
def test_folded_into_a_convolution(inputs: int, outputs: int, seed: int, has_bias: bool) -> None:
    x, weight = values(seed, (2, 5, 6, inputs)), values(seed + 1, (outputs, 3, 3, inputs))
    bias = values(seed + 2, (outputs,)) if has_bias else None
    given_statistics = statistics(seed + 3, outputs)
    network = Network(input=(5, 6, inputs))
    y = network.conv2d(network.input, outputs, 3, padding=1, name="conv")
    network.output(network.batch_norm(y, epsilon=1e-3, activation="relu6", name="norm"))
    weights = {"conv.weight": weight, **{f"norm.{role}": value for role, value in given_statistics.items()}}
    network.load_weights(weights if bias is None else weights | {"conv.bias": bias}, layout="OHWI")
    attributes = {"kernel_height": 3, "kernel_width": 3, "padding": "explicit"}
    attributes |= {"pad_top": 1, "pad_bottom": 1, "pad_left": 1, "pad_right": 1}
    plain, magnitude = convolution(x, weight, bias, attributes)
    reference = np.clip(batch_normalization(plain, 1e-3, **given_statistics), 0, 6)
    factor = np.abs(given_statistics["gamma"]) / np.sqrt(given_statistics["variance"] + 1e-3)
    shift = factor * np.abs(given_statistics["mean"]) + np.abs(given_statistics["beta"])
    bound = linear_bound(factor * magnitude + shift) + start_bound(shift, 9 * inputs)
    assert_close(network.compile(precision="float32").session().run(x), reference, bound)


def test_not_folded_where_the_convolution_is_read_twice() -> None:
    x, weight = values(0, (1, 4, 4, 3)), values(1, (3, 1, 1, 3))
    network = Network(input=(4, 4, 3))
    y = network.conv2d(network.input, 3, 1, name="conv")
    network.output(network.add(y, network.batch_norm(y, name="norm")))
    given_statistics = statistics(2, 3)
    network.load_weights(
        {"conv.weight": weight, **{f"norm.{r}": v for r, v in given_statistics.items()}}, layout="OHWI"
    )
    plain, _ = convolution(x, weight, None, {})
    reference = plain + batch_normalization(plain, 1e-3, **given_statistics)
    np.testing.assert_allclose(
        network.compile(precision="float32").session().run(x), reference, rtol=1e-5, atol=1e-5
    )


def test_a_convolution_before_statistics_of_the_data_is_not_folded() -> None:
    x, weight = values(0, (2, 5, 5, 3)), values(1, (4, 1, 1, 3))
    network = Network(input=(5, 5, 3))
    y = network.conv2d(network.input, 4, 1, name="conv")
    network.output(network.batch_norm(y, statistics=network.batch_statistics(y), activation="relu"))
    network.load_weights({"conv.weight": weight}, layout="OHWI")
    plain, _ = convolution(x, weight, None, {})
    mean, variance = batch_statistics(plain)[0, :, 0]
    reference = np.maximum(batch_normalization(plain, 1e-3, mean, variance, 1.0, 0.0), 0)
    result = network.compile(precision="float32").session().run(x)
    np.testing.assert_allclose(result, reference, rtol=1e-5, atol=1e-5)


def test_a_negative_variance_is_refused() -> None:
    network = Network(input=(4, 4, 2))
    network.batch_norm(network.input, name="norm")
    with pytest.raises(WeightsError, match="variance"):
        network.load_weights({"norm.mean": np.zeros(2), "norm.variance": np.array([1.0, -1.0])})


# ---- Statistics of the data ----------------------------------------------------------------------------------


def expect_statistics(sample: Sample) -> Any:
    reference = batch_statistics(sample.inputs[0])
    return reference, statistics_bound(reference)


def torch_statistics(torch: Any, sample: Sample) -> Any:
    (x,) = sample.inputs
    axes = tuple(range(x.ndim - 1))
    return torch.stack([x.mean(axes), x.var(axes, correction=0)])[None, :, None]


def activated_statistics(network: Network, x: Tensor) -> None:
    network.layer("batch_statistics", [x], {}, activation="relu")


STATISTICS = Operation(
    "batch_statistics",
    expect_statistics,
    # Statistics are not rounded to float16, so their bounds hold in all precisions.
    draws={"tensors": around((0.0, 1000.0)).map(lambda x: Sample([x]))},
    known={"several parts": Sample([values(0, (1, 40, 50, 20))])},
    refused=refusals({"takes no activation": activated_statistics}, SIZES),
    torch=torch_statistics,
    onnx_draws={},
    gradient_draws={},  # a network cannot return statistics, because they have no axis for the batch
)


# ---- Gradients of batch normalization ------------------------------------------------------------------------


def with_statistics(shape: tuple[int, ...], seed: int, mean: float = 3.0) -> list[Array]:
    """Return a gradient, an input, and the input's statistics."""
    x, gradient = values(seed, shape) + np.float32(mean), values(seed + 1, shape)
    return [gradient, x, batch_statistics(x).astype(np.float32)]


@st.composite
def batches(draw: st.DrawFn) -> list[Array]:
    shape = tuple(draw(st.integers(1, maximum)) for maximum in (5, 9, 9, 70))
    return with_statistics(shape, draw(seeds))


def with_sums(inputs: list[Array]) -> list[Array]:
    """Add the sums, which are the gradients of beta and gamma."""
    return [*inputs, normalization_sums(*inputs, 0.01).astype(np.float32)]


@st.composite
def batch_gradients(draw: st.DrawFn) -> Sample:
    inputs = with_sums(draw(batches()))
    gamma = [values(draw(seeds), (1, inputs[0].shape[-1]))] if draw(st.booleans()) else []
    return Sample([*inputs, *gamma], {"epsilon": 0.01})


def expect_sums(sample: Sample) -> Any:
    gradient, x, given_statistics = sample.inputs
    magnitude = normalization_sums(
        np.abs(gradient), np.abs(x - given_statistics[0, 0, 0]) + 3, 0 * given_statistics, 0.01
    )
    # The mean is rounded, too.
    rounding = FLOAT32_EPS * np.abs(given_statistics[:, :1]) * np.abs(gradient).sum((0, 1, 2)) * 10
    return normalization_sums(*sample.inputs, 0.01), 1e-6 * np.abs(magnitude) + 1e-6 + rounding


def torch_sums(torch: Any, sample: Sample) -> Any:
    gradient, x, given_statistics = sample.inputs
    mean, variance = given_statistics[0, :, 0]
    normalized = (x - mean) / torch.sqrt(variance + 0.01)
    return torch.stack([gradient.sum((0, 1, 2)), (gradient * normalized).sum((0, 1, 2))])[None, :, None]


def expect_batch_gradient(sample: Sample) -> Any:
    gradient, x, given_statistics, sums, *gamma = sample.inputs
    expected = batch_gradient(gradient, x, given_statistics, sums, gamma[0] if gamma else None, 0.01)
    return expected, 1e-4 * np.abs(expected) + 1e-4


def torch_batch_gradient(torch: Any, sample: Sample) -> Any:
    gradient, x, _, _, *gamma = sample.inputs
    weight = gamma[0][0] if gamma else None

    def norm(x: Any) -> Any:
        return nhwc(torch.nn.functional.batch_norm(nchw(x), None, None, weight, training=True, eps=0.01))

    return autograd(gradient, x, norm)


EPSILON = {"epsilon": 0.01}
MANY = (8, 56, 56, 24)
ROWS, PIXELS = (1, 2, 1, 4), (2, 3, 3, 4)

SUMS = Operation(
    "batch_normalization_sums",
    expect_sums,
    draws={"images": batches().map(lambda inputs: Sample(inputs, EPSILON))},
    refused=refusals(
        {r"input 2 must have the shape \(1, 2, 1, 4\)": EPSILON}, [PIXELS, PIXELS, PIXELS], ShapeError
    ),
    divided={f"mean {mean}": Sample(with_statistics(MANY, 0, mean), EPSILON) for mean in (0.0, 100.0)},
    torch=torch_sums,
    training=True,
)

BATCH_GRADIENT = Operation(
    "batch_normalization_gradient",
    expect_batch_gradient,
    draws={"images": batch_gradients()},
    refused=refusals(
        {r"gamma, must have the shape \(1, 4\), got \(1, 3\)": EPSILON},
        [PIXELS, PIXELS, ROWS, ROWS, (1, 3)],
        ShapeError,
    ),
    divided={"large": Sample(with_sums(with_statistics(MANY, 0)), EPSILON)},
    torch=torch_batch_gradient,
    torch_draws={"images": batch_gradients().filter(lambda sample: sample.inputs[0][..., 0].size > 1)},
    training=True,
)


@pytest.mark.parametrize("mean", [0.0, 100.0])
def test_many_pixels(mean: float) -> None:
    """Sums stay exact with a mean of a hundred deviations."""
    inputs = with_statistics(MANY, 0, mean)
    sums = run_training("batch_normalization_sums", inputs, EPSILON)
    assert np.abs(sums - normalization_sums(*inputs, 0.01)).max() <= 2e-3
    result = run_training("batch_normalization_gradient", [*inputs, sums], EPSILON)
    np.testing.assert_allclose(result, batch_gradient(*inputs, sums, None, 0.01), rtol=1e-5, atol=1e-5)


OPERATIONS = [BATCH, STATISTICS, SUMS, BATCH_GRADIENT]
