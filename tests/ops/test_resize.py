"""Nearest, bilinear and Lanczos resize against the float64 reference."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from ops.single_layer import precisions, run_layer, seeds, values
from patience import little_work
from reference.resize import resize
from tolerance import FLOAT32_EPS, assert_close, linear_bound

import mpscnn

KINDS = ["nearest", "bilinear", "lanczos"]
extents = st.integers(1, 13)


def bound_of(kind: str, x: Any, height: int, width: int, alignment: str, **placement: Any) -> Any:
    """Return an error bound. Interpolation weights are rounded, so the error is proportional to the pixels' values."""
    if kind == "lanczos":
        return linear_bound(resize(np.abs(x), height, width, kind, alignment, magnitudes=True, **placement))
    return 0.0 if kind == "nearest" else 8 * FLOAT32_EPS * float(np.abs(x).max())


@given(
    st.tuples(extents, extents, extents, extents),
    st.integers(1, 20),
    st.sampled_from(KINDS),
    st.sampled_from(["half_pixel", "corners", "asymmetric", "pytorch_half_pixel"]),
    st.sampled_from(["by_alignment", "floor", "ceil", "round_prefer_floor", "round_prefer_ceil"]),
    seeds,
    precisions(),
)
def test_sizes(
    sizes: tuple[int, int, int, int],
    channels: int,
    kind: str,
    alignment: str,
    rounding: str,
    seed: int,
    precision: str,
) -> None:
    height, width, out_height, out_width = sizes
    x = values(seed, (2, height, width, channels), precision=precision)
    attributes: dict[str, Any] = {
        "kind": kind,
        "alignment": alignment,
        "height": out_height,
        "width": out_width,
        "rounding": rounding,
    }
    reference = resize(x, out_height, out_width, kind, alignment, rounding=rounding)
    bound = bound_of(kind, x, out_height, out_width, alignment)
    half = precision == "float16" and kind != "nearest"
    assert_close(run_layer("resize", [x], attributes, precision=precision), reference, bound, half=half)


@given(
    st.tuples(extents, extents, extents, extents),
    st.sampled_from(KINDS),
    st.sampled_from(["half_pixel", "asymmetric"]),
    st.tuples(*[st.sampled_from([0.0, 0.5, 1.0, 2.0, 2.5])] * 2),
    st.tuples(*[st.integers(-40, 40).map(lambda n: n / 8)] * 2),
    st.sampled_from(["clamp", "zero"]),
    st.sampled_from(["by_alignment", "floor", "ceil", "round_prefer_floor", "round_prefer_ceil"]),
    seeds,
)
def test_placements(
    sizes: tuple[int, int, int, int],
    kind: str,
    alignment: str,
    magnification: tuple[float, float],
    offset: tuple[float, float],
    edge: str,
    rounding: str,
    seed: int,
) -> None:
    """Resize with any magnification and offset, as Apple's upsampling with an offset and a clip rectangle."""
    height, width, out_height, out_width = sizes
    x = values(seed, (1, height, width, 9))
    attributes: dict[str, Any] = {
        "kind": kind,
        "alignment": alignment,
        "height": out_height,
        "width": out_width,
    }
    attributes |= dict(zip(("magnification_y", "magnification_x"), magnification, strict=True))
    attributes |= dict(zip(("offset_y", "offset_x"), offset, strict=True))
    attributes |= {"edge": edge, "rounding": rounding}
    reference = resize(
        x,
        out_height,
        out_width,
        kind,
        alignment,
        edge=edge,
        magnification=magnification,
        offset=offset,
        rounding=rounding,
    )
    bound = bound_of(
        kind, x, out_height, out_width, alignment, edge=edge, magnification=magnification, offset=offset
    )
    assert_close(run_layer("resize", [x], attributes), reference, bound)


@pytest.mark.parametrize("scale", [1.5, 2.5, 3.7])
@pytest.mark.parametrize("method", ["nearest", "bilinear", "lanczos"])
def test_real_scales(scale: float, method: str) -> None:
    """Positions follow the scale that is stated, not the quotient of the rounded sizes."""
    x = values(0, (1, 5, 7, 3))
    network = mpscnn.Network(input=(5, 7, 3))
    network.output(network.resize(network.input, scale=scale, method=method, alignment="asymmetric"))
    out_height, out_width = int(5 * scale), int(7 * scale)
    stated = {"magnification": (scale, scale)}
    reference = resize(x, out_height, out_width, method, "asymmetric", **stated)
    bound = bound_of(method, x, out_height, out_width, "asymmetric", **stated)
    assert_close(network.compile(precision="float32").session().run(x), reference, bound)


@pytest.mark.parametrize(
    ("size", "scale", "expected"), [(100, 0.29, 29), (10, 0.7, 7), (25, 1.16, 29), (9, 0.33, 2)]
)
@pytest.mark.parametrize("free", [True, False])
def test_sizes_of_real_scales_are_those_of_float32(
    size: int, scale: float, expected: int, free: bool
) -> None:
    """The new size must be 29, although 100 * 0.29 and 25 * 1.16 are a little less than 29 in float64."""
    network = mpscnn.Network(input=(None, None, 1) if free else (size, size, 1))
    network.output(network.resize(network.input, scale=scale))
    x = np.zeros((1, size, size, 1), np.float32)
    assert network.compile(precision="float32").session().run(x).shape == (1, expected, expected, 1)


def test_sizes_that_float32_does_not_have() -> None:
    """Float32 does not have all integers beyond 2^24, so sizes are computed in float64."""
    network = mpscnn.Network(input=(1, 16_000_001, 1))
    assert network.resize(network.input, scale=(1.0, 1.5)).shape == (None, 1, 24_000_001, 1)


def test_whole_positions_are_met() -> None:
    """Positions are not computed with a rounded reciprocal, since 49 * (1 / 49) is below 1 in float64."""
    x = np.arange(2, dtype=np.float32).reshape(1, 1, 2, 1)
    attributes = {"kind": "nearest", "alignment": "asymmetric", "height": 1}
    for size in ({"width": 98}, {"scale_x": 49.0}):
        result = run_layer("resize", [x], attributes | size)
        np.testing.assert_array_equal(result.ravel(), np.repeat([0, 1], 49))


def test_apples_two_rules() -> None:
    """Results are those published for MPSCNNUpsamplingBilinear x 2 with zeros outside, on macOS 10.13 and 10.14."""
    x = np.array([3, 6, 9, 12], np.float32).reshape(1, 2, 2, 1)
    scale = {"scale_y": 2.0, "scale_x": 2.0, "edge": "zero"}
    later = run_layer("resize", [x], {"alignment": "asymmetric", **scale})[0, :, :, 0]
    np.testing.assert_allclose(later, [[3, 4.5, 6, 3], [6, 7.5, 9, 4.5], [9, 10.5, 12, 6], [4.5, 5.25, 6, 3]])
    earlier = run_layer("resize", [x], {"alignment": "half_pixel", **scale})[0, :, :, 0]
    np.testing.assert_allclose(earlier[0], [1.6875, 2.8125, 3.9375, 3.375])


@pytest.mark.parametrize("kind", KINDS)
def test_scale_follows_the_input(kind: str) -> None:
    network = mpscnn.Network(input=(None, None, 3))
    network.output(network.resize(network.input, scale=(2, 3), method=kind))
    session = network.compile(precision="float32").session()
    for height, width in ((2, 3), (5, 4)):
        x = values(0, (1, height, width, 3))
        reference = resize(x, 2 * height, 3 * width, kind, "half_pixel")
        np.testing.assert_allclose(session.run(x), reference, rtol=1e-5, atol=1e-6)


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


@pytest.mark.cpu("compares threads of the CPU")
@pytest.mark.parametrize("size", [(130, 41), (9, 200)])
def test_bits_of_lanczos_do_not_depend_on_threads(size: tuple[int, int]) -> None:
    """Work items that share source rows filter these rows separately, so results do not depend on threads."""
    x = values(0, (2, 97, 120, 5))
    attributes = {"kind": "lanczos", "height": size[0], "width": size[1]}
    one = run_layer("resize", [x], attributes)
    for threads in (2, 3, 8):
        np.testing.assert_array_equal(one, run_layer("resize", [x], attributes, threads=threads))


@pytest.mark.parametrize("edge", ["clamp", "zero"])
def test_lanczos_far_outside_costs_nothing(edge: str) -> None:
    """Outputs far outside of the image are cheap: they have one weight, not a window of 1536."""
    x = values(0, (1, 1, 5, 1))
    attributes = {"kind": "lanczos", "height": 1, "width": 1 << 20, "magnification_x": 1 / 256, "edge": edge}
    with little_work():
        result = run_layer("resize", [x], attributes)[0, 0, :, 0]
    far = result[8:]
    expected = x[0, 0, 4, 0] if edge == "clamp" else 0.0
    np.testing.assert_array_equal(far, np.full(far.shape, expected))


def test_the_gradient_of_lanczos_is_refused() -> None:
    network = mpscnn.Network(input=(4, 4, 3))
    x = network.resize(network.conv2d(network.input, 2, 1), (8, 8), method="lanczos")
    network.output(network.dense(network.flatten(x), 2))
    network.initialize_weights()
    with pytest.raises(mpscnn.UnsupportedError, match="kind lanczos"):
        mpscnn.Trainer(network)


def test_nan_stays_local() -> None:
    x = np.zeros((1, 4, 4, 1), np.float32)
    x[0, 0, 0, 0] = np.nan
    result = run_layer("resize", [x], {"height": 8, "width": 8})
    assert np.isnan(result[0, 0, 0, 0])
    assert np.isfinite(result[0, 4:, 4:]).all()


def test_contradictions_are_refused() -> None:
    network = mpscnn.Network(input=(4, 4, 3))
    with pytest.raises(mpscnn.ParameterError, match="scale_y must be 1 when height is given"):
        network.resize(network.input, (8, 8), scale=2)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"scale_y": 0.0}, "scale_y must be above 0 and at most 16777216"),
        ({"scale_x": 0.2}, "scale_x 0.2.* leaves nothing of 4"),
        ({"height": -1}, "height must be 0 to"),
        ({"magnification_y": -1.0}, "magnification_y must be 0, or 1/16777216 to 16777216"),
        (
            {"magnification_x": 2.0, "alignment": "corners"},
            "magnification_x must be 0 with alignment corners",
        ),
        ({"offset_x": 1e9}, "offset_x must be -16777216 to 16777216"),
        (
            {"kind": "lanczos", "magnification_x": 1 / 300},
            "magnification_x must be 0, or at least 1/256 with kind lanczos",
        ),
        ({"edge": "exclude"}, "edge must be clamp or zero, got exclude"),
    ],
)
def test_wrong_parameters_are_named(attributes: dict[str, Any], message: str) -> None:
    network = mpscnn.Network(input=(4, 4, 3))
    with pytest.raises((mpscnn.ParameterError, mpscnn.ShapeError), match=message):
        network.layer("resize", [network.input], attributes)


@pytest.mark.parametrize("size", [4, None])
def test_sizes_beyond_all_memory_are_refused(size: int | None) -> None:
    network = mpscnn.Network(input=(size, size, 1))
    enormous = {"scale_y": 1 << 24, "scale_x": 1 << 24}

    def use_two() -> None:
        x = network.layer("resize", [network.input], enormous)
        network.output(network.layer("resize", [x], enormous, name="second"))
        network.compile(device="cpu").output_shapes((1, 4, 4, 1))

    of_images = r"layer 'resize_1': resize: .* elements for each image, at most 1073741824 are allowed"
    of_extents = r"layer 'second': resize: .* an extent is at most 2147483647"
    with pytest.raises(mpscnn.ShapeError, match=of_images if size else of_extents):
        use_two()


@pytest.mark.parametrize("batch", [1, 1 << 30])
def test_inputs_beyond_all_memory_are_refused(batch: int) -> None:
    network = mpscnn.Network(input=(None, None, 1 if batch > 1 else 1 << 24))
    network.output(network.global_max_pool2d(network.input))
    with pytest.raises(mpscnn.ShapeError, match="has too many elements"):
        network.compile(device="cpu").output_shapes((batch, 1 << 24, 1 << 24, network.input.shape[-1] or 1))


def test_memory_that_there_is_not_is_an_error() -> None:
    network = mpscnn.Network(input=(None, None, 1))
    network.output(network.layer("resize", [network.input], {"scale_y": 1 << 24, "scale_x": 1 << 24}))
    session = network.compile(device="cpu", max_memory=1 << 62).session(max_memory=1 << 62)
    x = np.zeros((1, 4, 4, 1), np.float32)
    with pytest.raises(MemoryError, match="cannot be allocated"):
        session.run(x, out=np.zeros(1, np.float32))
