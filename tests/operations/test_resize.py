"""Test nearest, bilinear and Lanczos resize, and the gradients of the first two."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import PIL.Image
import pytest
from operations.generic import *  # noqa: F403
from operations.record import Layers, Operation, RawKernel, Sample, autograd, refusals
from operations.windows import nchw, nhwc
from ops.single_layer import run_layer, seeds, values
from patience import little_work
from reference.resize import resize
from reference.resize_gradient import resize_gradient
from tolerance import FLOAT32_EPS, linear_bound

from mpscnn import Network, ShapeError, Trainer, UnsupportedError, kernels

KINDS = ("nearest", "bilinear", "lanczos")
ALIGNMENTS = ("half_pixel", "corners", "asymmetric", "pytorch_half_pixel")
extents = st.integers(1, 13)
roundings = st.sampled_from(["by_alignment", "floor", "ceil", "round_prefer_floor", "round_prefer_ceil"])


@st.composite
def sizes(draw: st.DrawFn, kinds: tuple[str, ...]) -> Sample:
    """Draw a resize to a size."""
    x = values(draw(seeds), (2, draw(extents), draw(extents), draw(st.integers(1, 40))))
    attributes = {
        "kind": draw(st.sampled_from(kinds)),
        "alignment": draw(st.sampled_from(ALIGNMENTS)),
        "height": draw(extents),
        "width": draw(extents),
        "rounding": draw(roundings),
    }
    return Sample([x], attributes)


@st.composite
def placements(draw: st.DrawFn, kinds: tuple[str, ...]) -> Sample:
    """Draw a resize with any magnification and offset, as Apple's upsampling with an offset and a clip rectangle."""
    sample = draw(sizes(kinds))
    attributes = dict(sample.attributes) | {"alignment": draw(st.sampled_from(["half_pixel", "asymmetric"]))}
    for axis in "yx":
        attributes[f"magnification_{axis}"] = draw(st.sampled_from([0.0, 0.5, 1.0, 2.0, 2.5]))
        attributes[f"offset_{axis}"] = draw(st.integers(-40, 40)) / 8
    return Sample(sample.inputs, attributes | {"edge": draw(st.sampled_from(["clamp", "zero"]))})


def scale_of(attributes: dict[str, Any], axis: str) -> float:
    return float(attributes.get(f"magnification_{axis}", 0.0) or attributes.get(f"scale_{axis}", 0.0))


def expect_resize(sample: Sample) -> Any:
    (x,), attributes = sample.inputs, dict(sample.attributes)
    kind = attributes.get("kind", "bilinear")
    height, width = (
        attributes.get(side) or int(np.float32(extent) * np.float32(attributes.get(f"scale_{axis}", 1.0)))
        for side, axis, extent in (("height", "y", x.shape[1]), ("width", "x", x.shape[2]))
    )
    arguments = {
        "edge": attributes.get("edge", "clamp"),
        "magnification": (scale_of(attributes, "y"), scale_of(attributes, "x")),
        "offset": (attributes.get("offset_y", 0.0), attributes.get("offset_x", 0.0)),
        "rounding": attributes.get("rounding", "by_alignment"),
    }
    size = height, width, kind, attributes.get("alignment", "half_pixel")
    reference = resize(x, *size, **arguments)
    if kind == "nearest":
        return reference, None
    # Interpolation weights are rounded, so the error is proportional to the pixels' values.
    if kind == "lanczos":
        return reference, linear_bound(resize(np.abs(x), *size, magnitudes=True, **arguments))
    return reference, 8 * FLOAT32_EPS * float(np.abs(x).max())


@st.composite
def torch_resizes(draw: st.DrawFn) -> Sample:
    """Draw resizes that PyTorch's `interpolate` has: to a size, or by a scale."""
    x = values(draw(seeds), (2, draw(extents), draw(extents), 3))
    kind, alignment = draw(
        st.sampled_from(
            [
                ("bilinear", "half_pixel"),
                ("bilinear", "corners"),
                ("nearest", "asymmetric"),
                ("nearest", "half_pixel"),
            ]
        )
    )
    attributes: dict[str, Any] = {"kind": kind, "alignment": alignment}
    if alignment == "corners" or draw(st.booleans()):
        return Sample([x], attributes | {"height": draw(extents), "width": draw(extents)})
    scale = draw(st.sampled_from([1.25, 1.5, 2.5, 3.0] if kind == "bilinear" else [1.0, 2.0, 3.0, 4.0]))
    # PyTorch copies along an axis whose extent stays the same, whatever the scale.
    stays = any(extent != 1 and int(extent * scale) == extent for extent in x.shape[1:3])
    return Sample([x], attributes | dict.fromkeys(("scale_y", "scale_x"), 2.0 if stays else scale))


def interpolate(torch: Any, x: Any, attributes: Any) -> Any:
    bilinear, alignment = attributes["kind"] == "bilinear", attributes["alignment"]
    arguments: dict[str, Any] = {"mode": "nearest" if alignment == "asymmetric" else "nearest-exact"}
    if bilinear:
        arguments = {"mode": "bilinear", "align_corners": alignment == "corners"}
    if "height" in attributes:
        arguments["size"] = attributes["height"], attributes["width"]
    else:
        arguments["scale_factor"] = attributes["scale_y"]
    return nhwc(torch.nn.functional.interpolate(nchw(x), **arguments))


def by_scale(kind: str, scale: float, size: tuple[int | None, int | None] = (5, 7)) -> Layers:
    """Return a resize by a scale. Positions follow the scale, not the quotient of the rounded sizes."""

    def expected(x: Any) -> Any:
        attributes = {"kind": kind, "alignment": "asymmetric", "scale_y": scale, "scale_x": scale}
        return expect_resize(Sample([x], attributes))[0]

    return Layers(
        [(*size, 3)],
        lambda net, x: net.resize(x, scale=scale, method=kind, alignment="asymmetric"),
        expected,
        [(2, 5, 7, 3)],
        rtol=1e-5,
        atol=1e-5,
    )


def of_extent(size: int, scale: float, expected: int, free: bool) -> Layers:
    """Return a resize by a scale whose product with the size is computed in float32.

    The new size must be 29, although 100 * 0.29 and 25 * 1.16 are a little less than 29 in float64.
    """
    return Layers(
        [(None, None, 1) if free else (size, size, 1)],
        lambda net, x: net.resize(x, scale=scale),
        lambda x: np.zeros((1, expected, expected, 1), np.float32),
        inputs=[np.zeros((1, size, size, 1), np.float32)],
    )


#: An image, and the published results of MPSCNNUpsamplingBilinear by a factor of 2 with zeros outside the image: all
#: rows on macOS 10.14 (LATER, alignment "asymmetric"), and the first row on macOS 10.13 (EARLIER, "half_pixel").
APPLES = np.array([3, 6, 9, 12], np.float32).reshape(1, 2, 2, 1)
TWICE = {"scale_y": 2.0, "scale_x": 2.0, "edge": "zero"}
LATER = [[3, 4.5, 6, 3], [6, 7.5, 9, 4.5], [9, 10.5, 12, 6], [4.5, 5.25, 6, 3]]
EARLIER = [1.6875, 2.8125, 3.9375, 3.375]


def whole_positions(**size: Any) -> Sample:
    """Return a resize whose positions are whole. With a rounded reciprocal 49 * (1 / 49) is below 1 in float64."""
    x = np.arange(2, dtype=np.float32).reshape(1, 1, 2, 1)
    attributes = {"kind": "nearest", "alignment": "asymmetric", "height": 1}
    return Sample([x], attributes | size, expected=np.repeat([0, 1], 49))


def local_nan() -> Sample:
    x = np.zeros((1, 4, 4, 1), np.float32)
    x[0, 0, 0, 0] = np.nan
    expected = np.zeros((8, 8))
    expected[:3, :3] = np.nan
    return Sample([x], {"height": 8, "width": 8}, expected=expected)


@st.composite
def magnified(draw: st.DrawFn, kind: str) -> Sample:
    """Draw an enlargement by whole factors."""
    x = values(draw(seeds), tuple(draw(st.integers(1, maximum)) for maximum in (2, 6, 6, 9)))
    corners = kind == "bilinear" and draw(st.booleans())
    factors = {f"scale_{axis}": draw(st.integers(1, 3)) for axis in "xy"}
    return Sample([x], {"kind": kind, "alignment": "corners" if corners else "half_pixel", **factors})


def enlarging(sample: Sample) -> kernels.UnaryKernel:
    a = sample.attributes
    corners = {"align_corners": a["alignment"] == "corners"} if a["kind"] == "bilinear" else {}
    return getattr(kernels, f"Upsampling{a['kind'].title()}")(a["scale_x"], a["scale_y"], **corners)


def to_a_size(sample: Sample) -> kernels.ResizeBilinear:
    a, (_, height, width, _) = sample.attributes, sample.inputs[0].shape
    size = width * a["scale_x"], height * a["scale_y"]
    return kernels.ResizeBilinear(*size, align_corners=a["alignment"] == "corners")


RESIZE = Operation(
    "resize",
    expect_resize,
    draws={"sizes": sizes(KINDS), "placements": placements(KINDS)},
    gradient_draws={"sizes": sizes(KINDS[:2]), "placements": placements(KINDS[:2])},
    known={
        "asymmetric beside zeros": Sample(
            [APPLES], TWICE | {"alignment": "asymmetric"}, expected=np.reshape(LATER, (1, 4, 4, 1))
        ),
        "whole positions, a size": whole_positions(width=98),
        "whole positions, a scale": whole_positions(scale_x=49.0),
        "NaN stays local": local_nan(),
    },
    refused=[
        *refusals(
            {
                "scale_y must be 1 when height is given": lambda net, x: net.resize(x, (8, 8), scale=2),
                "scale_y must be above 0 and at most 16777216": {"scale_y": 0.0},
                "height must be 0 to": {"height": -1},
                "magnification_y must be 0, or 1/16777216 to 16777216": {"magnification_y": -1.0},
                "magnification_x must be 0 with alignment corners": {
                    "magnification_x": 2.0,
                    "alignment": "corners",
                },
                "offset_x must be -16777216 to 16777216": {"offset_x": 1e9},
                "magnification_x must be 0, or at least 1/256 with kind lanczos": {
                    "kind": "lanczos",
                    "magnification_x": 1 / 300,
                },
                "edge must be clamp or zero, got exclude": {"edge": "exclude"},
            },
            [(4, 4, 3)],
        ),
        *refusals({"scale_x 0.2.* leaves nothing of 4": {"scale_x": 0.2}}, [(4, 4, 3)], ShapeError),
    ],
    kernels={
        "UpsamplingNearest": RawKernel(magnified("nearest"), enlarging),
        "UpsamplingBilinear": RawKernel(magnified("bilinear"), enlarging),
        "ResizeBilinear": RawKernel(magnified("bilinear"), to_a_size),
    },
    layers={
        **{f"{kind} by {scale}": by_scale(kind, scale) for kind in KINDS for scale in (1.5, 2.5, 3.7)},
        **{f"{kind} by 2, free size": by_scale(kind, 2.0, (None, None)) for kind in KINDS},
        **{
            f"extent {size} by {scale}{', free' if free else ''}": of_extent(size, scale, expected, free)
            for size, scale, expected in ((100, 0.29, 29), (10, 0.7, 7), (25, 1.16, 29), (9, 0.33, 2))
            for free in (True, False)
        },
    },
    torch=lambda torch, sample: interpolate(torch, sample.inputs[0], sample.attributes),
    torch_draws={"interpolate": torch_resizes()},
    onnx_draws={"sizes": sizes(("nearest", "bilinear"))},
)


def test_half_pixels_beside_zeros() -> None:
    result = run_layer("resize", [APPLES], TWICE | {"alignment": "half_pixel"})
    np.testing.assert_allclose(result[0, 0, :, 0], EARLIER)


def test_sizes_that_float32_does_not_have() -> None:
    """Float32 does not have all integers beyond 2^24, so sizes are computed in float64."""
    network = Network(input=(1, 16_000_001, 1))
    assert network.resize(network.input, scale=(1.0, 1.5)).shape == (None, 1, 24_000_001, 1)


# ---- Lanczos' filter -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(32, 24), (3, 5), (16, 9)])
def test_lanczos_is_pillows_inside_of_an_image(size: tuple[int, int]) -> None:
    """Inside of an image results are Pillow's. At the border Pillow cuts off the filter, and mpscnn repeats pixels."""
    x = values(0, (1, 16, 18, 1))
    found = run_layer("resize", [x], {"kind": "lanczos", "height": size[0], "width": size[1]})[0, ..., 0]
    image = PIL.Image.fromarray(x[0, ..., 0])
    expected = np.asarray(image.resize(size[::-1], PIL.Image.Resampling.LANCZOS))
    rows, columns = (
        slice(border, extent - border)
        for extent, border in (
            (extent, int(np.ceil(3 * max(extent / own, 1))))
            for extent, own in zip(size, (16, 18), strict=True)
        )
    )
    assert size == (3, 5) or expected[rows, columns].size > 0
    np.testing.assert_allclose(found[rows, columns], expected[rows, columns], rtol=1e-5, atol=1e-5)


def test_lanczos_keeps_what_it_need_not_change() -> None:
    """A resize to the same size copies, a shift by whole pixels moves them, and a constant image stays constant."""
    x = values(3, (1, 5, 7, 6))
    same = {"kind": "lanczos", "height": 5, "width": 7}
    np.testing.assert_array_equal(run_layer("resize", [x], same), x)
    moved = run_layer("resize", [x], same | {"offset_x": 2.0, "edge": "zero"})
    np.testing.assert_array_equal(moved[:, :, :5], x[:, :, 2:])
    assert not moved[:, :, 5:].any()
    plain = np.full((1, 5, 7, 3), 0.3, np.float32)
    for size in ({"height": 2, "width": 3}, {"height": 11, "width": 20}):
        result = run_layer("resize", [plain], {"kind": "lanczos", **size})
        np.testing.assert_allclose(result, 0.3, rtol=4 * FLOAT32_EPS)
    outside = run_layer("resize", [plain], same | {"offset_x": 100.0, "edge": "zero"})
    assert not outside.any()


def test_lanczos_needs_no_blur_where_an_image_becomes_smaller() -> None:
    """Stripes of one pixel become gray. Bilinear sampling would select some of the stripes."""
    x = np.tile(np.array([0.0, 1.0], np.float32), 32).reshape(1, 1, 64, 1).repeat(3, axis=1)
    size = {"height": 3, "width": 9}
    gray = run_layer("resize", [x], {"kind": "lanczos", **size})[0, 1, 1:-1, 0]
    np.testing.assert_allclose(gray, 0.5, atol=0.02)
    assert np.ptp(run_layer("resize", [x], {"kind": "bilinear", **size})) > 0.5


@pytest.mark.parametrize("edge", ["clamp", "zero"])
def test_lanczos_far_outside_costs_nothing(edge: str) -> None:
    """Outputs far outside of the image are cheap: each has one weight, not a window of 1536 weights."""
    x = values(0, (1, 1, 5, 1))
    attributes = {"kind": "lanczos", "height": 1, "width": 1 << 20, "magnification_x": 1 / 256, "edge": edge}
    with little_work():
        result = run_layer("resize", [x], attributes)[0, 0, :, 0]
    far = result[8:]
    expected = x[0, 0, 4, 0] if edge == "clamp" else 0.0
    np.testing.assert_array_equal(far, np.full(far.shape, expected))


def test_the_gradient_of_lanczos_is_refused() -> None:
    network = Network(input=(4, 4, 3))
    x = network.resize(network.conv2d(network.input, 2, 1), (8, 8), method="lanczos")
    network.output(network.dense(network.flatten(x), 2))
    network.initialize_weights()
    with pytest.raises(UnsupportedError, match="kind lanczos"):
        Trainer(network)


# ---- Gradients -----------------------------------------------------------------------------------------------


def gradient_of(sample: Sample) -> Sample:
    """Return the sample of the gradient of a resize to a size."""
    (x,), attributes = sample.inputs, sample.attributes
    gradient = values(x.size, (len(x), attributes["height"], attributes["width"], x.shape[-1]))
    return Sample([gradient, np.zeros_like(x)], attributes)


def expect_gradient(sample: Sample) -> Any:
    (gradient, x), attributes = sample.inputs, dict(sample.attributes)
    # Positions and weights are rounded, and each sum has a term for each result that reads the pixel.
    magnitude = resize_gradient(np.abs(gradient), x.shape, attributes)
    bound = 8 * FLOAT32_EPS * (magnitude + np.abs(gradient).sum())
    return resize_gradient(gradient, x.shape, attributes), bound


def torch_gradient(torch: Any, sample: Sample) -> Any:
    gradient, x = sample.inputs
    return autograd(gradient, x, lambda x: interpolate(torch, x, sample.attributes))


def gradients_of(samples: st.SearchStrategy[Sample]) -> st.SearchStrategy[Sample]:
    return samples.filter(lambda sample: "height" in sample.attributes).map(gradient_of)


LARGE = Sample([np.zeros((2, 17, 17, 21), np.float32)], {"height": 65, "width": 65})
IMAGE = (2, 4, 4, 3)

RESIZE_GRADIENT = Operation(
    "resize_gradient",
    expect_gradient,
    draws={
        "sizes": gradients_of(sizes(KINDS[:2])),
        "placements": gradients_of(placements(KINDS[:2])),
    },
    refused=[
        *refusals(
            {"input 0 must have the shape of the result": {"height": 8, "width": 8}},
            [IMAGE, IMAGE],
            ShapeError,
        ),
        *refusals(
            {
                "kind must be nearest or bilinear, got lanczos": {
                    "kind": "lanczos",
                    "height": 4,
                    "width": 4,
                }
            },
            [IMAGE, IMAGE],
        ),
    ],
    divided={"large": gradient_of(LARGE)},
    torch=torch_gradient,
    torch_draws={"interpolate": gradients_of(torch_resizes())},
    training=True,
)

OPERATIONS = [RESIZE, RESIZE_GRADIENT]
