"""Convert TensorFlow Lite's dense layers and matrix products."""

from __future__ import annotations

import math

from mpscnn.converters.contractions import pointwise
from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.tflite.context import Handler, Made, Reader
from mpscnn.converters.tflite.file import FileOperator
from mpscnn.converters.unsupported import CHOOSE_SIZE
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layer_arguments import Activation


def _fully_connected(c: Reader, operator: FileOperator) -> Made:
    """Convert FULLY_CONNECTED. Its input is reshaped to (rows, features), unless the operator keeps the axes."""
    x = c.seen(operator.inputs[0])
    if not c.is_constant(operator.inputs[1]):
        return _with_computed_weights(c, operator, x)
    _, features = c.weight_shape(operator)
    if operator.integer(1, "b"):
        raise UnsupportedError("its weights are shuffled, which is not supported")
    activation = c.fused_activation(operator, c.activation(operator, 0))
    keeps_axes = operator.flag(2)
    if None in x.shape and not (keeps_axes and x.rank == 4 and x.has_batch_first and x.shape[-1] == features):
        raise UnsupportedError(
            f"its input {x.shown} has a free size, but its weights are for a fixed one: {CHOOSE_SIZE}"
        )
    count = math.prod(extent or 1 for extent in x.shape)
    if features < 1 or count % features or (keeps_axes and x.shape[-1] != features):
        raise WeightsError(f"damaged: weights for {features} features, but its input is {x.shown}")
    if not keeps_axes and not (x.rank == 2 and x.shape[-1] == features):
        rows = count // features
        if c.batch != 1 and rows != c.batch:
            raise UnsupportedError(f"changes the batch: {x.shown} has {rows} times its {features} features")
        x = x.reshape([rows, features], [rows, features])
    return _dense(c, operator, x, (0, 1), activation)


def _with_computed_weights(c: Reader, operator: FileOperator, x: FileTensor) -> FileTensor:
    """Convert FULLY_CONNECTED whose weights [results][features] are computed, to a matrix product."""
    weights = c.seen(operator.inputs[1])
    has_biases = len(operator.inputs) > 2 and operator.inputs[2] >= 0
    keeps_axes = operator.flag(2)
    if (
        c.batch != 1
        or has_biases
        or c.activation(operator, 0) is not None
        or None in x.shape
        or weights.rank != 2
    ):
        raise UnsupportedError(
            f"its weights {weights.shown} are computed; supported is that for one image, without biases and activation"
        )
    rows, features = math.prod(extent or 1 for extent in x.shape), weights.shape[1]
    if not features or rows % features or x.shape[-1] != features:
        raise WeightsError(f"damaged: weights {weights.shown}, but its input is {x.shown}")
    flat = x.reshape(*[[rows // features, features]] * 2) if x.rank != 2 else x
    y = flat @ weights.transpose((1, 0))
    if keeps_axes and x.rank != 2:
        shape = [*(extent or 1 for extent in x.shape[:-1]), weights.shape[0] or 1]
        y = y.reshape(shape, shape)
    return y


def _dense(
    c: Reader, operator: FileOperator, x: FileTensor, order: tuple[int, ...], activation: Activation
) -> FileTensor:
    """Add a dense layer over the last axis of x. `order` transposes the weights to [results][features]."""
    *_, units, features = c.weight_shape(operator, order)
    x, name = c.plain(x), c.layer_name(operator)
    if x.rank == 2 and x.has_batch_first:
        y = c.network.dense(x.tensor, units, activation=activation, name=name)
        c.set_weights(operator, name, order, (units, features))
        return c.of_tensor(y)
    made, _ = pointwise(c.arranger, x, x.rank - 1, units, name, activation)
    c.set_weights(operator, name, order, (units, 1, 1, features))
    return x.wrap(made)


def _matrix_product(c: Reader, operator: FileOperator) -> Made:
    """Convert BATCH_MATMUL: a product over the last two axes. Each operand may be transposed."""
    first, second = operator.inputs
    turned = [operator.flag(field) for field in (0, 1)]
    if c.is_constant(second) and not c.is_constant(first) and not turned[0]:
        shape = c.weight_shape(operator)
        rank = len(shape)
        if rank >= 2 and math.prod(shape[:-2]) == 1 and c.seen(first).rank >= rank:
            x, rows = c.seen(first), shape[-1] if turned[1] else shape[-2]
            if x.shape[-1] != rows:
                raise WeightsError(f"damaged: multiplies {x.shown} and {shape}")
            leading = tuple(range(rank - 2))
            order = (*leading, rank - 2, rank - 1) if turned[1] else (*leading, rank - 1, rank - 2)
            return _dense(c, operator, x, order, c.fused_activation(operator, None))
    if c.is_constant(first) and c.is_constant(second):
        raise UnsupportedError("all its inputs are large constants, which is not supported")
    like = c.seen(second if c.is_constant(first) else first)
    operands = [c.operand(index, like) for index in (first, second)]
    if any(x.rank < 2 for x in operands):
        raise WeightsError(f"damaged: multiplies {operands[0].shown} and {operands[1].shown}")
    a, b = (
        x.transpose([*range(x.rank - 2), x.rank - 1, x.rank - 2]) if is_turned else x
        for x, is_turned in zip(operands, turned, strict=True)
    )
    return a @ b


def _running_sum(c: Reader, operator: FileOperator) -> Made:
    (axis,) = c.constants.integers(operator.inputs[1], "its axis")
    x = c.seen(operator.inputs[0])
    exclusive, backwards = (operator.flag(field) for field in (0, 1))
    return x.cumsum(x.axis(axis), exclusive=exclusive, backwards=backwards)


MATRICES: dict[str, Handler] = {
    "BATCH_MATMUL": _matrix_product,
    "CUMSUM": _running_sum,
    "FULLY_CONNECTED": _fully_connected,
}
