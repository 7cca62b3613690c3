"""The functions of windows and images: convolutions, poolings and resizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mpscnn.converters.reading.onnx.expansions import Operand, Operators
from mpscnn.converters.reading.vocabulary.adding import added, adds, several, unary

Numbers = Sequence[int] | None
"""A number for each spatial axis; for padding all begins, then all ends. None: the default of the operator."""


class Pooling(Protocol):
    """Adds a pooling of windows."""

    def __call__(
        self, g: Operators, x: Operand, /, *, kernel_shape: Sequence[int], strides: Numbers = None,
        pads: Numbers = None, auto_pad: str | None = None, dilations: Numbers = None, ceil_mode: int | None = None,
        count_include_pad: int | None = None, p: int | None = None,
    ) -> str:  # fmt: skip
        """Add the pooling. Of the last two settings, averages have the first, and norms have the second."""


def _pooling(kind: str) -> Pooling:
    @adds(kind)
    def function(
        g: Operators, x: Operand, /, *, kernel_shape: Sequence[int], strides: Numbers = None, pads: Numbers = None,
        auto_pad: str | None = None, dilations: Numbers = None, ceil_mode: int | None = None,
        count_include_pad: int | None = None, p: int | None = None,
    ) -> str:  # fmt: skip
        return added(
            g, function, x, kernel_shape=kernel_shape, strides=strides, pads=pads, auto_pad=auto_pad,
            dilations=dilations, ceil_mode=ceil_mode, count_include_pad=count_include_pad, p=p,
        )  # fmt: skip

    return function


average_pool = _pooling("AveragePool")
lp_pool = _pooling("LpPool")
max_pool = _pooling("MaxPool")

global_average_pool = unary("GlobalAveragePool")
global_max_pool = unary("GlobalMaxPool")


@adds("MaxPool")
def max_pool_with_places(
    g: Operators, x: Operand, *, kernel_shape: Sequence[int], strides: Numbers = None, pads: Numbers = None,
    auto_pad: str | None = None, dilations: Numbers = None, ceil_mode: int | None = None,
) -> list[str]:  # fmt: skip
    """Add a maximum pooling and the places of the maxima, which are counted in the whole tensor."""
    return several(
        g, max_pool_with_places, [x], 2, kernel_shape=kernel_shape, strides=strides, pads=pads, auto_pad=auto_pad,
        dilations=dilations, ceil_mode=ceil_mode,
    )  # fmt: skip


@adds("MaxUnpool")
def max_unpool(
    g: Operators, x: Operand, places: Operand, shape: Operand, *, kernel_shape: Sequence[int]
) -> str:
    """Write elements at the places of maxima of a tensor of this shape, whose other elements are 0."""
    return added(g, max_unpool, x, places, shape, kernel_shape=kernel_shape)


@adds("Conv")
def convolve(
    g: Operators, x: Operand, weight: Operand, *bias: Operand, kernel_shape: Numbers = None, strides: Numbers = None,
    pads: Numbers = None, auto_pad: str | None = None, dilations: Numbers = None, group: int | None = None,
) -> str:  # fmt: skip
    """Add a convolution. The weight is (filters, channels of a group, spatial axes)."""
    return added(
        g, convolve, x, weight, *bias, kernel_shape=kernel_shape, strides=strides, pads=pads, auto_pad=auto_pad,
        dilations=dilations, group=group,
    )  # fmt: skip


@adds("ConvTranspose")
def convolve_transposed(
    g: Operators, x: Operand, weight: Operand, *bias: Operand, kernel_shape: Numbers = None, strides: Numbers = None,
    pads: Numbers = None, auto_pad: str | None = None, dilations: Numbers = None, group: int | None = None,
    output_padding: Numbers = None, output_shape: Numbers = None,
) -> str:  # fmt: skip
    """Add a transposed convolution. The weight is (channels, filters of a group, spatial axes)."""
    return added(
        g, convolve_transposed, x, weight, *bias, kernel_shape=kernel_shape, strides=strides, pads=pads,
        auto_pad=auto_pad, dilations=dilations, group=group, output_padding=output_padding, output_shape=output_shape,
    )  # fmt: skip


@adds("Col2Im")
def join_columns(
    g: Operators, x: Operand, size: Operand, kernel: Operand, *, dilations: Numbers = None, pads: Numbers = None,
    strides: Numbers = None,
) -> str:  # fmt: skip
    """Add the sums of overlapping blocks, which are the columns of a matrix, as an image of a size."""
    return added(g, join_columns, x, size, kernel, dilations=dilations, pads=pads, strides=strides)


@adds("Resize")
def resize(
    g: Operators, x: Operand, scales: Operand = None, *sizes: Operand, mode: str, coordinate_transformation_mode: str,
    nearest_mode: str | None = None, cubic_coeff_a: float | None = None, antialias: int | None = None,
    exclude_outside: int | None = None, axes: Numbers = None,
) -> str:  # fmt: skip
    """Resize the axes of a tensor by scales, or to sizes."""
    return added(
        g, resize, x, None, scales, *sizes, mode=mode, coordinate_transformation_mode=coordinate_transformation_mode,
        nearest_mode=nearest_mode, cubic_coeff_a=cubic_coeff_a, antialias=antialias,
        exclude_outside=exclude_outside, axes=axes,
    )  # fmt: skip


@adds("GridSample")
def sample_grid(
    g: Operators, x: Operand, grid: Operand, *, mode: str, padding_mode: str, align_corners: int
) -> str:
    """Sample an image at the positions of a grid."""
    return added(g, sample_grid, x, grid, mode=mode, padding_mode=padding_mode, align_corners=align_corners)
