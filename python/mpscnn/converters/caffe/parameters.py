"""Read the parameters, inputs and weights of Caffe's layers, for the functions of all types.

They raise UnsupportedError and WeightsError with a reason only; who calls them knows file and layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from mpscnn.converters.blobs import Blob
from mpscnn.converters.caffe.file import CaffeLayer
from mpscnn.converters.onnx_builder.builder import Builder
from mpscnn.errors import UnsupportedError, WeightsError

Handler = Callable[[Builder, CaffeLayer], "str | list[str]"]
"""Adds a layer to the graph and returns the tensors of its results."""


def value(parameters: Any, name: str, default: Any) -> Any:
    """Return a parameter, or Caffe's default where the file leaves it out."""
    return getattr(parameters, name) if parameters.HasField(name) else default


def number(parameters: Any, name: str, default: float) -> float:
    """Like `value`, a finite number."""
    given = float(value(parameters, name, default))
    if not math.isfinite(given):
        raise WeightsError(f"damaged: its {name} is {given}")
    return given


def axis_of(parameters: Any, default: int, rank: int, name: str = "axis") -> int:
    """Return an axis counted from the front."""
    given = int(value(parameters, name, default))
    if not -rank <= given < rank:
        raise WeightsError(f"damaged: its {name} is {given}")
    return given % rank


def single(b: Builder, layer: CaffeLayer) -> str:
    """Return the only input."""
    if len(layer.bottoms) != 1 or not layer.tops:
        raise WeightsError(f"damaged: it has {len(layer.bottoms)} inputs and {len(layer.tops)} results")
    return b.tensor(layer.bottoms[0])


def blob(layer: CaffeLayer, place: int, what: str) -> Blob:
    """One of the layer's weights."""
    if place >= len(layer.blobs):
        raise WeightsError(f"the file of weights does not have its {what}")
    return layer.blobs[place]


def simple(kind: str, **attributes: Any) -> Handler:
    """Make one operator of the only input."""
    return lambda b, layer: b.op(kind, single(b, layer), **attributes)


def same(b: Builder, layer: CaffeLayer) -> list[str]:
    """Make each result of the layer a copy of its input."""
    x = single(b, layer)
    return [b.op("Identity", x) for _ in layer.tops]


def known(b: Builder, layer: CaffeLayer) -> tuple[str, tuple[int, ...]]:
    """Like `single`, with the shape."""
    x = single(b, layer)
    return x, b.fixed(x)


def image(b: Builder, layer: CaffeLayer) -> tuple[str, tuple[int, ...]]:
    """Like `known`, an image (batch, channels, height, width)."""
    x, shape = known(b, layer)
    if len(shape) != 4:
        raise UnsupportedError(f"its input is {shape}; supported are images")
    return x, shape


def flag(parameters: Any, name: str, default: bool) -> bool:
    """Like `value`, true or false."""
    return bool(value(parameters, name, default))
