"""The inputs, outputs and layers of a network, for modules that read them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mpscnn.errors import ParameterError
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.weights import GraphWeights

if TYPE_CHECKING:
    from mpscnn.vision.detector import DetectionHead


class NetworkStructure(GraphWeights):
    """Methods that describe a network. `Network` inherits them and adds layers.

    Modules that only read a network take this class, so that `Network` can use them.
    """

    inputs: list[Tensor]
    outputs: list[Tensor]
    _detection: DetectionHead | None

    @property
    def detection(self) -> DetectionHead | None:
        """How outputs become boxes; None: the network is not a detector. Settings can be assigned (docs/detection.md).

        Raises ParameterError for what is neither a `DetectionHead`, a mapping nor None.
        """
        return self._detection

    @detection.setter
    def detection(self, head: DetectionHead | Mapping[str, Any] | None) -> None:
        from mpscnn.vision.detector import DetectionHead

        if head is not None and not isinstance(head, (DetectionHead, Mapping)):
            raise ParameterError(
                f"network {self.name!r}: detection must be a DetectionHead or settings, got {head!r}"
            )
        self._detection = DetectionHead(head) if isinstance(head, Mapping) else head

    @property
    def input(self) -> Tensor:
        """The only input. Raises ParameterError when there are several: use `inputs`."""
        if len(self.inputs) != 1:
            raise ParameterError(f"network {self.name!r} has {len(self.inputs)} inputs; use network.inputs")
        return self.inputs[0]

    def to_dict(self) -> dict[str, Any]:
        """Return the structure, as in a model file."""
        structure: dict[str, Any] = json.loads(self.graph.to_json())
        return structure

    def describe(self, size: tuple[int, int] | None = None) -> dict[str, Any]:
        """Layers with output shape, parameters, MACs and FLOPs for one image.

        Args:
            size: (height, width), needed where the network leaves them free.
        """
        height, width = size or (0, 0)
        description: dict[str, Any] = json.loads(self.graph.describe(height, width))
        return description

    def summary(self, size: tuple[int, int] | None = None) -> str:
        """Return a table of the layers: name, operation, output shape, parameters, MACs, with totals."""
        from mpscnn._private.summary import summary_table

        return summary_table(self.name, self.describe(size)["layers"])
