"""Describe activation functions with their parameters, for kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mpscnn._private.arguments import is_finite_number
from mpscnn.errors import ParameterError
from mpscnn.kernels.named_fields import NamedFields


@dataclass
class NeuronDescriptor(NamedFields):
    """An activation function with its parameters, as MPSNNNeuronDescriptor.

    neuron_type: "none" x; "relu" x >= 0 ? x : a x; "linear" a x + b; "sigmoid" 1 / (1 + e^-x); "hard_sigmoid" clamp(a x
    + b, 0, 1); "tanh" a tanh(b x); "absolute" |x|; "softplus" a ln(1 + e^(b x)); "softsign" x / (1 + |x|); "elu" x >= 0
    ? x : a (e^x - 1); "prelu" x >= 0 ? x : data[channel] x; "relun" min(x >= 0 ? x : a x, b); "power" (a x + b)^c;
    "exponential" c^(a x + b) and "logarithm" log_c(a x + b), where c = -1 means e; "gelu" x / 2 (1 + erf(x / sqrt 2)).
    These are Apple's. The other functions of docs/ops/neuron.md, such as "swish", are accepted, too.
    """

    neuron_type: str
    a: float = 0.0
    b: float = 0.0
    c: float = 0.0
    data: Any = None
    """The slopes of "prelu", one for each feature channel; None for other functions."""

    def attributes(self) -> dict[str, Any]:
        """Return the descriptor for the core. `data` is not part of it, because it is a weight."""
        attributes: dict[str, Any] = {"neuron_type": self.neuron_type}
        for name, value in (("a", self.a), ("b", self.b), ("c", self.c)):
            if not is_finite_number(value):
                raise ParameterError(f"{name} must be a finite number, got {value!r}")
            if value != 0:
                attributes[name] = float(value)
        return attributes
