"""Arithmetic kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpscnn.kernels.kernel import BinaryKernel, Kernel, require_type
from mpscnn.kernels.properties import Integer, Number, Text
from mpscnn.kernels.states import BinaryGradientState
from mpscnn.runtime.commands import CommandBuffer
from mpscnn.runtime.feature_image import Image

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mpscnn.kernels.named import ArithmeticProperties, CompareProperties, ComparisonName


class ArithmeticKernel(BinaryKernel):
    """The properties of arithmetic kernels and their gradients."""

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


class Arithmetic(ArithmeticKernel):
    """Base of the kernels that combine two images element by element, as MPSCNNArithmetic.

    result = min(max((primary_scale * x) op (secondary_scale * y) + bias, minimum_value), maximum_value). A stride of 0
    takes one row, column or channel of a source for all of the result's.
    """

    apple_class = "MPSCNNArithmetic"

    def result_state(self, primary: Image, secondary: Image) -> ArithmeticGradientState:
        """A new state for the gradient kernels of both operands, as resultStateForPrimaryImage."""
        for image in (primary, secondary):
            require_type(f"{type(self).__name__}.result_state", image, Image)
        return ArithmeticGradientState(self)

    def encode(
        self,
        commands: CommandBuffer,
        primary: Image,
        secondary: Image,
        destination: Image | None = None,
        *,
        destination_state: ArithmeticGradientState | None = None,
    ) -> Image:
        """As `BinaryKernel.encode`; a `destination_state` remembers what the gradient kernels need."""
        if destination_state is not None:
            require_type(f"{type(self).__name__}.encode", destination_state, ArithmeticGradientState)
            require_type(f"{type(self).__name__}.encode: destination_state", self, destination_state._forward)
        result = super().encode(commands, primary, secondary, destination)
        if destination_state is not None:
            destination_state._record(self)
        return result


class Compare(ArithmeticKernel):
    """1 where x and y compare as `comparison_type` says, else 0, as MPSNNCompare.

    x and y are the sources times their scales. They count as equal if |x - y| <= threshold; the other comparisons have
    no threshold. NaN is not equal to anything, nor less or greater. `bias` and the limits apply to the result.

    Args:
        comparison_type: "equal", "not_equal", "less", "less_or_equal", "greater" or "greater_or_equal".
    """

    apple_class = "MPSNNCompare"

    comparison_type = Text("The comparison of primary and secondary source.")
    threshold = Number("The largest difference of values that count as equal.")

    def __init__(
        self, comparison_type: ComparisonName = "equal", **properties: Unpack[CompareProperties]
    ) -> None:
        Kernel.__init__(self, comparison_type=comparison_type, **properties)


class ArithmeticGradientState(BinaryGradientState):
    """The arguments of an arithmetic kernel for both of its gradient kernels, as MPSCNNArithmeticGradientState."""


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
