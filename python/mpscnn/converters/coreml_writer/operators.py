"""Convert ONNX' operators, as mpscnn's writer makes them, to operations of Core ML's programs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.errors import UnsupportedError

Array = NDArray[Any]


class Operator:
    """A node in the making.

    Args:
        mb: coremltools' builder of programs.
        inputs: variables of the program and constants, None for one that is left out.
        attributes: of the node.
        name: of the operation that computes its result.
        is_program: whether it becomes a part of a program, and not of a neural network.
    """

    def __init__(
        self, mb: Any, inputs: Sequence[Any], attributes: Mapping[str, Any], name: str, *, is_program: bool
    ) -> None:
        self.mb = mb
        self.inputs = list(inputs)
        self.attributes = attributes
        self.name = name
        self.is_program = is_program

    @property
    def x(self) -> Any:
        """The first operand."""
        return self.inputs[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """The extents of the first operand."""
        return tuple(int(extent) for extent in self.x.shape)

    def constant(self, place: int) -> Array:
        """An operand that must be a constant."""
        value = self.inputs[place]
        if not isinstance(value, np.ndarray):
            raise UnsupportedError(
                "it reads a tensor that the network computes where Core ML takes constants only"
            )
        return value

    def given(self, place: int) -> bool:
        """Whether an operand is there."""
        return place < len(self.inputs) and self.inputs[place] is not None

    def integers(self, name: str, default: Sequence[int]) -> list[int]:
        """An attribute with whole numbers."""
        return [int(one) for one in self.attributes.get(name, default)]

    def axes(self) -> list[int]:
        """The axes of a reduction: an attribute or an operand, all of them where there is neither."""
        if "axes" in self.attributes:
            return self.integers("axes", ())
        if self.given(1):
            return [int(one) for one in self.constant(1).reshape(-1)]
        return list(range(len(self.shape)))


Handler = Callable[[Operator], Any]
_PROGRAMS_DO = "which neural networks do not have: write a program (.mlpackage)"


def _unary(kind: str, **settings: Any) -> Handler:
    return lambda op: getattr(op.mb, kind)(x=op.x, name=op.name, **settings)


def _binary(kind: str) -> Handler:
    def convert(op: Operator) -> Any:
        operands = [_one_number(operand) for operand in op.inputs]
        result = operands[0]
        for place, operand in enumerate(operands[1:], start=1):
            named = {"name": op.name} if place == len(operands) - 1 else {}
            result = getattr(op.mb, kind)(x=result, y=operand, **named)
        return result

    return convert


def _one_number(operand: Any) -> Any:
    """A constant of one element without axes, as neural networks want it."""
    if isinstance(operand, np.ndarray) and operand.size == 1:
        return operand.reshape(())[()]
    return operand


def _pads(op: Operator, count: int) -> list[int]:
    """(before, after) of each spatial axis."""
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
    """Without its padding, which is cut off, or added where the result is to be larger."""
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
            f"a transposed convolution with dilation, or wider than its windows, {_PROGRAMS_DO}"
        )
    settings = {
        "weight": weight,
        "strides": op.integers("strides", [1] * count),
        "dilations": op.integers("dilations", [1] * count),
        "groups": groups,
    }
    if not whole:
        amounts = [amount for pair in cuts for amount in pair]
        bias = {"bias": op.constant(2)} if has_bias else {}
        return op.mb.conv_transpose(x=op.x, pad_type="custom", pad=amounts, name=op.name, **settings, **bias)
    made = op.mb.conv_transpose(x=op.x, pad_type="valid", **settings)
    begin = [0, 0] + [before for before, _ in cuts]
    end = [0, 0] + [-after if after > 0 else 0 for _, after in cuts]
    masks = [True, True] + [after <= 0 for _, after in cuts]
    named = {} if has_bias else {"name": op.name}
    made = op.mb.slice_by_index(x=made, begin=begin, end=end, begin_mask=[False] * len(begin), end_mask=masks)
    added = [amount for _, after in cuts for amount in (0, max(-after, 0))]
    made = op.mb.pad(x=made, pad=added, mode="constant", constant_val=np.float32(0.0), **named)
    if not has_bias:
        return made
    column = op.constant(2).reshape(1, -1, *[1] * count)
    return op.mb.add(x=made, y=column, name=op.name)


def _pooling(kind: str) -> Handler:
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


def _global_pooling(kind: str) -> Handler:
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
    scaled = op.mb.mul(x=op.x, y=scale)
    return op.mb.add(x=scaled, y=(beta - mean * scale).astype(np.float32), name=op.name)


def _instance_norm(op: Operator) -> Any:
    return op.mb.instance_norm(
        x=op.x,
        gamma=op.constant(1),
        beta=op.constant(2),
        epsilon=np.float32(op.attributes.get("epsilon", 1e-5)),
        name=op.name,
    )


def _layer_norm(op: Operator) -> Any:
    rank = len(op.shape)
    axis = int(op.attributes.get("axis", -1)) % rank
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
    norm = op.mb.reduce_l2_norm(x=op.x, axes=[int(op.attributes.get("axis", -1))], keep_dims=True)
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


def _softmax(op: Operator) -> Any:
    return op.mb.softmax(x=op.x, axis=int(op.attributes.get("axis", -1)), name=op.name)


def _log_softmax(op: Operator) -> Any:
    axis = int(op.attributes.get("axis", -1))
    sums = op.mb.reduce_log_sum_exp(x=op.x, axes=[axis], keep_dims=True)
    return op.mb.sub(x=op.x, y=sums, name=op.name)


def _reduction(kind: str) -> Handler:
    def convert(op: Operator) -> Any:
        keep = bool(op.attributes.get("keepdims", 1))
        return getattr(op.mb, kind)(x=op.x, axes=op.axes(), keep_dims=keep, name=op.name)

    return convert


def _best_place(kind: str) -> Handler:
    def convert(op: Operator) -> Any:
        keep = bool(op.attributes.get("keepdims", 1))
        axis = int(op.attributes.get("axis", 0))
        return getattr(op.mb, kind)(x=op.x, axis=axis, keep_dims=keep, name=op.name)

    return convert


# ---- Functions -----------------------------------------------------------------------------------------------------


def _clip(op: Operator) -> Any:
    low = float(op.constant(1).reshape(())) if op.given(1) else -_LARGEST
    high = float(op.constant(2).reshape(())) if op.given(2) else _LARGEST
    return op.mb.clip(
        x=op.x, alpha=np.float32(max(low, -_LARGEST)), beta=np.float32(min(high, _LARGEST)), name=op.name
    )


_LARGEST = 3e38


def _with_alpha(kind: str, default: float) -> Handler:
    def convert(op: Operator) -> Any:
        return getattr(op.mb, kind)(
            x=op.x, alpha=np.float32(op.attributes.get("alpha", default)), name=op.name
        )

    return convert


def _hard_sigmoid(op: Operator) -> Any:
    alpha, beta = op.attributes.get("alpha", 0.2), op.attributes.get("beta", 0.5)
    return op.mb.sigmoid_hard(x=op.x, alpha=np.float32(alpha), beta=np.float32(beta), name=op.name)


def _hard_swish(op: Operator) -> Any:
    gate = op.mb.sigmoid_hard(x=op.x, alpha=np.float32(1 / 6), beta=np.float32(0.5))
    return op.mb.mul(x=op.x, y=gate, name=op.name)


def _prelu(op: Operator) -> Any:
    slope = op.constant(1)
    if len(op.shape) >= 3 and slope.size == op.shape[1] and slope.shape[-1] == 1:
        return op.mb.prelu(x=op.x, alpha=slope.reshape(-1), name=op.name)
    below = op.mb.mul(x=op.mb.minimum(x=op.x, y=np.float32(0.0)), y=slope)
    return op.mb.add(x=op.mb.relu(x=op.x), y=below, name=op.name)


def _cast(op: Operator) -> Any:
    kinds = {1: "fp32", 6: "int32", 7: "int32", 9: "bool", 10: "fp16"}
    kind = kinds.get(int(op.attributes["to"]))
    if kind is None:
        raise UnsupportedError(f"casts to the type {op.attributes['to']}")
    return op.mb.cast(x=op.x, dtype=kind, name=op.name)


def _where(op: Operator) -> Any:
    condition, a, b = op.inputs
    return op.mb.select(cond=condition, a=a, b=b, name=op.name)


# ---- Moves ---------------------------------------------------------------------------------------------------------


def _reshape(op: Operator) -> Any:
    target = [int(one) for one in op.constant(1).reshape(-1)]
    target = [op.shape[place] if one == 0 else one for place, one in enumerate(target)]
    if -1 in target:
        rest = math.prod(one for one in target if one != -1)
        target[target.index(-1)] = math.prod(op.shape) // rest
    return op.mb.reshape(x=op.x, shape=target, name=op.name)


def _flatten(op: Operator) -> Any:
    axis = int(op.attributes.get("axis", 1))
    shape = [math.prod(op.shape[:axis]), math.prod(op.shape[axis:])]
    return op.mb.reshape(x=op.x, shape=shape, name=op.name)


def _transpose(op: Operator) -> Any:
    return op.mb.transpose(x=op.x, perm=op.integers("perm", ()), name=op.name)


def _concat(op: Operator) -> Any:
    return op.mb.concat(values=op.inputs, axis=int(op.attributes["axis"]), name=op.name)


def _slice(op: Operator) -> Any:
    rank = len(op.shape)
    starts, ends = (op.constant(place).reshape(-1) for place in (1, 2))
    axes = op.constant(3).reshape(-1) if op.given(3) else np.arange(len(starts))
    steps = op.constant(4).reshape(-1) if op.given(4) else np.ones(len(starts), np.int64)
    begin, end, stride = [0] * rank, [0] * rank, [1] * rank
    from_first, to_last = [True] * rank, [True] * rank
    for start, stop, axis, step in zip(starts, ends, axes, steps, strict=True):
        place = int(axis) % rank
        extent = op.shape[place]
        covered = range(extent)[int(start) : int(stop) : int(step)]
        begin[place], stride[place] = covered.start, int(step)
        from_first[place] = False
        to_last[place] = covered.stop < 0 or covered.stop >= extent
        end[place] = 0 if to_last[place] else covered.stop
    return op.mb.slice_by_index(
        x=op.x,
        begin=begin,
        end=end,
        stride=stride,
        begin_mask=from_first,
        end_mask=to_last,
        name=op.name,
    )


def _pad(op: Operator) -> Any:
    mode = op.attributes.get("mode", b"constant")
    mode = mode.decode() if isinstance(mode, bytes) else mode
    pads = [int(one) for one in op.constant(1).reshape(-1)]
    rank = len(op.shape)
    amounts = [pads[place + side * rank] for place in range(rank) for side in (0, 1)]
    x = op.x
    if min(amounts) < 0:  # which cut off
        ends = [min(after, 0) for after in amounts[1::2]]
        x = op.mb.slice_by_index(
            x=x,
            begin=[max(-before, 0) for before in amounts[0::2]],
            end=ends,
            begin_mask=[before >= 0 for before in amounts[0::2]],
            end_mask=[end == 0 for end in ends],
        )
        amounts = [max(amount, 0) for amount in amounts]
    if mode != "constant":
        if any(amounts[:-4]):
            raise UnsupportedError(f"a border by {mode} around other axes than height and width")
        amounts = amounts[-4:]
    value = float(op.constant(2).reshape(())) if op.given(2) else 0.0
    value = min(max(value, -_LARGEST), _LARGEST)  # such as -infinity around what a pooling reads
    kinds = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}
    if mode not in kinds:
        raise UnsupportedError(f"a border by {mode}")
    return op.mb.pad(x=x, pad=amounts, mode=kinds[mode], constant_val=np.float32(value), name=op.name)


def _gather(op: Operator) -> Any:
    indices = op.constant(1).astype(np.int32)
    return op.mb.gather(x=op.x, indices=indices, axis=int(op.attributes.get("axis", 0)), name=op.name)


def _tile(op: Operator) -> Any:
    return op.mb.tile(x=op.x, reps=[int(one) for one in op.constant(1).reshape(-1)], name=op.name)


def _expand(op: Operator) -> Any:
    target = [int(one) for one in op.constant(1).reshape(-1)]
    shape = [1] * (len(target) - len(op.shape)) + list(op.shape)
    x = op.mb.reshape(x=op.x, shape=shape) if len(shape) != len(op.shape) else op.x
    counts = [max(wanted // extent, 1) for wanted, extent in zip(target, shape, strict=True)]
    return op.mb.tile(x=x, reps=counts, name=op.name)


def _depth_to_space(op: Operator) -> Any:
    block, mode = int(op.attributes["blocksize"]), op.attributes.get("mode", b"DCR")
    if mode in (b"CRD", "CRD"):
        return op.mb.pixel_shuffle(x=op.x, upscale_factor=block, name=op.name)
    return op.mb.depth_to_space(x=op.x, block_size=block, name=op.name)


_SAMPLING = {
    "align_corners": "STRICT_ALIGN_CORNERS",
    "asymmetric": "DEFAULT",
    "half_pixel": "UNALIGN_CORNERS",
}


def _resize(op: Operator) -> Any:
    def text(name: str, default: str) -> str:
        value = op.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else str(value)

    if op.given(3):
        size = [int(one) for one in op.constant(3).reshape(-1)[-2:]]
    else:
        factors = op.constant(2).reshape(-1)[-2:]
        size = [math.floor(side * factor) for side, factor in zip(op.shape[-2:], factors, strict=True)]
    height, width = size
    where, mode = text("coordinate_transformation_mode", "half_pixel"), text("mode", "nearest")
    if mode == "linear" and where in _SAMPLING:
        return op.mb.resize_bilinear(
            x=op.x,
            target_size_height=height,
            target_size_width=width,
            sampling_mode=_SAMPLING[where],
            name=op.name,
        )
    whole = all(wanted % side == 0 for wanted, side in zip(size, op.shape[-2:], strict=True))
    rounding = text("nearest_mode", "round_prefer_floor")
    from_edge = where == "asymmetric" and rounding == "floor"
    centred = where == "half_pixel" and rounding.startswith("round")
    if mode == "nearest" and (from_edge or (whole and centred)):
        if not op.is_program and not whole:
            raise UnsupportedError(
                f"a resize to the nearest pixel by a factor that is not whole, {_PROGRAMS_DO}"
            )
        if whole:
            rows, columns = (wanted // side for wanted, side in zip(size, op.shape[-2:], strict=True))
            return op.mb.upsample_nearest_neighbor(
                x=op.x, scale_factor_height=rows, scale_factor_width=columns, name=op.name
            )
        return op.mb.resize_nearest_neighbor(
            x=op.x, target_size_height=height, target_size_width=width, name=op.name
        )
    raise UnsupportedError(
        f"a resize by {mode} with samples as {where} puts them, which Core ML does not have"
    )


OPERATORS: dict[str, Handler] = {
    "Abs": _unary("abs"),
    "Add": _binary("add"),
    "ArgMax": _best_place("reduce_argmax"),
    "ArgMin": _best_place("reduce_argmin"),
    "AveragePool": _pooling("avg_pool"),
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Ceil": _unary("ceil"),
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _convolution,
    "ConvTranspose": _transposed_convolution,
    "DepthToSpace": _depth_to_space,
    "Div": _binary("real_div"),
    "Elu": _with_alpha("elu", 1.0),
    "Equal": _binary("equal"),
    "Erf": _unary("erf"),
    "Exp": _unary("exp"),
    "Expand": _expand,
    "Flatten": _flatten,
    "Floor": _unary("floor"),
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_pooling("reduce_mean"),
    "GlobalMaxPool": _global_pooling("reduce_max"),
    "Greater": _binary("greater"),
    "GreaterOrEqual": _binary("greater_equal"),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "Identity": _unary("identity"),
    "InstanceNormalization": _instance_norm,
    "LRN": _local_response,
    "LayerNormalization": _layer_norm,
    "LeakyRelu": _with_alpha("leaky_relu", 0.01),
    "Less": _binary("less"),
    "Log": _unary("log"),
    "LogSoftmax": _log_softmax,
    "LpNormalization": _unit_norm,
    "MatMul": _binary("matmul"),
    "Max": _binary("maximum"),
    "MaxPool": _pooling("max_pool"),
    "Min": _binary("minimum"),
    "Mul": _binary("mul"),
    "Not": _unary("logical_not"),
    "PRelu": _prelu,
    "Pad": _pad,
    "Pow": _binary("pow"),
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
    "Reshape": _reshape,
    "Resize": _resize,
    "Round": _unary("round"),
    "Sigmoid": _unary("sigmoid"),
    "Sign": _unary("sign"),
    "Slice": _slice,
    "Softmax": _softmax,
    "Softplus": _unary("softplus"),
    "Softsign": _unary("softsign"),
    "Sqrt": _unary("sqrt"),
    "Sub": _binary("sub"),
    "Tanh": _unary("tanh"),
    "Tile": _tile,
    "Transpose": _transpose,
    "Where": _where,
}
"""By ONNX' name for the operator."""
