"""Test max, average and L2-norm pooling, and their gradients."""

from __future__ import annotations

import dataclasses
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from operations.generic import *  # noqa: F403
from operations.record import Layers, Operation, Sample, autograd, refusals
from operations.windows import nchw, nhwc, pads
from ops.single_layer import seeds, values, windows
from reference.pooling import pooling
from reference.pooling_gradient import pooling_gradient
from reference.window import positions
from tolerance import linear_bound, needs_promise_about_nan

from mpscnn import Network, ShapeError, Tensor

kinds = st.sampled_from(["max", "average", "l2_norm"])
SIDES = (("height", "y", "top", "bottom"), ("width", "x", "left", "right"))


def expect_pooling(sample: Sample) -> Any:
    (x,), attributes = sample.inputs, dict(sample.attributes)
    reference = pooling(x, attributes)
    if attributes["kind"] == "max":
        return reference, None
    # An L2 norm has half the relative error of the sum of squares, plus that of the root.
    norm = attributes["kind"] == "l2_norm"
    return reference, linear_bound(reference if norm else pooling(np.abs(x), attributes))


def every_window_touches(attributes: dict[str, Any], height: int, width: int) -> bool:
    """Return True if each window has a tap in the image. Windows in the padding, and dilated ones, may have none."""
    return all(
        any(0 <= tap < size for tap in taps)
        for axis, size in zip(positions(attributes, height, width), (height, width), strict=True)
        for taps in axis
    )


def zero_pads(draw: st.DrawFn) -> dict[str, int]:
    return {side: draw(st.integers(0, 3)) for side in ("zero_pad_y", "zero_pad_x")}


@st.composite
def images(draw: st.DrawFn, size: int, channels: int) -> Any:
    shape = draw(st.tuples(*(st.integers(1, maximum) for maximum in (2, size, size, channels))))
    return values(draw(seeds), shape)


@st.composite
def window_samples(draw: st.DrawFn) -> Sample:
    x = draw(images(11, 37))
    attributes = draw(windows(*x.shape[1:3])) | {"kind": draw(kinds)}
    if not every_window_touches(attributes, *x.shape[1:3]):
        return Sample([x], attributes, refusal="only padding")
    if attributes["kind"] == "average":
        attributes["count_padding"] = draw(st.booleans())
        attributes |= {} if attributes["count_padding"] else zero_pads(draw)
    return Sample([x], attributes)


@st.composite
def edge_samples(draw: st.DrawFn) -> Sample:
    """Draw windows at any position, also completely outside of the image."""
    x, kind, edge = draw(images(9, 19)), draw(kinds), draw(st.sampled_from(["zero", "clamp"]))
    attributes: dict[str, Any] = {"kind": kind, "edge": edge, "padding": "explicit"}
    for (side, suffix, before, after), size in zip(SIDES, x.shape[1:3], strict=True):
        kernel, dilation = draw(st.integers(1, 4)), draw(st.integers(1, 3))
        outputs, reach = draw(st.integers(1, 6)), (kernel - 1) * dilation + 1
        stride, first = draw(st.integers(1, 3)), draw(st.integers(-reach - 3, size))
        attributes |= {f"kernel_{side}": kernel, f"dilation_{suffix}": dilation, f"stride_{suffix}": stride}
        attributes |= {f"pad_{before}": -first, f"pad_{after}": first + (outputs - 1) * stride + reach - size}
    if kind == "average" and edge == "clamp":
        attributes |= zero_pads(draw)
    return Sample([x], attributes)


@st.composite
def global_samples(draw: st.DrawFn) -> Sample:
    return Sample([draw(images(15, 130))], {"kind": draw(kinds), "global": True})


@st.composite
def torch_samples(draw: st.DrawFn) -> Sample:
    """Draw poolings that PyTorch supports: symmetric padding up to half a window, and no padding of a norm."""
    kind, ceil_mode = draw(kinds), draw(st.booleans())
    attributes: dict[str, Any] = {"kind": kind, "padding": "explicit"}
    size = []
    for side, suffix, before, after in SIDES:
        kernel, stride = draw(st.integers(1, 4)), draw(st.integers(1, 4))
        dilation = draw(st.integers(1, 4)) if kind == "max" else 1
        pad = 0 if kind == "l2_norm" else draw(st.integers(0, kernel // 2))
        overhang = stride - 1 if ceil_mode and kind != "l2_norm" else 0
        minimum = max(2, (kernel - 1) * dilation + 1 - 2 * pad - overhang)
        size.append(draw(st.integers(minimum, max(minimum, 12))))
        attributes |= {f"kernel_{side}": kernel, f"stride_{suffix}": stride, f"dilation_{suffix}": dilation}
        attributes |= {f"pad_{before}": pad, f"pad_{after}": pad}
    attributes["ceil_mode"] = ceil_mode and kind != "l2_norm"
    attributes["count_padding"] = draw(st.booleans()) if kind == "average" else False
    return Sample([values(draw(seeds), (2, *size, 5))], attributes)


def torch_pool(torch: Any, x: Any, attributes: Any) -> Any:
    kernel, window = (attributes.get("kernel_height", 1), attributes.get("kernel_width", 1)), pads(attributes)
    planes, ceil_mode = nchw(x), attributes.get("ceil_mode", False)
    functional = torch.nn.functional
    if attributes["kind"] == "max":
        return nhwc(functional.max_pool2d(planes, kernel, **window, ceil_mode=ceil_mode))
    if attributes["kind"] == "l2_norm":
        return nhwc(functional.lp_pool2d(planes, 2, kernel, window["stride"]))
    counted = attributes.get("count_padding", False)
    return nhwc(
        functional.avg_pool2d(planes, kernel, window["stride"], window["padding"], ceil_mode, counted)
    )


def touching(samples: st.SearchStrategy[Sample]) -> st.SearchStrategy[Sample]:
    """Filter out samples with windows without pixels. They are -infinity in PyTorch and refused here."""
    return samples.filter(
        lambda sample: (
            sample.refusal is None
            and (
                "edge" in sample.attributes
                or "global" in sample.attributes
                or every_window_touches(dict(sample.attributes), *sample.inputs[0].shape[1:3])
            )
        )
    )


def nan_in(kind: str, stride: int, channel: int) -> Sample:
    """Return a pooling of an image with a NaN and an infinity.

    Only windows that contain the NaN have the result NaN. The infinity does not become NaN.
    """
    x = values(0, (1, 9, 9, 9))
    x[0, 4, 4, channel], x[0, 0, 0, channel] = np.nan, np.inf
    attributes = {"kind": kind, "kernel_height": 2, "kernel_width": 2, "stride_y": stride, "stride_x": stride}
    undocumented = pytest.mark.cpu("what MPSCNNPoolingMax does with NaN is not documented")
    marks = [needs_promise_about_nan, *([undocumented] if kind == "max" else [])]
    return Sample([x], attributes, marks=marks)


#: Results that were measured with Apple's classes, for 2x2 windows around the corners of an image with 1 ... 9.
NINE = np.arange(1, 10, dtype=np.float32).reshape(1, 3, 3, 1)
CORNERS = {"kernel_height": 2, "kernel_width": 2, "padding": "explicit", "pad_top": 1, "pad_left": 1}


def around_corners(kind: str, edge: str, x: Any, expected: list[list[float]]) -> Sample:
    return Sample([x], CORNERS | {"kind": kind, "edge": edge}, expected=np.reshape(expected, (1, 3, 3, 1)))


def enormous(edge: str) -> Layers:
    size = {"kernel_height": 1 << 24, "kernel_width": 1 << 24, "padding": "same", "edge": edge}

    def build(network: Network, x: Tensor) -> list[Tensor]:
        network.output(network.layer("pooling", [x], size))
        assert network.describe()["layers"][0]["flops"] == 5 * 5 * 3 << 48
        return []

    def expected(x: Any) -> Any:
        return np.broadcast_to(x.max(axis=(1, 2), keepdims=True), x.shape)

    return Layers([(5, 5, 3)], build, expected, marks=[pytest.mark.cpu("Metal has smaller windows")])


SAME = {"kind": "max", "kernel_height": 3, "kernel_width": 3, "padding": "same"}
EXPLICIT = {"kernel_height": 2, "padding": "explicit"}
CAFFE = {"kind": "average", "zero_pad_y": 1}

POOLING = Operation(
    "pooling",
    expect_pooling,
    draws={"windows": window_samples(), "edges": edge_samples(), "global": global_samples()},
    known={
        **{
            f"NaN {kind} {stride} {channel}": nan_in(kind, stride, channel)
            for kind in ("max", "average", "l2_norm")
            for stride in (1, 2)
            for channel in (3, 8)
        },
        "a maximum never comes from the padding": Sample([-1.0 - np.abs(values(0, (1, 3, 3, 8)))], SAME),
        "average of infinities": Sample(
            [np.full((1, 2, 2, 3), np.inf, np.float32)], {"kind": "average", "global": True}
        ),
        "average beside zeros": around_corners(
            "average", "zero", NINE, [[0.25, 0.75, 1.25], [1.25, 3, 4], [2.75, 6, 7]]
        ),
        "clamped average": around_corners(
            "average", "clamp", NINE, [[1, 1.5, 2.5], [2.5, 3, 4], [5.5, 6, 7]]
        ),
        "maximum beside zeros": around_corners("max", "zero", -NINE, [[0, 0, 0], [0, -1, -2], [0, -4, -5]]),
    },
    refused=[
        *refusals(
            {
                "global must be false": {"global": True, "kernel_height": 2},
                "must be one of max, average, l2_norm": {"kind": "median"},
                "must be one of zero, clamp, exclude": {"edge": "mirror"},
                "zero_pad_x must be 0 unless kind is average, got 1": {"zero_pad_x": 1},
                "zero_pad_y must be 0 to": {"kind": "average", "zero_pad_y": -1},
                "zero_pad_y must be 0 with edge zero": CAFFE | {"edge": "zero"},
                "zero_pad_y must be 0 with count_padding": CAFFE | {"count_padding": True},
                "count_padding must be false unless edge is exclude": {
                    "kind": "average",
                    "count_padding": True,
                    "edge": "clamp",
                },
            }
        ),
        *refusals(
            {
                "window 0 covers none of the 5 rows": EXPLICIT | {"pad_top": 2},
                "window 5 covers none of the 5 columns": {
                    "kernel_width": 2,
                    "padding": "explicit",
                    "pad_right": 2,
                },
                "window 1 covers none of the 5 rows": EXPLICIT
                | {"kernel_height": 3, "dilation_y": 7, "pad_top": 10, "pad_bottom": 5},
            },
            [(5, 5, 3)],
            ShapeError,
        ),
    ],
    layers={f"enormous windows, {edge}": enormous(edge) for edge in ("exclude", "clamp")},
    torch=lambda torch, sample: torch_pool(torch, sample.inputs[0], sample.attributes),
    torch_draws={"windows": touching(torch_samples())},
)

# ---- Gradients -----------------------------------------------------------------------------------------------


def gradient_of(sample: Sample, ties: bool = False) -> Sample:
    """Return a sample of the gradient operation. With `ties` inputs are integers, so that maxima are not unique."""
    x = np.round(sample.inputs[0]) if ties else sample.inputs[0]
    result = pooling(x, dict(sample.attributes)).astype(np.float32)
    return dataclasses.replace(sample, inputs=[values(x.size, result.shape), x, result])


def gradients_of(samples: st.SearchStrategy[Sample]) -> st.SearchStrategy[Sample]:
    return st.builds(gradient_of, touching(samples), st.booleans())


def has_slope(sample: Sample) -> bool:
    """Return True if the gradient exists. An L2 norm has none where it is 0."""
    return sample.attributes["kind"] != "l2_norm" or bool(sample.inputs[2].all())


@st.composite
def side_by_side(draw: st.DrawFn) -> Sample:
    """Draw windows that do not overlap, with pixels left over or windows that extend beyond the border."""
    x, kernel = draw(images(13, 70)), draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    fits = all(taps <= extent for taps, extent in zip(kernel, x.shape[1:3], strict=True))
    names = (("kernel_height", "stride_y"), ("kernel_width", "stride_x"))
    attributes = {name: taps for both, taps in zip(names, kernel, strict=True) for name in both}
    return Sample([x], attributes | {"kind": draw(kinds), "ceil_mode": draw(st.booleans()) or not fits})


def expect_gradient(sample: Sample) -> Any:
    (gradient, x, result), attributes = sample.inputs, dict(sample.attributes)
    positive = np.abs(x) if attributes["kind"] == "l2_norm" else x
    magnitude = pooling_gradient(np.abs(gradient), positive, result, attributes)  # without cancellation
    return pooling_gradient(gradient, x, result, attributes), 1e-6 * magnitude + 1e-37


def torch_gradient(torch: Any, sample: Sample) -> Any:
    gradient, x, _ = sample.inputs
    return autograd(gradient, x, lambda x: torch_pool(torch, x, sample.attributes))


def large(kind: str, kernel: int) -> Sample:
    window = {"kernel_height": kernel, "kernel_width": kernel, "stride_y": 2, "stride_x": 2}
    return gradient_of(Sample([values(0, (3, 60, 61, 24))], window | {"kind": kind}))


HALVED = {"kernel_height": 2, "kernel_width": 2, "stride_y": 2, "stride_x": 2}
WHOLE, HALF = (2, 4, 4, 3), (2, 2, 2, 3)

POOLING_GRADIENT = Operation(
    "pooling_gradient",
    expect_gradient,
    draws={
        "windows": gradients_of(window_samples() | global_samples()),
        "edges": gradients_of(edge_samples()),
        "side by side": gradients_of(side_by_side()),
    },
    refused=[
        *refusals({"input 0 must have the shape of the result": HALVED}, [WHOLE, WHOLE, HALF], ShapeError),
        *refusals({"input 2 must have the shape of input 0": HALVED}, [HALF, WHOLE, WHOLE], ShapeError),
    ],
    divided={
        f"{kind} {kernel}": large(kind, kernel) for kind in ("max", "average", "l2_norm") for kernel in (2, 3)
    },
    torch=torch_gradient,
    torch_draws={"windows": gradients_of(torch_samples()).filter(has_slope)},
    training=True,
)

OPERATIONS = [POOLING, POOLING_GRADIENT]
