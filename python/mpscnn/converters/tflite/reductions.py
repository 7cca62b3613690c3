"""TensorFlow Lite's reductions of axes, and normalizations."""

from __future__ import annotations

import math

import numpy as np

from mpscnn.converters.contractions import reduced
from mpscnn.converters.layout import Axis, Value
from mpscnn.converters.tflite import integer_forms
from mpscnn.converters.tflite.context import Handler, Reader
from mpscnn.converters.tflite.file import FileOperator
from mpscnn.converters.tflite.parts import checked_axis
from mpscnn.errors import UnsupportedError, WeightsError

_LEAST_NORM = 1e-3  # the root of what TensorFlow Lite takes as the smallest sum of squares
_KINDS = {
    "MEAN": "mean",
    "SUM": "sum",
    "REDUCE_ALL": "min",
    "REDUCE_ANY": "max",
    "REDUCE_MAX": "max",
    "REDUCE_MIN": "min",
    "REDUCE_PROD": "product",
}

# ---- Reductions --------------------------------------------------------------------------------------------


def _reduction(c: Reader, operator: FileOperator) -> None:
    rank = c.seen(operator.inputs[0]).rank
    given = c.constants.integers(operator.inputs[1], "the axes")
    axes = sorted({checked_axis(axis, rank) for axis in given})
    x, added = c.apart(operator.inputs[0], always=0 in axes)
    axes = [axis + added for axis in axes]
    atoms = tuple(atom for axis in axes for atom in x.axes[axis])
    if any(atom.is_batch for atom in atoms):
        raise UnsupportedError(f"reduces the batch of {x.shown}")
    of_integers = all(map(c.has_integers, (operator.inputs[0], operator.outputs[0])))
    if operator.kind in ("MEAN", "SUM") and of_integers:
        y = _total_of_integers(c, operator, x, atoms)
    elif (
        operator.kind in ("REDUCE_MAX", "REDUCE_MIN")
        and of_integers
        and atoms
        and _has_one_scale(c, operator)
    ):
        y = integer_forms.extreme(c, operator, x, atoms)
    else:
        y = reduced(c.arranger, x, atoms, _KINDS[operator.kind])
    y = Value(y.tensor, tuple(() if axis in axes else y.axes[axis] for axis in range(x.rank)), y.order)
    if not (operator.options and operator.options.boolean(0)):
        y = y.without_axes(axes)
    c.result(operator, y, added)


def _has_one_scale(c: Reader, operator: FileOperator) -> bool:
    return not c.has_other_integers(operator.inputs[0], operator.outputs[0])


def _total_of_integers(c: Reader, operator: FileOperator, x: Value, atoms: Axis) -> Value:
    """Return a mean or sum by one layer, whose result is rounded once. For one element it changes only the scale."""
    if not atoms:
        name = c.layer_name(operator)
        return x.holding(c.network.layer("neuron", [x.tensor], {"kind": "none"}, name=name))
    lying = tuple(sorted(atoms, key=x.order.index))
    return reduced(c.arranger, c.arranger.in_one_piece(x, lying), lying, _KINDS[operator.kind], pools=False)


def _argument(c: Reader, operator: FileOperator) -> None:
    """The largest channel as the file's result is left out: `Model.segment` takes it of the scores, the output."""
    (axis,) = c.constants.integers(operator.inputs[1], "the axis")
    rank = c.seen(operator.inputs[0]).rank
    axis = checked_axis(axis, rank)
    if operator.kind == "ARG_MAX" and operator.outputs[0] in c.results and axis == rank - 1:
        c.result(operator, c.seen(operator.inputs[0]))
        return
    x, added = c.apart(operator.inputs[0])
    axis += added
    if any(atom.is_batch for atom in x.axes[axis]) or x.rank < 2:
        raise UnsupportedError(f"compares images of the batch of {x.shown}")
    plain = c.plain(x.transposed([*(one for one in range(x.rank) if one != axis), axis]))
    find = c.network.argmax if operator.kind == "ARG_MAX" else c.network.argmin
    y = find(plain.tensor, name=c.layer_name(operator))
    order = plain.order[: len(plain.order) - len(plain.axes[-1])]
    c.result(operator, Value(y, plain.axes[:-1], order), added)


# ---- Normalizations ----------------------------------------------------------------------------------------


def _softmax(c: Reader, operator: FileOperator) -> None:
    x, beta = c.plain(c.seen(operator.inputs[0])), c.options(operator).number(0, "f")
    if not math.isfinite(beta):
        raise WeightsError(f"damaged: its beta is {beta}")
    if beta != 1.0:
        scaled = {"kind": "linear", "a": beta}
        x = x.holding(c.network.activation(x.tensor, scaled, name=c.layer_name(operator, "/beta")))
        grid = c.grid(operator.inputs[0])
        if beta > 0.0 and grid is not None and c.has_integers(operator.inputs[0]):
            # The integers stay, and stand for other numbers.
            c.integers[x.tensor.index] = (
                grid.dtype.name,
                float(np.float32(beta * grid.step)),
                grid.zero_point,
            )
    c.result(operator, x.holding(c.network.softmax(x.tensor, name=c.layer_name(operator))))


def _log_softmax(c: Reader, operator: FileOperator) -> None:
    x = c.plain(c.seen(operator.inputs[0]))
    c.result(operator, x.holding(c.network.log_softmax(x.tensor, name=c.layer_name(operator))))


def _local_response(c: Reader, operator: FileOperator) -> None:
    options = c.options(operator)
    size = 2 * options.integer(0) + 1
    bias, alpha, beta = (options.number(field, "f") for field in (1, 2, 3))
    x, name = c.value(operator.inputs[0]), c.layer_name(operator)
    y = c.network.local_response_norm(x, size, alpha=size * alpha, beta=beta, k=bias, name=name)
    c.result(operator, y)


def _l2_normalization(c: Reader, operator: FileOperator) -> None:
    """x / sqrt(the sum of the squares of its channels, at least 1e-6)."""
    x = c.value(operator.inputs[0])
    if c.activation(operator, 0) is not None:
        raise UnsupportedError("it ends with an activation, which is not supported")
    y = c.network.unit_norm(x, epsilon=_LEAST_NORM, name=c.layer_name(operator))
    c.result(operator, y)


REDUCTIONS: dict[str, Handler] = {
    **dict.fromkeys(_KINDS, _reduction),
    "ARG_MAX": _argument,
    "ARG_MIN": _argument,
    "L2_NORMALIZATION": _l2_normalization,
    "LOCAL_RESPONSE_NORMALIZATION": _local_response,
    "LOG_SOFTMAX": _log_softmax,
    "SOFTMAX": _softmax,
}
