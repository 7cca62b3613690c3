"""Arithmetic kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpscnn.kernels.kernel import BinaryKernel, Kernel
from mpscnn.kernels.properties import Integer, Number

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mpscnn.kernels.named import ArithmeticProperties


class Arithmetic(BinaryKernel):
    """Base of the kernels that combine two images element by element, as MPSCNNArithmetic.

    result = min(max((primary_scale * x) op (secondary_scale * y) + bias, minimum_value), maximum_value). A stride of 0
    takes one row, column or channel of a source for all of the result's.
    """

    apple_class = "MPSCNNArithmetic"

    primary_scale = Number("Factor of the primary source.")
    secondary_scale = Number("Factor of the secondary source.")
    bias = Number("Added to the result.")
    minimum_value = Number("Lower limit of the result; none unless given.")
    maximum_value = Number("Upper limit of the result; none unless given.")
    primary_stride_x = Integer("Columns between those of the primary source that are read; 0: one for all.")
    primary_stride_y = Integer("Rows between those of the primary source that are read; 0: one for all.")
    primary_stride_in_feature_channels = Integer("1, or 0: one channel of the primary source for all.")
    secondary_stride_x = Integer(
        "Columns between those of the secondary source that are read; 0: one for all."
    )
    secondary_stride_y = Integer("Rows between those of the secondary source that are read; 0: one for all.")
    secondary_stride_in_feature_channels = Integer("1, or 0: one channel of the secondary source for all.")

    def __init__(self, **properties: Unpack[ArithmeticProperties]) -> None:
        Kernel.__init__(self, **properties)


class Add(Arithmetic):
    """x + y, as MPSCNNAdd."""

    apple_class = "MPSCNNAdd"


class Subtract(Arithmetic):
    """x - y, as MPSCNNSubtract."""

    apple_class = "MPSCNNSubtract"


class Multiply(Arithmetic):
    """x * y, as MPSCNNMultiply."""

    apple_class = "MPSCNNMultiply"


class Divide(Arithmetic):
    """x / y, as MPSCNNDivide."""

    apple_class = "MPSCNNDivide"
