"""Convert the ONNX operators that mpscnn's ONNX writer uses to operations of Core ML programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mpscnn.converters.values.affine import EPSILON, VARIANCE
from mpscnn.converters.writing.convention import Write
from mpscnn.converters.writing.coreml.array_ops import ARRAY_OPS, slice_axes
from mpscnn.converters.writing.coreml.operator import LARGEST, PROGRAMS_DO, Operator
from mpscnn.converters.writing.coreml.recurrent import RECURRENT
from mpscnn.converters.writing.coreml.vectors import of_channels
from mpscnn.errors import UnsupportedError


def _unary(kind: str, **settings: Any) -> Write[Operator, Any]:
    return lambda op: _of_elements(op, kind, **settings)


def _of_elements(op: Operator, kind: str, **settings: Any) -> Any:
    """Write a function of each element."""

    def function(mb: Any, x: Any, _axis: int, **named: str) -> Any:
        return getattr(mb, kind)(x=x, **settings, **named)

    return of_channels(op.mb, op.x, function, name=op.name)


def _binary(kind: str) -> Write[Operator, Any]:
    def convert(op: Operator) -> Any:
        rank = max(len(operand.shape) for operand in op.inputs)
        operands = [_constant(operand, rank) for operand in op.inputs]
        result = operands[0]
        for place, operand in enumerate(operands[1:], start=1):
            named = {"name": op.name} if place == len(operands) - 1 else {}
            result = getattr(op.mb, kind)(x=result, y=operand, **named)
        return result

    return convert


def _of_channels(op: Operator) -> tuple[Any, Any] | None:
    """Return the tensor and the constant if an operator has a number for each channel of an image, otherwise None."""
    x, y = op.inputs
    if isinstance(x, np.ndarray):
        x, y = y, x
    is_column = isinstance(y, np.ndarray) and y.ndim >= 3 and y.size == y.shape[-3]
    return (x, y) if is_column and len(x.shape) == 4 and 1 < y.size == x.shape[1] else None


def _sum(op: Operator) -> Any:
    """Write a sum. With a number for each channel of an image, it is a batch normalization; see `_affine`."""
    operands = _of_channels(op)
    return _binary("add")(op) if operands is None else shift(op, *operands)


def _product(op: Operator) -> Any:
    """Write a product. With a number for each channel of an image, it is a batch normalization; see `_affine`."""
    operands = _of_channels(op)
    if operands is not None:
        x, scales = operands
        return _affine(op, x, scales, np.zeros(scales.size))
    x, y = sorted(op.inputs, key=lambda operand: isinstance(operand, np.ndarray))
    is_negative = isinstance(y, np.ndarray) and bool((y == -1).all())
    return _negative(op, x, name=op.name) if is_negative else _binary("mul")(op)


def _negative(op: Operator, x: Any, **named: str) -> Any:
    """Change the sign. In a neural network this is a linear activation, as coremltools writes it for a difference."""
    if op.is_program:
        return op.mb.mul(x=x, y=np.float32(-1.0), **named)
    return op.mb.linear_activation(x=x, alpha=np.float32(-1.0), beta=np.float32(0.0), **named)


def _constant(operand: Any, rank: int) -> Any:
    """Return a constant with `rank` axes. If it has one element, it becomes a scalar, as neural networks need it."""
    if not isinstance(operand, np.ndarray):
        return operand
    shape = (1,) * (rank - operand.ndim) + operand.shape
    return operand.reshape(())[()] if operand.size == 1 else operand.reshape(shape)


def _pads(op: Operator, count: int) -> list[int]:
    """Return the padding as (before, after) for each spatial axis, in one flat list."""
    pads = op.integers("pads", [0] * (2 * count))
    return [pads[place + side * count] for place in range(count) for side in (0, 1)]


def _convolution(op: Operator) -> Any:
    weight = op.constant(1)
    count = weight.ndim - 2
    bias = {"bias": op.constant(2)} if op.given(2) else {}
    return op.mb.conv(
        x=op.x,
        weight=weight,
        strides=op.integers("strides", [1] * count),
        dilations=op.integers("dilations", [1] * count),
        groups=int(op.attributes.get("group", 1)),
        pad_type="custom",
        pad=_pads(op, count),
        name=op.name,
        **bias,
    )


def _transposed_convolution(op: Operator) -> Any:
    """Convert ConvTranspose without padding. The result is then cropped, or padded if it must be larger."""
    weight = op.constant(1)
    count = weight.ndim - 2
    pads, more = _pads(op, count), op.integers("output_padding", [0] * count)
    has_bias = op.given(2)
    groups = int(op.attributes.get("group", 1))
    cuts = [(pads[2 * axis], pads[2 * axis + 1] - more[axis]) for axis in range(count)]
    whole = any(after < 0 for _, after in cuts)
    dilated = any(one != 1 for one in op.integers("dilations", [1] * count))
    if not op.is_program and (whole or dilated):
        raise UnsupportedError(
            f"a transposed convolution with dilation, or wider than its windows, {PROGRAMS_DO}"
        )
    strides, dilations = (op.integers(name, [1] * count) for name in ("strides", "dilations"))
    amounts = [0 if whole else amount for pair in cuts for amount in pair]
    # Without this shape, coremltools would make the name of the layer longer each time it is written.
    shape = [op.x.shape[0], weight.shape[1] * groups]
    for axis, extent in enumerate(op.x.shape[2:]):
        window = dilations[axis] * (weight.shape[2 + axis] - 1) + 1
        shape.append((extent - 1) * strides[axis] + window - sum(amounts[2 * axis : 2 * axis + 2]))
    settings = {
        "weight": weight,
        "strides": strides,
        "dilations": dilations,
        "groups": groups,
        "output_shape": shape,
    }
    if not whole:
        bias = {"bias": op.constant(2)} if has_bias else {}
        return op.mb.conv_transpose(x=op.x, pad_type="custom", pad=amounts, name=op.name, **settings, **bias)
    made = op.mb.conv_transpose(x=op.x, pad_type="custom", pad=amounts, **settings)
    ranges = {
        axis: range(before, made.shape[axis] - max(after, 0))
        for axis, (before, after) in enumerate(cuts, start=2)
    }
    named = {} if has_bias else {"name": op.name}
    made = slice_axes(op, made, ranges)
    added = [0] * 4 + [amount for _, after in cuts for amount in (0, max(-after, 0))]
    made = op.mb.pad(x=made, pad=added, mode="constant", constant_val=np.float32(0.0), **named)
    if not has_bias:
        return made
    return shift(op, made, op.constant(2))


def shift(op: Operator, x: Any, offsets: Any) -> Any:
    """Add an offset to each channel by a batch normalization; see `_affine`."""
    return _affine(op, x, np.ones(offsets.size), offsets)


def _affine(op: Operator, x: Any, scales: Any, offsets: Any) -> Any:
    """Scale and shift each channel by a batch normalization.

    Readers convert a product or sum with a number for each channel to a batch normalization, too. So a model that is
    read and written again stays the same.
    """
    return op.mb.batch_norm(
        x=x,
        mean=np.zeros(scales.size, np.float32),
        variance=np.full(scales.size, VARIANCE, np.float32),
        gamma=scales.astype(np.float32).reshape(-1),
        beta=offsets.astype(np.float32).reshape(-1),
        epsilon=np.float32(EPSILON),
        name=op.name,
    )


def _pooling(kind: str) -> Write[Operator, Any]:
    def convert(op: Operator) -> Any:
        kernel = op.integers("kernel_shape", ())
        if any(one != 1 for one in op.integers("dilations", [1] * len(kernel))):
            raise UnsupportedError("a pooling with dilation, which Core ML does not have")
        settings: dict[str, Any] = {}
        if kind == "avg_pool":
            settings["exclude_padding_from_average"] = not op.attributes.get("count_include_pad", 0)
        return getattr(op.mb, kind)(
            x=op.x,
            kernel_sizes=kernel,
            strides=op.integers("strides", [1] * len(kernel)),
            pad_type="custom",
            pad=_pads(op, len(kernel)),
            ceil_mode=bool(op.attributes.get("ceil_mode", 0)),
            name=op.name,
            **settings,
        )

    return convert


def _global_pooling(kind: str) -> Write[Operator, Any]:
    def convert(op: Operator) -> Any:
        axes = list(range(2, len(op.shape)))
        return getattr(op.mb, kind)(x=op.x, axes=axes, keep_dims=True, name=op.name)

    return convert


def _gemm(op: Operator) -> Any:
    weight = op.constant(1)
    weight = weight if op.attributes.get("transB", 0) else np.ascontiguousarray(weight.T)
    bias = {"bias": op.constant(2).reshape(-1)} if op.given(2) else {}
    return op.mb.linear(x=op.x, weight=weight, name=op.name, **bias)


def _batch_norm(op: Operator) -> Any:
    gamma, beta, mean, variance = (op.constant(place) for place in range(1, 5))
    epsilon = float(op.attributes.get("epsilon", 1e-5))
    if len(op.shape) >= 3:
        return op.mb.batch_norm(
            x=op.x,
            mean=mean,
            variance=variance,
            gamma=gamma,
            beta=beta,
            epsilon=np.float32(epsilon),
            name=op.name,
        )
    scale = (gamma / np.sqrt(variance.astype(np.float64) + epsilon)).astype(np.float32)
    shift, rank = (beta - mean * scale).astype(np.float32), len(op.shape)
    # Readers make a layer of each operation, so one that changes nothing is left out.
    if not shift.any():
        return op.mb.mul(x=op.x, y=_constant(scale, rank), name=op.name)
    x = op.x if bool((scale == 1).all()) else op.mb.mul(x=op.x, y=_constant(scale, rank))
    return op.mb.add(x=x, y=_constant(shift, rank), name=op.name)


def _layer_norm(op: Operator) -> Any:
    rank = len(op.shape)
    axis = op.axis(-1)
    factors = {
        name: op.constant(place).reshape(op.shape[axis:])
        for place, name in ((1, "gamma"), (2, "beta"))
        if op.given(place)
    }
    return op.mb.layer_norm(
        x=op.x,
        axes=list(range(axis, rank)),
        epsilon=np.float32(op.attributes.get("epsilon", 1e-5)),
        name=op.name,
        **factors,
    )


def _unit_norm(op: Operator) -> Any:
    if int(op.attributes.get("p", 2)) != 2:
        raise UnsupportedError("a norm of another order than 2")
    norm = op.mb.reduce_l2_norm(x=op.x, axes=[op.axis(-1)], keep_dims=True)
    return op.mb.real_div(x=op.x, y=norm, name=op.name)


def _local_response(op: Operator) -> Any:
    return op.mb.local_response_norm(
        x=op.x,
        size=int(op.attributes["size"]),
        alpha=np.float32(op.attributes.get("alpha", 1e-4)),
        beta=np.float32(op.attributes.get("beta", 0.75)),
        k=np.float32(op.attributes.get("bias", 1.0)),
        name=op.name,
    )


def _along_axis(function: Callable[..., Any]) -> Write[Operator, Any]:
    """Return a function that writes a function of the elements along an axis."""

    def convert(op: Operator) -> Any:
        axis = op.axis(-1)
        if axis == len(op.shape) - 1:
            return of_channels(op.mb, op.x, function, name=op.name)
        return function(op.mb, op.x, axis, name=op.name)

    return convert


def _softmax(mb: Any, x: Any, axis: int, **named: str) -> Any:
    return mb.softmax(x=x, axis=axis, **named)


def _log_softmax(mb: Any, x: Any, axis: int, **named: str) -> Any:
    sums = mb.reduce_log_sum_exp(x=x, axes=[axis], keep_dims=True)
    return mb.sub(x=x, y=sums, **named)


def _reduction(kind: str) -> Write[Operator, Any]:
    def convert(op: Operator) -> Any:
        keep = bool(op.attributes.get("keepdims", 1))
        return getattr(op.mb, kind)(x=op.x, axes=op.axes(), keep_dims=keep, name=op.name)

    return convert


def _best_place(kind: str) -> Write[Operator, Any]:
    def convert(op: Operator) -> Any:
        keep = bool(op.attributes.get("keepdims", 1))
        axis = op.axis(0)
        return getattr(op.mb, kind)(x=op.x, axis=axis, keep_dims=keep, name=op.name)

    return convert


# ---- Functions -----------------------------------------------------------------------------------------------------


def _clip(op: Operator) -> Any:
    low = float(op.constant(1).reshape(())) if op.given(1) else -LARGEST
    high = float(op.constant(2).reshape(())) if op.given(2) else LARGEST
    return _of_elements(op, "clip", alpha=np.float32(max(low, -LARGEST)), beta=np.float32(min(high, LARGEST)))


def _limit(kind: str) -> Write[Operator, Any]:
    """Return a function that writes a maximum or minimum. With a number, it writes a clip, as readers convert it."""

    def convert(op: Operator) -> Any:
        x, *others = sorted(op.inputs, key=lambda operand: isinstance(operand, np.ndarray))
        if len(others) != 1 or not isinstance(others[0], np.ndarray) or others[0].size != 1:
            return _binary(kind)(op)
        limit = float(others[0].reshape(()))
        low, high = (limit, LARGEST) if kind == "maximum" else (-LARGEST, limit)
        return op.mb.clip(x=x, alpha=np.float32(low), beta=np.float32(high), name=op.name)

    return convert


def _with_alpha(kind: str, default: float) -> Write[Operator, Any]:
    def convert(op: Operator) -> Any:
        return _of_elements(op, kind, alpha=np.float32(op.attributes.get("alpha", default)))

    return convert


def _hard_sigmoid(op: Operator) -> Any:
    alpha, beta = op.attributes.get("alpha", 0.2), op.attributes.get("beta", 0.5)
    return _of_elements(op, "sigmoid_hard", alpha=np.float32(alpha), beta=np.float32(beta))


def _hard_swish(op: Operator) -> Any:
    gate = op.mb.sigmoid_hard(x=op.x, alpha=np.float32(1 / 6), beta=np.float32(0.5))
    return op.mb.mul(x=op.x, y=gate, name=op.name)


def _prelu(op: Operator) -> Any:
    slope = op.constant(1)
    if len(op.shape) >= 3 and slope.size == op.shape[1] and slope.shape[-1] == 1:
        return op.mb.prelu(x=op.x, alpha=slope.reshape(-1), name=op.name)
    below = op.mb.clip(x=op.x, alpha=np.float32(-LARGEST), beta=np.float32(0.0))
    below = op.mb.mul(x=below, y=_constant(slope, len(op.shape)))
    return op.mb.add(x=op.mb.relu(x=op.x), y=below, name=op.name)


def _power(op: Operator) -> Any:
    """Write a power. A clip and a power of 0.5 become one root, because readers convert a root to these two."""
    made = None if isinstance(op.x, np.ndarray) else op.x.op
    exponent = op.inputs[1]
    is_root = isinstance(exponent, np.ndarray) and exponent.size == 1 and float(exponent.reshape(())) == 0.5
    limits = (made.alpha.val, made.beta.val) if made is not None and made.op_type == "clip" else None
    if made is not None and is_root and limits == (-1.0, np.float32(LARGEST)):
        return op.mb.sqrt(x=made.x, name=op.name)
    return _binary("pow")(op)


def _quotient(op: Operator) -> Any:
    """Write a division. Division by a constant becomes a product with its reciprocal.

    coremltools would make the same change, but the operation would lose its name.
    """
    if isinstance(op.inputs[1], np.ndarray) and not isinstance(op.x, np.ndarray):
        op.inputs[1] = (1.0 / op.constant(1).astype(np.float64)).astype(np.float32)
        return _product(op)
    return _binary("real_div")(op)


_TURNED = {"greater": "less", "greater_equal": "less_equal", "less": "greater"}


def _comparison(kind: str) -> Write[Operator, Any]:
    """Return a function that writes a comparison. If the first operand is a constant, the operands are swapped."""

    def convert(op: Operator) -> Any:
        if not isinstance(op.x, np.ndarray):
            return _binary(kind)(op)
        op.inputs.reverse()
        return _binary(_TURNED[kind])(op)

    return convert


def _not(op: Operator) -> Any:
    """Write a logical not. The not of an equality becomes one operation, because readers convert both to one layer."""
    made = op.x.op
    if made is not None and made.op_type == "equal":
        x, y = (one if one.val is None else one.val for one in (made.x, made.y))
        return op.mb.not_equal(x=x, y=y, name=op.name)
    return op.mb.logical_not(x=op.x, name=op.name)


_TRUTHS = frozenset({"equal", "greater", "greater_equal", "less", "less_equal", "logical_not", "not_equal"})
"""The operations whose results are truth values."""


def _cast(op: Operator) -> Any:
    kinds = {1: "fp32", 6: "int32", 7: "int32", 9: "bool", 10: "fp16"}
    kind = kinds.get(int(op.attributes["to"]))
    if kind is None:
        raise UnsupportedError(f"casts to the type {op.attributes['to']}")
    if kind == "bool":
        made = op.x.op
        if (
            made is not None
            and made.op_type == "cast"
            and made.x.op is not None
            and made.x.op.op_type in _TRUTHS
        ):
            return made.x  # the truth values that the first cast turned into numbers
        # A neural network has only numbers, so it cannot cast to truth values. Readers convert this cast to the same
        # comparison.
        return op.mb.not_equal(x=op.x, y=np.float32(0.0), name=op.name)
    return op.mb.cast(x=op.x, dtype=kind, name=op.name)


def _where(op: Operator) -> Any:
    condition, a, b = op.inputs
    if all(isinstance(one, np.ndarray) and one.size == 1 for one in (a, b)):
        # coremltools does not broadcast the two numbers of a select, so compute low + truth * (high - low).
        high, low = (np.float32(one.reshape(())) for one in (a, b))
        truth, span = op.mb.cast(x=condition, dtype="fp32"), high - low
        number = _negative(op, truth) if span == -1 else op.mb.mul(x=truth, y=span)
        return op.mb.add(x=number, y=low, name=op.name)
    return op.mb.select(cond=condition, a=a, b=b, name=op.name)


OPERATORS: dict[str, Write[Operator, Any]] = {
    **ARRAY_OPS,
    **RECURRENT,
    "Abs": _unary("abs"),
    "Add": _sum,
    "ArgMax": _best_place("reduce_argmax"),
    "ArgMin": _best_place("reduce_argmin"),
    "AveragePool": _pooling("avg_pool"),
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Ceil": _unary("ceil"),
    "Clip": _clip,
    "Conv": _convolution,
    "ConvTranspose": _transposed_convolution,
    "Div": _quotient,
    "Elu": _with_alpha("elu", 1.0),
    "Equal": _binary("equal"),
    "Erf": _unary("erf"),
    "Exp": _unary("exp"),
    "Floor": _unary("floor"),
    "Gemm": _gemm,
    "GlobalAveragePool": _global_pooling("reduce_mean"),
    "GlobalMaxPool": _global_pooling("reduce_max"),
    "Greater": _comparison("greater"),
    "GreaterOrEqual": _comparison("greater_equal"),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "Identity": _unary("identity"),
    "InstanceNormalization": lambda op: op.mb.instance_norm(
        x=op.x,
        gamma=op.constant(1),
        beta=op.constant(2),
        epsilon=np.float32(op.attributes.get("epsilon", 1e-5)),
        name=op.name,
    ),
    "LRN": _local_response,
    "LayerNormalization": _layer_norm,
    "LeakyRelu": _with_alpha("leaky_relu", 0.01),
    "Less": _comparison("less"),
    "Log": _unary("log"),
    "LogSoftmax": _along_axis(_log_softmax),
    "LpNormalization": _unit_norm,
    "MatMul": _binary("matmul"),
    "Max": _limit("maximum"),
    "MaxPool": _pooling("max_pool"),
    "Min": _limit("minimum"),
    "Mul": _product,
    "Not": _not,
    "PRelu": _prelu,
    "Pow": _power,
    "ReduceL1": _reduction("reduce_l1_norm"),
    "ReduceL2": _reduction("reduce_l2_norm"),
    "ReduceLogSumExp": _reduction("reduce_log_sum_exp"),
    "ReduceMax": _reduction("reduce_max"),
    "ReduceMean": _reduction("reduce_mean"),
    "ReduceMin": _reduction("reduce_min"),
    "ReduceProd": _reduction("reduce_prod"),
    "ReduceSum": _reduction("reduce_sum"),
    "ReduceSumSquare": _reduction("reduce_sum_square"),
    "Relu": _unary("relu"),
    "Round": _unary("round"),
    "Sigmoid": _unary("sigmoid"),
    "Sign": _unary("sign"),
    "Softmax": _along_axis(_softmax),
    "Softplus": _unary("softplus"),
    "Softsign": _unary("softsign"),
    "Sqrt": _unary("sqrt"),
    "Sub": _binary("sub"),
    "Tanh": _unary("tanh"),
    "Where": _where,
}
"""The functions that convert operators, by ONNX' name."""
