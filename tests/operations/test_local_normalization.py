"""Test normalizations by neighbouring channels and pixels, and the gradient of the former."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from operations.generic import *  # noqa: F403
from operations.record import Operation, RawKernel, Sample, autograd, refusals
from operations.windows import nchw, nhwc
from ops.single_layer import run_layer, seeds, values
from reference.normalization import (
    cross_channel_normalization,
    local_contrast_normalization,
    spatial_normalization,
    windows,
)
from reference.normalization_gradient import cross_channel_normalization_gradient
from tolerance import local_contrast_bound, needs_promise_about_nan, power_bound

from mpscnn import ShapeError, kernels

IMAGE = [(4, 5, 6)]
BETAS = -1.0, 0.0, 0.5, 0.75, 1.0, 5.0

# ---- Neighbouring channels -----------------------------------------------------------------------------------


@st.composite
def channels(
    draw: st.DrawFn, sizes: st.SearchStrategy[int], betas: tuple[float, ...] = BETAS, small: bool = False
) -> Sample:
    """Draw a normalization. `small`: results that are within the range of float16."""
    x = values(draw(seeds), (2, 2, 3, draw(st.integers(1, 90))))
    attributes = {
        "kernel_size": draw(sizes),
        "alpha": draw(st.sampled_from([0.0, 1e-4, 1.0, 30.0])),
        "beta": draw(st.sampled_from(betas)),
        "delta": draw(st.sampled_from([0.5, 1.0, 2.0] if small else [1e-3, 1.0, 2.0])),
    }
    return Sample([x if small else x * np.float32(draw(st.sampled_from([1.0, 100.0])))], attributes)


def expect_channels(sample: Sample) -> Any:
    reference = cross_channel_normalization(sample.inputs[0], **sample.attributes)
    return reference, power_bound(reference, sample.attributes["beta"])


def local_response_norm(torch: Any, x: Any, attributes: Any) -> Any:
    size, alpha, beta = attributes["kernel_size"], attributes["alpha"], attributes["beta"]
    norm = torch.nn.functional.local_response_norm(nchw(x), size, alpha, beta, attributes["delta"])
    return nhwc(norm)


def whole_pixels() -> Sample:
    """Return a window that is wider than the image, so it covers all channels."""
    x = values(0, (1, 2, 2, 7))
    expected = x / np.sqrt(1 + np.square(x, dtype=np.float64).sum(axis=-1, keepdims=True))
    attributes = {"kernel_size": 1 << 24, "alpha": 2.0**24, "beta": 0.5, "delta": 1.0}
    return Sample([x], attributes, expected=expected)


CROSS_CHANNEL = Operation(
    "cross_channel_normalization",
    expect_channels,
    draws={"channels": channels(st.integers(1, 12), small=True)},
    known={"a window wider than the image": whole_pixels()},
    refused=refusals(
        {
            "kernel_size must be 1 to": {"kernel_size": 0},
            "alpha must be at least 0": {"alpha": -1.0},
            "delta must be at least 0": {"delta": -1.0},
        },
        IMAGE,
    ),
    torch=lambda torch, sample: local_response_norm(torch, sample.inputs[0], sample.attributes),
    torch_draws={"channels": channels(st.integers(1, 12))},
    onnx_draws={"channels": channels(st.integers(1, 12))},
    kernels={
        "CrossChannelNormalization": RawKernel(
            channels(st.integers(1, 12)),
            lambda sample: kernels.CrossChannelNormalization(**sample.attributes),
        )
    },
)


@needs_promise_about_nan
def test_large_values_and_nan_in_channels() -> None:
    x = np.array([[1e18, 1.0, np.nan, 1.0, 1.0, -3.0, 1e30]], np.float32)
    result = run_layer("cross_channel_normalization", [x], {"kernel_size": 3, "beta": 0.5})
    np.testing.assert_array_equal(np.isnan(result[0]), [False, True, True, True, False, False, False])
    np.testing.assert_allclose(result[0, 0], np.sqrt(3), rtol=1e-6)


@st.composite
def slopes(draw: st.DrawFn, sizes: st.SearchStrategy[int]) -> Sample:
    shape = tuple(draw(st.integers(1, maximum)) for maximum in (3, 6, 6, 40))
    seed = draw(seeds)
    attributes = {
        "kernel_size": draw(sizes),
        "alpha": draw(st.sampled_from([0.0, 0.5, 2.0])),
        "beta": draw(st.sampled_from([0.5, 0.75, 1.0, 5.0, 1.3])),
        "delta": 1.5,
    }
    return Sample([values(seed, shape), values(seed + 1, shape)], attributes)


def expect_slope(sample: Sample) -> Any:
    (gradient, x), attributes = sample.inputs, sample.attributes
    expected = cross_channel_normalization_gradient(gradient, x, **attributes)
    magnitude = 2 * np.abs(gradient) - cross_channel_normalization_gradient(
        -np.abs(gradient), np.abs(x), **attributes
    )
    return expected, 4e-6 * (1 + np.abs(magnitude))


def torch_slope(torch: Any, sample: Sample) -> Any:
    gradient, x = sample.inputs
    return autograd(gradient, x, lambda x: local_response_norm(torch, x, sample.attributes))


CROSS_CHANNEL_GRADIENT = Operation(
    "cross_channel_normalization_gradient",
    expect_slope,
    draws={"channels": slopes(st.integers(1, 9))},
    refused=refusals({"kernel_size must be 1 to": {"kernel_size": 0}}, [(2, 4, 5, 6)] * 2)
    + refusals({"input 0 must have the shape of the result": {}}, [(2, 4, 5, 6), (2, 4, 5, 7)], ShapeError),
    divided={"large": Sample([values(0, (1, 40, 40, 35)), values(1, (1, 40, 40, 35)) + 1])},
    torch=torch_slope,
    training=True,
)

# ---- Neighbouring pixels -------------------------------------------------------------------------------------


@st.composite
def centred_windows(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "kernel_height": draw(st.integers(1, 6)),
        "kernel_width": draw(st.integers(1, 6)),
        "offset_y": draw(st.integers(-7, 7)),
        "offset_x": draw(st.integers(-7, 7)),
        "height": draw(st.integers(0, 9)),
        "width": draw(st.integers(0, 9)),
        "edge": draw(st.sampled_from(["zero", "clamp"])),
        "alpha": draw(st.sampled_from([0.0, 0.5, 1.0])),
        "beta": draw(st.sampled_from([0.5, 0.75, 2.0, 5.0])),
        "delta": draw(st.sampled_from([0.5, 1.0, 2.0])),
    }


#: Windows of raw kernels, which have the same extents on both axes, and their parameters.
raw_windows = st.integers(1, 4).map(
    lambda size: {"kernel_height": size, "kernel_width": size, "alpha": 0.5, "beta": 0.75, "delta": 2.0}
)


@st.composite
def torch_windows(draw: st.DrawFn) -> dict[str, Any]:
    """Draw windows that PyTorch's average pooling has, too."""
    size = draw(st.sampled_from([1, 3, 5]))
    return {"kernel_height": size, "kernel_width": size, "alpha": 1.0}


@st.composite
def pixels(
    draw: st.DrawFn,
    window: st.SearchStrategy[dict[str, Any]],
    offsets: tuple[float, ...] = (0.0,),
    **more: float,
) -> Sample:
    shape = tuple(draw(st.integers(1, maximum)) for maximum in (2, 8, 8, 70))
    x = values(draw(seeds), shape) + np.float32(draw(st.sampled_from(offsets)))
    return Sample([x], draw(window) | more)


def expect_spatial(sample: Sample) -> Any:
    reference = spatial_normalization(sample.inputs[0], dict(sample.attributes))
    return reference, power_bound(reference, sample.attributes["beta"])


def means(torch: Any, sample: Sample) -> tuple[Any, Any, Any]:
    """Return the pixels, and the means of the windows and of their squares."""
    x, size = nchw(sample.inputs[0]), sample.attributes["kernel_height"]
    pool = torch.nn.functional.avg_pool2d
    return x, *(pool(values, size, 1, size // 2, count_include_pad=True) for values in (x, x**2))


def torch_spatial(torch: Any, sample: Sample) -> Any:
    x, _, square = means(torch, sample)
    return nhwc(x / (1 + square) ** sample.attributes["beta"])


SPATIAL = Operation(
    "spatial_normalization",
    expect_spatial,
    draws={"windows": pixels(centred_windows())},
    refused=[
        *refusals(
            {
                "kernel_height must be 1 to": {"kernel_height": 0},
                "kernel_width must be 1 to": {"kernel_width": 0},
                "offset_y must be": {"offset_y": 1 << 25},
                "offset_x must be": {"offset_x": -(1 << 25)},
                "height must be 0 to": {"height": -1},
                "width must be 0 to": {"width": -1},
                "edge must be zero or clamp, got exclude": {"edge": "exclude"},
            },
            IMAGE,
        ),
        *refusals({"must have 4 axes": lambda net, x: net.spatial_norm(x, 3)}, [(6,)], ShapeError),
    ],
    torch=torch_spatial,
    torch_draws={"windows": pixels(torch_windows(), beta=5.0)},
    kernels={
        "SpatialNormalization": RawKernel(
            pixels(raw_windows), lambda sample: kernels.SpatialNormalization(**sample.attributes)
        )
    },
)


def expect_contrast(sample: Sample) -> Any:
    (x,), attributes = sample.inputs, dict(sample.attributes)
    reference = local_contrast_normalization(x, attributes)
    taps, centre = windows(x, attributes)
    mean, variance = np.abs(taps).mean(axis=0), taps.var(axis=0)
    size = 2 * (np.abs(centre) + mean)
    return reference, local_contrast_bound(size, mean, variance, attributes, reference)


def torch_contrast(torch: Any, sample: Sample) -> Any:
    x, mean, square = means(torch, sample)
    return nhwc((x - mean) / torch.sqrt(sample.attributes["delta"] + square - mean**2))


CONTRAST = {"delta": 0.5, "p0": 0.75, "pm": 0.5, "ps": 2.0}

LOCAL_CONTRAST = Operation(
    "local_contrast_normalization",
    expect_contrast,
    draws={"windows": pixels(centred_windows(), (0.0, 100.0), **CONTRAST)},
    # Variances in gradients and ONNX files are differences, which cancel far from 0.
    gradient_draws={"windows": pixels(centred_windows(), **CONTRAST)},
    onnx_draws={"windows": pixels(centred_windows(), **CONTRAST)},
    refused=refusals(
        {
            "alpha must be at least 0": {"alpha": -0.5},
            "delta must be at least 0": {"delta": -0.5},
            "edge must be 'zero' or 'clamp'": lambda net, x: net.local_contrast_norm(x, 3, edge="mirror"),
            **{name: {name: 1e300} for name in ("beta", "p0", "pm", "ps")},
        },
        IMAGE,
    ),
    torch=torch_contrast,
    torch_draws={"windows": pixels(torch_windows(), delta=0.125, beta=0.5)},
    kernels={
        "LocalContrastNormalization": RawKernel(
            pixels(raw_windows, p0=0.5, pm=0.25, ps=2.0),
            lambda sample: kernels.LocalContrastNormalization(**sample.attributes),
        )
    },
)


@pytest.mark.parametrize("operation", ["spatial_normalization", "local_contrast_normalization"])
def test_nan_spoils_the_windows_that_cover_it(operation: str) -> None:
    x = values(0, (1, 9, 9, 3))
    x[0, 4, 4, 1] = np.nan
    result = run_layer(operation, [x], {"kernel_height": 4, "kernel_width": 3})
    expected = np.zeros(x.shape, bool)
    expected[0, 3:7, 3:6, 1] = True
    np.testing.assert_array_equal(np.isnan(result), expected)


def test_enormous_windows_run() -> None:
    x = values(0, (1, 4, 5, 3))
    attributes = {"kernel_height": 1 << 24, "kernel_width": 1 << 24, "edge": "clamp", "beta": 1.0}
    result = run_layer("spatial_normalization", [x], attributes)
    corners = np.stack([x[:, y, z] for y in (0, -1) for z in (0, -1)]).astype(np.float64)
    reference = x / (1 + np.square(corners).mean(axis=0))[:, None, None]
    np.testing.assert_allclose(result, reference, rtol=1e-5)


OPERATIONS = [CROSS_CHANNEL, CROSS_CHANNEL_GRADIENT, SPATIAL, LOCAL_CONTRAST]
