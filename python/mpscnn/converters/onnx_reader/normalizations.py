"""Convert softmax and normalizations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.affine import is_affine
from mpscnn.converters.arrange import surroundings
from mpscnn.converters.broadcast_views import stored
from mpscnn.converters.layout import Axis, in_memory_order, product
from mpscnn.converters.onnx_reader.attention_masks import masked_scores
from mpscnn.converters.onnx_reader.context import Context, Handler
from mpscnn.converters.onnx_reader.expansions import JOINT_SOFTMAX, PER_CHANNEL
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.onnx_reader.operands import Operands, Row
from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.value import Value
from mpscnn.converters.zero_epsilon import batch_norm_epsilon, group_norm_epsilon, layer_norm_epsilon
from mpscnn.errors import UnsupportedError, WeightsError


def _lp_normalization(c: Context, node: Node) -> FileTensor:
    """Convert LpNormalization: x divided by its norm along an axis. All-zero vectors stay zeros."""
    x, order = c.x(node), node.integer("p", 2)
    axis = x.axis(node.integer("axis", -1))
    if order not in (1, 2):
        raise UnsupportedError(f"a norm of order {order} along axis {axis}; supported are orders 1 and 2")
    x.fixed_count([axis])
    return x.apply_along([axis], c.network.unit_norm, order=order, epsilon=0.0)


def _softmax_axes(x: Value, node: Node, opset: int) -> range:
    """Return the axes of Softmax, LogSoftmax and `JOINT_SOFTMAX`. Up to opset 12 later axes belong to them, too."""
    is_joint = opset < 13 or node.kind == JOINT_SOFTMAX
    axis = x.axis(node.integer("axis", 1 if is_joint else -1))
    return range(axis, x.rank if is_joint else axis + 1)


def _softmax(o: Operands) -> Value:
    x = o.x()
    axes = _softmax_axes(x, o.node, o.stored.opset)
    return (x if o.are_constants else masked_scores(o.c, o.node, axes.start)).softmax(axes)


def _log_softmax(c: Context, node: Node) -> FileTensor:
    x = c.x(node)
    return x.apply_along(_softmax_axes(x, node, c.file.opset), c.network.log_softmax)


# ---- Normalizations ------------------------------------------------------------------------------------------------


def _factors(c: Context, node: Node) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the scale and the offset of a normalization."""
    given = ((1, "its scale"), (2, "its offset"))
    scale, offset = (c.constants.real_view(node.input(place), what) for place, what in given)
    return scale, offset


def _batch_normalization(o: Operands) -> Value:
    """Convert BatchNormalization: (x - mean) / sqrt(variance + epsilon) * scale + offset, for each channel."""
    if not o.are_constants:
        return _batch_norm_layer(o.c, o.node)
    x, *weights = o.values()
    if o.node.flag("training_mode", default=False) or len(list(filter(None, o.node.outputs))) > 1:
        raise UnsupportedError("normalises constants by their own statistics, which is not supported")
    if x.rank < 2 or any(one.trial_shapes()[0] != x.trial_shapes()[0][1:2] for one in weights):
        raise WeightsError(f"damaged: weights {[one.shown for one in weights]} for {x.shown}")
    scale, offset, mean, variance = (one.reshape([-1, *[1] * (x.rank - 2)]) for one in weights)
    deviation = variance.linear(1.0, o.node.number("epsilon", 1e-5)).sqrt()
    normalized = x.combine("subtract", mean).combine("divide", deviation)
    return normalized.combine("multiply", scale).combine("add", offset)


def _batch_norm_layer(c: Context, node: Node) -> FileTensor:
    x = c.x(node)
    c.refuse_results(node, 1, "statistics of the batch")
    if not node.flag("spatial", default=True):
        raise UnsupportedError("it normalises by statistics of each pixel")
    if x.rank < 2 or any(atom.is_batch for atom in x.axes[1]):
        raise UnsupportedError(f"normalises {x.shown}, whose second axis is not channels")
    roles = ("gamma", "beta", "mean", "variance")
    weights = [
        c.constants.real_view(node.input(place), f"its {role}") for place, role in enumerate(roles, start=1)
    ]
    if any(values.shape != (x.shape[1],) for values in weights):
        raise WeightsError(f"damaged: weights {[values.shape for values in weights]} for {x.shown}")
    tensor, rest, tail = c.arranger.channels_last(x, x.axes[1])
    name = c.layer_name(node)
    own = node.flag("training_mode", default=False)
    inputs = [tensor]
    epsilon = batch_norm_epsilon(node.number("epsilon", 1e-5), None if own else stored(weights[3]))
    attributes: dict[str, Any] = {"epsilon": epsilon}
    if own:
        inputs.append(c.network.batch_statistics(tensor, name=c.layer_name(node, "/statistics")))
    elif is_affine(epsilon, *map(stored, weights[2:])):
        attributes["fixed"] = True
    y = c.network.layer("batch_normalization", inputs, attributes, name=name)
    ordered = {
        role: (in_memory_order(values, x.axes[1], tail), node.input(place))
        for place, (role, values) in enumerate(zip(roles, weights, strict=True), start=1)
    }
    c.set_factors(name, {role: ordered.pop(role) for role in ("gamma", "beta")})
    for role, (values, source) in ordered.items():
        if not own:
            c.set_weight(name, role, values, source)
    return x.with_tensor(y, rest + tail)


def _instance_normalization(c: Context, node: Node) -> FileTensor:
    """Convert InstanceNormalization.

    If an earlier reshape made groups the channel axis, it is a group normalization.
    """
    x, factors = c.x(node), _factors(c, node)
    if not x.has_batch_first:
        raise UnsupportedError(f"normalises {x.shown}, whose first axis is not the batch")
    if x.rank < 3 or any(values.shape != (x.shape[1],) for values in factors):
        raise WeightsError(f"damaged: scale {factors[0].shape} and bias {factors[1].shape} for {x.shown}")
    before, after = surroundings(x, x.axes[1])
    inner = product(after)
    if inner is None:
        raise UnsupportedError(f"normalises {x.shown}, whose groups have a free size")
    return _group_norm(c, node, x, (before, x.axes[1], after), len(factors[0]), inner)


def _group_normalization(c: Context, node: Node) -> FileTensor:
    x, count = c.x(node), node.integer("num_groups")
    channels = x.shape[1] if x.rank > 2 else None
    if channels is None or not x.has_batch_first:
        raise UnsupportedError(f"normalises {x.shown}, which is not an image with this number of channels")
    if count < 1 or channels % count:
        raise WeightsError(f"damaged: {count} groups for {x.shown}")
    per_channel = bool(node.integer(PER_CHANNEL, c.file.opset >= 21))
    shapes = [values.shape for values in _factors(c, node)]
    if any(shape != (channels if per_channel else count,) for shape in shapes):
        raise WeightsError(f"damaged: {shapes} for {count} groups of {channels} channels")
    rest = tuple(atom for atom in x.order if atom not in x.axes[1])
    return _group_norm(c, node, x, (rest, x.axes[1], ()), count, 1 if per_channel else channels // count)


def _group_norm(
    c: Context, node: Node, x: FileTensor, parts: tuple[Axis, Axis, Axis], groups: int, times: int
) -> FileTensor:
    """Convert to a group normalization.

    `parts` are three pieces of the file's axes, in their order: those before the channels, the groups, and the channels
    within a group. Each scale and offset of the file is repeated for `times` channels of the layer.
    """
    before, channels, after = parts
    order, grouping = before + channels + after, c.arranger.grouping(x)
    fits = len(x.tensor.shape) == 4 and grouping and grouping[-1] == channels + after and x.order == order
    tensor = x.tensor if fits else c.arranger.physical(x, ((), before, channels + after))
    name = c.layer_name(node)
    epsilon = group_norm_epsilon(node.number("epsilon", 1e-5))
    y = c.network.group_norm(tensor, groups, epsilon=epsilon, name=name)
    scale, offset = (c.constants.repeat(values, times) for values in _factors(c, node))
    c.set_factors(name, {"gamma": (scale, node.input(1)), "beta": (offset, node.input(2))})
    return x.with_tensor(y, order)


def _layer_normalization(c: Context, node: Node) -> list[FileTensor]:
    """Convert LayerNormalization and RMSNormalization.

    It is (x - mean) / sqrt(variance + epsilon) * scale + offset, over the axis and all axes after it.
    RMSNormalization has neither mean nor offset. Further results are the mean, and 1 / sqrt(variance + epsilon).
    """
    x = c.x(node)
    axes = range(x.axis(node.integer("axis", -1)), x.rank)
    atoms = x.atoms_of(axes)
    x.fixed_count(axes)
    given = {"gamma": (node.input(1), "its scale")}
    if node.input(2) is not None:
        given["beta"] = (node.input(2), "its offset")
    factors = {
        role: _for_each(c, c.constants.real_view(source, what), x.shape[axes.start :])
        for role, (source, what) in given.items()
    }
    function = c.network.rms_norm if node.kind == "RMSNormalization" else c.network.layer_norm
    epsilon, rule = layer_norm_epsilon(node.number("epsilon", 1e-5))
    tensor, rest, tail = c.arranger.channels_last(x, atoms)
    name = c.layer_name(node)
    y = function(tensor, epsilon=epsilon, epsilon_rule=rule, name=name)
    ordered = {role: in_memory_order(values, atoms, tail) for role, values in factors.items()}
    c.set_factors(name, {role: (values, given[role][0]) for role, values in ordered.items()})
    return [x.with_tensor(y, rest + tail), *_statistics(c, node, x, axes)]


def _statistics(c: Context, node: Node, x: FileTensor, axes: Sequence[int]) -> list[FileTensor]:
    """Return the mean and the inverse deviation of a layer normalization, if the file uses one of them."""
    if not any(map(c.is_used, node.outputs[1:])):
        return []
    if node.kind == "RMSNormalization":
        c.refuse_results(node, 1, "statistics")
    variance = x.reduce("variance", axes, pools=False)
    moved = variance.linear(1.0, node.number("epsilon", 1e-5), "/moved")
    return [x.reduce("mean", axes, pools=False), moved.sqrt(inverse=True)]


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


SOFTMAX_AND_NORM: dict[str, Row] = {
    **dict.fromkeys(("Softmax", JOINT_SOFTMAX), _softmax),
    "BatchNormalization": _batch_normalization,
}
"""The functions of operators that serve constants and tensors of the network alike."""

NORMALIZATIONS: dict[str, Handler] = {
    "LogSoftmax": _log_softmax,
    "InstanceNormalization": _instance_normalization,
    "GroupNormalization": _group_normalization,
    "LayerNormalization": _layer_normalization,
    "RMSNormalization": _layer_normalization,
    "LpNormalization": _lp_normalization,
}
