"""Tests of kernels that process whole images: resizing, reshaping, reductions, normalizations."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from kernels.index_rule import encode, normal
from ops.single_layer import seeds
from tolerance import assert_close, linear_bound

import mpscnn
from mpscnn import kernels

shapes = st.tuples(st.integers(1, 2), st.integers(1, 6), st.integers(1, 6), st.integers(1, 9))


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


def test_reshape_keeps_the_order_of_elements() -> None:
    x = normal(0, (2, 4, 3, 10))
    np.testing.assert_array_equal(encode(kernels.Reshape(5, 6, 4), x), x.reshape(2, 6, 5, 4))


def test_reshapes_that_do_not_fit_are_refused() -> None:
    x = normal(0, (4, 3, 10))
    with pytest.raises(mpscnn.ShapeError, match="reshape"):
        encode(kernels.Reshape(5, 6, 5), x)
    with pytest.raises(mpscnn.ShapeError, match="the reshaped image is written whole: 5 x 6"):
        encode(kernels.Reshape(5, 6, 4), x, destination=np.zeros((6, 6, 4), np.float32))


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


def test_reductions_of_a_part() -> None:
    x = normal(1, (1, 5, 6, 8))
    row = kernels.ReduceRowMax(clip_rect_source=(1, 2, 3, 9))
    np.testing.assert_array_equal(encode(row, x), x[:, 2:, 1:4].max(axis=2, keepdims=True))
    total = kernels.ReduceFeatureChannelsSum(weight=2.0, source_feature_channel_offset=4)
    terms = 2 * x[..., 4:].astype(np.float64)
    bound = linear_bound(np.abs(terms).sum(axis=3, keepdims=True))
    assert_close(encode(total, x), terms.sum(axis=3, keepdims=True), bound)


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


def test_normalizations_that_do_not_fit_are_refused() -> None:
    with pytest.raises(mpscnn.ParameterError, match="number_of_groups must be a divisor of the 6"):
        kernels.GroupNormalization(4, np.ones(6))
    with pytest.raises(mpscnn.ParameterError, match="statistics are those of the whole source"):
        encode(
            kernels.InstanceNormalization(np.ones(4), offset=(1, 0)),
            normal(0, (2, 2, 4)),
            destination=normal(0, (2, 2, 4)),
        )


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
