"""Convert Keras's normalizations, and layers with a factor or slope for each channel."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.reading.keras.functions import axes_of, axis_of
from mpscnn.converters.reading.keras.layer_call import LayerCall
from mpscnn.converters.reading.keras.row_calls import X
from mpscnn.converters.reading.keras.settings import Array, Flag, Number, Whole, Wholes
from mpscnn.converters.values.rows import Row, ignores
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.converters.values.zero_epsilon import batch_norm_epsilon, group_norm_epsilon, layer_norm_epsilon
from mpscnn.errors import UnsupportedError, WeightsError

_SCALED = {"gamma": "gamma", "beta": "beta"}
_WITH_NORMALIZE = 3  # the version of Keras with the function `normalize`
_OLD_MIN_NORM = 1e-6  # the square root of 1e-12, the minimum for the sum of squares of Keras 1 and 2
_MIN_NORM = 1e-7  # Keras 3's `backend.epsilon()`, the default minimum for the norm
_MIN_UNIT_NORM = 1e-12  # the minimum for the norm of Keras 3's UnitNormalization


@ignores(
    "center",
    "fused",
    "momentum",
    "renorm_clipping",
    "renorm_momentum",
    "scale",
    "synchronized",
    "virtual_batch_size",
)
def _batch_normalization(
    c: LayerCall, x: X, *, axis: Wholes = (-1,), epsilon: Number = 1e-3, renorm: Flag = False
) -> FileTensor:
    if renorm:
        raise UnsupportedError("batch renormalization is not supported")
    axes, weights = axes_of(x, axis), c.weights()
    epsilon = batch_norm_epsilon(epsilon, weights["moving_variance"])
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


@ignores("center", "scale")
def _group_normalization(
    c: LayerCall, x: X, *, groups: Whole = 32, axis: Wholes = (-1,), epsilon: Number = 1e-3
) -> FileTensor:
    place, epsilon = axis_of(x, axis), group_norm_epsilon(epsilon)
    groups = (x.shape[place] or 1) if groups == -1 else groups
    return c.along(x, [place], c.network.group_norm, _SCALED, in_order=True, groups=groups, epsilon=epsilon)


def _normalization(
    c: LayerCall, x: X, *, axis: Wholes = (-1,), mean: Array | None = None, variance: Array | None = None,
    invert: Flag = False,
) -> FileTensor:  # fmt: skip
    """Convert Normalization: (x - mean) / standard deviation, with constants."""
    if mean is None:
        mean, variance = (np.array(c.weights()[role], np.float64) for role in ("mean", "variance"))
    if variance is None:
        raise WeightsError("damaged: it has a mean, but no variance")
    mean, variance = np.atleast_1d(mean).reshape(-1), np.atleast_1d(variance).reshape(-1)
    if not np.isfinite([*mean.reshape(-1), *variance.reshape(-1)]).all() or (variance < 0.0).any():
        raise WeightsError("damaged: its mean and variance are not those of numbers")
    if max(np.abs(mean).max(initial=0.0), variance.max(initial=0.0)) > np.finfo(np.float32).max:
        raise WeightsError("damaged: its mean and variance are beyond float32")
    deviation = np.maximum(np.sqrt(variance), 1e-7)
    scale, offset = 1.0 / deviation, -mean / deviation
    if invert:
        scale, offset = deviation, mean
    return c.affine(x, *_on_axes(x, axes_of(x, axis), scale, offset))


def _rescaling(c: LayerCall, x: X, *, scale: Array, offset: Array | None = None) -> FileTensor:
    offset = np.zeros(()) if offset is None else offset
    if scale.size == offset.size == 1:
        return x.linear(float(scale.item()), float(offset.item()))
    return c.affine(x, scale, offset)


@ignores("center", "scale")
def _layer_normalization(
    c: LayerCall, x: X, *, axis: Wholes = (-1,), epsilon: Number = 1e-3, rms_scaling: Flag = False
) -> FileTensor:
    if rms_scaling:
        raise UnsupportedError("its rms_scaling is not supported")
    epsilon, rule = layer_norm_epsilon(epsilon)
    return c.along(x, axes_of(x, axis), c.network.layer_norm, _SCALED, epsilon=epsilon, epsilon_rule=rule)


def _root_mean_square(c: LayerCall, x: X, *, axis: Wholes = (-1,), epsilon: Number = 1e-6) -> FileTensor:
    """Convert RMSNormalization: x / sqrt(mean of squares + epsilon) * scale."""
    axes = axes_of(x, axis)
    if sorted(axes) != [*range(x.rank - len(axes), x.rank)]:
        raise UnsupportedError("it normalizes other axes than the last ones, but Keras scales the last ones")
    return c.along(x, axes, c.network.rms_norm, {"gamma": "scale"}, epsilon=epsilon)


def l2_normalize(c: LayerCall, x: FileTensor, axis: int, least: float = _MIN_NORM) -> FileTensor:
    """Return x divided by its norm along an axis. `least` is the smallest divisor in Keras 3."""
    epsilon = least if c.generation >= _WITH_NORMALIZE else _OLD_MIN_NORM
    return c.along(x, [axis], c.network.unit_norm, {}, epsilon=epsilon)


def _unit_normalization(c: LayerCall, x: X, *, axis: Wholes = (-1,)) -> FileTensor:
    return l2_normalize(c, x, axis_of(x, axis), _MIN_UNIT_NORM)


@ignores("init_values", "projection_dim")
def _layer_scale(c: LayerCall, x: X) -> FileTensor:
    """Convert LayerScale, a factor for each channel, of ConvNeXt in keras.applications."""
    return c.affine(x, c.weights()["gamma"], None)


@ignores("shared_axes")
def _prelu(c: LayerCall, x: X) -> FileTensor:
    name = c.name()
    tensor, (slope,), order = c.channels(x, c.weights()["alpha"])
    y = c.network.activation(tensor, "prelu", name=name)
    c.set_weights(name, slope=slope)
    return x.with_tensor(y, order)


NORMALIZATIONS: dict[str, Row] = {
    "BatchNormalization": _batch_normalization,
    "GroupNormalization": _group_normalization,
    "LayerNormalization": _layer_normalization,
    "LayerScale": _layer_scale,
    "Normalization": _normalization,
    "PReLU": _prelu,
    "RMSNormalization": _root_mean_square,
    "Rescaling": _rescaling,
    "UnitNormalization": _unit_normalization,
}
"""The functions that convert layers, by the name of the class."""
