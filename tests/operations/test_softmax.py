"""Test softmax, its logarithm, and their gradients."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
from operations.generic import *  # noqa: F403
from operations.record import Layers, Operation, RawKernel, Sample, autograd, refusals, special
from ops.single_layer import seeds, values
from reference.softmax import log_softmax, softmax
from reference.softmax_gradient import softmax_gradient
from tolerance import log_softmax_bound, needs_promise_about_nan, softmax_bound

from mpscnn import Network, ShapeError, Tensor, kernels


@st.composite
def pixels(draw: st.DrawFn) -> Sample:
    shape = 1, 1, draw(st.integers(1, 4)), draw(st.integers(1, 1100))
    return Sample([values(draw(seeds), shape, scale=draw(st.floats(0.1, 30.0)))])


def expect_softmax(sample: Sample) -> Any:
    reference = softmax(sample.inputs[0])
    return reference, softmax_bound(sample.inputs[0], reference)


def expect_log_softmax(sample: Sample) -> Any:
    with np.errstate(divide="ignore"):
        reference = log_softmax(sample.inputs[0])
    return reference, log_softmax_bound(sample.inputs[0], reference)


def activated(network: Network, x: Tensor) -> None:
    network.layer("softmax", [x], {}, activation="relu")


LARGE = special(1e30, 1e30, -1e30, 0.0)
LOG_HALF = -np.log(2)

SOFTMAX = Operation(
    "softmax",
    expect_softmax,
    draws={"pixels": pixels()},
    known={
        "large": Sample(LARGE, expected=[[0.5, 0.5, 0.0, 0.0]]),
        "NaN": Sample([np.array([[0, np.nan, 1], [0, 0, 0]], np.float32)], marks=[needs_promise_about_nan]),
    },
    layers={
        "sum": Layers(
            [(1001,)],
            lambda net, x: net.reduce_sum(net.softmax(net.activation(x, {"kind": "linear", "a": 3.0})), -1),
            lambda x: np.ones((len(x), 1)),
            rtol=1e-6,
        )
    },
    refused=refusals({"softmax: unknown parameter 'axis'": {"axis": 1}, "takes no activation": activated}),
    torch=lambda torch, sample: torch.softmax(sample.inputs[0], -1),
)

LOG_SOFTMAX = Operation(
    "log_softmax",
    expect_log_softmax,
    draws={"pixels": pixels()},
    known={
        "large": Sample(LARGE, expected=[[LOG_HALF, LOG_HALF, -2e30, -1e30]]),
        "one channel": Sample([values(0, (3, 1))], expected=np.zeros((3, 1))),
        "NaN and what is impossible": Sample(
            [np.array([[0.0, np.nan], [-np.inf, 3.0]], np.float32)],
            expected=[[np.nan, np.nan], [-np.inf, 0.0]],
            marks=[needs_promise_about_nan],
        ),
    },
    refused=refusals({"log_softmax: takes 1 inputs, got 2": {}}, [(4, 5, 3)] * 2),
    torch=lambda torch, sample: torch.log_softmax(sample.inputs[0], -1),
)


def of_softmax(shape: tuple[int, ...], scale: float, logarithm: bool, seed: int) -> Sample:
    result = (log_softmax if logarithm else softmax)(values(seed + 1, shape, scale=scale))
    return Sample([values(seed, shape), result.astype(np.float32)], {"logarithm": logarithm})


def expect_softmax_gradient(sample: Sample) -> Any:
    (gradient, result), logarithm = sample.inputs, sample.attributes["logarithm"]
    reference = softmax_gradient(gradient, result, logarithm=logarithm)
    if logarithm:
        terms = softmax_gradient(np.abs(gradient), result, logarithm=True)
        return reference, 1e-5 * (np.abs(gradient) + np.abs(terms)) + 1e-37
    sums = np.abs(gradient * result).sum(axis=-1, keepdims=True)
    return reference, 2e-6 * result * (np.abs(gradient) + sums) + 1e-37


def torch_softmax(torch: Any, sample: Sample) -> Any:
    """Return PyTorch's gradient from the result alone, since the softmax of log(softmax) is the softmax again."""
    gradient, result = sample.inputs
    if sample.attributes["logarithm"]:
        return autograd(gradient, result, lambda x: torch.log_softmax(x, -1))
    return autograd(gradient, torch.log(result), lambda x: torch.softmax(x, -1))


of_pixels = st.tuples(st.just(2), st.just(1), st.integers(1, 4), st.integers(1, 1100))

SOFTMAX_GRADIENT = Operation(
    "softmax_gradient",
    expect_softmax_gradient,
    draws={"pixels": st.builds(of_softmax, of_pixels, st.floats(0.1, 30.0), st.booleans(), seeds)},
    refused=refusals({"input 1 must have the shape of input 0": {}}, [(2, 3), (2, 4)], ShapeError),
    divided={f"logarithm {kind}": of_softmax((2, 40, 33, 21), 1.0, kind, 1) for kind in (False, True)},
    torch=torch_softmax,
    kernels={
        name: RawKernel(
            st.builds(of_softmax, of_pixels, st.just(1.0), st.just(logarithm), seeds),
            lambda sample, name=name: getattr(kernels, name)(),
        )
        for name, logarithm in (("SoftMaxGradient", False), ("LogSoftMaxGradient", True))
    },
    training=True,
)

OPERATIONS = [SOFTMAX, LOG_SOFTMAX, SOFTMAX_GRADIENT]
