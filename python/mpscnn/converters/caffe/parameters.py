"""Read the parameters, inputs and weights of Caffe's layers, for the functions of all types.

They raise UnsupportedError and WeightsError with only a reason. The caller adds the names of file and layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from mpscnn.converters.blobs import Blob
from mpscnn.converters.caffe.file import CaffeLayer
from mpscnn.converters.onnx_graph.builder import Builder
from mpscnn.errors import UnsupportedError, WeightsError

Handler = Callable[[Builder, CaffeLayer], "str | list[str]"]
"""A function that adds a layer to the graph and returns its result or results."""


def value(parameters: Any, name: str, default: Any) -> Any:
    """Return a parameter, or Caffe's default if the file leaves it out."""
    return getattr(parameters, name) if parameters.has(name) else default


def number(parameters: Any, name: str, default: float) -> float:
    """Return a parameter that must be a finite number, or its default."""
    given = float(value(parameters, name, default))
    if not math.isfinite(given):
        raise WeightsError(f"damaged: its {name} is {given}")
    return given


def axis_of(parameters: Any, default: int, rank: int, name: str = "axis") -> int:
    """Return the parameter with an axis, counted from the front. Raises WeightsError if there is no such axis."""
    given = int(value(parameters, name, default))
    if not -rank <= given < rank:
        raise WeightsError(f"damaged: its {name} is {given}")
    return given % rank


def only_input(b: Builder, layer: CaffeLayer) -> str:
    """Return the only input of a layer. Raises WeightsError for other numbers of inputs, or without a result."""
    if len(layer.bottoms) != 1 or not layer.tops:
        raise WeightsError(f"damaged: it has {len(layer.bottoms)} inputs and {len(layer.tops)} results")
    return b.tensor(layer.bottoms[0])


def blob(layer: CaffeLayer, place: int, what: str) -> Blob:
    """Return one of the layer's weights by its number. Raises WeightsError if it is missing."""
    if place >= len(layer.blobs):
        raise WeightsError(f"the file of weights does not have its {what}")
    return layer.blobs[place]


def convert_to_op(kind: str, **attributes: Any) -> Handler:
    """Return a function that converts a layer with one input to one ONNX operator."""
    return lambda b, layer: b.op(kind, only_input(b, layer), **attributes)


def identity(b: Builder, layer: CaffeLayer) -> list[str]:
    """Make each result of the layer a copy of its input."""
    x = only_input(b, layer)
    return [b.op("Identity", x) for _ in layer.tops]


def input_with_shape(b: Builder, layer: CaffeLayer) -> tuple[str, tuple[int, ...]]:
    """Return the only input of a layer, and its shape. Raises the errors of `only_input`."""
    x = only_input(b, layer)
    return x, b.fixed_shape(x)


def image(b: Builder, layer: CaffeLayer) -> tuple[str, tuple[int, ...]]:
    """Return the only input of a layer, which must be an image (batch, channels, height, width), and its shape."""
    x, shape = input_with_shape(b, layer)
    if len(shape) != 4:
        raise UnsupportedError(f"its input is {shape}; supported are images")
    return x, shape


def flag(parameters: Any, name: str, default: bool) -> bool:
    """Return a boolean parameter, or its default."""
    return bool(value(parameters, name, default))
