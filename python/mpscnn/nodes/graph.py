"""Build a network, or a program that trains, from nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mpscnn._private.arguments import require_sequence
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn._private.other_names import Expected
from mpscnn.errors import ParameterError, UnsupportedError
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.kernels import LossLabels, Optimizer
from mpscnn.nodes.filter_node import FilterNode, MPSNNImageNode, in_order
from mpscnn.nodes.losses import MPSNNLabelsNode
from mpscnn.nodes.table import CONVERSIONS
from mpscnn.nodes.training import TrainingProgram
from mpscnn.runtime.commands import CommandBuffer
from mpscnn.runtime.feature_image import Image


class MPSNNGraph(Expected):
    """The graph of all nodes that a result needs, like MPSNNGraph.

    A graph with a loss node or gradient nodes is a training graph: `encode` computes a step. Any other graph becomes a
    network.

    Args:
        result_image: the requested image, or several. Images with `export_from_graph` become outputs after them.
        name: the network's name.
        optimizer: for a training graph: one of `mpscnn.kernels`, such as `OptimizerAdam(1e-3)`. It trains the weights
            of the convolutions, dense layers and normalizations whose gradient nodes are in the graph. None: gradients
            are computed, and weights stay.
        result_image_is_needed: for a training graph: False if the gradients of its inputs are not needed.

    Attributes:
        source_images: the inputs, in the order in which a depth-first search from the results finds them. The network's
            inputs have this order.

    Raises:
        ParameterError: a result is not an image, inputs have equal names, or there is no node between input and result.
        UnsupportedError: the network's layer for a node lacks a property that is set; the message names both.
    """

    @accept_foreign_arguments
    def __init__(
        self,
        result_image: MPSNNImageNode | Sequence[MPSNNImageNode],
        *,
        name: str = "graph",
        optimizer: Optimizer | None = None,
        result_image_is_needed: bool = True,
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
        nodes, self.source_images = in_order(wanted)
        labels = [image.label for image in self.source_images]
        if len(set(labels)) != len(labels):
            raise ParameterError(f"MPSNNGraph: inputs must have different names (label=), got {labels}")
        exported = [node.result_image for node in nodes if node.result_image.export_from_graph]
        results = list({id(image): image for image in [*wanted, *exported]}.values())
        self._network: Network | None = None
        self._training: TrainingProgram | None = None
        if any(type(node).__name__ not in CONVERSIONS for node in nodes):
            self._training = TrainingProgram(
                nodes, self.source_images, results, optimizer, result_is_needed=result_image_is_needed
            )
        elif optimizer is not None:
            raise ParameterError(
                "MPSNNGraph: optimizer is for training graphs, whose results are those of "
                "loss.training_graph(): [node.result_image for node in loss.training_graph()]"
            )
        else:
            self._network = self._built(nodes, results, name)

    @property
    def network(self) -> Network:
        """The `mpscnn.Network` with its weights, which can be saved and run on every device.

        Raises UnsupportedError for a training graph.
        """
        if self._network is None:
            raise UnsupportedError(
                "MPSNNGraph: a training graph is no network: MPSNNGraph(node.result_image) of the last node before the "
                "loss has one, with the trained weights"
            )
        return self._network

    @property
    def source_states(self) -> list[MPSNNLabelsNode]:
        """The `input_labels` of the loss nodes, in the order in which `encode` takes labels."""
        return [] if self._training is None else list(self._training.labels)

    @accept_foreign_arguments
    def encode(
        self,
        commands: CommandBuffer,
        source_images: Image | Sequence[Image],
        source_states: LossLabels | Sequence[LossLabels] = (),
    ) -> list[Image]:
        """Append the graph to a command buffer, and return the results in the order in which they were requested.

        With an optimizer it is a step of training. The kernels of the nodes get the new weights as soon as they are
        used after the command buffer is completed, such as by the next `encode`.

        Args:
            commands: the command buffer.
            source_images: an image for each input, in the order of `source_images`. An image may hold a batch.
            source_states: labels for each loss node, which get the loss.

        Raises:
            StateError: the command buffer of the last step is not completed.
            ParameterError, ShapeError: the images or labels do not fit.
        """
        sources = [source_images] if isinstance(source_images, Image) else list(source_images)
        if self._training is not None:
            labels = [source_states] if isinstance(source_states, LossLabels) else list(source_states)
            return self._training.encode(commands, sources, labels)
        program = self.network.compile(device=commands.queue.device, precision="float32")
        found = program.session().encode(commands, sources)
        return [found] if isinstance(found, Image) else list(found.values())

    def gradient_state(self, node: FilterNode) -> Any:
        """Return the state of a filter node in the last step, with gradients such as `gradient_for_weights`.

        Raises StateError if the graph has no gradient node of this filter node, or was not encoded yet.
        """
        if self._training is None:
            raise UnsupportedError("MPSNNGraph: only a training graph has gradients")
        return self._training.state_of(node)

    def _built(self, nodes: Sequence[FilterNode], results: Sequence[MPSNNImageNode], name: str) -> Network:
        shapes = {image.label: image.shape or () for image in self.source_images}
        network = Network(shapes, name=name)
        tensors = {
            id(image): tensor for image, tensor in zip(self.source_images, network.inputs, strict=True)
        }
        for node in nodes:
            sources = [tensors[id(image)] for image in node.sources]
            made: Tensor = CONVERSIONS[type(node).__name__](network, node, sources, node.label or None)
            tensors[id(node.result_image)] = made
        for image in results:
            network.output(tensors[id(image)])
        return network
