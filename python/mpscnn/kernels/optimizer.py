"""Define optimisers, which compute new weights from gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mpscnn.errors import ParameterError, ShapeError
from mpscnn.kernels.batch_normalization import BatchNormalizationState
from mpscnn.kernels.convolution_states import ConvolutionGradientState, ConvolutionWeightsAndBiasesState
from mpscnn.kernels.fields import (
    OptimizerAdamFields,
    OptimizerDescriptorFields,
    OptimizerFields,
    OptimizerRMSPropFields,
    OptimizerStochasticGradientDescentFields,
)
from mpscnn.kernels.gradient import DeviceArray, add_read
from mpscnn.kernels.kernel import Kernel, require_type
from mpscnn.kernels.normalization import NormalizationGammaAndBetaState, ScaledNormalizationGradientState
from mpscnn.runtime.commands import CommandBuffer
from mpscnn.runtime.feature_image import Image

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mpscnn.kernels.named import LabelProperties, OptimizerAdamProperties

S = TypeVar("S", ConvolutionWeightsAndBiasesState, NormalizationGammaAndBetaState)


class OptimizerDescriptor(OptimizerDescriptorFields):
    """The options that all optimisers apply to a gradient first, as MPSNNOptimizerDescriptor.

    With `apply_gradient_clipping` the gradient is limited to the range from gradient_clip_min to gradient_clip_max.
    Then the gradient is multiplied by `gradient_rescale`. At last the regularization's gradient is added:
    regularization_scale times the weight ("l2") or the sign of the weight ("l1").
    """


@dataclass
class OptimizerMoments:
    """The state of an optimiser for one layer: an image for each weight and moment. It begins with zeros."""

    images: dict[tuple[str, str], Image] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    """The number of steps that were encoded for each weight."""


class Optimizer(OptimizerFields, Kernel):
    """Base of the optimisers, as MPSNNOptimizer. Weights, gradients and moments are whole images of one size.

    `encode` computes one of the optimiser's results, which the property `result` selects. `update` computes all of them
    for a layer.

    Args:
        descriptor: an `OptimizerDescriptor`, or a learning rate.
    """

    apple_class = "MPSNNOptimizer"
    _stated_by = (
        "belongs to the first argument: a learning rate, or OptimizerDescriptor(learning_rate=0.01, ...)"
    )

    if TYPE_CHECKING:

        def __init__(
            self, descriptor: OptimizerDescriptor | float = 1e-3, **properties: Unpack[LabelProperties]
        ) -> None: ...

    def _make(self, descriptor: OptimizerDescriptor | float, own: Mapping[str, Any], others: Any) -> None:
        if isinstance(descriptor, (int, float)):
            descriptor = OptimizerDescriptor(descriptor)
        require_type(type(self).__name__, descriptor, OptimizerDescriptor)
        Kernel.__init__(self, descriptor.properties(), **own, **others)

    def set_learning_rate(self, learning_rate: float) -> None:
        """Set the learning rate, like setLearningRate:."""
        self.learning_rate = learning_rate

    def encode(
        self,
        commands: CommandBuffer,
        input_gradient: Image,
        input_values: Image,
        *input_moments: Image,
        destination: Image | None = None,
    ) -> Image:
        """Append the kernel to a command buffer and return `result`: new values, or a new moment.

        Args:
            input_gradient, input_values: whole images of one size.
            input_moments: the moments before the step, in the order of the class's documentation.
            destination: an image of the same size that is not a source; None: a new image.

        Raises:
            ShapeError, ParameterError: sizes differ, or moments are missing.
            StateError: see `UnaryKernel.encode`.
        """
        return self._encode(commands, [input_gradient, input_values, *input_moments], destination)

    def _moments(self) -> tuple[str, ...]:
        """Return the names of the moments, in the order in which they are sources and results."""
        raise NotImplementedError

    def _at(self, _steps: int) -> dict[str, Any]:
        """Return properties that depend on the number of steps."""
        return {}

    def step(
        self,
        commands: CommandBuffer,
        input_gradient: Image,
        input_values: Image,
        moments: OptimizerMoments,
        role: str = "values",
    ) -> Image:
        """Append one step for one weight, and return its new values. `moments` is updated for the weight `role`."""
        names = self._moments()
        size = input_values.descriptor
        before = [
            moments.images.get((role, name))
            or Image(size.width, size.height, size.feature_channels, size.number_of_images)
            for name in names
        ]
        made = {}
        chosen = self._properties()
        steps = moments.steps.get(role, 0)
        changes = self._at(steps)
        try:
            self._set(changes)
            for name in names:
                self.result = name
                add_read([input_gradient, input_values])
                made[role, name] = self.encode(commands, input_gradient, input_values, *before)
            self.result = "values"
            values = self.encode(commands, input_gradient, input_values, *before)
        finally:
            self._set({name: chosen[name] for name in ("result", *changes)})
        moments.images.update(made)
        moments.steps[role] = steps + 1
        return values

    def update(
        self,
        commands: CommandBuffer,
        gradient_state: ConvolutionGradientState | ScaledNormalizationGradientState | BatchNormalizationState,
        source_state: S,
        moments: OptimizerMoments,
    ) -> S:
        """Append one step for all weights of a layer: a convolution, a fully connected kernel or a normalization.

        Args:
            gradient_state: the state of the gradient kernel, which was encoded before.
            source_state: the current weights.
            moments: the moments of this layer. They are updated.

        Returns:
            A state like `source_state`, whose arrays are available when the command buffer is completed. Reload the
            layer's forward and gradient kernels from it.
        """
        name = f"{type(self).__name__}.update"
        if isinstance(gradient_state, ConvolutionGradientState):
            require_type(name, source_state, ConvolutionWeightsAndBiasesState)
            pairs = self._convolution(name, gradient_state, source_state)
        else:
            require_type(name, source_state, NormalizationGammaAndBetaState)
            pairs = self._normalization(commands, name, gradient_state, source_state)
        made = {
            role: self._lazy(commands, self.step(commands, gradient, values, moments, role), shape)
            for role, (gradient, values, shape) in pairs.items()
        }
        first, second = made.values()
        return type(source_state)(first, second)

    @staticmethod
    def _lazy(commands: CommandBuffer, image: Image, shape: tuple[int, ...]) -> Callable[[], NDArray[Any]]:
        array = DeviceArray(commands, image)
        return lambda: array.read("the optimiser's result").reshape(shape)

    @staticmethod
    def _pair(name: str, what: str, gradient: Image, values: Any) -> tuple[Image, Image, tuple[int, ...]]:
        size = gradient.descriptor
        extents = (size.number_of_images, size.height, size.width, size.feature_channels)
        array = np.zeros(extents, np.float32) if values is None else np.asarray(values, np.float32)
        if array.size != np.prod(extents):
            raise ShapeError(f"{name}: {what} must have {np.prod(extents)} elements, got {array.shape}")
        shape = array.shape if values is not None else (size.feature_channels,)
        return gradient, Image.from_numpy(array.reshape(extents)), shape

    def _convolution(
        self, name: str, gradients: ConvolutionGradientState, source: Any
    ) -> dict[str, tuple[Image, Image, tuple[int, ...]]]:
        found = gradients._images(name)
        return {
            "weights": self._pair(name, "weights", found["weights"], source.weights),
            "bias_terms": self._pair(name, "biases", found["bias_terms"], source.biases),
        }

    def _normalization(
        self,
        commands: CommandBuffer,
        name: str,
        gradients: ScaledNormalizationGradientState | BatchNormalizationState,
        source: Any,
    ) -> dict[str, tuple[Image, Image, tuple[int, ...]]]:
        if isinstance(gradients, BatchNormalizationState):
            found = gradients._images(commands)
        elif isinstance(gradients, ScaledNormalizationGradientState):
            found = gradients._images(name)
        else:
            raise ParameterError(f"{name}: expected a gradient state, got {type(gradients).__name__}")
        values = {"gamma": source.gamma, "beta": source.beta}
        if values["gamma"] is None:
            values["gamma"] = np.ones(found["gamma"].feature_channels, np.float32)
        return {role: self._pair(name, role, found[role], values[role]) for role in ("gamma", "beta")}


class OptimizerStochasticGradientDescent(OptimizerStochasticGradientDescentFields, Optimizer):
    """value - moment, moment = momentum_scale * moment + learning_rate * g, as MPSNNOptimizerStochasticGradientDescent.

    g is the gradient after the options of the descriptor. With Nesterov's method the moment is
    momentum_scale * moment + g, and learning_rate * (g + momentum_scale * moment) is subtracted from the value. Without
    momentum_scale there is no moment.

    Args:
        descriptor: an `OptimizerDescriptor`, or a learning rate.
    """

    def __init__(
        self,
        descriptor: OptimizerDescriptor | float = 1e-3,
        momentum_scale: float = 0.0,
        use_nesterov_momentum: bool = False,
        **properties: Unpack[LabelProperties],
    ) -> None:
        own = {"momentum_scale": momentum_scale, "use_nesterov_momentum": use_nesterov_momentum}
        self._make(descriptor, own, properties)

    def _moments(self) -> tuple[str, ...]:
        return ("momentum",) if self.momentum_scale != 0 else ()


class OptimizerRMSProp(OptimizerRMSPropFields, Optimizer):
    """value - learning_rate * g / (sqrt(velocity) + epsilon), as MPSNNOptimizerRMSProp.

    g is the gradient after the options of the descriptor. The velocity, Apple's sum of squares, is decay * velocity +
    (1 - decay) * g^2.

    Args:
        descriptor: an `OptimizerDescriptor`, or a learning rate.
    """

    def __init__(
        self,
        descriptor: OptimizerDescriptor | float = 1e-3,
        decay: float = 0.9,
        epsilon: float = 1e-8,
        **properties: Unpack[LabelProperties],
    ) -> None:
        self._make(descriptor, {"decay": decay, "epsilon": epsilon}, properties)

    def _moments(self) -> tuple[str, ...]:
        return ("velocity",)


class OptimizerAdam(OptimizerAdamFields, Optimizer):
    """value - rate * momentum / (sqrt(velocity) + epsilon), as MPSNNOptimizerAdam.

    The moments, momentum and velocity, are moving averages of g and g^2, where g is the gradient after the options of
    the descriptor. At each step they keep the shares beta1 and beta2 of their old values. The rate is
    learning_rate * sqrt(1 - beta2^t) / (1 - beta1^t) with t = time_step + 1. With a maximum velocity as third moment,
    the root of this moment replaces the root of the velocity (AMSGrad). `step` and `update` add the number of steps in
    their moments to `time_step`.

    Args:
        descriptor: an `OptimizerDescriptor`, or a learning rate.
        use_maximum_velocity: whether `step` and `update` keep a maximum velocity.
    """

    def __init__(
        self,
        descriptor: OptimizerDescriptor | float = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        use_maximum_velocity: bool = False,
        **properties: Unpack[OptimizerAdamProperties],
    ) -> None:
        self._use_maximum_velocity = use_maximum_velocity
        self._make(descriptor, {"beta1": beta1, "beta2": beta2, "epsilon": epsilon}, properties)

    def _at(self, steps: int) -> dict[str, Any]:
        return {"time_step": self.time_step + steps}

    def _moments(self) -> tuple[str, ...]:
        return ("momentum", "velocity", "maximum_velocity")[: 3 if self._use_maximum_velocity else 2]
