"""Define the images and filters of a graph of nodes, and the nodes of their gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from mpscnn import kernels
from mpscnn._private.arguments import whole_numbers
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn._private.other_names import lacking
from mpscnn.errors import ParameterError, ShapeError, UnsupportedError
from mpscnn.kernels.apple_names import property_hint


class MPSNNImageNode:
    """An image between nodes: an input of the graph, or the result of a filter node.

    Args:
        shape: (height, width, feature channels) of an input. All sizes in the graph follow from those of its inputs.
        label: the input's name in the network.

    Attributes:
        export_from_graph: whether the image is an additional output of the graph.
    """

    @accept_foreign_arguments
    def __init__(self, shape: Sequence[int], *, label: str = "image") -> None:
        extents = whole_numbers("MPSNNImageNode: shape", shape)
        if len(extents) != 3 or min(extents) < 1:
            raise ShapeError(
                f"MPSNNImageNode: shape must be (height, width, feature channels), got {tuple(shape)!r}"
            )
        self.shape: tuple[int, ...] | None = tuple(extents)
        self.label = label
        self.export_from_graph = False
        self.producer: FilterNode | None = None

    @classmethod
    def _result_of(cls, producer: FilterNode) -> MPSNNImageNode:
        image = cls.__new__(cls)
        image.shape, image.label, image.export_from_graph = None, "", False
        image.producer = producer
        return image

    def __setattr__(self, name: str, value: Any) -> None:
        known = ("shape", "label", "export_from_graph", "producer")
        if name not in known:
            raise ParameterError(f"MPSNNImageNode: unknown property {name!r}{property_hint(name, known)}")
        super().__setattr__(name, value)

    if not TYPE_CHECKING:  # type checkers would accept every name

        def __getattr__(self, name: str) -> Any:
            """Raise AttributeError with mpscnn's name for Apple's. Python calls this for missing attributes only."""
            hint = "" if name.startswith("_") else property_hint(name, tuple(vars(self)))
            raise lacking("'MPSNNImageNode' object", name, hint)

    def __repr__(self) -> str:
        if self.producer is not None:
            return f"<MPSNNImageNode of {type(self.producer).__name__}>"
        return f"<MPSNNImageNode {self.label!r} {self.shape}>"


class FilterNode:
    """A filter node, like MPSNNFilterNode: the raw kernel of its class, and the images that it reads.

    Args:
        sources: the images that it reads, as separate arguments or as a list.
        arguments, properties: the arguments and properties of the raw kernel, such as `mpscnn.kernels.PoolingMax`.

    Attributes:
        kernel: the kernel that computes the same in a command buffer.
        padding_policy: a `mpscnn.DefaultPadding`, the kernel's `padding`.
        result_image: the node's result.
        label: the layer's name in the network; by default it is named after its kind.

    Every other attribute is a property of the kernel.
    """

    kernel_class: ClassVar[str] = ""
    source_count: ClassVar[int | None] = 1
    """The number of images that it reads; None: a list of any number."""
    defaults: ClassVar[dict[str, Any]] = {}
    """Properties whose defaults differ from the raw kernel's."""

    _own: ClassVar[tuple[str, ...]] = ("kernel", "padding_policy", "result_image", "label", "sources")
    gradient_class: ClassVar[type[GradientNode] | None] = None
    """The class of its gradient nodes."""
    _trained_by: Any = None
    """The training graph that computes weights of the kernel."""

    def __init__(self, *arguments: Any, **properties: Any) -> None:
        count = self.source_count
        given = arguments[0] if count is None and arguments else arguments[: count or 0]
        sources = list(given) if isinstance(given, (list, tuple)) else [given]
        name = type(self).__name__
        wanted = "a list of images" if count is None else f"{count} image{'s' if count > 1 else ''}"
        if len(sources) != (count or len(sources)) or not sources or not all(map(_is_image, sources)):
            first = "first" if arguments else "first, without a name"
            raise ParameterError(f"{name}: expected {wanted} (MPSNNImageNode) {first}, got {sources!r}")
        label = properties.pop("label", "")
        policy = properties.pop("padding_policy", None)
        self._begin(sources, arguments[1 if count is None else count :], label, properties)
        if policy is not None:
            self.padding_policy = policy

    def _begin(
        self,
        sources: list[MPSNNImageNode],
        arguments: Sequence[Any] | None,
        label: str,
        properties: dict[str, Any] | None = None,
    ) -> None:
        """Set the sources, the kernel (None without arguments), the label and the result."""
        for image in sources:
            if not _is_image(image):
                raise ParameterError(f"{type(self).__name__}: expected an MPSNNImageNode, got {image!r}")
        self.sources: list[MPSNNImageNode] = sources
        self._kernel = None if arguments is None else self._make_kernel(arguments, properties or {})
        self.label = label
        self.result_image = MPSNNImageNode._result_of(self)

    @property
    def kernel(self) -> Any:
        """The raw kernel. If a training graph computes its weights, it has those of the last step.

        Raises StateError if the command buffer of that step is not completed.
        """
        if self._trained_by is not None:
            self._trained_by.settle()
        return self._kernel

    @property
    def needs(self) -> list[MPSNNImageNode]:
        """The images that must be computed before."""
        return self.sources

    @property
    def result_state(self) -> MPSNNGradientStateNode:
        """Stands for what the kernel keeps for its gradient node."""
        return MPSNNGradientStateNode(self)

    def gradient_filters(self, source_gradient: MPSNNImageNode) -> list[FilterNode]:
        """Return a gradient node for each source, from the gradient of the result.

        Raises UnsupportedError for a node without a gradient.
        """
        if self.gradient_class is None:
            raise UnsupportedError(f"{type(self).__name__}: has no gradient node")
        return [
            self.gradient_class(
                source_gradient,
                self.sources[1 - place] if self.source_count == 2 else source,
                self.result_state,
                place=place,
            )
            for place, source in enumerate(self.sources)
        ]

    def gradient_filter(self, source_gradient: MPSNNImageNode) -> FilterNode:
        """Return the gradient node of a node with one source. Raises UnsupportedError like `gradient_filters`."""
        filters = self.gradient_filters(source_gradient)
        if len(filters) != 1:
            raise ParameterError(
                f"{type(self).__name__}: has {len(filters)} sources: gradient_filters(source_gradient) returns a node "
                "for each"
            )
        return filters[0]

    def training_graph(
        self, source_gradient: MPSNNImageNode, node_handler: NodeHandler | None = None
    ) -> list[GradientNode]:
        """Add gradient nodes for this node and all nodes before it, and return those of the graph's inputs.

        Args:
            source_gradient: the gradient of this node's result.
            node_handler: is called with each gradient node, its filter node, the filter node's source and the
                incoming gradient.
        """
        return gradients_before(self.result_image, source_gradient, node_handler)

    def _make_kernel(self, arguments: Sequence[Any], properties: dict[str, Any]) -> Any:
        if not self.kernel_class:
            if arguments or properties:
                raise ParameterError(f"{type(self).__name__}: takes images only")
            return None
        return getattr(kernels, self.kernel_class)(*arguments, **{**self.defaults, **properties})

    @property
    def padding_policy(self) -> Any:
        """The padding policy, which determines the size and position of the result."""
        return self.kernel.padding

    @padding_policy.setter
    def padding_policy(self, policy: Any) -> None:
        self.kernel.padding = policy

    def __getattr__(self, name: str) -> Any:
        """Return a property of the kernel."""
        if name.startswith("_") or name in self._own:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        if (hint := property_hint(name, self._own)).startswith("; it is ") or self.kernel is None:
            raise lacking(f"{type(self).__name__!r} object", name, hint)
        return getattr(self.kernel, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._own or name.startswith("_"):
            super().__setattr__(name, value)
            return
        if name == "paddingPolicy" or self.kernel is None:
            raise ParameterError(
                f"{type(self).__name__}: unknown property {name!r}{property_hint(name, self._own)}"
            )
        setattr(self.kernel, name, value)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.sources!r}>"


class MPSNNGradientStateNode:
    """Stands for what a filter node keeps for its gradient node, like MPSNNGradientStateNode.

    Attributes:
        forward: the filter node.
    """

    def __init__(self, forward: FilterNode) -> None:
        self.forward = forward


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


class MPSNNAdditionNode(FilterNode):
    """MPSNNAdditionNode: takes the properties of `mpscnn.kernels.Add`; see `FilterNode`."""

    __module__ = "mpscnn.nodes"
    kernel_class = "Add"
    source_count = 2


NodeHandler = Callable[[GradientNode, FilterNode, MPSNNImageNode, MPSNNImageNode], object]
"""Called with each gradient node, its inference node, the source of this node, and the incoming gradient."""


def gradients_before(
    image: MPSNNImageNode, gradient: MPSNNImageNode, node_handler: NodeHandler | None
) -> list[GradientNode]:
    """Add a gradient node for each node that an image depends on, and return those of the graph's inputs.

    Gradients of an image that several nodes read are added.
    """
    order, _ = in_order([image])
    gradients: dict[int, list[MPSNNImageNode]] = {id(image): [gradient]}
    last: list[GradientNode] = []
    for node in reversed(order):
        found = gradients.pop(id(node.result_image), [])
        if not found:
            continue
        total = found[0]
        for other in found[1:]:
            total = MPSNNAdditionNode(total, other).result_image
        filters = node.gradient_filters(total)
        sources = node.sources if len(filters) > 1 else node.sources[:1]
        for made, source in zip(filters, sources, strict=True):
            if node_handler is not None and isinstance(made, GradientNode):
                node_handler(made, node, source, total)
            gradients.setdefault(id(source), []).append(made.result_image)
            if source.producer is None and isinstance(made, GradientNode):
                last.append(made)
    return last


def in_order(wanted: Sequence[MPSNNImageNode]) -> tuple[list[FilterNode], list[MPSNNImageNode]]:
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
            source for source in (image.producer.needs if image.producer else []) if id(source) not in done
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


def _is_image(source: object) -> bool:
    return isinstance(source, MPSNNImageNode)
