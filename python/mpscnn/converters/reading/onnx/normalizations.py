"""Convert softmax and normalizations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.broadcast_views import stored
from mpscnn.converters.reading.onnx.attention_masks import masked_scores
from mpscnn.converters.reading.onnx.context import Context
from mpscnn.converters.reading.onnx.expansions import CHANNEL_GROUP_NORM, JOINT_SOFTMAX, UNIT_NORM
from mpscnn.converters.reading.onnx.node import Node
from mpscnn.converters.reading.onnx.row_calls import ComputedFloats, Given, Opset, takes_activation
from mpscnn.converters.values.affine import is_affine
from mpscnn.converters.values.layout import Axis, in_memory_order, product, without_batch
from mpscnn.converters.values.layout_pass import surroundings
from mpscnn.converters.values.rows import Ints, Name, Row, ignores
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.converters.values.value import Value
from mpscnn.converters.values.zero_epsilon import batch_norm_epsilon, group_norm_epsilon, layer_norm_epsilon
from mpscnn.errors import UnsupportedError, WeightsError

_SINGLE_AXIS = 13  # the first opset in which a softmax is over one axis


def _lp_normalization(x: ComputedFloats, *, axis: int = -1, p: int = 2) -> FileTensor:
    """Convert LpNormalization: x divided by its norm along an axis. All-zero vectors stay zeros."""
    along = x.axis(axis)
    if p not in (1, 2):
        raise UnsupportedError(f"a norm of order {p} along axis {along}; supported are orders 1 and 2")
    x.fixed_count([along])
    return x.apply_along([along], x.network.unit_norm, order=p, epsilon=0.0)


def _unit_norm(x: ComputedFloats, *, axes: Ints, epsilon: float) -> FileTensor:
    """Convert `UNIT_NORM`."""
    return x.apply_along(axes, x.network.unit_norm, epsilon=epsilon, epsilon_rule="inside")


def _softmax_axes(x: Value, axis: int | None, *, is_joint: bool) -> range:
    """Return the axes of a softmax. Up to opset 12, and in `JOINT_SOFTMAX`, later axes belong to them, too."""
    first = x.axis((1 if is_joint else -1) if axis is None else axis)
    return range(first, x.rank if is_joint else first + 1)


def _softmax_of_constant(opset: Opset, x: Given, *, axis: int | None = None) -> Value:
    return x.softmax(_softmax_axes(x, axis, is_joint=opset < _SINGLE_AXIS))


def _softmax(c: Context, node: Node, opset: Opset, x: ComputedFloats, *, axis: int | None = None) -> Value:
    axes = _softmax_axes(x, axis, is_joint=opset < _SINGLE_AXIS)
    return masked_scores(c, node, axes.start).softmax(axes)


def _joint_softmax(c: Context, node: Node, x: ComputedFloats, *, axis: int | None = None) -> Value:
    axes = _softmax_axes(x, axis, is_joint=True)
    return masked_scores(c, node, axes.start).softmax(axes)


def _joint_softmax_of_constant(x: Given, *, axis: int | None = None) -> Value:
    return x.softmax(_softmax_axes(x, axis, is_joint=True))


def _log_softmax(opset: Opset, x: ComputedFloats, *, axis: int | None = None) -> FileTensor:
    axes = _softmax_axes(x, axis, is_joint=opset < _SINGLE_AXIS)
    return x.apply_along(axes, x.network.log_softmax)


# ---- Normalizations ------------------------------------------------------------------------------------------------


def _factors(c: Context, scale: str, offset: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the scale and the offset of a normalization."""
    return c.constants.real_view(scale, "its scale"), c.constants.real_view(offset, "its offset")


@ignores("is_test", "momentum", "spatial")
def _batch_norm_of_constants(
    node: Node, x: Given, scale: Given, offset: Given, mean: Given, variance: Given,
    *, epsilon: float = 1e-5, training_mode: bool = False,
) -> Value:  # fmt: skip
    """Compute BatchNormalization: (x - mean) / sqrt(variance + epsilon) * scale + offset, for each channel."""
    if training_mode or len(list(filter(None, node.outputs))) > 1:
        raise UnsupportedError("normalises constants by their own statistics, which is not supported")
    weights = (scale, offset, mean, variance)
    if x.rank < 2 or any(one.trial_shapes()[0] != x.trial_shapes()[0][1:2] for one in weights):
        raise WeightsError(f"damaged: weights {[one.shown for one in weights]} for {x.shown}")
    scale, offset, mean, variance = (one.reshape([-1, *[1] * (x.rank - 2)]) for one in weights)
    deviation = variance.linear(1.0, epsilon).sqrt()
    normalized = x.combine("subtract", mean).combine("divide", deviation)
    return normalized.combine("multiply", scale).combine("add", offset)


@takes_activation
@ignores("is_test", "momentum")
def _batch_norm(
    c: Context, node: Node, x: ComputedFloats, scale: Name, offset: Name, mean: Name, variance: Name,
    *, epsilon: float = 1e-5, spatial: bool = True, training_mode: bool = False,
) -> Value:  # fmt: skip
    c.refuse_results(node, 1, "statistics of the batch")
    if not spatial:
        raise UnsupportedError("it normalises by statistics of each pixel")
    if x.rank < 2 or any(atom.is_batch for atom in x.axes[1]):
        raise UnsupportedError(f"normalises {x.shown}, whose second axis is not channels")
    sources = {"gamma": scale, "beta": offset, "mean": mean, "variance": variance}
    weights = {role: c.constants.real_view(source, f"its {role}") for role, source in sources.items()}
    if any(values.shape != (x.shape[1],) for values in weights.values()):
        raise WeightsError(f"damaged: weights {[one.shape for one in weights.values()]} for {x.shown}")
    tensor, rest, tail = c.arranger.channels_last(x, x.axes[1])
    name = c.arranger.name("")
    inputs = [tensor]
    epsilon = batch_norm_epsilon(epsilon, None if training_mode else stored(weights["variance"]))
    attributes: dict[str, Any] = {"epsilon": epsilon}
    if training_mode:
        inputs.append(c.network.batch_statistics(tensor, name=c.arranger.name("/statistics")))
    elif is_affine(epsilon, stored(weights["mean"]), stored(weights["variance"])):
        attributes["fixed"] = True
    y = c.network.layer("batch_normalization", inputs, attributes, name=name)
    ordered = {
        role: (in_memory_order(values, x.axes[1], tail), sources[role]) for role, values in weights.items()
    }
    c.weights.set_factors(name, {role: ordered.pop(role) for role in ("gamma", "beta")})
    for role, (values, source) in ordered.items():
        if not training_mode:
            c.weights.set(name, role, values, source)
    return x.with_tensor(y, rest + tail)


@takes_activation
def _instance_normalization(
    c: Context, x: ComputedFloats, scale: Name, offset: Name, *, epsilon: float = 1e-5
) -> FileTensor:
    """Convert InstanceNormalization.

    If an earlier reshape made groups the channel axis, it is a group normalization.
    """
    factors = _factors(c, scale, offset)
    images = _images(x)
    if images is None:
        raise UnsupportedError(f"normalises {x.shown}, whose first axis is not the batch")
    if x.rank < 3 or any(values.shape != (x.shape[1],) for values in factors):
        raise WeightsError(f"damaged: scale {factors[0].shape} and bias {factors[1].shape} for {x.shown}")
    channels = images + x.axes[1]
    before, after = surroundings(x, channels)
    inner = product(after)
    if inner is None:
        raise UnsupportedError(f"normalises {x.shown}, whose groups have a free size")
    return _group_norm(c, x, (before, channels, after), len(factors[0]), inner, (scale, offset), epsilon)


def _images(x: FileTensor) -> Axis | None:
    """Return the atoms beside the batch on the first axis, such as those of two images that were joined to one batch.

    A group norm of each image is one of more groups. None: the batch is not on the first axis, or a size is free.
    """
    if x.rank == 0 or not any(atom.is_batch for atom in x.axes[0]):
        return None
    images = without_batch(x.axes[0])
    return None if product(images) is None else images


@takes_activation
@ignores("stash_type")
def _group_normalization(
    c: Context, opset: Opset, x: ComputedFloats, scale: Name, offset: Name, *, num_groups: int, epsilon: float = 1e-5
) -> FileTensor:  # fmt: skip
    return _grouped(c, x, scale, offset, num_groups, epsilon, per_channel=opset >= 21)


@takes_activation
def _channel_group_normalization(
    c: Context, x: ComputedFloats, scale: Name, offset: Name, *, num_groups: int, epsilon: float
) -> FileTensor:
    return _grouped(c, x, scale, offset, num_groups, epsilon, per_channel=True)


def _grouped(
    c: Context, x: FileTensor, scale: str, offset: str, count: int, epsilon: float, *, per_channel: bool
) -> FileTensor:
    """Normalize groups of channels. The factors are those of channels, or of groups."""
    channels = x.shape[1] if x.rank > 2 else None
    images = _images(x)
    if channels is None or images is None:
        raise UnsupportedError(f"normalises {x.shown}, which is not an image with this number of channels")
    if count < 1 or channels % count:
        raise WeightsError(f"damaged: {count} groups for {x.shown}")
    shapes = [values.shape for values in _factors(c, scale, offset)]
    if any(shape != (channels if per_channel else count,) for shape in shapes):
        raise WeightsError(f"damaged: {shapes} for {count} groups of {channels} channels")
    groups = images + x.axes[1]
    rest = tuple(atom for atom in x.order if atom not in groups)
    times = 1 if per_channel else channels // count
    return _group_norm(c, x, (rest, groups, ()), count, times, (scale, offset), epsilon)


def _group_norm(
    c: Context, x: FileTensor, parts: tuple[Axis, Axis, Axis], groups: int, times: int, names: tuple[str, str],
    epsilon: float,
) -> FileTensor:  # fmt: skip
    """Convert to a group normalization.

    `parts` are three pieces of the file's axes, in their order: those before the channels, the channels of all images
    in the batch, and the rest within a group. Each image has `groups`. Each scale and offset of the file, of these
    names, is repeated for `times` channels of the layer.
    """
    before, channels, after = parts
    images = product(channels[: len(channels) - len(x.axes[1])]) or 1
    order, grouping = before + channels + after, c.arranger.grouping(x)
    fits = len(x.tensor.shape) == 4 and grouping and grouping[-1] == channels + after and x.order == order
    tensor = x.tensor if fits else c.arranger.physical(x, ((), before, channels + after))
    name = c.arranger.name("")
    y = c.network.group_norm(tensor, groups * images, epsilon=group_norm_epsilon(epsilon), name=name)
    scale, offset = (c.constants.repeat(values, times) for values in _factors(c, *names))
    if images > 1:
        scale, offset = c.constants.tile(scale, images), c.constants.tile(offset, images)
    c.weights.set_factors(name, {"gamma": (scale, names[0]), "beta": (offset, names[1])})
    return x.with_tensor(y, order)


@takes_activation
@ignores("stash_type")
def _layer_normalization(
    c: Context, node: Node, x: ComputedFloats, scale: Name, offset: Name | None = None,
    *, axis: int = -1, epsilon: float = 1e-5,
) -> list[FileTensor]:  # fmt: skip
    """Convert LayerNormalization and RMSNormalization.

    It is (x - mean) / sqrt(variance + epsilon) * scale + offset, over the axis and all axes after it.
    RMSNormalization has neither mean nor offset. Further results are the mean, and 1 / sqrt(variance + epsilon).
    """
    axes = range(x.axis(axis), x.rank)
    atoms = x.atoms_of(axes)
    x.fixed_count(axes)
    given = {"gamma": (scale, "its scale")}
    if offset is not None:
        given["beta"] = (offset, "its offset")
    factors = {
        role: _for_each(c, c.constants.real_view(source, what), x.shape[axes.start :])
        for role, (source, what) in given.items()
        if role != "gamma" or not _is_left_out(c, source)
    }
    function = c.network.rms_norm if node.kind == "RMSNormalization" else c.network.layer_norm
    used, rule = layer_norm_epsilon(epsilon)
    tensor, rest, tail = c.arranger.channels_last(x, atoms)
    name = c.arranger.name("")
    y = function(tensor, epsilon=used, epsilon_rule=rule, name=name)
    ordered = {role: in_memory_order(values, atoms, tail) for role, values in factors.items()}
    c.weights.set_factors(name, {role: (values, given[role][0]) for role, values in ordered.items()})
    return [x.with_tensor(y, rest + tail), *_statistics(c, node, x, axes, epsilon)]


def _statistics(
    c: Context, node: Node, x: FileTensor, axes: Sequence[int], epsilon: float
) -> list[FileTensor]:
    """Return the mean and the inverse deviation of a layer normalization, if the file uses one of them."""
    if not any(map(c.is_used, node.outputs[1:])):
        return []
    if node.kind == "RMSNormalization":
        c.refuse_results(node, 1, "statistics")
    variance = x.reduce("variance", axes, pools=False)
    moved = variance.linear(1.0, epsilon, "/moved")
    return [x.reduce("mean", axes, pools=False), moved.sqrt(inverse=True)]


def _is_left_out(c: Context, scale: str) -> bool:
    """Return True for the single number 1 without axes, which stands for a scale that another format leaves out."""
    values = c.constants.real_view(scale, "its scale")
    return values.ndim == 0 and float(values) == 1.0 and not c.parameters.learns(scale)


def _for_each(c: Context, values: NDArray[np.float32], extents: Sequence[int | None]) -> NDArray[np.float32]:
    """Return a factor for each normalized number. A file may leave out the first axes, or broadcast some."""
    shape = [extent or 1 for extent in extents]
    count = math.prod(shape)
    try:
        whole = (
            values if values.size == count else np.broadcast_to(values.reshape(values.shape or (1,)), shape)
        )
        return c.constants.reshape(whole, (count,))
    except ValueError:
        message = f"its scale or offset has the shape {values.shape}, for {count} numbers"
        raise UnsupportedError(message) from None


NORMALIZATIONS_OF_CONSTANTS: dict[str, Row] = {
    "BatchNormalization": _batch_norm_of_constants,
    JOINT_SOFTMAX: _joint_softmax_of_constant,
    "Softmax": _softmax_of_constant,
}
NORMALIZATIONS_OF_TENSORS: dict[str, Row] = {
    "BatchNormalization": _batch_norm,
    "GroupNormalization": _group_normalization,
    CHANNEL_GROUP_NORM: _channel_group_normalization,
    "InstanceNormalization": _instance_normalization,
    JOINT_SOFTMAX: _joint_softmax,
    "LayerNormalization": _layer_normalization,
    "LogSoftmax": _log_softmax,
    "LpNormalization": _lp_normalization,
    "RMSNormalization": _layer_normalization,
    "Softmax": _softmax,
    UNIT_NORM: _unit_norm,
}
