"""Neuron kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mpscnn.errors import ParameterError
from mpscnn.kernels.kernel import UnaryKernel
from mpscnn.kernels.properties import Descriptor, Integer


@dataclass
class NeuronDescriptor:
    """An activation function with its parameters, as MPSNNNeuronDescriptor.

    neuron_type: "none" x; "relu" x >= 0 ? x : a x; "linear" a x + b; "sigmoid" 1 / (1 + e^-x);
    "hard_sigmoid" clamp(a x + b, 0, 1); "tanh" a tanh(b x); "absolute" |x|; "softplus" a ln(1 + e^(b x));
    "softsign" x / (1 + |x|); "elu" x >= 0 ? x : a (e^x - 1); "prelu" x >= 0 ? x : data[channel] x;
    "relun" min(x >= 0 ? x : a x, b); "power" (a x + b)^c; "exponential" c^(a x + b) and "logarithm" log_c(a x + b),
    c = -1 meaning e; "gelu" x / 2 (1 + erf(x / sqrt 2)).
    """

    neuron_type: str
    a: float = 0.0
    b: float = 0.0
    c: float = 0.0
    data: Any = None
    """Slopes of "prelu", one for each feature channel."""

    def attributes(self) -> dict[str, Any]:
        """The descriptor as the core takes it; `data` is a weight."""
        parameters = {"a": self.a, "b": self.b, "c": self.c}
        return {"neuron_type": self.neuron_type} | {
            name: float(value) for name, value in parameters.items() if value != 0
        }


class Neuron(UnaryKernel):
    """An activation function of every element, as MPSCNNNeuron: see `NeuronDescriptor`."""

    apple_class = "MPSCNNNeuron"

    neuron_descriptor = Descriptor("Which function, and its parameters.")
    data_count = Integer("Number of slopes of 'prelu'.")

    def __init__(self, neuron_descriptor: NeuronDescriptor, **properties: Any) -> None:
        if not isinstance(neuron_descriptor, NeuronDescriptor):
            raise ParameterError(
                f"{type(self).__name__}: expected a NeuronDescriptor, got {type(neuron_descriptor).__name__}"
            )
        slopes = None if neuron_descriptor.data is None else np.asarray(neuron_descriptor.data, np.float32)
        super().__init__(
            neuron_descriptor=neuron_descriptor,
            data_count=0 if slopes is None else slopes.size,
            **properties,
        )
        self._set_weight("neuron_data", slopes, required=False)
