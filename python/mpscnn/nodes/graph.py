"""Build a network from nodes."""

from __future__ import annotations

from collections.abc import Sequence

from mpscnn._private.arguments import require_sequence
from mpscnn._private.expected_names import Expected, accept_foreign_arguments
from mpscnn.errors import ParameterError
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.nodes.filter_node import FilterNode, MPSNNImageNode
from mpscnn.nodes.table import CONVERSIONS


class MPSNNGraph(Expected):
    """The graph of all nodes that a result needs, like MPSNNGraph.

    Args:
        result_image: the requested image, or several. Images with `export_from_graph` become outputs after them.
        name: the network's name.

    Attributes:
        network: the `mpscnn.Network` with its weights, which can be saved and run on every device.
        source_images: the inputs, in the order in which a depth-first search from the results finds them. The network's
            inputs have this order.

    Raises:
        ParameterError: a result is not an image, inputs have equal names, or there is no node between input and result.
        UnsupportedError: the network's layer for a node lacks a property that is set; the message names both.
    """

    @accept_foreign_arguments
    def __init__(
        self, result_image: MPSNNImageNode | Sequence[MPSNNImageNode], *, name: str = "graph"
    ) -> None:
        wanted = (
            [result_image]
            if isinstance(result_image, MPSNNImageNode)
            else list(require_sequence("MPSNNGraph: result_image", result_image))
        )
        for image in wanted:
            if not isinstance(image, MPSNNImageNode):
                raise ParameterError(f"MPSNNGraph: expected an MPSNNImageNode, got {type(image).__name__}")
            if image.producer is None:
                raise ParameterError(f"MPSNNGraph: {image!r} is an input: no node makes it")
        if not wanted:
            raise ParameterError("MPSNNGraph: no result_image is given")
        nodes, self.source_images = _in_order(wanted)
        labels = [image.label for image in self.source_images]
        if len(set(labels)) != len(labels):
            raise ParameterError(f"MPSNNGraph: inputs must have different names (label=), got {labels}")
        shapes = {image.label: image.shape or () for image in self.source_images}
        self.network = Network(shapes, name=name)
        tensors = {
            id(image): tensor for image, tensor in zip(self.source_images, self.network.inputs, strict=True)
        }
        for node in nodes:
            sources = [tensors[id(image)] for image in node.sources]
            tensors[id(node.result_image)] = self._layer(node, sources)
        exported = [node.result_image for node in nodes if node.result_image.export_from_graph]
        outputs = {id(image): image for image in [*wanted, *exported]}
        for key in outputs:
            self.network.output(tensors[key])

    def _layer(self, node: FilterNode, sources: list[Tensor]) -> Tensor:
        return CONVERSIONS[type(node).__name__](self.network, node, sources, node.label or None)


def _in_order(wanted: Sequence[MPSNNImageNode]) -> tuple[list[FilterNode], list[MPSNNImageNode]]:
    """Return the nodes that the images need in an order of computation, and the inputs."""
    nodes: list[FilterNode] = []
    inputs: list[MPSNNImageNode] = []
    done: set[int] = set()
    waiting = list(reversed(wanted))
    while waiting:
        image = waiting[-1]
        if id(image) in done:
            waiting.pop()
            continue
        missing = [
            source for source in (image.producer.sources if image.producer else []) if id(source) not in done
        ]
        if missing:
            waiting.extend(reversed(missing))
            continue
        done.add(id(waiting.pop()))
        if image.producer is None:
            inputs.append(image)
        else:
            nodes.append(image.producer)
    return nodes, inputs
