"""Tests of kernels that process whole images: resizing, reshaping, reductions, normalizations."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from kernels.index_rule import encode, normal
from ops.single_layer import run_layer, seeds
from reference.normalization import batch_normalization, group_statistics
from tolerance import assert_close, linear_bound, local_contrast_bound, normalized_bound, power_bound

import mpscnn
from mpscnn import kernels

shapes = st.tuples(st.integers(1, 2), st.integers(1, 6), st.integers(1, 6), st.integers(1, 9))


@given(shapes, st.integers(1, 3), st.integers(1, 3), seeds)
def test_nearest_upsampling_repeats_pixels(
    shape: tuple[int, ...], x_factor: int, y_factor: int, seed: int
) -> None:
    x = normal(seed, shape)
    expected = x.repeat(y_factor, axis=1).repeat(x_factor, axis=2)
    np.testing.assert_array_equal(encode(kernels.UpsamplingNearest(x_factor, y_factor), x), expected)


@pytest.mark.cpu("compares bits with a network of the CPU")
@given(shapes, st.integers(1, 3), st.integers(1, 3), st.booleans(), seeds)
def test_bilinear_upsampling_is_the_network_layer(
    shape: tuple[int, ...], x_factor: int, y_factor: int, align: bool, seed: int
) -> None:
    x = normal(seed, shape)
    attributes = {"kind": "bilinear", "alignment": "corners" if align else "half_pixel"}
    expected = run_layer("resize", [x], attributes | {"scale_x": x_factor, "scale_y": y_factor})
    kernel = kernels.UpsamplingBilinear(x_factor, y_factor, align_corners=align)
    np.testing.assert_array_equal(encode(kernel, x), expected)
    sized = kernels.ResizeBilinear(expected.shape[2], expected.shape[1], align_corners=align)
    np.testing.assert_array_equal(encode(sized, x), expected)


@pytest.mark.parametrize("edge_mode", ["zero", "clamp"])
def test_enlarging_does_not_darken_the_border(edge_mode: str) -> None:
    """Pixels outside read as the nearest pixel, unlike in Apple's classes with edge mode zero (docs/kernels.md)."""
    x = np.array([[[3.0], [6.0]], [[9.0], [12.0]]], np.float32).repeat(4, axis=2)
    for kernel in (
        kernels.UpsamplingBilinear(2, 2, edge_mode=edge_mode),
        kernels.ResizeBilinear(4, 4, edge_mode=edge_mode),
    ):
        result = encode(kernel, x)[..., 0].squeeze()
        np.testing.assert_array_equal(result[0], [3.0, 3.75, 5.25, 6.0])
        np.testing.assert_array_equal(result[:, 3], [6.0, 7.5, 10.5, 12.0])


def test_a_part_of_an_enlarged_image() -> None:
    x = normal(0, (1, 3, 3, 4))
    whole = encode(kernels.UpsamplingBilinear(2, 2), x)
    part = encode(
        kernels.UpsamplingBilinear(2, 2, clip_rect=(1, 2, 4, 3)),
        x,
        destination=np.zeros((1, 9, 9, 4), np.float32),
    )
    np.testing.assert_array_equal(part[:, 2:5, 1:5], whole[:, :3, :4])
    assert np.count_nonzero(part) == np.count_nonzero(whole[:, :3, :4])


def test_resizing_out_of_range_is_named() -> None:
    x = normal(0, (3, 3, 4))
    for name in ("scale_factor_x", "scale_factor_y"):
        with pytest.raises(mpscnn.ParameterError, match=f"{name} must be 1 to"):
            kernels.UpsamplingNearest(**({"scale_factor_x": 1, "scale_factor_y": 1} | {name: 0}))
    for name in ("resize_width", "resize_height"):
        with pytest.raises(mpscnn.ParameterError, match=f"{name} must be 1 to"):
            kernels.ResizeBilinear(**({"resize_width": 1, "resize_height": 1} | {name: 0}))
    with pytest.raises(mpscnn.ParameterError, match=r"offset must be \(0, 0, z\)"):
        encode(kernels.UpsamplingNearest(2, 2, offset=(1, 0)), x, destination=np.zeros((6, 6, 4), np.float32))
    with pytest.raises(mpscnn.ShapeError, match="the result is 6 x 6"):
        encode(kernels.UpsamplingNearest(2, 2), x, destination=np.zeros((7, 6, 4), np.float32))


@given(shapes, st.floats(-2, 2, width=16), seeds)
def test_gram_matrix(shape: tuple[int, ...], alpha: float, seed: int) -> None:
    x = normal(seed, shape)
    pixels = x.astype(np.float64).reshape(shape[0], -1, shape[3])
    reference = alpha * np.einsum("npf,npc->nfc", pixels, pixels)[:, None]
    magnitude = abs(alpha) * np.einsum("npf,npc->nfc", np.abs(pixels), np.abs(pixels))[:, None]
    assert_close(encode(kernels.GramMatrixCalculation(alpha), x), reference, linear_bound(magnitude))


def test_gram_matrices_are_written_whole() -> None:
    x = normal(0, (1, 3, 3, 4))
    with pytest.raises(
        mpscnn.ShapeError, match="a column for each feature channel, and is written whole: 4 x 1"
    ):
        encode(kernels.GramMatrixCalculation(), x, destination=np.zeros((1, 1, 5, 4), np.float32))
    kernel = kernels.GramMatrixCalculation(offset=(1, 0))
    with pytest.raises(mpscnn.ParameterError, match="all pixels of the source are read"):
        encode(kernel, x, destination=np.zeros((1, 1, 4, 4), np.float32))


@given(seeds)
def test_reshape_keeps_the_order_of_elements(seed: int) -> None:
    x = normal(seed, (2, 4, 3, 10))
    kernel = kernels.Reshape(5, 6, 4)
    np.testing.assert_array_equal(encode(kernel, x), x.reshape(2, 6, 5, 4))


def test_reshapes_that_do_not_fit_are_refused() -> None:
    x = normal(0, (4, 3, 10))
    for sizes in ((0, 1, 1), (1, 0, 1), (1, 1, 0)):
        with pytest.raises(mpscnn.ParameterError, match="must be 1 to"):
            kernels.Reshape(*sizes)
    with pytest.raises(mpscnn.ShapeError, match="reshape"):
        encode(kernels.Reshape(5, 6, 5), x)
    with pytest.raises(mpscnn.ShapeError, match="the reshaped image is written whole: 5 x 6"):
        encode(kernels.Reshape(5, 6, 4), x, destination=np.zeros((6, 6, 4), np.float32))


MODES = {
    "zero": "constant",
    "clamp": "edge",
    "mirror": "reflect",
    "mirror_with_edge": "symmetric",
    "constant": "constant",
}
sides = st.tuples(*[st.integers(0, 5)] * 2)


@given(shapes, st.sampled_from(sorted(MODES)), sides, sides, st.tuples(*[st.integers(0, 3)] * 2), seeds)
def test_pad(
    shape: tuple[int, ...],
    mode: str,
    rows: tuple[int, int],
    columns: tuple[int, int],
    channels: tuple[int, int],
    seed: int,
) -> None:
    x = normal(seed, shape)
    before, after = (columns[0], rows[0], channels[0]), (columns[1], rows[1], channels[1])
    kernel = kernels.Pad(before, after, edge_mode=mode, fill_value=1.5 if mode == "constant" else 0.0)
    options = {"constant_values": 1.5} if mode == "constant" else {}
    expected = np.pad(x, ((0, 0), rows, columns, channels), MODES[mode], **options)
    np.testing.assert_array_equal(encode(kernel, x), expected)


def test_pad_with_offset_and_fill_values() -> None:
    """Mirroring follows the example in Apple's header: 3 pixels from the offset -4 on."""
    x = np.arange(3, dtype=np.float32).reshape(1, 1, 3, 1)
    kernel = kernels.Pad(edge_mode="mirror", offset=(-4, 0))
    row = encode(kernel, x, destination=np.zeros((1, 1, 8, 1), np.float32))
    np.testing.assert_array_equal(row[0, 0, :, 0], [0, 1, 2, 1, 0, 1, 2, 1])
    y = normal(0, (1, 2, 2, 5))
    filled = kernels.Pad(
        (1, 0, 1),
        (0, 0, 0),
        edge_mode="constant",
        fill_value_array=[1, 2, 3],
        source_feature_channel_offset=3,
    )
    expected = np.empty((1, 2, 3, 3), np.float32)
    expected[...] = [1, 2, 3]
    expected[:, :, 1:, 1:] = y[..., 3:]
    np.testing.assert_array_equal(encode(filled, y), expected)


@pytest.mark.parametrize("name", ["padding_size_before", "padding_size_after"])
def test_negative_padding_is_named(name: str) -> None:
    with pytest.raises(mpscnn.ParameterError, match=f"Pad: {name} must be 0 to"):
        kernels.Pad(**{name: (0, -1, 0)})


REDUCTIONS: dict[str, Any] = {"Max": np.max, "Min": np.min, "Sum": np.sum, "Mean": np.mean}
AXES = {"Row": 2, "Column": 1, "FeatureChannels": 3}


@given(shapes, st.sampled_from(sorted(AXES)), st.sampled_from(sorted(REDUCTIONS)), seeds)
def test_reductions(shape: tuple[int, ...], axis: str, kind: str, seed: int) -> None:
    x = normal(seed, shape)
    expected, magnitude = (
        REDUCTIONS[kind](values.astype(np.float64), axis=AXES[axis], keepdims=True)
        for values in (x, np.abs(x))
    )
    result = encode(getattr(kernels, f"Reduce{axis}{kind}")(), x)
    assert_close(result, expected, linear_bound(magnitude) if kind in ("Sum", "Mean") else 0.0)


def test_reductions_of_a_part() -> None:
    x = normal(1, (1, 5, 6, 8))
    row = kernels.ReduceRowMax(clip_rect_source=(1, 2, 3, 9))
    np.testing.assert_array_equal(encode(row, x), x[:, 2:, 1:4].max(axis=2, keepdims=True))
    total = kernels.ReduceFeatureChannelsSum(weight=2.0, source_feature_channel_offset=4)
    terms = 2 * x[..., 4:].astype(np.float64)
    bound = linear_bound(np.abs(terms).sum(axis=3, keepdims=True))
    assert_close(encode(total, x), terms.sum(axis=3, keepdims=True), bound)


@given(shapes, seeds)
def test_arguments(shape: tuple[int, ...], seed: int) -> None:
    x = np.random.default_rng(seed).integers(-3, 3, shape).astype(np.float32)  # the first of equals
    largest, smallest = kernels.ReduceFeatureChannelsArgumentMax(), kernels.ReduceFeatureChannelsArgumentMin()
    np.testing.assert_array_equal(encode(largest, x)[..., 0], x.argmax(axis=3))
    np.testing.assert_array_equal(encode(smallest, x)[..., 0], x.argmin(axis=3))


@given(shapes, seeds)
def test_weighted_reductions(shape: tuple[int, ...], seed: int) -> None:
    x, weights = normal(seed, shape), normal(seed + 1, shape)
    weights[weights < 0] = 0
    terms = x.astype(np.float64) * weights
    total = terms.sum(axis=3, keepdims=True)
    count = np.maximum(np.count_nonzero(weights, axis=3, keepdims=True), 1)
    bound = linear_bound(np.abs(terms).sum(axis=3, keepdims=True))
    plain = kernels.ReduceFeatureChannelsAndWeightsSum()
    divided = kernels.ReduceFeatureChannelsAndWeightsSum(True)
    mean = kernels.ReduceFeatureChannelsAndWeightsMean()
    assert_close(encode(plain, x, weights), total, bound)
    assert_close(encode(divided, x, weights), total / count, bound / count)
    assert_close(encode(mean, x, weights), total / count, bound / count)


def test_reductions_that_do_not_fit_are_refused() -> None:
    x = normal(0, (4, 3, 8))
    with pytest.raises(mpscnn.ParameterError, match="clip rectangle leaves no columns of the source"):
        encode(
            kernels.ReduceRowMax(clip_rect_source=(3, 0, 1, 1)),
            x,
            destination=np.zeros((4, 1, 8), np.float32),
        )
    with pytest.raises(mpscnn.ShapeError, match="the result is written whole: 1 x 4"):
        encode(kernels.ReduceRowMax(), x, destination=np.zeros((3, 1, 8), np.float32))
    with pytest.raises(mpscnn.ParameterError, match="clip_rect_source says what is reduced"):
        encode(kernels.ReduceRowMax(offset=(1, 0)), x, destination=np.zeros((4, 1, 8), np.float32))
    with pytest.raises(mpscnn.ShapeError, match="source and weights must have one size"):
        encode(kernels.ReduceFeatureChannelsAndWeightsSum(), x, normal(1, (4, 3, 9)))


@given(shapes, st.booleans(), seeds)
def test_group_and_instance_normalization(shape: tuple[int, ...], grouped: bool, seed: int) -> None:
    x = normal(seed, (*shape[:3], 2 * shape[3]))
    channels = x.shape[3]
    gamma, beta = normal(seed + 1, (channels,)), normal(seed + 2, (channels,))
    groups = 2 if grouped else channels
    kernel: kernels.UnaryKernel
    if grouped:
        kernel = kernels.GroupNormalization(2, gamma, beta, epsilon=0.5)
    else:
        kernel = kernels.InstanceNormalization(gamma, beta, epsilon=0.5)
    mean, variance = group_statistics(x, groups)
    expected = batch_normalization(x, 0.5, mean, variance, gamma, beta)
    assert_close(encode(kernel, x), expected, normalized_bound(x, mean, variance, 0.5, gamma, beta))


def test_normalizations_that_do_not_fit_are_refused() -> None:
    with pytest.raises(mpscnn.ParameterError, match="number_of_groups must be a divisor of the 6"):
        kernels.GroupNormalization(4, np.ones(6))
    with pytest.raises(mpscnn.ParameterError, match="statistics are those of the whole source"):
        encode(
            kernels.InstanceNormalization(np.ones(4), offset=(1, 0)),
            normal(0, (2, 2, 4)),
            destination=normal(0, (2, 2, 4)),
        )


@given(shapes, st.integers(1, 6), seeds)
def test_cross_channel_normalization(shape: tuple[int, ...], size: int, seed: int) -> None:
    x = normal(seed, shape)
    kernel = kernels.CrossChannelNormalization(size, alpha=0.5, beta=0.75, delta=2.0)
    squares = np.pad(x.astype(np.float64) ** 2, ((0, 0),) * 3 + ((size // 2, (size - 1) // 2),))
    sums = sum(squares[..., i : i + shape[3]] for i in range(size))
    expected = x / (2 + 0.5 / size * sums) ** 0.75
    assert_close(encode(kernel, x), expected, power_bound(expected, 0.75))


@given(shapes, st.integers(1, 4), st.booleans(), seeds)
def test_window_normalizations(shape: tuple[int, ...], size: int, contrast: bool, seed: int) -> None:
    x = normal(seed, shape).astype(np.float64)
    before, behind = size // 2, (size - 1) // 2
    wide = np.pad(x, ((0, 0), (before, behind), (before, behind), (0, 0)))

    def mean(values: Any) -> Any:
        taps = [values[:, i : i + shape[1], j : j + shape[2]] for i in range(size) for j in range(size)]
        return sum(taps) / size**2

    parameters = {"alpha": 0.5, "beta": 0.75, "delta": 2.0}
    if contrast:
        kernel = kernels.LocalContrastNormalization(size, size, p0=0.5, pm=0.25, ps=2.0, **parameters)
        variance = mean(wide**2) - mean(wide) ** 2
        expected = 0.25 + 2 * (x - 0.5 * mean(wide)) / (2 + 0.5 * variance) ** 0.75
        size_of_mean = np.abs(mean(wide))
        magnitude = 2 * (np.abs(x) + 0.5 * size_of_mean)
        bound = local_contrast_bound(magnitude, size_of_mean, variance, parameters, expected)
    else:
        kernel = kernels.SpatialNormalization(size, size, **parameters)
        expected = x / (2 + 0.5 * mean(wide**2)) ** 0.75
        bound = power_bound(expected, 0.75)
    assert_close(encode(kernel, x.astype(np.float32)), expected, bound)


def test_windows_of_normalizations_follow_the_padding_policy() -> None:
    x = normal(0, (1, 6, 7, 3))
    padding = mpscnn.DefaultPadding(mpscnn.PaddingMethod.SIZE_VALID_ONLY)
    whole = encode(kernels.SpatialNormalization(3, 3), x)
    valid = encode(kernels.SpatialNormalization(3, 3, padding=padding), x)
    np.testing.assert_array_equal(valid, whole[:, 1:-1, 1:-1])


def test_windows_of_normalizations_are_square() -> None:
    with pytest.raises(
        mpscnn.ParameterError, match="kernel_width must be equal to kernel_height, got 3 and 5"
    ):
        kernels.SpatialNormalization(3, 5)
    with pytest.raises(mpscnn.ParameterError, match="kernel_size must be 1 to"):
        kernels.CrossChannelNormalization(0)
