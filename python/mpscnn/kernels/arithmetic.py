"""Define arithmetic kernels."""

from __future__ import annotations

from mpscnn.kernels.fields import ArithmeticKernelFields
from mpscnn.kernels.kernel import BinaryKernel, require_type
from mpscnn.kernels.states import BinaryGradientState
from mpscnn.runtime.commands import CommandBuffer
from mpscnn.runtime.feature_image import Image


class ArithmeticKernel(ArithmeticKernelFields, BinaryKernel):
    """Base class with the properties of arithmetic kernels and their gradients."""


class Arithmetic(ArithmeticKernel):
    """Base of the kernels that combine two images element by element, as MPSCNNArithmetic.

    result = min(max((primary_scale * x) op (secondary_scale * y) + bias, minimum_value), maximum_value). With a stride
    of 0, one row, column or channel of a source is used for all rows, columns or channels of the result.
    """

    apple_class = "MPSCNNArithmetic"

    def result_state(self, primary: Image, secondary: Image) -> ArithmeticGradientState:
        """Return a new state for the gradient kernels of both operands, like resultStateForPrimaryImage."""
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
        """Encode as `BinaryKernel.encode`, and record in `destination_state` what the gradient kernels need."""
        if destination_state is not None:
            require_type(f"{type(self).__name__}.encode", destination_state, ArithmeticGradientState)
            require_type(f"{type(self).__name__}.encode: destination_state", self, destination_state._forward)
        result = super().encode(commands, primary, secondary, destination)
        if destination_state is not None:
            destination_state._record(self)
        return result


class ArithmeticGradientState(BinaryGradientState):
    """Records an arithmetic kernel for the gradient kernels of both sources, as MPSCNNArithmeticGradientState."""
