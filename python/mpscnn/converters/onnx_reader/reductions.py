"""Reductions over axes, softmax, and normalizations."""

from __future__ import annotations

from typing import Any

import numpy as np

from mpscnn.converters.affine import is_affine
from mpscnn.converters.arrange import surroundings
from mpscnn.converters.contractions import reduced
from mpscnn.converters.layout import Axis, Value, positions, product
from mpscnn.converters.onnx_reader.context import Context, Handler
from mpscnn.converters.onnx_reader.fused_activation import ending
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.slicing import part
from mpscnn.converters.unsupported import CHOOSE_SIZE
from mpscnn.converters.zero_epsilon import batch_norm_epsilon, group_norm_epsilon, layer_norm_epsilon
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import Tensor

_KINDS = {
    "ReduceMean": "mean",
    "ReduceSum": "sum",
    "ReduceMax": "max",
    "ReduceMin": "min",
    "ReduceProd": "product",
    "ReduceL2": "l2_norm",
    "ReduceSumSquare": "sum_of_squares",
    "ReduceLogSumExp": "log_sum_exp",
}
# Sums of functions of the elements, and functions of sums.
_SUMMANDS: dict[str, Activation] = {"ReduceL1": "absolute"}
_OF_SUMS: dict[str, Activation] = {"ReduceLogSum": "logarithm"}
# The function of one element, if all axes have extent 1. Other reductions do not change the element.
_OF_ONE: dict[str, Activation] = {
    "ReduceL2": "absolute",
    "ReduceSumSquare": {"kind": "power", "a": 1.0, "c": 2.0},
}


# ---- Reductions ----------------------------------------------------------------------------------------------------


def _reduce(c: Context, node: Node) -> None:
    x = c.value(node.inputs[0])
    axes = _reduced_axes(c, node, x)
    kind = _KINDS.get(node.kind, "sum")
    if node.kind in _SUMMANDS:
        x = x.holding(c.neuron(x.tensor, _SUMMANDS[node.kind], c.layer_name(node, "/elements")))
    if node.kind in _OF_ONE and axes and not any(x.axes[axis] for axis in axes):
        x = x.holding(c.neuron(x.tensor, _OF_ONE[node.kind], c.layer_name(node, "/elements")))
    y = _over(c, x, axes, kind)
    if node.kind in _OF_SUMS:
        y = y.holding(c.neuron(y.tensor, _OF_SUMS[node.kind], c.layer_name(node, "/sum")))
    c.result(node, y if node.integer("keepdims", 1) else y.without_axes(axes))


def _over(c: Context, x: Value, axes: list[int], kind: str) -> Value:
    """x reduced over axes, which stay with the extent 1."""
    atoms = tuple(atom for axis in axes for atom in x.axes[axis])
    if any(atom.is_batch and atom.high != 1 for atom in atoms):
        raise UnsupportedError(
            f"reduces {x.shown} along the batch: choose a batch of 1 with --shape (shapes= in Python)"
        )
    batch = tuple(atom for atom in atoms if atom.is_batch)
    atoms = tuple(atom for atom in atoms if not atom.is_batch)
    y = reduced(c.arranger, x, atoms, kind)
    kept = [() if axis in axes else y.axes[axis] for axis in range(x.rank)]
    kept[0] = batch + kept[0]
    return Value(y.tensor, tuple(kept), y.order)


def _reduced_axes(c: Context, node: Node, x: Value) -> list[int]:
    if node.has("axes"):
        given = node.integers("axes")
    elif node.input(1) is not None:
        given = c.constants.integers(node.input(1), "its axes")
    else:
        given = []
    if not given:
        return [] if node.integer("noop_with_empty_axes", 0) else list(range(x.rank))
    return sorted({x.axis(axis) for axis in given})


def _lp_normalization(c: Context, node: Node) -> None:
    """x divided by its norm along an axis; zeros stay zeros."""
    x = c.value(node.inputs[0])
    axis, order = x.axis(node.integer("axis", -1)), node.integer("p", 2)
    if order not in (1, 2) or any(atom.is_batch for atom in x.axes[axis]):
        raise UnsupportedError(f"a norm of order {order} along axis {axis}; supported are orders 1 and 2")
    if product(x.axes[axis]) is None:
        raise UnsupportedError(f"normalises {x.shown} along an axis that is free: {CHOOSE_SIZE}")
    tensor, rest, tail = c.arranger.channels_last(x, x.axes[axis])
    y = c.network.unit_norm(tensor, order=order, epsilon=0.0, name=c.layer_name(node))
    c.result(node, x.lying(y, rest + tail))


def _argument(c: Context, node: Node) -> None:
    x = c.value(node.inputs[0])
    axis = x.axis(node.integer("axis", 0))
    if any(atom.is_batch for atom in x.axes[axis]):
        raise UnsupportedError("compares images of the batch")
    extent = x.shape[axis]
    last_of_equals = bool(node.integer("select_last_index", 0))
    if last_of_equals:  # the first one from behind
        if extent is None:
            raise UnsupportedError(
                f"takes the last of equals of {x.shown}, whose size is free: {CHOOSE_SIZE}"
            )
        x = part(c.arranger, x, axis, range(extent - 1, -1, -1))
    atoms = x.axes[axis]
    rest = tuple(atom for atom in x.order if atom not in atoms)
    grouping = c.arranger.grouping(x)
    tensor = x.tensor
    if not grouping or grouping[-1] != atoms:
        tensor = c.arranger.physical(x, (rest, atoms))
    find = c.network.argmax if node.kind == "ArgMax" else c.network.argmin
    y = find(tensor, name=c.layer_name(node))
    if last_of_equals:
        y = c.neuron(y, {"kind": "linear", "a": -1.0, "b": (extent or 1) - 1.0}, c.layer_name(node, "/index"))
    axes = (*x.axes[:axis], (), *x.axes[axis + 1 :])
    value = Value(y, axes, rest, whole_numbers=True)
    c.result(node, value if node.integer("keepdims", 1) else value.without_axes([axis]))


def _softmax(c: Context, node: Node) -> None:
    """Up to opset 12 over the axis and all after it."""
    x = c.value(node.inputs[0])
    old = c.file.opset < 13
    axis = x.axis(node.integer("axis", 1 if old else -1))
    atoms = tuple(atom for one in x.axes[axis : None if old else axis + 1] for atom in one)
    if any(atom.is_batch for atom in atoms):
        raise UnsupportedError("compares images of the batch")
    tensor, rest, tail = c.arranger.channels_last(x, atoms)
    function = c.network.softmax if node.kind == "Softmax" else c.network.log_softmax
    c.result(node, x.lying(function(tensor, name=c.layer_name(node)), rest + tail))


# ---- Normalizations ------------------------------------------------------------------------------------------------


def _batch_normalization(c: Context, node: Node) -> None:
    x = c.value(node.inputs[0])
    c.refuse_results(node, 1, "statistics of the batch")
    if not node.integer("spatial", 1):
        raise UnsupportedError("it normalises by statistics of each pixel")
    if x.rank < 2 or any(atom.is_batch for atom in x.axes[1]):
        raise UnsupportedError(f"normalises {x.shown}, whose second axis is not channels")
    roles = ("gamma", "beta", "mean", "variance")
    weights = [
        c.constants.real(node.input(place), f"its {role}") for place, role in enumerate(roles, start=1)
    ]
    if any(values.shape != (x.shape[1],) for values in weights):
        raise WeightsError(f"damaged: weights {[values.shape for values in weights]} for {x.shown}")
    tensor, rest, tail = c.arranger.channels_last(x, x.axes[1])
    name = c.layer_name(node)
    activation, result = ending(c, node.outputs[0])
    own = bool(node.integer("training_mode", 0))
    inputs = [tensor]
    epsilon = batch_norm_epsilon(node.number("epsilon", 1e-5), None if own else weights[3])
    attributes: dict[str, Any] = {"epsilon": epsilon}
    if own:
        inputs.append(c.network.batch_statistics(tensor, name=c.layer_name(node, "/statistics")))
    elif is_affine(epsilon, *weights[2:]):
        attributes["fixed"] = True
    y = c.network.layer("batch_normalization", inputs, attributes, activation=activation, name=name)
    order = positions(x.axes[1], tail)
    ordered = {
        role: (values[order], node.input(place))
        for place, (role, values) in enumerate(zip(roles, weights, strict=True), start=1)
    }
    c.set_factors(name, {role: ordered.pop(role) for role in ("gamma", "beta")})
    for role, (values, source) in ordered.items():
        if not own:
            c.set_weight(name, role, values, source)
    c.values[result] = x.lying(y, rest + tail)


def _instance_normalization(c: Context, node: Node) -> None:
    """Groups of channels that have become an axis are normalised as groups."""
    x = c.value(node.inputs[0])
    scale, offset = (c.constants.real(node.input(place), "its scale or offset") for place in (1, 2))
    if not x.has_batch_first:
        raise UnsupportedError(f"normalises {x.shown}, whose first axis is not the batch")
    if x.rank < 3 or any(values.shape != (x.shape[1],) for values in (scale, offset)):
        raise WeightsError(f"damaged: {scale.shape} and {offset.shape} for {x.shown}")
    groups = x.axes[1]
    before, behind = surroundings(x, groups)
    inner = product(behind)
    if inner is None:
        raise UnsupportedError(f"normalises {x.shown}, whose groups have a free size")
    epsilon = node.number("epsilon", 1e-5)
    tensor, name, result = _group_norm(c, node, x, (before, groups, behind), len(scale), epsilon)
    factors = {"gamma": (scale, node.input(1)), "beta": (offset, node.input(2))}
    c.set_factors(
        name, {role: (np.repeat(values, inner), source) for role, (values, source) in factors.items()}
    )
    c.values[result] = x.lying(tensor, before + groups + behind)


def _group_normalization(c: Context, node: Node) -> None:
    x = c.value(node.inputs[0])
    count = node.integer("num_groups")
    channels = x.shape[1] if x.rank > 2 else None
    if channels is None or not x.has_batch_first:
        raise UnsupportedError(f"normalises {x.shown}, which is not an image with this number of channels")
    if count < 1 or channels % count:
        raise WeightsError(f"damaged: {count} groups for {x.shown}")
    per_channel = c.file.opset >= 21
    weights = [c.constants.real(node.input(place), "its scale or offset") for place in (1, 2)]
    if any(values.shape != (channels if per_channel else count,) for values in weights):
        raise WeightsError(
            f"damaged: {[values.shape for values in weights]} for {count} groups of {channels} channels"
        )
    rest = tuple(atom for atom in x.order if atom not in x.axes[1])
    epsilon = node.number("epsilon", 1e-5)
    tensor, name, result = _group_norm(c, node, x, (rest, x.axes[1], ()), count, epsilon)
    factors = {"gamma": (weights[0], node.input(1)), "beta": (weights[1], node.input(2))}
    times = 1 if per_channel else channels // count
    c.set_factors(
        name, {role: (np.repeat(values, times), source) for role, (values, source) in factors.items()}
    )
    c.values[result] = x.lying(tensor, rest + x.axes[1])


def _group_norm(
    c: Context, node: Node, x: Value, parts: tuple[Axis, Axis, Axis], groups: int, epsilon: float
) -> tuple[Tensor, str, str]:
    """Return the layer, its name, and the name of the file's tensor that it gives."""
    before, channels, behind = parts
    grouping = c.arranger.grouping(x)
    if (
        len(x.tensor.shape) == 4
        and grouping
        and grouping[-1] == channels + behind
        and x.order == before + channels + behind
    ):
        tensor = x.tensor
    else:
        tensor = c.arranger.physical(x, ((), before, channels + behind))
    name = c.layer_name(node)
    activation, result = ending(c, node.outputs[0])
    epsilon = group_norm_epsilon(epsilon)
    y = c.network.group_norm(tensor, groups, epsilon=epsilon, activation=activation, name=name)
    return y, name, result


def _layer_normalization(c: Context, node: Node) -> None:
    """(x - mean) / sqrt(variance + epsilon) over the axis and all after it, times scale plus offset.

    RMSNormalization has neither mean nor offset.
    """
    x = c.value(node.inputs[0])
    c.refuse_results(node, 1, "statistics")
    axis = x.axis(node.integer("axis", -1))
    atoms = tuple(atom for one in x.axes[axis:] for atom in one)
    count = product(atoms)
    if any(atom.is_batch for atom in atoms) or count is None:
        raise UnsupportedError(f"normalises {x.shown} along its batch or a free axis")
    scale = c.constants.real(node.input(1), "its scale")
    function = c.network.rms_norm if node.kind == "RMSNormalization" else c.network.layer_norm
    epsilon, rule = layer_norm_epsilon(node.number("epsilon", 1e-5))
    offset = None if node.input(2) is None else c.constants.real(node.input(2), "its offset")
    for values in (scale, offset):
        if values is not None and values.size not in (1, count):
            raise UnsupportedError(f"its scale or offset has the shape {values.shape}, for {count} numbers")
    tensor, rest, tail = c.arranger.channels_last(x, atoms)
    name = c.layer_name(node)
    activation, result = ending(c, node.outputs[0])
    y = function(tensor, epsilon=epsilon, epsilon_rule=rule, activation=activation, name=name)
    order = positions(atoms, tail)
    factors = {"gamma": (scale, node.input(1)), "beta": (offset, node.input(2))}
    c.set_factors(
        name,
        {
            role: (np.broadcast_to(values.reshape(-1), (count,))[order], source)
            for role, (values, source) in factors.items()
            if values is not None
        },
    )
    c.values[result] = x.lying(y, rest + tail)


REDUCTIONS: dict[str, Handler] = {
    **dict.fromkeys([*_KINDS, *_SUMMANDS, *_OF_SUMS], _reduce),
    "ArgMax": _argument,
    "ArgMin": _argument,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
    "BatchNormalization": _batch_normalization,
    "InstanceNormalization": _instance_normalization,
    "GroupNormalization": _group_normalization,
    "LayerNormalization": _layer_normalization,
    "RMSNormalization": _layer_normalization,
    "LpNormalization": _lp_normalization,
}
