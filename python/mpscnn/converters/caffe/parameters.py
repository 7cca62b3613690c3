"""Read the parameters, inputs and weights of Caffe's layers, for the functions of all types.

They raise UnsupportedError and WeightsError with a reason only; who calls them knows file and layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from mpscnn.converters.blobs import Blob
from mpscnn.converters.caffe.file import CaffeLayer
from mpscnn.converters.onnx_graph import Graph, Shape
from mpscnn.errors import UnsupportedError, WeightsError

Handler = Callable[[Graph, CaffeLayer], None]
FLOAT = 1
"""ONNX' number for float32."""


def value(parameters: Any, name: str, default: Any) -> Any:
    """Return a parameter, or Caffe's default where the file leaves it out."""
    return getattr(parameters, name) if parameters.HasField(name) else default


def number(parameters: Any, name: str, default: float) -> float:
    """Like `value`, a finite number."""
    given = float(value(parameters, name, default))
    if not math.isfinite(given):
        raise WeightsError(f"damaged: its {name} is {given}")
    return given


def axis_of(parameters: Any, default: int, rank: int | None, name: str = "axis") -> int:
    """Return an axis counted from the front."""
    axis = int(value(parameters, name, default))
    if axis < 0:
        if rank is None:
            raise UnsupportedError(f"its {name} is counted from the end of a blob of unknown shape")
        axis += rank
    if axis < 0 or (rank is not None and axis >= rank):
        raise WeightsError(f"damaged: its {name} is {value(parameters, name, default)}")
    return axis


def single(g: Graph, layer: CaffeLayer) -> tuple[str, Shape | None]:
    """Return the only input, and its shape."""
    if len(layer.bottoms) != 1 or not layer.tops:
        raise WeightsError(f"damaged: it has {len(layer.bottoms)} inputs and {len(layer.tops)} results")
    x = g.tensor(layer.bottoms[0])
    return x, g.shapes.get(x)


def blob(layer: CaffeLayer, place: int, what: str) -> Blob:
    """One of the layer's weights."""
    if place >= len(layer.blobs):
        raise WeightsError(f"the file of weights does not have its {what}")
    return layer.blobs[place]


def simple(kind: str, **attributes: Any) -> Handler:
    """Make one operator of the only input, which keeps its shape."""

    def convert(g: Graph, layer: CaffeLayer) -> None:
        x, shape = single(g, layer)
        g.node(kind, layer.name, [x], [g.result(layer.tops[0], shape)], **attributes)

    return convert


def same(g: Graph, layer: CaffeLayer) -> None:
    """Make each result of the layer a copy of its input."""
    x, shape = single(g, layer)
    for top in layer.tops:
        g.node("Identity", layer.name, [x], [g.result(top, shape)])


def known(g: Graph, layer: CaffeLayer) -> tuple[str, Shape]:
    """Like `single`, of a shape that is known."""
    x, shape = single(g, layer)
    if shape is None:
        raise UnsupportedError("the shape of its input is not known")
    return x, shape


def flag(parameters: Any, name: str, default: bool) -> bool:
    """Like `value`, true or false."""
    return bool(value(parameters, name, default))
