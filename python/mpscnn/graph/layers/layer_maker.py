"""The base class of the families of layer methods."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mpscnn._private.expected_names import takes_expected_arguments
from mpscnn.graph.layer_arguments import Activation

if TYPE_CHECKING:
    from mpscnn import _core

Shape = tuple[int | None, ...]


class Tensor:
    """A layer's result inside a network: what other layers take as input.

    `shape` lists the batch first; None is an extent that is free until the network runs.
    """

    __slots__ = ("graph", "index", "name", "shape")

    def __init__(self, graph: _core.Graph, index: int, name: str) -> None:
        # Not the network, which holds its tensors: without a cycle its weights go with its last reference.
        self.graph = graph
        self.index = index
        self.name = name
        self.shape: Shape = tuple(None if extent < 0 else extent for extent in graph.shape(index))

    def __repr__(self) -> str:
        return f"<Tensor {self.name!r} {self.shape}>"


class LayerMaker(ABC):
    """A network under construction, as the layer methods see it."""

    def __init_subclass__(cls) -> None:
        """Layer methods take arguments by the names of other frameworks, too."""
        super().__init_subclass__()
        for name, method in list(vars(cls).items()):
            if (
                inspect.isfunction(method)
                and not name.startswith("_")
                and "x" in inspect.signature(method).parameters
            ):
                setattr(cls, name, takes_expected_arguments(method))

    @abstractmethod
    def layer(
        self,
        operation: str,
        inputs: Sequence[Tensor],
        attributes: Mapping[str, Any],
        *,
        activation: Activation = None,
        name: str | None = None,
        default: str | None = None,
    ) -> Tensor:
        """Add a layer; `default` is the stem of its name when none is given."""
