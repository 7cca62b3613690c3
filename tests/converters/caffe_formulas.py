"""The formulas of Caffe's documentation for its layers of one input, as functions of the layer's parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from converters.caffe.test_caffe_windows import caffes_pooling
from numpy.typing import NDArray

Array = NDArray[Any]


def _line_of(base: float, x: Array, scale: float, shift: float) -> Array:
    return (1.0 if base == -1 else math.log(base)) * (shift + scale * x)


def _reduced(x: Array, operation: str, axis: int, coeff: float) -> Array:
    axes = tuple(range(axis % 4, 4))
    functions = {"SUM": x, "ASUM": abs(x), "SUMSQ": x * x, "MEAN": x / math.prod(x.shape[axes[0] :])}
    return coeff * functions[operation].sum(axes)


def _greatest(x: Array, axis: int, top_k: int, *, out_max_val: bool) -> Array:
    assert top_k == 1
    return x.max(axis, keepdims=True) if out_max_val else np.expand_dims(x.argmax(axis), axis)


def _flat(x: Array, axis: int, end_axis: int) -> Array:
    return x.reshape(*x.shape[:axis], -1, *x.shape[(end_axis % 4) + 1 :])


def _standardized(x: Array, *, across_channels: bool, normalize_variance: bool, eps: float) -> Array:
    axes = (1, 2, 3) if across_channels else (2, 3)
    centred = x - x.mean(axes, keepdims=True)
    return centred / (x.std(axes, keepdims=True) + eps) if normalize_variance else centred


def _response(x: Array, local_size: int, alpha: float, beta: float, k: float) -> Array:
    side = local_size // 2
    squares = np.pad(x * x, ((0, 0), (side, side), (0, 0), (0, 0)))
    sums = sum(squares[:, place : place + x.shape[1]] for place in range(local_size))
    return x * (k + alpha / local_size * sums) ** -beta


def _of_length_one(x: Array, *, across_spatial: bool, eps: float) -> Array:
    axes = (1, 2, 3) if across_spatial else (1,)
    return x / np.sqrt((x * x).sum(axes, keepdims=True) + eps)


def _shuffled(x: Array, group: int) -> Array:
    return x.reshape(len(x), group, -1, *x.shape[2:]).swapaxes(1, 2).reshape(x.shape)


def _softmax(x: Array, axis: int) -> Array:
    made = np.exp(x - x.max(axis, keepdims=True))
    return made / made.sum(axis, keepdims=True)


def _pooled(
    x: Array, pool: str, kernel_size: Any, stride: Any, pad: Any, *, global_pooling: bool, ceil_mode: bool
) -> Array:
    if global_pooling:
        return x.mean((2, 3), keepdims=True) if pool == "AVE" else x.max((2, 3), keepdims=True)
    made = caffes_pooling(x, tuple(kernel_size), tuple(stride), tuple(pad), pool == "AVE", not ceil_mode)
    assert made is not None
    return made


#: The settings of a sample, and the formula.
FORMULAS: dict[str, tuple[Mapping[str, Any], Callable[..., Array]]] = {
    "ArgMax": ({"axis": 1, "top_k": 1, "out_max_val": False}, _greatest),
    "Clip": ({"min": -0.3, "max": 0.4}, lambda x, **s: np.maximum(np.minimum(x, s["max"]), s["min"])),
    "Dropout": (
        {"dropout_ratio": 0.3, "scale_train": False},
        lambda x, dropout_ratio, scale_train: x if scale_train else (1 - dropout_ratio) * x,
    ),
    "ELU": ({"alpha": 0.5}, lambda x, alpha: np.where(x < 0, alpha * np.expm1(x), x)),
    "Exp": (
        {"base": 2.0, "scale": 0.5, "shift": 1.0},
        lambda x, base, scale, shift: np.exp(_line_of(base, x, scale, shift)),
    ),
    "Flatten": ({"axis": 1, "end_axis": -1}, _flat),
    "LRN": ({"local_size": 3, "alpha": 0.3, "beta": 0.6, "k": 1.5}, _response),
    "Log": (
        {"base": 10.0, "scale": 0.1, "shift": 5.0},
        lambda x, base, scale, shift: np.log(shift + scale * x) / (1.0 if base == -1 else math.log(base)),
    ),
    "MVN": ({"across_channels": False, "normalize_variance": True, "eps": 0.25}, _standardized),
    "Normalize": ({"across_spatial": True, "eps": 0.1}, _of_length_one),
    "Permute": ({"order": [0, 1, 3, 2]}, lambda x, order: x.transpose(order)),
    "Pooling": (
        {
            "pool": "MAX",
            "kernel_size": [3, 2],
            "stride": [2, 1],
            "pad": [1, 0],
            "global_pooling": False,
            "ceil_mode": True,
        },
        _pooled,
    ),
    "Power": (
        {"power": 2.0, "scale": 0.5, "shift": 3.0},
        lambda x, power, scale, shift: (shift + scale * x) ** power,
    ),
    "ReLU": ({"negative_slope": 0.3}, lambda x, negative_slope: np.where(x < 0, negative_slope * x, x)),
    "Reduction": ({"operation": "SUM", "axis": 2, "coeff": 0.5}, _reduced),
    "ShuffleChannel": ({"group": 2}, _shuffled),
    "Softmax": ({"axis": 1}, _softmax),
    "Swish": ({"beta": 0.5}, lambda x, beta: x / (1 + np.exp(-beta * x))),
    "Threshold": ({"threshold": 0.1}, lambda x, threshold: x > threshold),
    "Tile": ({"axis": 2, "tiles": 3}, lambda x, axis, tiles: np.concatenate([x] * tiles, axis)),
    "Upsample": ({"scale": 3}, lambda x, scale: x.repeat(scale, 2).repeat(scale, 3)),
}
#: Other texts of a sample's settings.
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "Pooling": [{"pool": pool} for pool in ("MAX", "AVE")],
    "Reduction": [{"operation": operation} for operation in ("SUM", "ASUM", "SUMSQ", "MEAN")],
}
