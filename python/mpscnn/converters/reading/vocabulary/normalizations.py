"""The normalizations."""

from __future__ import annotations

from collections.abc import Sequence

from mpscnn.converters.reading.onnx.expansions import UNIT_NORM, Operand, Operators
from mpscnn.converters.reading.vocabulary.adding import added, adds


@adds("BatchNormalization")
def batch_norm(
    g: Operators,
    x: Operand,
    scale: Operand,
    bias: Operand,
    mean: Operand,
    variance: Operand,
    *,
    epsilon: float,
) -> str:
    """Normalize by statistics of the file, with numbers for each channel."""
    return added(g, batch_norm, x, scale, bias, mean, variance, epsilon=epsilon)


@adds("GroupNormalization")
def group_norm(
    g: Operators, x: Operand, scale: Operand, bias: Operand, *, num_groups: int, epsilon: float
) -> str:
    """Normalize groups of channels by their own statistics."""
    return added(g, group_norm, x, scale, bias, num_groups=num_groups, epsilon=epsilon)


@adds("InstanceNormalization")
def instance_norm(g: Operators, x: Operand, scale: Operand, bias: Operand, *, epsilon: float) -> str:
    """Normalize each channel of each image by its own statistics."""
    return added(g, instance_norm, x, scale, bias, epsilon=epsilon)


@adds("LayerNormalization")
def layer_norm(g: Operators, x: Operand, scale: Operand, *bias: Operand, axis: int, epsilon: float) -> str:
    """Normalize all axes from `axis` on by their own statistics."""
    return added(g, layer_norm, x, scale, *bias, axis=axis, epsilon=epsilon)


@adds(UNIT_NORM)
def unit_norm(g: Operators, x: Operand, *, axes: Sequence[int], epsilon: float) -> str:
    """Return x / sqrt(sum of squares over these axes + epsilon). The axes and their extents are known."""
    return added(g, unit_norm, x, axes=list(axes), epsilon=epsilon)


@adds("LRN")
def local_response_norm(
    g: Operators, x: Operand, *, size: int, alpha: float, beta: float, bias: float
) -> str:
    """Divide by (bias + alpha / size times the sum of squares of neighbouring channels)^beta."""
    return added(g, local_response_norm, x, size=size, alpha=alpha, beta=beta, bias=bias)
