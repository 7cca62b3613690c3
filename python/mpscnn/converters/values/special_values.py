"""Add elementwise functions that are right for infinities, zeros and NaN, where a single neuron layer is not.

The power function of a neuron layer is C's pow of a * x + b. The sum with b = 0 loses the sign of a zero, and with
b = -0 it keeps it. Computed by a neuron layer alone, the square root of minus infinity would be infinity instead of
NaN, and the reciprocal of -0 would be infinity instead of minus infinity.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network

Named = Callable[[str], str]
"""A function that returns a layer's name with the given suffix. The suffix of the last layer is empty."""

_REPEATED_RANK = (
    4  # the number of axes, with the batch, up to which arithmetic can repeat an operand along each
)
_LARGEST = float(np.finfo(np.float32).max)
_BELOW_ZERO: Activation = {"kind": "clamp", "a": -1.0, "b": _LARGEST}


def sqrt(network: Network, x: Tensor, name: Named, *, inverse: bool = False) -> Tensor:
    """Return the square root, or 1 divided by it: NaN for all numbers below zero. -0 keeps its sign."""
    limited = network.activation(x, _BELOW_ZERO, name=name("/limited"))
    root = {"kind": "power", "a": 1.0, "b": -0.0, "c": -0.5 if inverse else 0.5}
    return network.activation(limited, root, name=name(""))


def quotient(
    network: Network, number: float, divisor: Tensor, name: Named, activation: Activation = None
) -> Tensor:
    """Return a number divided by each element."""

    def divided(x: Tensor, named: str) -> Tensor:
        dividend = one_number(network, number, x, name("/dividend"))
        return network.divide(dividend, x, activation=activation, name=named)

    return _with_one_number(network, divisor, name, divided)


def power(network: Network, x: Tensor, exponent: float, name: Named) -> Tensor:
    """Return the power of each element with an exponent."""
    if exponent == 0.0:
        return ones(network, x, name)
    # For odd negative exponents the sign of a zero decides the sign of the infinity.
    if exponent < 0.0 and exponent % 2.0 == 1.0:
        if exponent == -1.0:
            return quotient(network, 1.0, x, name)

        def raised(base: Tensor, named: str) -> Tensor:
            return network.power(base, one_number(network, exponent, base, name("/exponent")), name=named)

        return _with_one_number(network, x, name, raised)
    # The sum of x and -0 is x, also for x = -0, whose sign odd powers keep. So would roots, but not those of pow.
    zero = 0.0 if abs(exponent) == 0.5 else -0.0
    return network.activation(x, {"kind": "power", "a": 1.0, "b": zero, "c": exponent}, name=name(""))


def exponential(network: Network, base: float, x: Tensor, name: Named) -> Tensor:
    """Return the power of a number with each element as its exponent."""
    if base == 1.0:
        return ones(network, x, name)
    if base > 0.0:
        return network.activation(x, {"kind": "exponential", "a": 1.0, "c": base}, name=name(""))

    def raised(exponent: Tensor, named: str) -> Tensor:
        return network.power(one_number(network, base, exponent, name("/base")), exponent, name=named)

    return _with_one_number(network, x, name, raised)


def _with_one_number(
    network: Network, x: Tensor, name: Named, combine: Callable[[Tensor, str], Tensor]
) -> Tensor:
    """Combine a tensor with a constant of one element. `combine` takes a tensor and the layer's name.

    Arithmetic repeats an operand along all axes only if there are few of them, so others are reshaped for it.
    """
    extents = [extent for extent in x.shape[1:] if extent is not None]
    if len(x.shape) <= _REPEATED_RANK or len(extents) < len(x.shape) - 1:
        return combine(x, name(""))
    made = combine(network.reshape(x, (-1,), name=name("/flat")), name("/elements"))
    return network.reshape(made, extents, name=name(""))


def ones(network: Network, x: Tensor, name: Named) -> Tensor:
    """Return 1 for each element, also for NaN: the result of x^0 and 1^x."""
    same = network.equal(x, x, name=name("/number"))
    return network.add(same, network.not_equal(x, x, name=name("/nan")), name=name(""))


def one_number(network: Network, number: float, like: Tensor, name: str) -> Tensor:
    """Return a constant of one element, with as many axes as a tensor, so that arithmetic with it broadcasts."""
    extents = (1,) * (len(like.shape) - 1)
    made = network.constant(network.inputs[0], extents, name=name)
    network.graph.set_weight(name, "value", np.full(extents, number, np.float32))
    return made


def have_reciprocals(numbers: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> bool:
    """Return True if division by these numbers can be replaced by multiplication with their reciprocals.

    That needs finite reciprocals in float32, which 0 and the numbers next to 0 do not have.
    """
    with np.errstate(all="ignore"):
        return bool(np.isfinite((1.0 / numbers.astype(np.float64)).astype(np.float32)).all())
