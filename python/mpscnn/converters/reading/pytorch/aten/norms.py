"""Write ATen's normalizations as ONNX nodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.pytorch.aten.writer import Writer, first_of
from mpscnn.converters.values.rows import Row
from mpscnn.errors import UnsupportedError


def _factors(g: Writer, x: str, weight: str | None, bias: str | None) -> tuple[str, str]:
    """Return a factor and an offset for each channel. Those that are not given change nothing."""
    channels = int(g.shapes[x][1])
    scale, offset = (
        given or g.constant(np.full(channels, neutral, np.float32))
        for given, neutral in ((weight, 1.0), (bias, 0.0))
    )
    return scale, offset


def _batch_norm(
    g: Writer, x: str, weight: str | None, bias: str | None, mean: str, variance: str, _: float, eps: float
) -> str:
    """Write a batch normalization with constant statistics."""
    return ops.batch_norm(g, x, *_factors(g, x, weight, bias), mean, variance, epsilon=eps)


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
) -> str:
    if training or mean is None or variance is None:
        return _norm_of_rows(g, x, weight, bias, training, momentum, eps)
    return _batch_norm(g, x, weight, bias, mean, variance, momentum, eps)


def _norm_of_rows(
    g: Writer, x: str, weight: str | None, bias: str | None, _: bool, __: float, eps: float
) -> str:
    """Write a batch normalization by its own batch of one, which is how PyTorch computes instance normalization."""
    if g.shapes[x][0] != 1:
        raise UnsupportedError(f"the statistics of a batch of {g.shapes[x][0]}")
    return ops.instance_norm(g, x, *_factors(g, x, weight, bias), epsilon=eps)


def _instance_norm(
    g: Writer,
    x: str,
    weight: str | None,
    bias: str | None,
    mean: str | None,
    variance: str | None,
    by_image: bool,
    momentum: float,
    eps: float,
    _: bool,
) -> str:
    if not by_image and mean is not None and variance is not None:
        return _batch_norm(g, x, weight, bias, mean, variance, momentum, eps)
    return ops.instance_norm(g, x, *_factors(g, x, weight, bias), epsilon=eps)


def _layer_norm(
    g: Writer,
    x: str,
    shape: Sequence[int],
    weight: str | None = None,
    bias: str | None = None,
    eps: float = 1e-5,
    _: bool = True,
) -> str:
    factor = weight or g.constant(np.ones(tuple(shape), np.float32))
    inputs = [x, factor, bias] if bias else [x, factor]
    return ops.layer_norm(g, *inputs, axis=-len(shape), epsilon=eps)


def _group_norm(
    g: Writer,
    x: str,
    groups: int,
    weight: str | None = None,
    bias: str | None = None,
    eps: float = 1e-5,
    _: bool = True,
) -> str:
    return ops.group_norm(g, x, *_factors(g, x, weight, bias), num_groups=groups, epsilon=eps)


def _rms_norm(
    g: Writer, x: str, shape: Sequence[int], weight: str | None = None, eps: float | None = None
) -> str:
    epsilon = float(np.finfo(np.float32).eps) if eps is None else eps
    axes = [g.rank(x) - 1 - place for place in range(len(shape))]
    mean = ops.reduce_mean(g, ops.multiply(g, x, x), axes, keepdims=1)
    made = ops.divide(g, x, ops.sqrt(g, ops.add(g, mean, epsilon)))
    return ops.multiply(g, made, weight) if weight else made


NORMS: dict[str, Row] = {
    "_native_batch_norm_legit_no_training.default": first_of(3, _batch_norm),
    "_native_batch_norm_legit.no_stats": first_of(3, _norm_of_rows),
    "native_batch_norm.default": first_of(3, _batch_norm_of_mode),
    "native_layer_norm.default": first_of(3, _layer_norm),
    "native_group_norm.default": first_of(
        3,
        lambda g, x, weight, bias, _batch, _channels, _pixels, groups, eps: _group_norm(
            g, x, groups, weight, bias, eps
        ),
    ),
    # The last argument of batch_norm is the choice of cuDNN.
    "batch_norm.default": lambda g, x, *given: _batch_norm_of_mode(g, x, *given[:-1]),
    "instance_norm.default": _instance_norm,
    "layer_norm.default": _layer_norm,
    "group_norm.default": _group_norm,
    "rms_norm.default": _rms_norm,
    "_fused_rms_norm.default": first_of(2, _rms_norm),
}
