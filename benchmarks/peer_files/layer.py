"""Describe a network's layers in the form that the writers for other engines need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.apps.benchmark.ncnn_file import resize_kind
from mpscnn.converters.writing.explicit_window import Window, window_of
from mpscnn.errors import UnsupportedError
from mpscnn.graph.network import Network

Shape = tuple[int, ...]


@dataclass(frozen=True)
class PeerLayer:
    """One layer with its shapes, which include the batch."""

    name: str
    operation: str
    attributes: Mapping[str, Any]
    neuron: str
    """The layer's activation: a name of NEURONS, or "" for none."""
    inputs: tuple[str, ...]
    input_shapes: tuple[Shape, ...]
    shape: Shape
    weights: Mapping[str, NDArray[np.float32]]
    """The weights by role, such as "weight" and "bias"."""

    @property
    def window(self) -> Window:
        """The window of a convolution or pooling layer."""
        return window_of(self.attributes, self.input_shapes[0], self.shape)

    @property
    def is_depthwise(self) -> bool:
        """True if the layer is a depthwise convolution."""
        groups: int = self.attributes["groups"]
        return groups > 1 and groups == self.input_shapes[0][3]

    def refuse(self, engine: str, what: str) -> UnsupportedError:
        """Return the error for a layer that cannot be written for an engine."""
        return UnsupportedError(f"layer {self.name!r}: {what} is not written for {engine}")

    def resize_kind(self, engine: str) -> str:
        """Return the kind of a resize, as ncnn_file.py names them. Raises UnsupportedError for other kinds."""
        return resize_kind(self.name, self.attributes, engine)

    def channels(self, engine: str) -> tuple[int, int]:
        """Return the first channel of a slice and the number of its channels.

        Raises UnsupportedError if the slice cuts other axes or skips channels.
        """
        (x,), first = self.input_shapes, self.attributes["front"]
        if x[:-1] != self.shape[:-1] or self.attributes["stride_channels"] != 1 or first < 0:
            raise self.refuse(engine, "a slice other than of consecutive channels")
        return first, self.shape[-1]

    def unpadded_transposed(self, engine: str) -> tuple[list[int], list[int]]:
        """Return the kernel and the strides of a transposed convolution.

        Raises UnsupportedError if it has padding, dilation or groups.
        """
        kernel, strides, dilations = (
            [self.attributes[name] for name in names]
            for names in (
                ("kernel_height", "kernel_width"),
                ("stride_y", "stride_x"),
                ("dilation_y", "dilation_x"),
            )
        )
        reached = [
            (size - 1) * stride + extent
            for size, stride, extent in zip(self.input_shapes[0][1:3], strides, kernel, strict=True)
        ]
        stated = (dilations, self.attributes["groups"], self.attributes["kernel_use"], list(self.shape[1:3]))
        if stated != ([1, 1], 1, "scatter", reached):
            raise self.refuse(engine, "a transposed convolution with padding, dilation or groups")
        return kernel, strides

    def require_plain_arithmetic(self, engine: str) -> None:
        """Raise UnsupportedError if an elementwise operation has options besides broadcasting of axes with extent 1."""
        plain = all(self.attributes[name] == value for name, value in _PLAIN.items()) and all(
            self.attributes[f"{role}_stride_{axis}"] == 1 or shape[-from_end] == 1
            for role, shape in zip(("primary", "secondary"), self.input_shapes, strict=True)
            for from_end, axis in enumerate(("channels", "x", "y")[: len(shape) - 1], start=1)
        )
        if not plain:
            raise self.refuse(engine, f"{self.operation} with strides, scales, bias or bounds")


_LARGEST = float(np.finfo(np.float32).max)
_PLAIN = {
    "primary_scale": 1,
    "secondary_scale": 1,
    "bias": 0,
    "minimum": -_LARGEST,
    "maximum": _LARGEST,
}
NEURONS = {
    ("relu", 0.0, 0.0): "relu",
    ("relun", 0.0, 6.0): "relu6",
    ("sigmoid", 0.0, 0.0): "sigmoid",
    ("hard_sigmoid", float(np.float32(1 / 6)), 0.5): "hard_sigmoid",
    ("hard_swish", 0.0, 0.0): "hard_swish",
    ("swish", 0.0, 1.0): "swish",
}
"""The activations that can be written for all engines: their names, by kind and parameters."""


def peer_layers(network: Network, batch: int) -> Iterator[PeerLayer]:
    """Yield the layers in the order of computation. Raises UnsupportedError for activations that are not in NEURONS."""
    structure = network.to_dict()
    shapes = {layer["name"]: (batch, *layer["output"][1:]) for layer in network.describe()["layers"]}
    shapes |= {tensor.name: (batch, *_known(tensor.shape[1:])) for tensor in network.inputs}
    weights = network.weights
    for entry in structure["nodes"]:
        name = entry["name"]
        yield PeerLayer(
            name=name,
            operation=entry["operation"],
            attributes=entry["attributes"],
            neuron=_neuron(name, entry.get("activation")),
            inputs=tuple(entry["inputs"]),
            input_shapes=tuple(shapes[source] for source in entry["inputs"]),
            shape=shapes[name],
            weights={
                role: weights[f"{name}.{role}"].astype(np.float32)
                for role in ("weight", "bias")
                if f"{name}.{role}" in weights
            },
        )


def _known(extents: tuple[int | None, ...]) -> Shape:
    return tuple(extent or 1 for extent in extents)


def _neuron(name: str, activation: Mapping[str, Any] | None) -> str:
    if activation is None:
        return ""
    stated = (activation["kind"], activation["a"], activation["b"])
    if stated not in NEURONS:
        raise UnsupportedError(
            f"layer {name!r}: the activation {stated} is written for onnxruntime and OpenVINO only"
        )
    return NEURONS[stated]
