"""Convert TensorFlow Lite's reductions and normalizations."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from mpscnn.converters.layer_names import quote_name
from mpscnn.converters.layout import without_batch
from mpscnn.converters.tflite import integer_forms
from mpscnn.converters.tflite.context import Handler, Made, Reader
from mpscnn.converters.tflite.file import FileOperator
from mpscnn.errors import UnsupportedError, WeightsError

_MIN_NORM = 1e-3  # the square root of 1e-6, TensorFlow Lite's minimum for the sum of squares
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


def _reduction(c: Reader, operator: FileOperator) -> Made:
    x = c.seen(operator.inputs[0])
    axes = sorted({x.axis(axis) for axis in c.constants.integers(operator.inputs[1], "the axes")})
    atoms = without_batch(x.atoms_of(axes))
    kind = _KINDS[operator.kind]
    if not all(map(c.has_integers, (operator.inputs[0], operator.outputs[0]))):
        y = x.reduce(kind, axes)
    elif operator.kind in ("MEAN", "SUM"):
        # One layer is used, so that the result is rounded only once. A reduction of no axis only changes the scale.
        lying = tuple(sorted(atoms, key=x.order.index))
        whole = x.wrap(c.arranger.make_contiguous(x, lying))
        y = whole.reduce(kind, axes, pools=False) if atoms else x.map({"kind": "none"})
    elif operator.kind in ("REDUCE_MAX", "REDUCE_MIN") and atoms and _has_one_scale(c, operator):
        y = integer_forms.reduce_by_pooling(c, operator, x, atoms)
        y = replace(y, axes=tuple(() if axis in axes else own for axis, own in enumerate(y.axes)))
    else:
        y = x.reduce(kind, axes)
    if not operator.flag(0):
        y = y.squeeze(axes)
    return y


def _has_one_scale(c: Reader, operator: FileOperator) -> bool:
    return not c.has_other_integers(operator.inputs[0], operator.outputs[0])


def _argument(c: Reader, operator: FileOperator) -> Made:
    """Convert ARG_MAX and ARG_MIN. At the end of a classifier or segmenter, an ARG_MAX over channels is left out.

    The scores are the output then, and `Model.segment` finds the channel with the largest score.
    """
    x, (axis,) = c.seen(operator.inputs[0]), c.constants.integers(operator.inputs[1], "the axis")
    axis, places = x.axis(axis), operator.outputs[0]
    is_end = places in c.results and not c.file.users.get(places)
    if operator.kind == "ARG_MAX" and is_end and x.rank in (2, 4) and axis == x.rank - 1:
        name = quote_name(c.file.tensors[places].name)
        c.network.notes.append(f"the ARG_MAX {name} at the end is left out, so the output is the scores")
        return x
    return x.argmax_or_argmin(axis, minimum=operator.kind == "ARG_MIN").squeeze([axis])


# ---- Normalizations ----------------------------------------------------------------------------------------


def _softmax(c: Reader, operator: FileOperator) -> Made:
    x, beta = c.plain(c.seen(operator.inputs[0])), c.options(operator).number(0, "f")
    if not math.isfinite(beta):
        raise WeightsError(f"damaged: its beta is {beta}")
    if beta != 1.0:
        scaled = {"kind": "linear", "a": beta}
        x = x.map(scaled, "/beta")
        grid = c.grid(operator.inputs[0])
        if beta > 0.0 and grid is not None and c.has_integers(operator.inputs[0]):
            # Multiplying by beta does not change the integers, only their scale.
            c.integers[x.tensor.index] = (
                grid.dtype.name,
                float(np.float32(beta * grid.step)),
                grid.zero_point,
            )
    return x.softmax([x.rank - 1])


def _log_softmax(c: Reader, operator: FileOperator) -> Made:
    x = c.seen(operator.inputs[0])
    return x.apply_along([x.rank - 1], c.network.log_softmax)


def _local_response(c: Reader, operator: FileOperator) -> Made:
    options = c.options(operator)
    size = 2 * options.integer(0) + 1
    bias, alpha, beta = (options.number(field, "f") for field in (1, 2, 3))
    x, name = c.value(operator.inputs[0]), c.layer_name(operator)
    return c.network.local_response_norm(x, size, alpha=size * alpha, beta=beta, k=bias, name=name)


def _l2_normalization(c: Reader, operator: FileOperator) -> Made:
    """Convert L2_NORMALIZATION: x / sqrt(max(sum of squares of the channels, 1e-6))."""
    x = c.value(operator.inputs[0])
    if c.activation(operator, 0) is not None:
        raise UnsupportedError("it ends with an activation, which is not supported")
    return c.network.unit_norm(x, epsilon=_MIN_NORM, name=c.layer_name(operator))


REDUCTIONS: dict[str, Handler] = {
    **dict.fromkeys(_KINDS, _reduction),
    "ARG_MAX": _argument,
    "ARG_MIN": _argument,
    "L2_NORMALIZATION": _l2_normalization,
    "LOCAL_RESPONSE_NORMALIZATION": _local_response,
    "LOG_SOFTMAX": _log_softmax,
    "SOFTMAX": _softmax,
}
