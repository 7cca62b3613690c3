"""Define the base of all gradient kernels, and states that receive the gradients of weights."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn._private.copies import NoCopies
from mpscnn.errors import ParameterError, ShapeError, StateError
from mpscnn.kernels.fields import GradientKernelFields
from mpscnn.kernels.kernel import BinaryKernel, UnaryKernel, allocate_image, require_type
from mpscnn.kernels.states import GradientState
from mpscnn.runtime.commands import CommandBuffer, CommandStatus
from mpscnn.runtime.feature_image import Image, TemporaryImage

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mpscnn.kernels.named import GradientProperties

# Properties that select a part of an image. All other properties belong to the computation.
_PLACE = {
    "clip_rect",
    "destination_feature_channel_offset",
    "edge_mode",
    "label",
    "offset",
    "padding",
    "source_feature_channel_max_count",
    "source_feature_channel_offset",
}


class DeviceArray(NoCopies):
    """An array that a command buffer writes."""

    _instead = "it belongs to a command buffer; copy its array"

    def __init__(self, commands: CommandBuffer, image: Image) -> None:
        self.commands, self.image = commands, image

    def read(self, name: str) -> NDArray[np.float32]:
        """Return a copy, (images, rows, columns, channels).

        Raises StateError if the command buffer is not completed.
        """
        status = self.commands.status
        if status != CommandStatus.COMPLETED:
            raise StateError(
                f"{name} is not there yet, the status of its command buffer is {status.name.lower()}"
            )
        return self.image.read()


def add_read(images: Sequence[Image]) -> None:
    """Add 1 to the read counts of temporary images, for one more kernel that reads them in a caller's `encode`."""
    for image in images:
        if isinstance(image, TemporaryImage):
            image.read_count += 1


class WeightGradientState(GradientState):
    """A state in which a gradient kernel also stores the gradients of weights."""

    def __init__(self, kernel: UnaryKernel, source: Image | None = None) -> None:
        super().__init__(kernel, source)
        self._gradients: dict[str, DeviceArray] = {}

    def _gradient(self, role: str) -> NDArray[np.float32]:
        if role not in self._gradients:
            raise StateError(
                f"{type(self).__name__}: has no gradients; encode a gradient kernel with it first"
            )
        return self._gradients[role].read(f"{type(self).__name__}: the gradient of {role}")

    def _images(self, name: str) -> dict[str, Image]:
        if not self._gradients:
            raise StateError(
                f"{name}: the {type(self).__name__} has no gradients; encode a gradient kernel first"
            )
        return {role: array.image for role, array in self._gradients.items()}


class DifferentiableKernel(UnaryKernel):
    """A kernel that has a gradient kernel."""

    _state_class: ClassVar[type[GradientState]] = GradientState

    def result_state(self, source: Image) -> GradientState:
        """Return a new state for the gradient kernel, like resultStateForSourceImage."""
        require_type(f"{type(self).__name__}.result_state", source, Image)
        return GradientState(self, source)

    def encode(
        self,
        commands: CommandBuffer,
        source: Image,
        destination: Image | None = None,
        *,
        destination_state: Any = None,
    ) -> Image:
        """Encode as `UnaryKernel.encode`, and record in `destination_state` what the gradient kernel needs."""
        if destination_state is not None:
            self._require_state("encode", destination_state)
        result = super().encode(commands, source, destination)
        if destination_state is not None:
            self._after_encode(commands, source, result, destination_state)
        return result

    def encode_batch(
        self,
        commands: CommandBuffer,
        sources: Sequence[Image],
        destinations: Sequence[Image] | None = None,
        *,
        destination_states: Sequence[Any] | None = None,
    ) -> list[Image]:
        """Encode each image of a batch, and return the results. Images may share a state."""
        if destination_states is None:
            return super().encode_batch(commands, sources, destinations)
        for state in destination_states:
            self._require_state("encode_batch", state)
        require_states(f"{type(self).__name__}.encode_batch", destination_states, sources)
        results = super().encode_batch(commands, sources, destinations)
        for source, result, state in zip(sources, results, destination_states, strict=True):
            self._after_encode(commands, source, result, state)
        return results

    def _after_encode(
        self, _commands: CommandBuffer, source: Image, _result: Image, state: GradientState
    ) -> None:
        state._record(self, source)

    def _require_state(self, method: str, state: object) -> None:
        require_type(f"{type(self).__name__}.{method}", state, self._state_class)


def require_states(where: str, states: Sequence[object], images: Sequence[Image]) -> None:
    """Raise ShapeError unless there is a state for each image."""
    if len(states) != len(images):
        raise ShapeError(
            f"{where}: there must be one state for each of the {len(images)} images, got {len(states)}"
        )


class GradientKernel(GradientKernelFields, BinaryKernel):
    """A kernel that computes a gradient, as MPSCNNGradientKernel.

    The primary source is the gradient of the forward kernel's result. The secondary source is the forward kernel's
    source. Pixel (x, y) of the result is the gradient of the source's pixel (x, y) + `secondary_offset`. The window for
    that pixel lies in the primary source with stride - 1 zeros inserted between its pixels. There its centre is at
    primary_offset * stride + kernel_offset + (x, y).

    If a state of the forward kernel is given, it sets all of these offsets, and the parameters of the computation.
    """

    apple_class = "MPSCNNGradientKernel"
    forward_class: ClassVar[type[UnaryKernel]] = UnaryKernel
    """The forward kernel's class."""

    if TYPE_CHECKING:

        def __init__(self, **properties: Unpack[GradientProperties]) -> None: ...

    def encode(  # type: ignore[override]
        self,
        commands: CommandBuffer,
        source_gradient: Image,
        source_image: Image,
        gradient_state: GradientState | None = None,
        destination: Image | None = None,
    ) -> Image:
        """Append the kernel to a command buffer and return the gradient of the source image.

        Args:
            source_gradient: the gradient of the forward kernel's result.
            source_image: the image that the forward kernel read.
            gradient_state: the state that the forward kernel was encoded with. The gradient kernel takes its
                properties from it. With None it uses its own properties.
            destination: an image as large as the source image. With None a new image is made.

        Raises:
            ShapeError, ParameterError: the images, the state and the properties do not fit each other.
            StateError: the forward kernel has not been encoded with the state, the command buffer has been committed,
                or a temporary image has no reads left.
            UnsupportedError: this gradient is not supported.
        """
        if gradient_state is not None:
            self._follow(gradient_state, source_image)
        return self._encode(commands, [source_gradient, source_image], destination)

    def encode_batch(  # type: ignore[override]
        self,
        commands: CommandBuffer,
        source_gradients: Sequence[Image],
        source_images: Sequence[Image],
        gradient_states: Sequence[GradientState] | None = None,
        destinations: Sequence[Image] | None = None,
    ) -> list[Image]:
        """Encode each image of a batch, and return the gradients."""
        if gradient_states is None:
            return self._encode_batch(commands, [source_gradients, source_images], destinations)
        require_states(f"{type(self).__name__}.encode_batch", gradient_states, source_images)
        self._require_batches(source_gradients, source_images, destinations)
        results = [None] * len(source_images) if destinations is None else destinations
        return [
            self.encode(commands, *given)
            for given in zip(source_gradients, source_images, gradient_states, results, strict=True)
        ]

    def _require_batches(self, *batches: Sequence[Image] | None) -> None:
        given = [batch for batch in batches if batch is not None]
        for batch in given:
            self._require_batch(batch)
        if len({len(batch) for batch in given}) != 1:
            lengths = sorted({len(batch) for batch in given})
            raise ShapeError(
                f"{type(self).__name__}.encode_batch: batches must have one length, got {lengths}"
            )

    def _follow(self, state: GradientState, source_image: Image) -> None:
        """Set the properties to those that the forward kernel had."""
        name = type(self).__name__
        require_type(f"{name}.encode", state, GradientState)
        if not issubclass(state._forward, self.forward_class):
            raise ParameterError(
                f"{name}: needs a state of a {self.forward_class.__name__}, got one of a {state._forward.__name__}"
            )
        forward = state._recorded()
        require_type(f"{name}.encode", source_image, Image)
        if (source_image.width, source_image.height) != (state.source_width, state.source_height):
            raise ShapeError(
                f"{name}: the source image must be {state.source_width} x {state.source_height} as that of the forward "
                f"kernel, got {source_image.width} x {source_image.height}"
            )
        self._set(self._changes(forward) | self._placement(forward))

    def _changes(self, forward: Mapping[str, Any]) -> dict[str, Any]:
        own = self._properties()
        changes = {
            key: value
            for key, value in forward.items()
            if key not in _PLACE and key in own and own[key] != value
        }
        for key in changes.keys() & fixed_properties(type(self).__name__):
            raise ParameterError(
                f"{type(self).__name__}: {key} is {own[key]}, the forward kernel has {forward[key]}"
            )
        return changes

    def _placement(self, forward: Mapping[str, Any]) -> dict[str, Any]:
        x, y, z = forward["offset"]

        def moved(kernel: str, dilation: str, offset: int) -> int:
            reach = (forward.get(kernel, 1) - 1) * forward.get(dilation, 1) + 1
            return int(1 - reach % 2 - offset)  # an even window extends one pixel further to the left

        return {
            "primary_offset": [0, 0, self.primary_offset[2]],
            "secondary_offset": [0, 0, z],
            "secondary_edge_mode": forward["edge_mode"],
            "secondary_source_feature_channel_offset": forward["source_feature_channel_offset"],
            "secondary_source_feature_channel_max_count": forward["source_feature_channel_max_count"],
            "kernel_offset_x": moved("kernel_width", "dilation_rate_x", x),
            "kernel_offset_y": moved("kernel_height", "dilation_rate_y", y),
        }


class WeightedGradientKernel(GradientKernel):
    """A gradient kernel that also computes the gradients of weights, and stores them in a state."""

    _roles: ClassVar[tuple[str, ...]] = ()

    def encode(  # type: ignore[override]
        self,
        commands: CommandBuffer,
        source_gradient: Image,
        source_image: Image,
        gradient_state: WeightGradientState,
        destination: Image | None = None,
    ) -> Image:
        """Encode as `GradientKernel.encode`. The state receives the gradients of the weights."""
        self._require_weight_state(gradient_state)
        self._follow(gradient_state, source_image)
        gradients = self._weight_gradients(commands, source_gradient, source_image)
        result = self._encode(commands, [source_gradient, source_image], destination)
        gradient_state._gradients = gradients
        return result

    def encode_batch(  # type: ignore[override]
        self,
        commands: CommandBuffer,
        source_gradients: Sequence[Image],
        source_images: Sequence[Image],
        gradient_states: Sequence[WeightGradientState],
        destinations: Sequence[Image] | None = None,
    ) -> list[Image]:
        """Encode each image of a batch. A state that several images share gets the sum of their gradients."""
        name = f"{type(self).__name__}.encode_batch"
        require_states(name, gradient_states, source_images)
        self._require_batches(source_gradients, source_images, destinations)
        sums: dict[int, dict[str, DeviceArray]] = {}
        results: list[Image] = []
        for i, (gradient, image, state) in enumerate(
            zip(source_gradients, source_images, gradient_states, strict=True)
        ):
            results.append(
                self.encode(
                    commands, gradient, image, state, None if destinations is None else destinations[i]
                )
            )
            before = sums.get(id(state))
            if before is not None:
                state._gradients = {
                    role: DeviceArray(commands, _sum(commands, before[role].image, one.image))
                    for role, one in state._gradients.items()
                }
            sums[id(state)] = state._gradients
        return results

    def encode_data(
        self,
        commands: CommandBuffer,
        source_gradient: Image,
        source_image: Image,
        gradient_state: GradientState,
        destination: Image | None = None,
    ) -> Image:
        """Append only the gradient of the source, for layers that are not trained. Return it."""
        return super().encode(commands, source_gradient, source_image, gradient_state, destination)

    def encode_weights(
        self,
        commands: CommandBuffer,
        source_gradient: Image,
        source_image: Image,
        gradient_state: WeightGradientState,
    ) -> None:
        """Append only the gradients of the weights, for a network's first layer."""
        self._require_weight_state(gradient_state)
        self._follow(gradient_state, source_image)
        gradients = self._weight_gradients(commands, source_gradient, source_image)
        gradient_state._gradients = gradients
        for image in (source_gradient, source_image):
            if isinstance(image, TemporaryImage):
                image.read_count -= 1  # undo the additional reads for the weights

    def _require_weight_state(self, state: object) -> None:
        require_type(f"{type(self).__name__}.encode", state, WeightGradientState)

    def _weight_gradients(
        self, commands: CommandBuffer, source_gradient: Image, source_image: Image
    ) -> dict[str, DeviceArray]:
        before, allocator = self.gradient_of, self.destination_image_allocator
        self.destination_image_allocator = allocate_image
        gradients = {}
        try:
            for role in self._roles:
                self.gradient_of = role
                add_read([source_gradient, source_image])
                gradients[role] = DeviceArray(
                    commands, self._encode(commands, [source_gradient, source_image], None)
                )
        finally:
            self.gradient_of, self.destination_image_allocator = before, allocator
        return gradients


def _sum(commands: CommandBuffer, first: Image, second: Image) -> Image:
    result = allocate_image(commands, first.descriptor)
    _core.Kernel("Add", "{}").encode(commands._commands, [first._image, second._image], result._image)
    return result


@functools.cache
def fixed_properties(name: str) -> frozenset[str]:
    """Return the names of a kernel's properties that cannot change after it is made."""
    (entry,) = (entry for entry in json.loads(_core.kernels()) if entry["name"] == name)
    return frozenset(field["name"] for field in entry["fixed"])
