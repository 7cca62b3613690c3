"""Add elementwise functions that are right for infinities, zeros and NaN, where a single neuron layer is not.

The power function of a neuron layer is C's pow, except that it ignores the sign of a zero. Computed by a neuron layer
alone, the square root of minus infinity would be infinity instead of NaN, and the reciprocal of -0 would be infinity
instead of minus infinity.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network

Named = Callable[[str], str]
"""A function that returns a layer's name with the given suffix. The suffix of the last layer is empty."""

_LARGEST = float(np.finfo(np.float32).max)
_BELOW_ZERO: Activation = {"kind": "clamp", "a": -1.0, "b": _LARGEST}


def sqrt(network: Network, x: Tensor, name: Named, *, inverse: bool = False) -> Tensor:
    """Return the square root, or 1 divided by it: NaN for all numbers below zero."""
    limited = network.activation(x, _BELOW_ZERO, name=name("/limited"))
    return network.activation(
        limited, {"kind": "power", "a": 1.0, "c": -0.5 if inverse else 0.5}, name=name("")
    )


def quotient(
    network: Network, number: float, divisor: Tensor, name: Named, activation: Activation = None
) -> Tensor:
    """Return a number divided by each element."""
    dividend = one_number(network, number, divisor, name("/dividend"))
    return network.divide(dividend, divisor, activation=activation, name=name(""))


def power(network: Network, x: Tensor, exponent: float, name: Named) -> Tensor:
    """Return the power of each element with an exponent."""
    if exponent == 0.0:
        return ones(network, x, name)
    # For odd negative exponents the sign of a zero decides the sign of the infinity.
    if exponent < 0.0 and exponent % 2.0 == 1.0:
        if exponent == -1.0:
            return quotient(network, 1.0, x, name)
        return network.power(x, one_number(network, exponent, x, name("/exponent")), name=name(""))
    # The sum of x and -0 is x, also for x = -0, whose sign odd powers keep.
    return network.activation(x, {"kind": "power", "a": 1.0, "b": -0.0, "c": exponent}, name=name(""))


def exponential(network: Network, base: float, x: Tensor, name: Named) -> Tensor:
    """Return the power of a number with each element as its exponent."""
    if base == 1.0:
        return ones(network, x, name)
    if base > 0.0:
        return network.activation(x, {"kind": "exponential", "a": 1.0, "c": base}, name=name(""))
    return network.power(one_number(network, base, x, name("/base")), x, name=name(""))


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
