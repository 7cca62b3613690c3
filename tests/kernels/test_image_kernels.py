"""Test kernels for photos: other sizes, alpha and colour spaces."""

from __future__ import annotations

import pickle
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from kernels.index_rule import encode, normal
from ops.single_layer import seeds
from reference.conversion import conversion
from reference.resize import resize
from tolerance import FLOAT32_EPS, NEURON_ULPS, assert_close, linear_bound, ulp_bound

import mpscnn
from mpscnn import kernels

KINDS: dict[str, type[kernels.ImageScale]] = {
    "bilinear": kernels.ImageBilinearScale,
    "lanczos": kernels.ImageLanczosScale,
}
#: The rounding error of positions, which are float64. Near a zero of the filter, it is most of a weight.
POSITION_ROUNDING = 2.0**-45
extents = st.integers(1, 9)
scales = st.sampled_from([0.25, 0.5, 1.0, 1.5, 2.0, 3.0])
shifts = st.integers(-24, 24).map(lambda n: n / 4)


def resampled(x: Any, kind: str, height: int, width: int, **placement: Any) -> tuple[Any, Any]:
    """Return the reference result and an error bound."""
    reference = resize(x, height, width, kind, "half_pixel", **placement)
    if kind == "lanczos":
        sums = resize(np.abs(x), height, width, kind, "half_pixel", magnitudes=True, **placement)
        return reference, linear_bound(sums) + POSITION_ROUNDING * float(np.abs(x).max())
    return reference, 8 * FLOAT32_EPS * float(np.abs(x).max())


@given(
    st.sampled_from(sorted(KINDS)),
    st.tuples(extents, extents, extents, extents),
    st.integers(1, 9),
    st.sampled_from(["zero", "clamp"]),
    seeds,
)
def test_the_whole_source_becomes_the_whole_destination(
    kind: str, sizes: tuple[int, int, int, int], channels: int, edge: str, seed: int
) -> None:
    height, width, out_height, out_width = sizes
    x = normal(seed, (2, height, width, channels))
    kernel = KINDS[kind](edge_mode=edge)  # type: ignore[arg-type]
    before = normal(seed + 1, (2, out_height, out_width, channels))
    reference, bound = resampled(x, kind, out_height, out_width, edge=edge)
    assert_close(encode(kernel, x, destination=before), reference, bound)
    made = encode(KINDS[kind](out_width, out_height, edge_mode=edge), x)  # type: ignore[arg-type]
    assert_close(made, reference, bound)


@given(
    st.sampled_from(sorted(KINDS)),
    st.tuples(extents, extents, extents, extents),
    st.tuples(scales, scales, shifts, shifts),
    st.sampled_from(["zero", "clamp"]),
    seeds,
)
def test_transforms(
    kind: str, sizes: tuple[int, int, int, int], transform: tuple[float, ...], edge: str, seed: int
) -> None:
    """Positions follow destination = source * scale + translation, in coordinates of pixel edges."""
    height, width, out_height, out_width = sizes
    x = normal(seed, (1, height, width, 5))
    scale_x, scale_y, translate_x, translate_y = transform
    kernel = KINDS[kind](
        scale_transform=transform,  # type: ignore[arg-type]
        edge_mode=edge,  # type: ignore[arg-type]
        clip_rect=(2, 1, out_width, out_height),
    )
    before = normal(seed + 1, (1, out_height + 2, out_width + 3, 5))
    reference, bound = resampled(
        x,
        kind,
        out_height,
        out_width,
        edge=edge,
        magnification=(scale_y, scale_x),
        offset=(-translate_y / scale_y, -translate_x / scale_x),
    )
    result = encode(kernel, x, destination=before)
    assert_close(result[:, 1 : 1 + out_height, 2 : 2 + out_width], reference, bound)
    outside = result != before
    outside[:, 1 : 1 + out_height, 2 : 2 + out_width] = False
    assert not outside.any()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_apples_example_of_tiles(kind: str) -> None:
    """As in MPSImageResampling.h, translation = -origin * scale shows the part of the source from an origin on."""
    x = normal(0, (1, 8, 12, 3))
    whole = encode(KINDS[kind](24, 16), x)
    origin_x, origin_y = 5, 3
    tile = KINDS[kind](scale_transform=kernels.ScaleTransform(2, 2, -2 * origin_x, -2 * origin_y))
    part = encode(tile, x, destination=np.zeros((1, 6, 8, 3), np.float32))
    np.testing.assert_allclose(part, whole[:, 6:12, 10:18], rtol=0, atol=16 * FLOAT32_EPS)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_clip_rectangle_writes_the_beginning_of_the_scaled_image(kind: str) -> None:
    x = normal(0, (1, 4, 5, 3))
    whole = encode(KINDS[kind](10, 8), x)
    clipped = KINDS[kind](clip_rect=(3, 2, 4, 5))
    part = encode(clipped, x, destination=np.zeros((1, 8, 10, 3), np.float32))
    np.testing.assert_allclose(part[:, 2:7, 3:7], whole[:, :5, :4], rtol=0, atol=16 * FLOAT32_EPS)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_sizes_of_results_that_kernels_make(kind: str) -> None:
    x = normal(0, (1, 5, 100, 3))
    assert encode(KINDS[kind](scale_transform=(0.29, 2.0, 0, 0)), x).shape == (1, 10, 29, 3)
    assert encode(KINDS[kind](resize_width=7, scale_transform=(1, 0.05, 0, 0)), x).shape == (1, 1, 7, 3)
    assert encode(KINDS[kind](7, 2), x).shape == (1, 2, 7, 3)


def test_scales_have_apples_properties() -> None:
    kernel = kernels.ImageLanczosScale()
    assert kernel.scale_transform is None
    assert kernel.edge_mode == "clamp"
    kernel.scale_transform = kernels.ScaleTransform(scale_x=2.0, translate_y=-1.0)
    assert kernel.scale_transform == (2.0, 1.0, 0.0, -1.0)
    assert pickle.loads(pickle.dumps(kernel)).scale_transform.translate_y == -1.0
    kernel.scale_transform = None
    assert kernel.scale_transform is None


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_scales_that_cannot_be_are_named(kind: str) -> None:
    make = KINDS[kind]
    x = normal(0, (4, 4, 3))
    for transform in ((0, 1, 0, 0), (-1, 1, 0, 0), (1e9, 1, 0, 0)):
        with pytest.raises(
            mpscnn.ParameterError, match=r"scale_transform: scale x must be 1/\d+ to 16777216, got"
        ):
            make(scale_transform=transform)  # type: ignore[arg-type]
    with pytest.raises(mpscnn.ParameterError, match="scale y must be 1/"):
        make(scale_transform=(1, 0, 0, 0))
    with pytest.raises(mpscnn.ParameterError, match="translate y must be at most 16777216 source pixels"):
        make(scale_transform=(1, 1, 0, 1e9))
    for wrong in ((1, 2), "ab", (1, 1, float("nan"), 0), 3):
        with pytest.raises(mpscnn.ParameterError, match="scale_transform must be None, a ScaleTransform or"):
            make(scale_transform=wrong)  # type: ignore[arg-type]
    with pytest.raises(mpscnn.ParameterError, match=f"{make.__name__}: needs a destination, resize_width"):
        encode(make(resize_width=3), x)
    with pytest.raises(mpscnn.ParameterError, match="resize_height must be 0 to"):
        make(3, -1)
    with pytest.raises(mpscnn.ParameterError, match=r"offset must be \(0, 0, z\).*scale_transform says"):
        encode(make(offset=(1, 0)), x, destination=np.zeros((8, 8, 3), np.float32))
    with pytest.raises(mpscnn.UnsupportedError, match="edge_mode must be zero or clamp"):
        make(edge_mode="mirror")  # type: ignore[arg-type]
    with pytest.raises(mpscnn.ParameterError, match=r"scaleTransform.*it is 'scale_transform' here"):
        make(scaleTransform=None)  # type: ignore[call-arg]


def test_lanczos_has_a_bound_of_its_own() -> None:
    kernels.ImageBilinearScale(scale_transform=(1 / 300, 1, 0, 0))
    with pytest.raises(mpscnn.ParameterError, match="scale x must be 1/256 to"):
        kernels.ImageLanczosScale(scale_transform=(1 / 300, 1, 0, 0))


ALPHA = ["non_premultiplied", "alpha_is_one", "premultiplied"]
SPACES = {1: ["none", "gray_gamma_2_2", "linear_gray"], 3: ["none", "srgb", "linear_srgb"]}
COLORS = {space: colors for colors, spaces in SPACES.items() for space in spaces[1:]}


@st.composite
def conversions(draw: st.DrawFn) -> dict[str, Any]:
    """Draw any valid conversion."""
    channels = draw(st.integers(1, 4))
    colors = 1 if channels < 3 else 3
    source_space = draw(st.sampled_from(SPACES[colors]))
    destination_space = "none" if source_space == "none" else draw(st.sampled_from(sorted(COLORS)))
    writes_alpha = draw(st.booleans())
    return {
        "channels": channels,
        "source_alpha": draw(st.sampled_from(ALPHA)),
        "destination_alpha": draw(st.sampled_from(ALPHA)) if writes_alpha else "alpha_is_one",
        "background": draw(st.sampled_from([(), (0.25, 0.5, 1.0)[:colors], (0.0,) * colors])),
        "source_space": source_space,
        "destination_space": destination_space,
        "writes_alpha": writes_alpha,
        "out_channels": COLORS.get(destination_space, colors) + writes_alpha,
    }


def photo(seed: int, shape: tuple[int, ...], source_alpha: str) -> Any:
    """Return an image of numbers from 0 to 1, both included. Colours are premultiplied by alpha if required."""
    random = np.random.default_rng(seed)
    x = np.round(random.random(shape) * 51).astype(np.float32) / np.float32(51)
    if shape[-1] in (2, 4) and source_alpha == "premultiplied":
        x[..., :-1] *= x[..., -1:]
    return x


def convert(case: dict[str, Any], **properties: Any) -> kernels.ImageConversion:
    return kernels.ImageConversion(
        case["source_alpha"],
        case["destination_alpha"],
        case["background"],
        case["source_space"],
        case["destination_space"],
        **properties,
    )


def converted(case: dict[str, Any], x: Any) -> Any:
    return conversion(
        x,
        case["source_alpha"],
        case["destination_alpha"],
        case["background"],
        case["source_space"],
        case["destination_space"],
        with_alpha=case["writes_alpha"],
    )


@given(conversions(), st.sampled_from(["zero", "clamp"]), seeds)
def test_conversions(case: dict[str, Any], edge: str, seed: int) -> None:
    x = photo(seed, (2, 4, 5, case["channels"]), case["source_alpha"])
    before = normal(seed, (1, 3, 4, case["out_channels"]))
    kernel = convert(case, offset=(2, -1, 1), edge_mode=edge)
    mode = {"mode": "edge"} if edge == "clamp" else {}
    read = np.pad(x[1:], ((0, 0), (1, 0), (0, 1), (0, 0)), **mode)[:, :3, 2:6]  # type: ignore[call-overload]
    reference = converted(case, read)
    result = encode(kernel, x, destination=before)
    assert_close(result, reference, ulp_bound(np.ones_like(reference), 4 * NEURON_ULPS))


@given(conversions(), seeds)
def test_results_have_alpha_if_the_source_has_it(case: dict[str, Any], seed: int) -> None:
    case["writes_alpha"] = case["channels"] in (2, 4)
    x = photo(seed, (1, 3, 4, case["channels"]), case["source_alpha"])
    if not case["writes_alpha"]:
        case["destination_alpha"] = "alpha_is_one"
    reference = converted(case, x)
    result = encode(convert(case), x)
    assert_close(result, reference, ulp_bound(np.ones_like(reference), 4 * NEURON_ULPS))


def test_curves_at_known_points() -> None:
    """The curves follow IEC 61966-2-1: black stays exactly black, and the linear part and the power join."""
    x = (
        np.array([0, 0.02, 0.04045, 0.0405, 0.5, 1, -0.5, np.nan, 2], np.float32)
        .reshape(1, 3, 3, 1)
        .repeat(3, -1)
    )
    linear = encode(
        kernels.ImageConversion(source_color_space="srgb", destination_color_space="linear_srgb"), x
    )
    found = linear[..., 0].ravel()
    assert found[0] == 0.0
    known = [0, 0.0015479876, 0.0031308049, 0.0031345, 0.21404114, 1, -0.03869969, np.nan, 4.9538]
    np.testing.assert_allclose(found, known, rtol=1e-4)
    back = encode(
        kernels.ImageConversion(source_color_space="linear_srgb", destination_color_space="srgb"), linear
    )
    np.testing.assert_allclose(back[..., 0].ravel(), x[..., 0].ravel(), rtol=1e-4, atol=1e-6)
    assert back[0, 0, 0, 0] == 0.0


def test_transparent_pixels_are_black() -> None:
    x = np.zeros((1, 1, 4), np.float32)
    kernel = kernels.ImageConversion("premultiplied", "non_premultiplied")
    np.testing.assert_array_equal(encode(kernel, x), np.zeros((1, 1, 1, 4)))


FORMATS = [np.uint8, np.uint16, np.float16, np.float32]


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("destination", FORMATS)
def test_formats(source: type[Any], destination: type[Any]) -> None:
    """Integers represent 0 to 1, and results are rounded to the nearest number of the destination's type."""

    def stored(x: Any, kind: type[Any]) -> Any:
        limit = np.iinfo(kind).max if np.dtype(kind).kind == "u" else 1
        return np.rint(x.astype(np.float32) * np.float32(limit)).astype(kind) if limit > 1 else x.astype(kind)

    def meant(x: Any) -> Any:
        return x.astype(np.float64) / (np.iinfo(x.dtype).max if x.dtype.kind == "u" else 1)

    x = stored(np.linspace(0, 1, 8 * 8 * 4).reshape(1, 8, 8, 4), source)
    kernel = kernels.ImageConversion("non_premultiplied", "non_premultiplied")
    result = encode(kernel, x, destination=np.zeros(x.shape, destination))
    assert result.dtype == destination
    np.testing.assert_array_equal(result, stored(meant(x).astype(np.float32), destination))


def test_conversions_that_cannot_be_are_named() -> None:
    x = photo(0, (2, 2, 4), "non_premultiplied")
    premultiplied = kernels.ImageConversion("premultiplied", "premultiplied")
    with pytest.raises(
        mpscnn.ParameterError, match=r"source_color_space: must be one of none, srgb.*got 'display_p3'"
    ):
        kernels.ImageConversion(source_color_space="display_p3", destination_color_space="srgb")  # type: ignore[arg-type]
    with pytest.raises(mpscnn.ParameterError, match="must be given both, or none, got srgb and none"):
        kernels.ImageConversion(source_color_space="srgb")
    with pytest.raises(mpscnn.ParameterError, match="destination_alpha: must be one of non_premultiplied"):
        kernels.ImageConversion("premultiplied", "straight")  # type: ignore[arg-type]
    with pytest.raises(
        mpscnn.ParameterError, match="background_color must have a number for each of the source's 3"
    ):
        encode(kernels.ImageConversion(background_color=(1.0,)), x)
    with pytest.raises(mpscnn.ParameterError, match="background_color must be finite"):
        kernels.ImageConversion(background_color=(1e300,))
    gray = {"source_color_space": "linear_gray", "destination_color_space": "srgb"}
    with pytest.raises(mpscnn.ShapeError, match=r"linear_gray has 1 or 2 feature channels, got 4"):
        encode(kernels.ImageConversion(**gray), x)  # type: ignore[arg-type]
    with pytest.raises(mpscnn.ShapeError, match=r"must have 1 to 4 feature channels.*got 5"):
        encode(kernels.ImageConversion(), normal(0, (2, 2, 5)))
    with pytest.raises(
        mpscnn.ShapeError, match=r"of 3 feature channels, which has no alpha, got premultiplied"
    ):
        encode(premultiplied, x, destination=np.zeros((2, 2, 3), np.float32))
    with pytest.raises(mpscnn.ShapeError, match="must have at least 3 feature channels"):
        encode(kernels.ImageConversion(), x, destination=np.zeros((2, 2, 2), np.float32))
