"""Define the nodes of losses, with which a graph trains its convolutions and normalizations."""

from __future__ import annotations

from typing import Any, ClassVar

from mpscnn import kernels
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn.errors import ParameterError
from mpscnn.nodes.filter_node import FilterNode, GradientNode, MPSNNImageNode, NodeHandler, gradients_before


class MPSNNLabelsNode:
    """Stands for the labels of a loss node, which a graph gets when it is encoded, like MPSNNLabelsNode."""


class LossNode(FilterNode):
    """A loss: its result is the gradient of its source.

    Args:
        source: the prediction.
        loss_descriptor: the kind of the loss.
        label: a name for messages.

    Attributes:
        input_labels: stands for the labels, which `MPSNNGraph.encode` takes.
    """

    _own: ClassVar[tuple[str, ...]] = (*FilterNode._own, "input_labels")

    @accept_foreign_arguments
    def __init__(self, source: MPSNNImageNode, loss_descriptor: Any, *, label: str = "") -> None:
        super().__init__(source, loss_descriptor, label=label)
        self.input_labels = MPSNNLabelsNode()

    def training_graph(
        self, source_gradient: MPSNNImageNode | None = None, node_handler: NodeHandler | None = None
    ) -> list[GradientNode]:
        """Return the last gradient nodes of the network before the loss; see `FilterNode.training_graph`.

        The source gradient is that of the prediction; None: the result of this node.
        """
        return gradients_before(self.sources[0], source_gradient or self.result_image, node_handler)


class MPSCNNLossNode(LossNode):
    """A loss node with the properties of `mpscnn.kernels.Loss`, like MPSCNNLossNode; see `LossNode`."""

    kernel_class = "Loss"


class MPSCNNYOLOLossNode(LossNode):
    """The loss of a YOLO detector, `mpscnn.kernels.YOLOLoss`, like MPSCNNYOLOLossNode; see `LossNode`."""

    kernel_class = "YOLOLoss"


class MPSNNForwardLossNode(FilterNode):
    """A loss whose result is the loss itself, `mpscnn.kernels.ForwardLoss`, like MPSNNForwardLossNode.

    Args:
        sources: the prediction, the labels and, if there are any, the weights of the labels.
        loss_descriptor: the kind of the loss.
    """

    kernel_class = "ForwardLoss"

    def __init__(self, *sources: Any, label: str = "") -> None:
        *images, descriptor = sources
        if not 2 <= len(images) <= 3:
            raise ParameterError(
                "MPSNNForwardLossNode: expected prediction, labels, perhaps weights, and a LossDescriptor"
            )
        self._begin(images, [descriptor], label)

    def gradient_filters(self, source_gradient: MPSNNImageNode) -> list[FilterNode]:
        """Return the node that computes the gradient of the prediction."""
        descriptor = kernels.LossDescriptor(**self.kernel._loss_properties())
        return [MPSNNLossGradientNode(source_gradient, *self.sources, descriptor)]


class MPSNNLossGradientNode(FilterNode):
    """The gradient of a prediction, `mpscnn.kernels.LossGradient`, like MPSNNLossGradientNode.

    Args:
        sources: the gradient of the loss, the prediction, the labels and, if there are any, the weights of the labels.
        loss_descriptor: the kind of the loss.
    """

    kernel_class = "LossGradient"

    def __init__(self, *sources: Any, label: str = "") -> None:
        *images, descriptor = sources
        if not 3 <= len(images) <= 4:
            raise ParameterError(
                "MPSNNLossGradientNode: expected a gradient, prediction, labels, perhaps weights, and a LossDescriptor"
            )
        self._begin(images, [descriptor], label)


class MPSNNInitialGradientNode(FilterNode):
    """An image of ones like the source, `mpscnn.kernels.InitialGradient`, like MPSNNInitialGradientNode."""

    kernel_class = "InitialGradient"
