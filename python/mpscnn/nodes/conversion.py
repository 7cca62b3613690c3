"""Convert nodes to layers of a network: the properties of a kernel become parameters of an operation."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from mpscnn.errors import UnsupportedError
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.kernels.properties import UNBOUNDED
from mpscnn.nodes.filter_node import FilterNode
from mpscnn.runtime.feature_image import Image

#: Properties that select a part of an image, with the values that select the whole image. Layers always read and write
#: whole images. Offsets follow from the padding policy, as for a kernel that creates its destination.
_WHOLE: dict[str, Any] = {
    "clip_rect": None,
    "clip_rect_source": None,
    "source_feature_channel_offset": 0,
    "source_feature_channel_max_count": UNBOUNDED,
    "destination_feature_channel_offset": 0,
}
_PREFIXES = ("", "primary_", "secondary_")


def require_whole(node: FilterNode) -> None:
    """Raise UnsupportedError if a property selects a part of an image."""
    properties = node.kernel._properties()
    for name, whole in _WHOLE.items():
        for prefix in _PREFIXES:
            value = properties.get(prefix + name, whole)
            if value != whole:
                raise UnsupportedError(
                    f"{type(node).__name__}: {prefix}{name} must be {whole} in a graph, got {value}: a layer "
                    "computes the whole image"
                )


def as_image(network: Network, x: Tensor) -> Tensor:
    """Return the result of a dense layer as an image of one pixel."""
    return x if len(x.shape) == 4 else network.reshape(x, (1, 1, *_extents(x)))


def add(
    network: Network,
    operation: str,
    sources: Sequence[Tensor],
    attributes: Mapping[str, Any],
    name: str | None,
    *,
    activation: Mapping[str, Any] | None = None,
    weights: Mapping[str, Any] | None = None,
) -> Tensor:
    """Add a layer with its weights. Weights that are None are left out."""
    result = network.layer(operation, sources, attributes, activation=activation, name=name)
    shapes = {spec["role"]: spec["shape"] for spec in network.weight_specs() if spec["layer"] == result.name}
    for role, values in (weights or {}).items():
        if values is not None:
            network.graph.set_weight(result.name, role, values.reshape(shapes[role]))
    return result


def neuron_of(descriptor: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the activation of a neuron descriptor's properties."""
    if descriptor is None or descriptor["neuron_type"] == "none":
        return None
    return {"kind" if key == "neuron_type" else key: value for key, value in descriptor.items()}


def weight_of(kernel: Any, role: str) -> Any:
    """Return a weight of the kernel; None if it is not set."""
    return kernel._weight(role) if role in kernel._weight_specs() else None


class Placement:
    """The size and position that a kernel's padding policy gives for a whole image.

    Attributes:
        kernel: a copy to which the policy was applied.
        height, width: the size of the result.
    """

    def __init__(self, node: FilterNode, x: Tensor) -> None:
        self.kernel = copy.copy(node.kernel)
        height, width, channels = _extents(x)
        self._source = height, width
        size = self.kernel.destination_image_descriptor(Image(width, height, channels))
        self.height, self.width = size.height, size.width

    @property
    def offset(self) -> tuple[int, int]:
        """(y, x) of the first window's centre."""
        x, y, _ = self.kernel.offset
        return y, x

    def window(self) -> dict[str, Any]:
        """Return the window with explicit padding, as parameters of operations."""
        kernel = self.kernel
        attributes: dict[str, Any] = {"padding": "explicit"}
        for axis, sides, place, size, result in (
            ("y", ("top", "bottom"), self.offset[0], self._source[0], self.height),
            ("x", ("left", "right"), self.offset[1], self._source[1], self.width),
        ):
            taps = kernel.kernel_height if axis == "y" else kernel.kernel_width
            stride = getattr(kernel, f"stride_{axis}")
            dilation = getattr(kernel, f"dilation_rate_{axis}", 1)
            reach = (taps - 1) * dilation + 1
            before = reach // 2 - place
            attributes |= {
                f"kernel_{'height' if axis == 'y' else 'width'}": taps,
                f"stride_{axis}": stride,
                f"dilation_{axis}": dilation,
                f"pad_{sides[0]}": before,
                f"pad_{sides[1]}": (result - 1) * stride + reach - size - before,
            }
        return attributes


def _extents(x: Tensor) -> tuple[int, ...]:
    return tuple(extent or 0 for extent in x.shape[1:])
