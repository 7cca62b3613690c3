"""A layer of a Core ML neural network with its inputs and parameters, for the functions that convert layers.

They raise UnsupportedError and WeightsError with only a reason. The caller adds the names of file and layer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mpscnn.converters.opening.blobs import Blob
from mpscnn.converters.reading.coreml.weights import Shape, Weights
from mpscnn.converters.reading.onnx_graph.builder import Builder
from mpscnn.errors import UnsupportedError, WeightsError


@dataclass(frozen=True)
class Layer:
    """A layer of the file.

    Attributes:
        kind: the kind of layer: the name of the message's field with its parameters.
        name: the name in the file.
        inputs: the names of the input tensors in the ONNX graph.
        outputs: the names of the output blobs in the file.
        p: the message with the parameters.
        weights: reads the weights.
        is_old: whether all blobs are images (sequence, batch, channels, height, width), as in old files. Blobs of one
            image in the sequence lack the first axis in the graph.
    """

    kind: str
    name: str
    inputs: list[str]
    outputs: list[str]
    p: Any
    weights: Weights
    is_old: bool = False

    @property
    def x(self) -> str:
        """The only input. Raises UnsupportedError for several."""
        if len(self.inputs) != 1:
            raise UnsupportedError(f"it has {len(self.inputs)} inputs; supported is one")
        return self.inputs[0]

    def two(self) -> tuple[str, str]:
        """Return both inputs. Raises WeightsError for other numbers of inputs."""
        if len(self.inputs) != 2:
            raise WeightsError(f"damaged: it has {len(self.inputs)} inputs instead of two")
        return self.inputs[0], self.inputs[1]

    def three(self) -> tuple[str, str, str]:
        """Return the three inputs. Raises WeightsError for other numbers of inputs."""
        if len(self.inputs) != 3:
            raise WeightsError(f"damaged: it has {len(self.inputs)} inputs instead of three")
        return self.inputs[0], self.inputs[1], self.inputs[2]

    def weight(self, role: str, shape: Shape, *, axis: int = 0) -> Blob:
        """Return a weight; see `Weights.blob`."""
        if not self.p.has(role):
            raise WeightsError(f"damaged: it has no {role}")
        return self.weights.blob(getattr(self.p, role), shape, f"its {role}", axis=axis)

    def positive(self, name: str, default: float) -> float:
        """Return a numeric parameter, or the default if it is 0 or missing."""
        return float(getattr(self.p, name)) or default


Handler = Callable[[Builder, Layer], "str | list[str]"]
"""A function that adds a layer to the graph and returns its output tensors."""


def pair(values: Any, default: int) -> tuple[int, int]:
    """Return a list parameter as (vertical, horizontal)."""
    given = [int(value) for value in values] or [default, default]
    if len(given) != 2:
        raise WeightsError(f"damaged: {len(given)} numbers for height and width")
    return given[0], given[1]


def borders(message: Any) -> list[int]:
    """Return border amounts as top, bottom, left and right."""
    edges = list(message.borderAmounts)
    if not edges:
        return [0, 0, 0, 0]
    if len(edges) != 2:
        raise WeightsError(f"damaged: {len(edges)} pairs of borders for height and width")
    return [int(amount) for edge in edges for amount in (edge.startEdgeSize, edge.endEdgeSize)]
