"""Convert Keras's normalizations."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.affine import affine
from mpscnn.converters.keras.channel_reshapes import Back, as_channels, with_last_axis
from mpscnn.converters.keras.layer_call import LayerCall
from mpscnn.converters.zero_epsilon import batch_norm_epsilon, group_norm_epsilon, layer_norm_epsilon
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layers.layer_maker import Tensor

_MIN_NORM = 1e-6  # the square root of 1e-12, Keras's minimum for the sum of squares


def _axes(c: LayerCall, x: Tensor) -> list[int]:
    """Return the axes of the setting `axis`, with the batch as axis 0."""
    axes, rank = c.settings.wholes("axis", [-1]), len(x.shape)
    if any(not -rank <= axis < rank for axis in axes):
        raise WeightsError(f"damaged: it normalises the axes {axes[:8]} of {x.shape}")
    return [axis % rank for axis in axes]


def _channels(c: LayerCall, x: Tensor) -> tuple[Tensor, Back]:
    """Move the axis of the setting `axis` to the end. Returns the tensor, and a function that moves it back."""
    axes = _axes(c, x)
    if len(axes) != 1:
        raise UnsupportedError(f"it normalises the axes {axes} of {x.shape}; supported is one")
    return with_last_axis(c, x, axes[0])


def _batch_normalization(c: LayerCall) -> Tensor:
    if c.settings.flag("renorm", False):
        raise UnsupportedError("batch renormalization is not supported")
    axes = _axes(c, c.x())
    if len(axes) != 1:
        return _batch_normalization_of_positions(c, axes)
    name = c.name()
    x, back = _channels(c, c.x())
    weights = c.weights()
    epsilon = c.settings.number("epsilon", 1e-3)
    if "moving_variance" in weights:
        epsilon = batch_norm_epsilon(epsilon, weights["moving_variance"])
    y = c.network.batch_norm(x, epsilon=epsilon, name=name)
    roles = {"moving_mean": "mean", "moving_variance": "variance", "gamma": "gamma", "beta": "beta"}
    for theirs, ours in roles.items():
        values = weights.get(theirs)
        c.set_weight(name, ours, None if values is None else values.reshape(-1))
    return back(y)


def _batch_normalization_of_positions(c: LayerCall, axes: list[int]) -> Tensor:
    """Convert a batch normalization of Keras 2 over several axes, with statistics for each position of these axes."""
    x, weights = c.x(), c.weights()
    if 0 in axes:
        raise UnsupportedError(f"it normalises the axes {axes} of {x.shape}, the batch among them")
    mean, variance = (weights[role].astype(np.float64) for role in ("moving_mean", "moving_variance"))
    epsilon = batch_norm_epsilon(c.settings.number("epsilon", 1e-3), weights["moving_variance"])
    if not (variance + epsilon > 0.0).all():
        raise WeightsError("damaged: its variance is below 0")
    scale = weights.get("gamma", np.float32(1.0)) / np.sqrt(variance + epsilon)
    offset = weights.get("beta", np.float32(0.0)) - mean * scale
    shape = [(x.shape[axis] or 0) if axis in axes else 1 for axis in range(1, len(x.shape))]
    return _times_and_plus(c, x, _shaped(scale, shape), _shaped(offset, shape))


def _group_normalization(c: LayerCall) -> Tensor:
    groups, name = c.settings.whole("groups", 32), c.name()
    x, back = _channels(c, c.x())
    y = c.network.group_norm(
        x,
        (x.shape[-1] or 1) if groups == -1 else groups,
        epsilon=group_norm_epsilon(c.settings.number("epsilon", 1e-3)),
        name=name,
    )
    weights = c.weights()
    for role in ("gamma", "beta"):
        c.set_weight(name, role, weights.get(role))
    return back(y)


def _normalization(c: LayerCall) -> Tensor:
    """Convert Normalization: (x - mean) / standard deviation, with constants."""
    x = c.x()
    axes = _axes(c, x)
    weights = {} if "mean" in c.settings else c.weights()
    mean, variance = (
        np.array(weights[role] if weights else c.settings.numbers(role), np.float64)
        for role in ("mean", "variance")
    )
    if not np.isfinite([*mean.reshape(-1), *variance.reshape(-1)]).all() or (variance < 0.0).any():
        raise WeightsError("damaged: its mean and variance are not those of numbers")
    if max(np.abs(mean).max(initial=0.0), variance.max(initial=0.0)) > np.finfo(np.float32).max:
        raise WeightsError("damaged: its mean and variance are beyond float32")
    deviation = np.maximum(np.sqrt(variance), 1e-7)
    scale, offset = 1.0 / deviation, -mean / deviation
    if c.settings.flag("invert", False):
        scale, offset = deviation, mean
    shape = [(x.shape[axis] or 0) if axis in axes else 1 for axis in range(1, len(x.shape))]
    return _times_and_plus(c, x, *(_shaped(values, shape) for values in (scale, offset)))


def _shaped(values: NDArray[np.float64], shape: list[int]) -> NDArray[np.float64]:
    """Reshape statistics so that they broadcast: `shape` has the extent 1 for all axes without statistics."""
    if values.size == 1:
        return values.reshape(-1)
    if values.size != math.prod(shape):
        raise WeightsError(f"damaged: its mean and variance have the shape {values.shape} for {shape}")
    return values.reshape(shape)


def _times_and_plus(
    c: LayerCall, x: Tensor, scale: NDArray[np.float64], offset: NDArray[np.float64]
) -> Tensor:
    """Return x * scale + offset. The axes of scale and offset are the last axes of x."""
    name = c.name()
    flat, (factors, terms), back = as_channels(c, x, scale, offset)
    return back(affine(c.network, flat, scale=factors, offset=terms, name=name))


def _rescaling(c: LayerCall) -> Tensor:
    x = c.x()
    scale = c.settings.array("scale")
    offset = c.settings.array("offset") if "offset" in c.settings else np.zeros(())
    if scale.size == offset.size == 1:
        neuron = {"kind": "linear", "a": float(scale.item()), "b": float(offset.item())}
        return c.network.activation(x, neuron, name=c.name())
    return _times_and_plus(c, x, scale, offset)


def _layer_normalization(c: LayerCall) -> Tensor:
    """Convert LayerNormalization over the last axes."""
    x = c.x()
    if c.settings.flag("rms_scaling", False):
        raise UnsupportedError("its rms_scaling is not supported")
    rank = len(x.shape)
    axes = sorted(_axes(c, x))
    extents = x.shape[1:]
    tail = extents[axes[0] - 1 :] if axes and axes[0] > 0 else ()
    if not axes or axes != list(range(axes[0], rank)) or axes[0] == 0 or None in tail:
        raise UnsupportedError(f"it normalises the axes {axes} of {x.shape}; supported are the last ones")
    count = math.prod(extent or 0 for extent in tail)
    before = [-1 if extent is None else extent for extent in extents[: axes[0] - 1]]
    if len(axes) > 1:
        x = c.network.reshape(x, [*before, count], name=c.name("/rows"))
    name = c.name()
    epsilon, rule = layer_norm_epsilon(c.settings.number("epsilon", 1e-3))
    y = c.network.layer_norm(x, epsilon=epsilon, epsilon_rule=rule, name=name)
    weights = c.weights()
    for role in ("gamma", "beta"):
        if role in weights:
            c.set_weight(name, role, weights[role].reshape(-1))
    if len(axes) > 1:
        y = c.network.reshape(y, [*before, *(extent or 0 for extent in tail)], name=c.name("/axes"))
    return y


def _root_mean_square(c: LayerCall) -> Tensor:
    """Convert RMSNormalization: x / sqrt(mean of squares + epsilon) * scale."""
    x, back = _channels(c, c.x())
    name = c.name()
    y = c.network.rms_norm(x, epsilon=c.settings.number("epsilon", 1e-6), name=name)
    c.set_weight(name, "gamma", c.weights()["scale"])
    return back(y)


def _unit_normalization(c: LayerCall) -> Tensor:
    x = c.x()
    axes = _axes(c, x)
    if len(axes) != 1 or axes[0] == 0:
        raise UnsupportedError(f"it normalises the axes {axes} of {x.shape}; supported is one")
    return l2_normalize(c, x, axes[0])


def l2_normalize(c: LayerCall, x: Tensor, axis: int) -> Tensor:
    """Return x / sqrt(max(sum of squares along an axis, 1e-12))."""
    turned, back = with_last_axis(c, x, axis % len(x.shape))
    return back(c.network.unit_norm(turned, epsilon=_MIN_NORM, name=c.name("/unit")))


NORMALIZATIONS: dict[str, Callable[[LayerCall], Tensor]] = {
    "BatchNormalization": _batch_normalization,
    "GroupNormalization": _group_normalization,
    "LayerNormalization": _layer_normalization,
    "Normalization": _normalization,
    "RMSNormalization": _root_mean_square,
    "Rescaling": _rescaling,
    "UnitNormalization": _unit_normalization,
}
