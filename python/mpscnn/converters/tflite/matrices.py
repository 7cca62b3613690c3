"""Convert TensorFlow Lite's dense layers and matrix products."""

from __future__ import annotations

import math

from mpscnn.converters.contractions import pointwise
from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.tflite.operation import Handler, Made, Operation
from mpscnn.converters.unsupported import CHOOSE_SIZE
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layer_arguments import Activation


def _fully_connected(o: Operation) -> Made:
    """Convert FULLY_CONNECTED. Its input is reshaped to (rows, features), unless the operator keeps the axes."""
    x = o.x()
    if not o.is_constant(1):
        return _with_computed_weights(o, x)
    _, features = o.weight_shape()
    if o.integer(1, "b"):
        raise UnsupportedError("its weights are shuffled, which is not supported")
    activation = o.fused_activation(o.activation(0))
    keeps_axes = o.flag(2)
    is_free, batch = any(atom.is_free for atom in x.order), o.c.batch
    if is_free and not (keeps_axes and x.rank == 4 and x.has_batch_first and x.shape[-1] == features):
        raise UnsupportedError(
            f"its input {x.shown} has a free size, but its weights are for a fixed one: {CHOOSE_SIZE}"
        )
    low, high = (math.prod(extents) for extents in x.trial_shapes())
    if features < 1 or (not is_free and high % features) or (keeps_axes and x.shape[-1] != features):
        raise WeightsError(f"damaged: weights for {features} features, but its input is {x.shown}")
    if not keeps_axes and not (x.rank == 2 and x.shape[-1] == features):
        rows = high // features
        if batch.high != 1 and rows != batch.high:
            raise UnsupportedError(f"changes the batch: {x.shown} has other rows of {features} features")
        x = x.reshape_to([low // features, features], [rows, features])
    return _dense(o, x, (0, 1), activation, rounds_once=o.c.integers.of(o.result) is not None)


def _with_computed_weights(o: Operation, x: FileTensor) -> FileTensor:
    """Convert FULLY_CONNECTED whose weights [results][features] are computed, to a matrix product."""
    weights = o.x(1)
    keeps_axes = o.flag(2)
    if o.c.batch.high != 1 or o.has(2) or o.activation(0) is not None or None in x.shape or weights.rank != 2:
        raise UnsupportedError(
            f"its weights {weights.shown} are computed; supported is that for one image, without biases and activation"
        )
    rows, features = math.prod(extent or 1 for extent in x.shape), weights.shape[1]
    if not features or rows % features or x.shape[-1] != features:
        raise WeightsError(f"damaged: weights {weights.shown}, but its input is {x.shown}")
    flat = x.reshape([rows // features, features]) if x.rank != 2 else x
    y = flat @ weights.transpose((1, 0))
    if keeps_axes and x.rank != 2:
        shape = [*(extent or 1 for extent in x.shape[:-1]), weights.shape[0] or 1]
        y = y.reshape(shape)
    return y


def _dense(
    o: Operation, x: FileTensor, order: tuple[int, ...], activation: Activation, *, rounds_once: bool = False
) -> FileTensor:
    """Add a dense layer over the last axis of x. `order` transposes the weights to [results][features]."""
    *_, units, features = o.weight_shape(order)
    x, name = o.plain(x), o.name()
    if x.rank == 2 and x.has_batch_first:
        y = o.network.dense(x.tensor, units, activation=activation, name=name)
        o.set_weights(name, order, (units, features))
        return o.of_tensor(y)
    made, _ = pointwise(o.arranger, x, x.rank - 1, units, name, activation, rounds_once=rounds_once)
    o.set_weights(name, order, (units, 1, 1, features))
    return x.wrap(made)


def _matrix_product(o: Operation) -> Made:
    """Convert BATCH_MATMUL: a product over the last two axes. Each operand may be transposed."""
    turned = [o.flag(field) for field in (0, 1)]
    if o.is_constant(1) and not o.is_constant(0) and not turned[0]:
        shape = o.weight_shape()
        rank = len(shape)
        if rank >= 2 and math.prod(shape[:-2]) == 1 and o.x().rank >= rank:
            x, rows = o.x(), shape[-1] if turned[1] else shape[-2]
            if x.shape[-1] != rows:
                raise WeightsError(f"damaged: multiplies {x.shown} and {shape}")
            leading = tuple(range(rank - 2))
            order = (*leading, rank - 2, rank - 1) if turned[1] else (*leading, rank - 1, rank - 2)
            return _dense(o, x, order, o.fused_activation(None))
    operands = o.tensors()
    if any(x.rank < 2 for x in operands):
        raise WeightsError(f"damaged: multiplies {operands[0].shown} and {operands[1].shown}")
    a, b = (
        x.transpose([*range(x.rank - 2), x.rank - 1, x.rank - 2]) if is_turned else x
        for x, is_turned in zip(operands, turned, strict=True)
    )
    return a @ b


def _running_sum(o: Operation) -> Made:
    (axis,) = o.integers(1, "its axis")
    x = o.x()
    exclusive, backwards = (o.flag(field) for field in (0, 1))
    return x.cumsum(x.axis(axis), exclusive=exclusive, backwards=backwards)


MATRICES: dict[str, Handler] = {
    "BATCH_MATMUL": _matrix_product,
    "CUMSUM": _running_sum,
    "FULLY_CONNECTED": _fully_connected,
}
