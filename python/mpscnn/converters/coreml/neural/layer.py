"""One layer of a Core ML neural network, and what the functions for all kinds of layers read of it.

They raise UnsupportedError and WeightsError with a reason only; who calls them knows file and layer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mpscnn.converters.blobs import Blob
from mpscnn.converters.coreml.weights import Shape, Weights
from mpscnn.converters.onnx_builder.builder import Builder
from mpscnn.errors import UnsupportedError, WeightsError


@dataclass(frozen=True)
class Layer:
    """A layer: what it is, and the tensors that it reads.

    Attributes:
        kind: the name of the field that holds its parameters.
        name: in the file.
        inputs: tensors of the graph.
        outputs: blobs of the file.
        p: the parameters.
        weights: makes its weights.
    """

    kind: str
    name: str
    inputs: list[str]
    outputs: list[str]
    p: Any
    weights: Weights

    @property
    def x(self) -> str:
        """The only input."""
        if len(self.inputs) != 1:
            raise UnsupportedError(f"it has {len(self.inputs)} inputs; supported is one")
        return self.inputs[0]

    def two(self) -> tuple[str, str]:
        """Both inputs."""
        if len(self.inputs) != 2:
            raise WeightsError(f"damaged: it has {len(self.inputs)} inputs instead of two")
        return self.inputs[0], self.inputs[1]

    def weight(self, role: str, shape: Shape, *, axis: int = 0) -> Blob:
        """Return a weight; see `Weights.blob`."""
        if not self.p.HasField(role):
            raise WeightsError(f"damaged: it has no {role}")
        return self.weights.blob(getattr(self.p, role), shape, f"its {role}", axis=axis)

    def positive(self, name: str, default: float) -> float:
        """A number that has a default where it is 0 or not stated."""
        return float(getattr(self.p, name)) or default


Handler = Callable[[Builder, Layer], "str | list[str]"]
"""The tensors that a layer computes, one for each of its outputs."""


def simple(kind: str, **attributes: Any) -> Handler:
    """Make one operator of the only input."""
    return lambda b, layer: b.op(kind, layer.x, **attributes)


def binary(kind: str) -> Handler:
    """Make one operator of two inputs, which broadcast."""
    return lambda b, layer: b.op(kind, *layer.two())


def pair(values: Any, default: int) -> tuple[int, int]:
    """(vertical, horizontal) numbers."""
    given = [int(value) for value in values] or [default, default]
    if len(given) != 2:
        raise WeightsError(f"damaged: {len(given)} numbers for height and width")
    return given[0], given[1]


def borders(message: Any) -> list[int]:
    """Amounts at the top, bottom, left and right."""
    edges = list(message.borderAmounts)
    if not edges:
        return [0, 0, 0, 0]
    if len(edges) != 2:
        raise WeightsError(f"damaged: {len(edges)} pairs of borders for height and width")
    return [int(amount) for edge in edges for amount in (edge.startEdgeSize, edge.endEdgeSize)]
