"""Define kernels for the gradients of arithmetic kernels."""

from __future__ import annotations

from mpscnn.errors import ParameterError, UnsupportedError
from mpscnn.kernels.arithmetic import Arithmetic, ArithmeticGradientState, ArithmeticKernel
from mpscnn.kernels.fields import ArithmeticGradientFields
from mpscnn.kernels.kernel import require_type
from mpscnn.runtime.commands import CommandBuffer
from mpscnn.runtime.feature_image import Image

_FOLLOWED = (
    "primary_scale",
    "secondary_scale",
    "primary_stride_x",
    "primary_stride_y",
    "primary_stride_in_feature_channels",
    "secondary_stride_x",
    "secondary_stride_y",
    "secondary_stride_in_feature_channels",
)
_PLACES = (
    "primary_offset",
    "secondary_offset",
    "primary_source_feature_channel_offset",
    "secondary_source_feature_channel_offset",
    "destination_feature_channel_offset",
)


class ArithmeticGradient(ArithmeticGradientFields, ArithmeticKernel):
    """Base of the gradients of arithmetic kernels, as MPSCNNArithmeticGradient. Each is for one operand.

    The primary source is the gradient of the result, the secondary source is the *other* operand. Scales and strides
    are those of the forward kernel. If the operand has a single row, column or channel, which was used for
    all rows, columns or channels of the result, the gradients are summed along that axis. `minimum_value` and
    `maximum_value` limit the resulting gradient. The forward kernel's limits and bias have no effect.

    Args:
        is_secondary_source_filter: True for the gradient of the secondary operand, False for the primary one.
    """

    apple_class = "MPSCNNArithmeticGradient"
    forward_class: type[Arithmetic] = Arithmetic

    def encode(  # type: ignore[override]
        self,
        commands: CommandBuffer,
        source_gradient: Image,
        source_image: Image,
        gradient_state: ArithmeticGradientState | None = None,
        destination: Image | None = None,
    ) -> Image:
        """Append the kernel to a command buffer and return the gradient of an operand.

        Args:
            source_gradient: the gradient of the forward kernel's result.
            source_image: the other operand.
            gradient_state: the forward kernel's state, which sets scales and strides; None: the kernel's properties.
            destination: an image as large as the operand; None: a new image.

        Raises:
            ShapeError, ParameterError: images, state and properties do not fit each other.
            UnsupportedError: the forward kernel read or wrote a part of an image.
        """
        if gradient_state is not None:
            self._follow(gradient_state)
        return self._encode(commands, [source_gradient, source_image], destination)

    def _follow(self, state: ArithmeticGradientState) -> None:
        name = type(self).__name__
        require_type(f"{name}.encode", state, ArithmeticGradientState)
        forward = state._recorded()
        if not issubclass(state._forward, self.forward_class):
            raise ParameterError(
                f"{name}: needs a state of {self.forward_class.__name__}, got one of {state._forward.__name__}"
            )
        if forward["clip_rect"] is not None or any(forward[place] not in (0, [0, 0, 0]) for place in _PLACES):
            raise UnsupportedError(
                f"{name}: the forward kernel has offsets or a clip rectangle; set those of the gradient without a state"
            )
        self._set({key: forward[key] for key in _FOLLOWED})
