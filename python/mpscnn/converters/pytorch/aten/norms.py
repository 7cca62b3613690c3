"""Write ATen's normalizations as ONNX nodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mpscnn.converters.pytorch.aten.writer import Operator, Writer
from mpscnn.errors import UnsupportedError


def _filled(g: Writer, given: str | None, count: int, number: float) -> str:
    return given or g.constant(np.full(count, number, np.float32))


def _batch_norm(
    g: Writer, x: str, weight: str | None, bias: str | None, mean: str, variance: str, _: float, eps: float
) -> tuple[str, None, None]:
    """Write a batch normalization with constant statistics."""
    channels = int(g.shapes[x][1])
    factors = _filled(g, weight, channels, 1.0), _filled(g, bias, channels, 0.0)
    return g.op("BatchNormalization", x, *factors, mean, variance, epsilon=eps), None, None


def _batch_norm_of_mode(
    g: Writer,
    x: str,
    weight: str | None,
    bias: str | None,
    mean: str | None,
    variance: str | None,
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[str, None, None]:
    if training or mean is None or variance is None:
        return _norm_of_rows(g, x, weight, bias, training, momentum, eps)
    return _batch_norm(g, x, weight, bias, mean, variance, momentum, eps)


def _norm_of_rows(
    g: Writer, x: str, weight: str | None, bias: str | None, _: bool, __: float, eps: float
) -> tuple[str, None, None]:
    """Write a batch normalization by its own batch of one, which is how PyTorch computes instance normalization."""
    batch, channels = g.shapes[x][0], int(g.shapes[x][1])
    if batch != 1:
        raise UnsupportedError(f"the statistics of a batch of {batch}")
    factors = _filled(g, weight, channels, 1.0), _filled(g, bias, channels, 0.0)
    return g.op("InstanceNormalization", x, *factors, epsilon=eps), None, None


def _layer_norm(
    g: Writer, x: str, shape: Sequence[int], weight: str | None, bias: str | None, eps: float
) -> tuple[str, None, None]:
    factor = weight or g.constant(np.ones(tuple(shape), np.float32))
    inputs = [x, factor, bias] if bias else [x, factor]
    return g.op("LayerNormalization", *inputs, axis=-len(shape), epsilon=eps), None, None


def _group_norm(
    g: Writer,
    x: str,
    weight: str | None,
    bias: str | None,
    _batch: int,
    channels: int,
    _pixels: int,
    groups: int,
    eps: float,
) -> tuple[str, None, None]:
    factors = _filled(g, weight, channels, 1.0), _filled(g, bias, channels, 0.0)
    return g.op("GroupNormalization", x, *factors, num_groups=groups, epsilon=eps), None, None


def _rms_norm(
    g: Writer, x: str, shape: Sequence[int], weight: str | None, eps: float | None
) -> tuple[str, None]:
    epsilon = float(np.finfo(np.float32).eps) if eps is None else eps
    axes = [g.rank(x) - 1 - place for place in range(len(shape))]
    mean = g.op("ReduceMean", g.op("Mul", x, x), axes, keepdims=1)
    root = g.op("Sqrt", g.op("Add", mean, epsilon))
    made = g.op("Div", x, root)
    return (g.op("Mul", made, weight) if weight else made), None


def _group_norm_of_shape(
    g: Writer,
    x: str,
    groups: int,
    weight: str | None = None,
    bias: str | None = None,
    eps: float = 1e-5,
    _: bool = True,
) -> str:
    return _group_norm(g, x, weight, bias, 0, int(g.shapes[x][1]), 0, groups, eps)[0]


def _instance_norm(
    g: Writer,
    x: str,
    weight: str | None,
    bias: str | None,
    mean: str | None,
    variance: str | None,
    by_image: bool,
    _momentum: float,
    eps: float,
    _: bool,
) -> str:
    if not by_image and mean is not None and variance is not None:
        return _batch_norm(g, x, weight, bias, mean, variance, _momentum, eps)[0]
    channels = int(g.shapes[x][1])
    factors = _filled(g, weight, channels, 1.0), _filled(g, bias, channels, 0.0)
    return g.op("InstanceNormalization", x, *factors, epsilon=eps)


def _layer_norm_of_shape(
    g: Writer,
    x: str,
    shape: Sequence[int],
    weight: str | None = None,
    bias: str | None = None,
    eps: float = 1e-5,
    _: bool = True,
) -> str:
    return _layer_norm(g, x, shape, weight, bias, eps)[0]


NORMS: dict[str, Operator] = {
    "_native_batch_norm_legit_no_training.default": _batch_norm,
    "_native_batch_norm_legit.no_stats": _norm_of_rows,
    "native_batch_norm.default": _batch_norm_of_mode,
    "native_layer_norm.default": _layer_norm,
    "native_group_norm.default": _group_norm,
    # Its last argument is the choice of cuDNN.
    "batch_norm.default": lambda g, x, *given: _batch_norm_of_mode(g, x, *given[:-1])[0],
    "instance_norm.default": _instance_norm,
    "layer_norm.default": _layer_norm_of_shape,
    "group_norm.default": _group_norm_of_shape,
    "rms_norm.default": lambda g, x, shape, weight=None, eps=None: _rms_norm(g, x, shape, weight, eps)[0],
    "_fused_rms_norm.default": _rms_norm,
}
