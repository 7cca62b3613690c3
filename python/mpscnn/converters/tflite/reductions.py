"""Convert TensorFlow Lite's reductions and normalizations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mpscnn.converters.layer_names import quote_name
from mpscnn.converters.layout import without_batch
from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.tflite import integer_forms
from mpscnn.converters.tflite.operation import Handler, Made, Operation
from mpscnn.errors import WeightsError

_MIN_NORM = 1e-3  # the square root of 1e-6, TensorFlow Lite's minimum for the sum of squares
_IMAGE_RANK = 4
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


def _reduction(o: Operation) -> Made:
    x = o.numbers_of(0)
    axes = sorted({x.axis(axis) for axis in o.integers(1, "the axes")})
    y = _reduced(o, x, axes) if isinstance(x, FileTensor) else x.reduce(_KINDS[o.kind], axes)
    return y if o.flag(0) else y.squeeze(axes)


def _reduced(o: Operation, x: FileTensor, axes: Sequence[int]) -> FileTensor:
    atoms = without_batch(x.atoms_of(axes))
    kind, are_integers = _KINDS[o.kind], o.are_integers(0)
    is_pooling = o.c.file.metadata.own and o.kind == "MEAN" and list(axes) == [1, 2] and x.rank == _IMAGE_RANK
    if are_integers and o.kind in ("MEAN", "SUM") and not is_pooling:
        # One layer is used, so that the result is rounded only once. A reduction of no axis only changes the scale.
        lying = tuple(sorted(atoms, key=x.order.index))
        whole = x.wrap(o.arranger.make_contiguous(x, lying))
        return whole.reduce(kind, axes, pools=False) if atoms else x.map({"kind": "none"})
    if are_integers and o.kind in ("REDUCE_MAX", "REDUCE_MIN") and atoms and not o.changes_integers():
        y = integer_forms.reduce_by_pooling(o, x, atoms)
        return replace(y, axes=tuple(() if axis in axes else own for axis, own in enumerate(y.axes)))
    return x.reduce(kind, axes)


def _argument(o: Operation) -> Made:
    """Convert ARG_MAX and ARG_MIN. At the end of a classifier or segmenter, an ARG_MAX over channels is left out.

    The scores are the output then, and `Model.segment` finds the channel with the largest score.
    """
    x, (axis,) = o.x(), o.integers(1, "the axis")
    axis = x.axis(axis)
    is_end = o.result in o.c.file.outputs and not o.c.file.users.get(o.result)
    if o.kind == "ARG_MAX" and is_end and x.rank in (2, 4) and axis == x.rank - 1:
        name = quote_name(o.stated_result.name)
        o.network.notes.append(f"the ARG_MAX {name} at the end is left out, so the output is the scores")
        return x
    return x.argmax_or_argmin(axis, minimum=o.kind == "ARG_MIN").squeeze([axis])


# ---- Normalizations ----------------------------------------------------------------------------------------


def _softmax(o: Operation) -> Made:
    x, beta = o.plain(o.x()), o.options.number(0, "f")
    if not math.isfinite(beta):
        raise WeightsError(f"damaged: its beta is {beta}")
    if beta != 1.0:
        scaled = {"kind": "linear", "a": beta}
        x = x.map(scaled, "/beta")
        integers = o.c.integers.of(o.inputs[0])
        if beta > 0.0 and integers is not None:
            # Multiplying by beta does not change the integers, only their scale.
            o.c.integers.of_tensors[x.tensor.index] = replace(
                integers, step=float(np.float32(beta * integers.step))
            )
    return x.softmax([x.rank - 1])


def _log_softmax(o: Operation) -> Made:
    x = o.x()
    return x.apply_along([x.rank - 1], o.network.log_softmax)


def _local_response(o: Operation) -> Made:
    size = 2 * o.options.integer(0) + 1
    bias, alpha, beta = o.numbers(1, 2, 3)
    x, name = o.tensor(), o.name()
    return o.network.local_response_norm(x, size, alpha=size * alpha, beta=beta, k=bias, name=name)


def _l2_normalization(o: Operation) -> Made:
    """Convert L2_NORMALIZATION: x / sqrt(max(sum of squares of the channels, 1e-6))."""
    x = o.tensor()
    o.refuse_activation(0)
    return o.network.unit_norm(x, epsilon=_MIN_NORM, name=o.name())


REDUCTIONS: dict[str, Handler] = {
    **dict.fromkeys(_KINDS, _reduction),
    "ARG_MAX": _argument,
    "ARG_MIN": _argument,
    "L2_NORMALIZATION": _l2_normalization,
    "LOCAL_RESPONSE_NORMALIZATION": _local_response,
    "LOG_SOFTMAX": _log_softmax,
    "SOFTMAX": _softmax,
}
