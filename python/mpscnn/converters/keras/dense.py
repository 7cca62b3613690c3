"""Convert Keras's Dense and EinsumDense."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.keras.layer_call import LayerCall
from mpscnn.converters.layer_names import quote_name
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import Tensor

Array = NDArray[np.float32]


def dense_over_last_axis(
    c: LayerCall, x: Tensor, kernel: Array, bias: Array | None, name: str, activation: Activation = None
) -> Tensor:
    """Add a dense layer over the last axis of x, at each position of the axes before it."""
    features, units = kernel.shape
    *positions, last = x.shape[1:]
    if last != features:
        raise WeightsError(f"damaged: weights for {features} features, but its input is {x.shape}")
    if not positions:
        y = c.network.dense(x, units, activation=activation, name=name)
        c.set_weight(name, "weight", kernel, (1, 0))
    else:
        if len(x.shape) != 4:
            count = -1 if None in positions else math.prod(extent or 0 for extent in positions)
            x = c.network.reshape(x, [1, count, features], name=c.name("/positions"))
        y = c.network.conv2d(x, units, 1, activation=activation, name=name)
        c.set_weight(name, "weight", kernel[None, None], (3, 0, 1, 2))
    c.set_weight(name, "bias", bias)
    if positions and len(positions) != 2:
        extents = [-1 if extent is None else extent for extent in positions]
        y = c.network.reshape(y, [*extents, units], name=c.name("/reshape"))
    return y


def _dense(c: LayerCall) -> Tensor:
    units, function = c.settings.whole("units", 0), c.function()
    weights = c.weights()
    if weights["kernel"].ndim != 2 or weights["kernel"].shape[1] != units:
        raise WeightsError(f"damaged: its weights have the shape {weights['kernel'].shape}")
    y = dense_over_last_axis(c, c.x(), weights["kernel"], weights.get("bias"), c.name(), function.neuron)
    return c.finished(y, function)


def _einsum(c: LayerCall) -> Tensor:
    """Convert EinsumDense whose equation sums over the input's last axes and appends the new axes at the end."""
    x, weights, function = c.x(), c.weights(), c.function()
    equation = c.settings.text("equation", "").replace(" ", "")
    sources, _, target = equation.partition("->")
    source, _, stored = sources.partition(",")
    kernel, bias = weights["kernel"], weights.get("bias")
    rank = len(x.shape)
    if "..." in source:
        free = "".join(chr(0x3B1 + i) for i in range(rank - len(source.replace("...", ""))))
        source, target = source.replace("...", free), target.replace("...", free)
    summed = [label for label in stored if label in source]
    new = [label for label in stored if label not in source]
    count = rank - len(summed)
    fits = (
        len(source) == len(set(source)) == rank
        and len(stored) == len(set(stored)) == kernel.ndim
        and len(summed) > 0
        and count > 0
        and set(source[count:]) == set(summed)
        and target == source[:count] + "".join(label for label in target[count:] if label in new)
        and sorted(target[count:]) == sorted(new)
    )
    if not fits:
        raise UnsupportedError(f"the equation {quote_name(equation)}; supported are sums of the last axes")
    order = [stored.index(label) for label in (*source[count:], *target[count:])]
    kernel = kernel.transpose(order)
    features, units = math.prod(kernel.shape[: len(summed)]), math.prod(kernel.shape[len(summed) :])
    extents = {label: kernel.shape[place] for place, label in enumerate((*source[count:], *target[count:]))}
    before = [-1 if extent is None else extent for extent in x.shape[1:count]]
    if len(summed) > 1:
        x = c.network.reshape(x, [*before, features], name=c.name("/features"))
    full = None
    if bias is not None:
        axes = [label for label in target if label in c.settings.text("bias_axes", "")]
        if any(label not in new for label in axes) or bias.ndim > len(new):
            raise UnsupportedError("its biases are along axes of its input")
        shape = [extents[label] if label in axes else 1 for label in target[count:]]
        full = np.broadcast_to(bias.reshape(shape), [extents[label] for label in target[count:]]).reshape(-1)
    y = dense_over_last_axis(c, x, kernel.reshape(features, units), full, c.name(), function.neuron)
    if len(new) != 1:
        y = c.network.reshape(
            y, [*before, *(extents[label] for label in target[count:])], name=c.name("/axes")
        )
    return c.finished(y, function)


DENSE: dict[str, Callable[[LayerCall], Tensor]] = {"Dense": _dense, "EinsumDense": _einsum}
