"""Find the layers of a Keras model in memory to which weights belong."""

from __future__ import annotations

from typing import Any

from mpscnn.converters.reading.keras.weights import Path


def layer_at(model: Any, path: Path) -> Any:
    """Return the layer with these names of models and layers, the outermost first."""
    found = model
    for part in path:
        found = found.get_layer(part) if hasattr(found, "get_layer") else found.layer
    return found


def inner_layer(layer: Any, part: str) -> Any:
    """Return the inner layer with the weights of a role: a cell of a recurrent layer, or a projection of attention."""
    if not part.endswith("cell"):
        return getattr(layer, f"{part}_dense")
    for name in part.split("/"):
        layer = getattr(layer, name)
    return layer
