"""Run a graph with gradient nodes: forward kernels, losses, gradient kernels and steps of an optimizer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mpscnn import kernels
from mpscnn.errors import ParameterError, StateError, UnsupportedError
from mpscnn.kernels.arithmetic import Arithmetic
from mpscnn.kernels.gradient import DifferentiableKernel, WeightedGradientKernel
from mpscnn.kernels.kernel import Kernel, allocate_image
from mpscnn.kernels.made_classes import parameters_of
from mpscnn.nodes.filter_node import FilterNode, GradientNode, MPSNNImageNode
from mpscnn.nodes.losses import LossNode, MPSNNLabelsNode
from mpscnn.runtime.commands import CommandBuffer, CommandStatus
from mpscnn.runtime.feature_image import Image

#: The share of the old statistics of a batch normalization after a step.
STATISTICS_KEPT = 0.9
_SLICE = 4  # feature channels that are stored together
#: Properties of a forward kernel that its gradient kernel takes from the state of each step.
_OF_STATE = {"label", "padding", "clip_rect", "destination_feature_channel_offset"}


def gradient_kernel(forward: Kernel, name: str, **more: Any) -> Any:
    """Return the gradient kernel of a forward kernel, with its parameters and weights, and more parameters."""
    kind = getattr(kernels, name)
    known = parameters_of(name).keys() - _OF_STATE
    properties = {key: value for key, value in forward._properties().items() if key in known}
    made = kind.__new__(kind)
    others = {"destination_image_allocator": allocate_image}
    made.__setstate__({"properties": json.dumps(properties | more), "weights": {}, "others": others})
    roles = forward._weight_specs()
    trained = getattr(kind, "_roles", ())
    for role, spec in made._weight_specs().items():
        value = forward._weight(role) if role in roles else None
        if value is None and role in trained:  # missing bias terms have a gradient, too
            value = np.full(spec["shape"], role == "gamma", np.float32)
        if value is not None:
            made._kernel.set_weight(role, value)
    return made


class TrainingProgram:
    """Encodes the nodes of a training graph, and trains the weights of their kernels.

    Args:
        nodes: the nodes in an order of computation.
        inputs: the images that a program gives.
        results: the images that `encode` returns.
        optimizer: computes the new weights; None: only gradients are computed.
        result_is_needed: whether the gradients of the inputs are computed.
    """

    def __init__(
        self,
        nodes: Sequence[FilterNode],
        inputs: Sequence[MPSNNImageNode],
        results: Sequence[MPSNNImageNode],
        optimizer: kernels.Optimizer | None,
        *,
        result_is_needed: bool,
    ) -> None:
        if optimizer is not None and not isinstance(optimizer, kernels.Optimizer):
            raise ParameterError(
                f"MPSNNGraph: optimizer must be one of mpscnn.kernels, got {type(optimizer).__name__}"
            )
        self._nodes, self._inputs, self._results, self._optimizer = nodes, inputs, results, optimizer
        read = {id(image) for node in nodes for image in node.sources}
        self._unread = {
            id(node.result_image)
            for node in nodes
            if not result_is_needed and id(node.result_image) not in read and isinstance(node, GradientNode)
        }
        self._gradients: dict[int, Any] = {}
        self._moments: dict[int, kernels.OptimizerMoments] = {}
        self._differentiated: set[int] = set()
        self.labels = [node.input_labels for node in nodes if isinstance(node, LossNode)]
        self._pending: list[tuple[FilterNode, Any]] = []
        self._commands: CommandBuffer | None = None
        self._steps = 0
        self._states: dict[int, Any] = {}
        for node in nodes:
            if isinstance(node, GradientNode):
                self._take(node)

    def _take(self, node: GradientNode) -> None:
        """Make the kernel of a gradient node, and train the weights of its filter node from now on."""
        forward = node.forward
        kernel = forward.kernel
        self._differentiated.add(id(forward))
        if kernel is not None and node.kernel_class and not isinstance(kernel, kernels.BatchNormalization):
            second = (
                {"is_secondary_source_filter": bool(node.place)} if isinstance(kernel, Arithmetic) else {}
            )
            self._gradients[id(node)] = gradient_kernel(kernel, node.kernel_class, **second)
        if self._optimizer is not None:
            forward._trained_by = self
            self._moments[id(forward)] = kernels.OptimizerMoments()

    # ---- One step ------------------------------------------------------------------------------------------------

    def encode(
        self, commands: CommandBuffer, sources: Sequence[Image], labels: Sequence[kernels.LossLabels]
    ) -> list[Image]:
        """Append a step to a command buffer, and return the results.

        Raises StateError if the step before has not completed, or if another graph trains the same nodes.
        """
        self.settle()
        for what, given, wanted in (
            ("images", sources, len(self._inputs)),
            ("labels", labels, len(self.labels)),
        ):
            if len(given) != wanted:
                raise ParameterError(f"MPSNNGraph.encode: the graph has {wanted} {what}, got {len(given)}")
        run = _Run(self, commands, self._inputs, sources, self.labels, labels)
        for node in self._nodes:
            if (
                self._optimizer is not None
                and id(node) in self._differentiated
                and node._trained_by is not self
            ):
                raise StateError(f"MPSNNGraph: another training graph trains its {type(node).__name__}")
            run.add(node)
        self._states = run.states
        self._steps += 1
        self._commands = commands
        return [run.images[id(image)] for image in self._results if id(image) in run.images]

    def settle(self) -> None:
        """Set the weights that the last step has computed in the kernels. Raises StateError if it is not completed."""
        commands = self._commands
        if commands is None:
            return
        if commands.status < CommandStatus.COMPLETED:
            raise StateError(
                "MPSNNGraph: the command buffer of the last training step is not completed; wait for it"
            )
        pending, self._pending, self._commands = self._pending, [], None
        if commands.status == CommandStatus.ERROR:
            raise StateError("MPSNNGraph: the last training step failed; its weights are not taken")
        for forward, state in pending:
            owners = [forward._kernel, *self._kernels_of(forward)]
            for kernel in owners:
                if isinstance(state, kernels.NormalizationMeanAndVarianceState):
                    if isinstance(kernel, kernels.BatchNormalization):
                        kernel.reload_mean_and_variance(state)
                elif isinstance(state, kernels.NormalizationGammaAndBetaState):
                    kernel._reload({"gamma": state.gamma, "beta": state.beta})
                else:
                    kernel.reload_weights_and_biases(state)

    def _kernels_of(self, forward: FilterNode) -> list[Any]:
        """Return the gradient kernels of a filter node."""
        return [
            self._gradients[id(node)]
            for node in self._nodes
            if isinstance(node, GradientNode) and node.forward is forward and id(node) in self._gradients
        ]

    def state_of(self, node: FilterNode) -> Any:
        """Return what a filter node kept in the last step, with the gradients of its weights."""
        if id(node) not in self._states:
            raise StateError(
                f"MPSNNGraph: has no gradients of this {type(node).__name__}; encode the graph first"
            )
        return self._states[id(node)]


class _Run:
    """One step: the images and states of the nodes that have been encoded."""

    def __init__(
        self,
        program: TrainingProgram,
        commands: CommandBuffer,
        inputs: Sequence[MPSNNImageNode],
        sources: Sequence[Image],
        label_nodes: Sequence[MPSNNLabelsNode],
        labels: Sequence[kernels.LossLabels],
    ) -> None:
        self.program, self.commands = program, commands
        self.images: dict[int, Image] = {id(node): image for node, image in zip(inputs, sources, strict=True)}
        self.labels: Mapping[int, kernels.LossLabels] = {
            id(node): given for node, given in zip(label_nodes, labels, strict=True)
        }
        self.states: dict[int, Any] = {}

    def add(self, node: FilterNode) -> None:
        """Encode a node."""
        sources = [self.images[id(image)] for image in node.sources]
        result: Image | None
        if isinstance(node, LossNode):
            kernel: Any = node._kernel
            result = kernel.encode(self.commands, *sources, self.labels[id(node.input_labels)])
        elif isinstance(node, GradientNode):
            result = self._gradient(node, *sources)
        else:
            result = self._forward(node, sources)
        if result is not None:
            self.images[id(node.result_image)] = result

    def _forward(self, node: FilterNode, sources: list[Image]) -> Image:
        kernel: Any = node._kernel
        if kernel is None:
            if type(node).__name__ == "MPSNNConcatenationNode":
                return self._concatenated(sources)
            kernel = _spatial_mean(sources[0])
        if isinstance(kernel, kernels.Dropout):  # each step has another mask
            kernel = kernels.Dropout(
                kernel.keep_probability,
                kernel.seed + self.program._steps,
                mask_stride_in_pixels=kernel.mask_stride_in_pixels,
            )
        if id(node) not in self.program._differentiated:
            return _image(kernel.encode(self.commands, *sources))
        if isinstance(kernel, kernels.BatchNormalization):
            state: Any = kernel.result_state()
            self.states[id(node)] = state
            kernels.BatchNormalizationStatistics().encode(self.commands, sources[0], state)
            return kernel.encode(self.commands, *sources, batch_normalization_state=state)
        if not isinstance(kernel, (DifferentiableKernel, Arithmetic)):
            return _image(kernel.encode(self.commands, *sources))
        state = self.states[id(node)] = kernel.result_state(*sources)
        return kernel.encode(self.commands, *sources, destination_state=state)

    def _concatenated(self, sources: list[Image]) -> Image:
        """Return an image with the channels of several images."""
        for image in sources[:-1]:
            if image.feature_channels % _SLICE:
                raise UnsupportedError(
                    "MPSNNConcatenationNode: in a training graph all images but the last must have a multiple of "
                    f"{_SLICE} feature channels, got {image.feature_channels}"
                )
        first = sources[0]
        total = sum(image.feature_channels for image in sources)
        result = Image(first.width, first.height, total, first.number_of_images)
        place = 0
        for image in sources:
            copy = kernels.Slice(destination_feature_channel_offset=place)
            copy.encode(self.commands, image, result)
            place += image.feature_channels
        return result

    def _gradient(self, node: GradientNode, gradient: Image, source: Image) -> Image | None:
        forward = node.forward
        kernel: Any = self.program._gradients.get(id(node))
        state = self.states.get(id(forward))
        if forward.kernel_class == "BatchNormalization":
            return self._normalization_gradient(node, gradient, source)
        if type(forward).__name__ == "MPSNNConcatenationNode":
            before = forward.sources[: node.place]
            place = sum(self.images[id(image)].feature_channels for image in before)
            size = source.descriptor
            copy = kernels.Slice(
                source_feature_channel_offset=place, source_feature_channel_max_count=size.feature_channels
            )
            part = Image(size.width, size.height, size.feature_channels, size.number_of_images)
            return copy.encode(self.commands, gradient, part)
        if kernel is None:  # the mean of all pixels
            mean = _spatial_mean(source)
            mean_state = mean.result_state(source)
            mean_state._record(mean, source)
            made = gradient_kernel(mean, node.kernel_class)
            return _image(made.encode(self.commands, gradient, source, mean_state))
        if state is None:  # softmax: the gradient follows from the result
            return _image(kernel.encode(self.commands, gradient, self.images[id(forward.result_image)]))
        if isinstance(kernel, kernels.DropoutGradient):
            kernel = kernels.DropoutGradient(
                kernel.keep_probability,
                kernel.seed + self.program._steps,
                mask_stride_in_pixels=kernel.mask_stride_in_pixels,
            )
        if not isinstance(kernel, WeightedGradientKernel):
            return _image(kernel.encode(self.commands, gradient, source, state))
        result = None
        if id(node.result_image) in self.program._unread:
            kernel.encode_weights(self.commands, gradient, source, state)
        else:
            result = kernel.encode(self.commands, gradient, source, state)
        self._train(forward, state)
        return result

    def _normalization_gradient(self, node: GradientNode, gradient: Image, source: Image) -> Image | None:
        kernel: Any = node.forward._kernel
        state = self.states[id(node.forward)]
        neuron = kernel._properties()["fused_neuron_descriptor"]
        if neuron is not None and neuron["neuron_type"] != "none":
            raise UnsupportedError(
                "MPSCNNBatchNormalizationNode: a training graph has no fused_neuron_descriptor: add a neuron node"
            )
        channels = kernel.number_of_feature_channels
        kernels.BatchNormalizationStatisticsGradient(channels).encode(self.commands, gradient, source, state)
        made = kernels.BatchNormalizationGradient(channels)
        result = made.encode(self.commands, gradient, source, state)
        self._train(node.forward, state)
        return result

    def _train(self, forward: FilterNode, state: Any) -> None:
        """Append a step of the optimizer for the weights of a filter node."""
        program = self.program
        if program._optimizer is None:
            return
        kernel: Any = forward._kernel
        if hasattr(kernel, "export_weights_and_biases"):
            source: Any = kernel.export_weights_and_biases()
        else:
            source = kernels.NormalizationGammaAndBetaState(kernel._weight("gamma"), kernel._weight("beta"))
        made = program._optimizer.update(self.commands, state, source, program._moments[id(forward)])
        program._pending.append((forward, made))
        if isinstance(kernel, kernels.BatchNormalization):
            program._pending.append((forward, _Statistics(kernel, state)))


class _Statistics(kernels.NormalizationMeanAndVarianceState):
    """The moving averages of a batch normalization's statistics, which are there when the step is completed."""

    def __init__(self, kernel: Any, state: Any) -> None:
        self._kernel, self._state = kernel, state

    def _moved(self, role: str, new: Any) -> Any:
        before = self._kernel._weight(role)
        return new if before is None else STATISTICS_KEPT * before + (1 - STATISTICS_KEPT) * new

    @property
    def mean(self) -> Any:  # type: ignore[override]
        return self._moved("mean", self._state.mean)

    @property
    def variance(self) -> Any:  # type: ignore[override]
        return self._moved("variance", self._state.variance)


def _spatial_mean(image: Image) -> kernels.PoolingAverage:
    """Return the kernel that computes the mean of all pixels of each channel."""
    kernel = kernels.PoolingAverage(image.width, image.height, stride_x=image.width, stride_y=image.height)
    kernel.offset = (image.width // 2, image.height // 2, 0)
    kernel.clip_rect = (0, 0, 0, 1, 1, image.number_of_images)
    return kernel


def _image(result: Any) -> Image:
    """Return a result of a kernel."""
    assert isinstance(result, Image)
    return result
