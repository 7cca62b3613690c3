"""A network's layers as what writes them for other engines wants them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.onnx_writer.window import Window, window_of
from mpscnn.errors import UnsupportedError
from mpscnn.graph.network import Network

Shape = tuple[int, ...]


@dataclass(frozen=True)
class PeerLayer:
    """One layer, its shapes with the batch."""

    name: str
    operation: str
    attributes: Mapping[str, Any]
    neuron: str
    """Of its activation: "", "relu" or "relu6"."""
    inputs: tuple[str, ...]
    input_shapes: tuple[Shape, ...]
    shape: Shape
    weights: Mapping[str, NDArray[np.float32]]
    """By role: weight, bias."""

    @property
    def window(self) -> Window:
        """Of a convolution or pooling."""
        return window_of(self.attributes, self.input_shapes[0], self.shape)

    @property
    def is_depthwise(self) -> bool:
        """Whether each feature channel of a convolution has filters of its own."""
        groups: int = self.attributes["groups"]
        return groups > 1 and groups == self.input_shapes[0][3]

    def refuse(self, engine: str, what: str) -> UnsupportedError:
        """The error for a layer that is not written for an engine."""
        return UnsupportedError(f"layer {self.name!r}: {what} is not written for {engine}")


def peer_layers(network: Network, batch: int) -> Iterator[PeerLayer]:
    """The layers in the order in which they are computed. Raises UnsupportedError for an activation beyond ReLU6."""
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
    if stated[:2] == ("relu", 0):
        return "relu"
    if stated == ("relun", 0, 6):
        return "relu6"
    raise UnsupportedError(
        f"layer {name!r}: the activation {stated} is written for onnxruntime and OpenVINO only"
    )
