"""Convert Keras's normalizations, and layers with a factor or slope for each channel."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.keras.layer_call import LayerCall
from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.zero_epsilon import batch_norm_epsilon, group_norm_epsilon, layer_norm_epsilon
from mpscnn.errors import UnsupportedError, WeightsError

_SCALED = {"gamma": "gamma", "beta": "beta"}
_MIN_NORM = 1e-6  # the square root of 1e-12, Keras's minimum for the sum of squares


def _batch_normalization(c: LayerCall) -> FileTensor:
    if c.settings.flag("renorm", False):
        raise UnsupportedError("batch renormalization is not supported")
    x = c.x()
    axes, weights = c.axes(x, -1), c.weights()
    epsilon = batch_norm_epsilon(c.settings.number("epsilon", 1e-3), weights["moving_variance"])
    if len(axes) > 1:
        return _batch_normalization_of_positions(c, x, axes, epsilon)
    roles = {"mean": "moving_mean", "variance": "moving_variance", **_SCALED}
    return c.along(x, axes, c.network.batch_norm, roles, epsilon=epsilon)


def _batch_normalization_of_positions(
    c: LayerCall, x: FileTensor, axes: list[int], epsilon: float
) -> FileTensor:
    """Convert a batch normalization of Keras 2 over several axes, with statistics for each position of these axes."""
    weights = c.weights()
    mean, variance = (weights[role].astype(np.float64) for role in ("moving_mean", "moving_variance"))
    if not (variance + epsilon > 0.0).all():
        raise WeightsError("damaged: its variance is below 0")
    scale = weights.get("gamma", np.float32(1.0)) / np.sqrt(variance + epsilon)
    offset = weights.get("beta", np.float32(0.0)) - mean * scale
    return c.affine(x, *_on_axes(x, axes, scale, offset))


def _on_axes(x: FileTensor, axes: list[int], *statistics: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Reshape statistics so that they broadcast: they get the extent 1 for all axes that are not in `axes`."""
    shape = [(x.shape[axis] or 0) if axis in axes else 1 for axis in range(1, x.rank)]
    if 0 in axes or any(values.size not in (1, math.prod(shape)) for values in statistics):
        raise WeightsError(
            f"damaged: statistics of the shape {statistics[0].shape} along {axes} of {x.shown}"
        )
    return [values.reshape(-1 if values.size == 1 else shape) for values in statistics]


def _group_normalization(c: LayerCall) -> FileTensor:
    x, groups = c.x(), c.settings.whole("groups", 32)
    axis, epsilon = c.axis(x), group_norm_epsilon(c.settings.number("epsilon", 1e-3))
    groups = (x.shape[axis] or 1) if groups == -1 else groups
    return c.along(x, [axis], c.network.group_norm, _SCALED, in_order=True, groups=groups, epsilon=epsilon)


def _normalization(c: LayerCall) -> FileTensor:
    """Convert Normalization: (x - mean) / standard deviation, with constants."""
    x, weights = c.x(), {} if "mean" in c.settings else c.weights()
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
    return c.affine(x, *_on_axes(x, c.axes(x, -1), scale, offset))


def _rescaling(c: LayerCall) -> FileTensor:
    x, scale = c.x(), c.settings.array("scale")
    offset = c.settings.array("offset") if "offset" in c.settings else np.zeros(())
    if scale.size == offset.size == 1:
        return x.linear(float(scale.item()), float(offset.item()))
    return c.affine(x, scale, offset)


def _layer_normalization(c: LayerCall) -> FileTensor:
    if c.settings.flag("rms_scaling", False):
        raise UnsupportedError("its rms_scaling is not supported")
    x, (epsilon, rule) = c.x(), layer_norm_epsilon(c.settings.number("epsilon", 1e-3))
    return c.along(x, c.axes(x, -1), c.network.layer_norm, _SCALED, epsilon=epsilon, epsilon_rule=rule)


def _root_mean_square(c: LayerCall) -> FileTensor:
    """Convert RMSNormalization: x / sqrt(mean of squares + epsilon) * scale."""
    x, epsilon = c.x(), c.settings.number("epsilon", 1e-6)
    axes = c.axes(x, -1)
    if sorted(axes) != [*range(x.rank - len(axes), x.rank)]:
        raise UnsupportedError("it normalizes other axes than the last ones, but Keras scales the last ones")
    return c.along(x, axes, c.network.rms_norm, {"gamma": "scale"}, epsilon=epsilon)


def l2_normalize(c: LayerCall, x: FileTensor, axis: int) -> FileTensor:
    """Return x / sqrt(max(sum of squares along an axis, 1e-12))."""
    return c.along(x, [axis], c.network.unit_norm, {}, epsilon=_MIN_NORM)


def _prelu(c: LayerCall) -> FileTensor:
    x, name = c.x(), c.name()
    tensor, (slope,), order = c.channels(x, c.weights()["alpha"])
    y = c.network.activation(tensor, "prelu", name=name)
    c.set_weights(name, slope=slope)
    return x.with_tensor(y, order)


NORMALIZATIONS: dict[str, Callable[[LayerCall], FileTensor]] = {
    "BatchNormalization": _batch_normalization,
    "GroupNormalization": _group_normalization,
    "LayerNormalization": _layer_normalization,
    # A factor for each channel, of ConvNeXt in keras.applications.
    "LayerScale": lambda c: c.affine(c.x(), c.weights()["gamma"], None),
    "Normalization": _normalization,
    "PReLU": _prelu,
    "RMSNormalization": _root_mean_square,
    "Rescaling": _rescaling,
    "UnitNormalization": lambda c: l2_normalize(c, c.x(), c.axis(c.x())),
}
"""The functions that convert layers, by the name of the class."""
