"""Define the nodes of losses and gradients, with which a graph trains its convolutions and normalizations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from mpscnn.errors import ParameterError, UnsupportedError
from mpscnn.nodes.filter_node import FilterNode, MPSNNImageNode

if TYPE_CHECKING:
    from mpscnn.kernels import LossDescriptor

NodeHandler = Callable[["GradientNode", FilterNode, MPSNNImageNode, MPSNNImageNode], object]
"""Called with each gradient node, its inference node, the source of this node, and the incoming gradient."""

#: The gradient node and the raw kernel of each filter node that has a gradient.
_PLAIN = (
    "Convolution FullyConnected ConvolutionTranspose PoolingMax PoolingAverage PoolingL2Norm DilatedPoolingMax "
    "SpatialNormalization LocalContrastNormalization CrossChannelNormalization InstanceNormalization "
    "GroupNormalization BatchNormalization Dropout SoftMax LogSoftMax UpsamplingNearest UpsamplingBilinear"
)
GRADIENTS: dict[str, tuple[str, str]] = {
    f"MPSCNN{name}Node": (f"MPSCNN{name}GradientNode", f"{name}Gradient") for name in _PLAIN.split()
}
GRADIENTS |= {
    f"MPSNN{name}Node": (f"MPSNN{name}GradientNode", kernel and f"{kernel}Gradient")
    for name, kernel in (
        ("Addition", "Add"),
        ("Subtraction", "Subtract"),
        ("Multiplication", "Multiply"),
        ("Reshape", "Reshape"),
        ("Pad", "Pad"),
        ("GramMatrixCalculation", "GramMatrixCalculation"),
        ("Concatenation", ""),
        ("ReductionSpatialMean", "PoolingAverage"),
    )
}
NEURON_GRADIENT = ("MPSCNNNeuronGradientNode", "NeuronGradient")


class MPSNNLabelsNode:
    """Stands for the labels of a loss node, which a graph gets when it is encoded, like MPSNNLabelsNode."""


class MPSNNGradientStateNode:
    """Stands for what a filter node keeps for its gradient node, like MPSNNGradientStateNode.

    Attributes:
        forward: the filter node.
    """

    def __init__(self, forward: FilterNode) -> None:
        self.forward = forward


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
        return [MPSNNLossGradientNode(source_gradient, *self.sources, self.kernel_descriptor())]

    def kernel_descriptor(self) -> LossDescriptor:
        """Return a descriptor with the properties of the kernel."""
        from mpscnn.kernels import LossDescriptor

        return LossDescriptor(**self.kernel._loss_properties())


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


class GradientNode(FilterNode):
    """Computes the gradient of a source of a filter node, like MPSNNGradientFilterNode.

    Args:
        source_gradient: the gradient of the filter node's result.
        source_image: the source of the filter node; its other operand, if it is an arithmetic node.
        gradient_state: the filter node's `result_state`.
        is_secondary_source_filter: for arithmetic nodes: whether the gradient is that of the second operand.

    Attributes:
        forward: the filter node.
        place: the number of the filter node's source whose gradient this is.
    """

    _own: ClassVar[tuple[str, ...]] = (*FilterNode._own, "forward", "place")
    forward_classes: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        source_gradient: MPSNNImageNode,
        source_image: MPSNNImageNode,
        gradient_state: MPSNNGradientStateNode,
        is_secondary_source_filter: bool = False,
        *,
        label: str = "",
        place: int | None = None,
    ) -> None:
        name = type(self).__name__
        if not isinstance(gradient_state, MPSNNGradientStateNode):
            raise ParameterError(
                f"{name}: expected the result_state of a node, got {type(gradient_state).__name__}"
            )
        forward = gradient_state.forward
        if type(forward).__name__ not in self.forward_classes:
            allowed = ", ".join(self.forward_classes)
            raise ParameterError(f"{name}: needs a state of {allowed}, got one of {type(forward).__name__}")
        self.forward = forward
        self.place = int(is_secondary_source_filter) if place is None else place
        self._begin([source_gradient, source_image], None, label)

    @property
    def needs(self) -> list[MPSNNImageNode]:
        """The images that must be computed before."""
        return [*self.sources, self.forward.result_image]


def _classes() -> dict[str, type[GradientNode]]:
    """Return the classes of gradient nodes by name."""
    from mpscnn.nodes.table import NODES

    forward: dict[str, list[str]] = {}
    kernels: dict[str, str] = {}
    for name in NODES:
        gradient, kernel = gradient_of(name)
        if gradient:
            forward.setdefault(gradient, []).append(name)
            kernels[gradient] = kernel
    return {
        gradient: type(
            gradient,
            (GradientNode,),
            {
                "__doc__": f"The gradient of {', '.join(names)}, like {gradient}; see `GradientNode`.",
                "__module__": "mpscnn.nodes",
                "kernel_class": kernels[gradient],
                "forward_classes": tuple(names),
            },
        )
        for gradient, names in forward.items()
    }


def gradient_of(name: str) -> tuple[str, str]:
    """Return the names of a filter node's gradient node and of its raw kernel; "" twice if it has no gradient."""
    if name.startswith("MPSCNNNeuron"):
        return NEURON_GRADIENT
    return GRADIENTS.get(name, ("", ""))


def gradient_filters(node: FilterNode, source_gradient: MPSNNImageNode) -> list[FilterNode]:
    """Return a gradient node for each source of a filter node.

    Raises UnsupportedError for a node without a gradient.
    """
    gradient, _ = gradient_of(type(node).__name__)
    if not gradient:
        having = ", ".join(sorted(GRADIENT_NODES))
        raise UnsupportedError(f"{type(node).__name__}: has no gradient node; there are {having}")
    made = GRADIENT_NODES[gradient]
    sources = node.sources
    is_arithmetic = node.source_count == 2
    return [
        made(source_gradient, sources[1 - place] if is_arithmetic else source, node.result_state, place=place)
        for place, source in enumerate(sources)
    ]


def gradients_before(
    image: MPSNNImageNode, gradient: MPSNNImageNode, node_handler: NodeHandler | None
) -> list[GradientNode]:
    """Add a gradient node for each node that an image depends on, and return those of the graph's inputs.

    Gradients of an image that several nodes read are added.
    """
    from mpscnn.nodes import graph, table

    order, _ = graph.in_order([image])
    gradients: dict[int, list[MPSNNImageNode]] = {id(image): [gradient]}
    last: list[GradientNode] = []
    for node in reversed(order):
        found = gradients.pop(id(node.result_image), [])
        if not found:
            continue
        total = found[0]
        for other in found[1:]:
            total = table.NODES["MPSNNAdditionNode"](total, other).result_image
        filters = node.gradient_filters(total)
        sources = node.sources if len(filters) > 1 else node.sources[:1]
        for made, source in zip(filters, sources, strict=True):
            if node_handler is not None and isinstance(made, GradientNode):
                node_handler(made, node, source, total)
            gradients.setdefault(id(source), []).append(made.result_image)
            if source.producer is None and isinstance(made, GradientNode):
                last.append(made)
    return last


def only_filter(node: FilterNode, filters: Sequence[FilterNode]) -> FilterNode:
    """Return the gradient node of a node with one source. Raises ParameterError for nodes with several."""
    if len(filters) != 1:
        raise ParameterError(
            f"{type(node).__name__}: has {len(filters)} sources: gradient_filters(source_gradient) returns a node for "
            "each"
        )
    return filters[0]


GRADIENT_NODES: dict[str, type[GradientNode]] = _classes()
