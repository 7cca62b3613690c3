"""Define neuron kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from mpscnn.errors import ParameterError
from mpscnn.kernels.fields import NeuronFields
from mpscnn.kernels.gradient import DifferentiableKernel, GradientKernel
from mpscnn.kernels.kernel import Kernel
from mpscnn.kernels.neuron_descriptor import NeuronDescriptor

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mpscnn.kernels.named import GradientProperties, UnaryProperties


class Neuron(NeuronFields, DifferentiableKernel):
    """An activation function of every element, as MPSCNNNeuron: see `NeuronDescriptor`."""

    def __init__(self, neuron_descriptor: NeuronDescriptor, **properties: Unpack[UnaryProperties]) -> None:
        _make(self, neuron_descriptor, properties)

    def descriptor(self) -> NeuronDescriptor:
        """Return the activation function with its parameters, such as for a `ConvolutionDescriptor`."""
        data = self._weight("neuron_data") if "neuron_data" in self._weight_specs() else None
        return NeuronDescriptor(**self._properties()["neuron_descriptor"], data=data)


def _make(kernel: Kernel, descriptor: NeuronDescriptor, properties: Any) -> None:
    """Set the properties that a neuron and its gradient have in common."""
    if not isinstance(descriptor, NeuronDescriptor):
        raise ParameterError(
            f"{type(kernel).__name__}: expected a NeuronDescriptor, got {type(descriptor).__name__}"
        )
    slopes = None if descriptor.data is None else np.asarray(descriptor.data, np.float32)
    data_count = 0 if slopes is None else slopes.size
    Kernel.__init__(kernel, {"neuron_descriptor": descriptor, "data_count": data_count}, **properties)
    kernel._set_weight("neuron_data", slopes, required=False)


def constructor_with(function: str) -> Callable[..., None]:
    """Return a constructor of a `Neuron` with one function, whose arguments are the function's parameters."""

    def make(kernel: Neuron, **arguments: Any) -> None:
        parameters = [arguments.pop(name) for name in ("a", "b", "c") if name in arguments]
        if function == "prelu":
            descriptor = NeuronDescriptor(function, data=parameters[0])
        else:
            descriptor = NeuronDescriptor(function, *parameters)
        _make(kernel, descriptor, arguments)

    return make


class NeuronGradient(NeuronFields, GradientKernel):
    """Multiply the gradient by the activation function's derivative at the source image, as MPSCNNNeuronGradient.

    At 0 the derivative of "absolute" is 0, and that of "relu" is a, the derivative from the left.
    """

    forward_class = Neuron

    def __init__(self, neuron_descriptor: NeuronDescriptor, **properties: Unpack[GradientProperties]) -> None:
        _make(self, neuron_descriptor, properties)
