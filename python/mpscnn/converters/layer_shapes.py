"""Find the shapes of a network's layers for the writers of files."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mpscnn.graph.network import Network


def shapes_of(network: Network, size: tuple[int, int] | None) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all inputs and layers for one image, by name."""
    described = network.describe(size)
    shapes = {layer["name"]: tuple(layer["output"]) for layer in described["layers"]}
    for tensor in network.inputs:
        shape = [1 if extent is None else extent for extent in tensor.shape]
        if size is not None and len(shape) == 4:
            given = zip(tensor.shape[1:3], size, strict=True)
            shape[1:3] = [wanted if extent is None else extent for extent, wanted in given]
        shapes[tensor.name] = tuple(shape)
    return shapes
