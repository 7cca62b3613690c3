"""Test that `source_region` returns the part of a source that a kernel reads for a destination."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernels.index_rule import encode, normal

import mpscnn
from mpscnn import kernels

PLACE: dict[str, Any] = {"offset": (7, 8), "clip_rect": (1, 2, 4, 3)}


def sizes(width: int, height: int, channels: int = 4, **others: Any) -> kernels.ConvolutionDescriptor:
    return kernels.ConvolutionDescriptor(width, height, channels, channels, **others)


def convolution(descriptor: kernels.ConvolutionDescriptor, shape: tuple[int, ...]) -> kernels.Convolution:
    return kernels.Convolution(descriptor, np.ones(shape), **PLACE)


def transposed(width: int, height: int, stride: int) -> kernels.ConvolutionTranspose:
    return kernels.ConvolutionTranspose(
        sizes(width, height, stride_x=stride, stride_y=stride),
        np.ones((4, height, width, 4)),
        kernel_offset_x=1,
        kernel_offset_y=-2,
        **PLACE,
    )


def unary_kernels() -> dict[str, kernels.UnaryKernel]:
    """Return new kernels, so that no test keeps device objects."""
    return {
        "neuron": kernels.NeuronReLU(0.5, **PLACE),
        "slice": kernels.Slice(**PLACE),
        "softmax": kernels.SoftMax(**PLACE),
        "dropout": kernels.Dropout(0.999, **PLACE),
        "batch normalization": kernels.BatchNormalization(np.zeros(4), np.ones(4), **PLACE),
        "cross-channel": kernels.CrossChannelNormalization(3, **PLACE),
        "pad": kernels.Pad(**PLACE),
        "even pooling": kernels.PoolingAverage(2, 4, stride_x=3, stride_y=2, **PLACE),
        "odd pooling": kernels.PoolingL2Norm(3, 5, stride_x=1, stride_y=2, **PLACE),
        "dilated pooling": kernels.DilatedPoolingMax(2, 3, 3, 2, stride_x=2, **PLACE),
        "convolution": convolution(sizes(4, 3, stride_x=2, dilation_rate_y=2), (4, 3, 4, 4)),
        "sub-pixel": convolution(
            kernels.SubPixelConvolutionDescriptor(3, 2, 4, 16, sub_pixel_scale_factor=2), (16, 2, 3, 4)
        ),
        "binary": kernels.BinaryConvolution(sizes(3, 2), np.ones((4, 2, 3, 4)), **PLACE),
        "transposed": transposed(3, 4, 1),
        "transposed with stride": transposed(3, 4, 2),
        "transposed with a stride beyond the kernel": transposed(1, 2, 3),
        "odd spatial": kernels.SpatialNormalization(3, 3, **PLACE),
        "even contrast": kernels.LocalContrastNormalization(4, 4, alpha=1.0, **PLACE),
    }


def result(kernel: kernels.UnaryKernel, x: Any) -> Any:
    return encode(kernel, x, destination=np.zeros((12, 14, 16), np.float32))[0, 2:5, 1:5, :4]


@pytest.mark.parametrize("name", sorted(unary_kernels()))
def test_nothing_else_is_read_and_all_of_it_is(name: str) -> None:
    kernel = unary_kernels()[name]
    x = normal(0, (24, 26, 4)) ** 2 + np.float32(0.5)
    left, top, first, width, height, images = kernel.source_region(4, 3)
    assert (first, images) == (0, 1)
    assert min(left, top, width, height) >= 1
    inside = np.zeros(x.shape[:2], bool)
    inside[top : top + height, left : left + width] = True
    spoilt = np.where(inside[..., None], x, np.float32(np.nan))
    np.testing.assert_array_equal(result(kernel, spoilt), result(kernel, x))
    for rows, columns in (
        (slice(top, top + 1), slice(left, left + width)),
        (slice(top + height - 1, top + height), slice(left, left + width)),
        (slice(top, top + height), slice(left, left + 1)),
        (slice(top, top + height), slice(left + width - 1, left + width)),
    ):
        part = x.copy()
        part[rows, columns] = np.nan
        assert np.isnan(result(kernel, part)).any()


def test_regions_may_reach_outside() -> None:
    kernel = kernels.PoolingMax(3, 2, stride_x=2, stride_y=1, offset=(0, -5, 1))
    assert kernel.source_region(3, 2) == (-1, -6, 1, 7, 3, 1)
    with pytest.raises(mpscnn.ParameterError, match="width must be 1 to"):
        kernel.source_region(0, 2)
    with pytest.raises(mpscnn.ParameterError, match="height must be 1 to"):
        kernel.source_region(2, 0)


def test_both_sources_of_arithmetic() -> None:
    kernel = kernels.Add(
        primary_offset=(1, 2, 3), secondary_offset=(4, 5), primary_stride_x=2, secondary_stride_y=0
    )
    assert kernel.primary_source_region(4, 3) == (1, 2, 3, 7, 3, 1)
    assert kernel.secondary_source_region(4, 3) == (4, 5, 0, 4, 1, 1)


@pytest.mark.parametrize(
    "kernel",
    [
        kernels.FullyConnected(sizes(3, 2), np.ones((4, 2, 3, 4)), offset=(5, 5)),
        kernels.BinaryFullyConnected(sizes(3, 2), np.ones((4, 2, 3, 4)), offset=(5, 5)),
    ],
)
def test_a_fully_connected_kernel_reads_all_whatever_its_offset(kernel: kernels.UnaryKernel) -> None:
    assert kernel.source_region(1, 1) == (0, 0, 0, 3, 2, 1)


@pytest.mark.parametrize(
    "kernel",
    [
        kernels.UpsamplingBilinear(2, 2),
        kernels.ResizeBilinear(3, 3),
        kernels.ImageLanczosScale(3, 3),
        kernels.GramMatrixCalculation(),
        kernels.Reshape(1, 1, 1),
        kernels.ReduceRowMax(),
        kernels.ReduceFeatureChannelsArgumentMax(),
        kernels.InstanceNormalization([1.0]),
        kernels.BatchNormalizationStatistics(),
    ],
    ids=lambda kernel: type(kernel).__name__,
)
def test_kernels_that_read_whole_images_have_no_region(kernel: kernels.UnaryKernel) -> None:
    with pytest.raises(mpscnn.UnsupportedError, match="reads the whole source"):
        kernel.source_region(1, 1)
