"""Convert operators that take parts of a value, or compute along an axis. They serve constants and tensors."""

from __future__ import annotations

from collections.abc import Sequence

from mpscnn.converters.constant import listed
from mpscnn.converters.constant_pair import Array
from mpscnn.converters.onnx_reader.expansions import PART
from mpscnn.converters.onnx_reader.operands import Operands, Row
from mpscnn.converters.value import Value
from mpscnn.errors import UnsupportedError, WeightsError


def _slice(o: Operands) -> Value:
    names = ("starts", "ends", "axes", "steps")
    ranges = [o.setting(name, place, f"its {name}") for place, name in enumerate(names, start=1)]

    def parts(shape: tuple[int, ...], *numbers: Array | Sequence[int] | None) -> list[slice]:
        starts, ends, axes, steps = (
            [] if one is None else listed(one, f"its {name}")
            for one, name in zip(numbers, names, strict=True)
        )
        if numbers[0] is None or numbers[1] is None:
            raise WeightsError("damaged: its starts or ends are missing")
        result = [slice(None)] * len(shape)
        given = zip(axes or range(len(starts)), starts, ends, steps or [1] * len(starts), strict=True)
        for axis, start, end, step in given:
            if step == 0:
                raise WeightsError("damaged: its step is 0")
            # A start before the axis means its first position for any step.
            result[axis] = slice(max(start, -shape[axis]), end, step)
        return result

    return o.x(whole_numbers=True).slice(parts, *ranges)


def _split(o: Operands) -> list[Value]:
    x, count = o.x(whole_numbers=True), len(o.node.outputs)
    axis = x.axis(o.node.integer("axis", 0))
    extent, sizes = x.known_extent(axis, "splits"), o.integers("split", 1, "its parts")
    if sizes is None:
        whole = o.node.integer("num_outputs", count)
        size = -(-extent // max(whole, 1))
        sizes = [size] * (whole - 1) + [extent - size * (whole - 1)]
    if len(sizes) != count:
        raise WeightsError(f"damaged: splits {x.shown} into {len(sizes)} parts, but has {count} results")
    return list(x.split(axis, sizes))


def _tile(o: Operands) -> Value:
    return o.x(whole_numbers=True).tile(o.constant(1, "its repeats").integers("its repeats"))


def _argument(o: Operands) -> Value:
    x, last = o.x(), o.node.flag("select_last_index", default=False)
    axis = x.axis(o.node.integer("axis", 0))
    places = x.argmax_or_argmin(axis, minimum=o.node.kind == "ArgMin", last=last)
    return places if o.node.flag("keepdims", default=True) else places.squeeze([axis])


def _running_sum(o: Operands) -> Value:
    x, (axis,) = o.x(), o.constant(1, "its axis").integers("its axis")
    exclusive, backwards = (o.node.flag(name, default=False) for name in ("exclusive", "reverse"))
    return x.cumsum(x.axis(axis), exclusive=exclusive, backwards=backwards)


_REDUCTIONS = {
    "ReduceL1": "l1_norm",
    "ReduceL2": "l2_norm",
    "ReduceLogSum": "log_sum",
    "ReduceLogSumExp": "log_sum_exp",
    "ReduceMax": "max",
    "ReduceMean": "mean",
    "ReduceMin": "min",
    "ReduceProd": "product",
    "ReduceSum": "sum",
    "ReduceSumSquare": "sum_of_squares",
}


def _reduce(o: Operands) -> Value:
    x, given = o.x(), o.integers("axes", 1, "its axes")
    axes = sorted({x.axis(axis) for axis in given or ()})
    if not given and not o.node.flag("noop_with_empty_axes", default=False):
        axes = list(range(x.rank))
    y = x.reduce(_REDUCTIONS[o.node.kind], axes)
    return y if o.node.flag("keepdims", default=True) else y.squeeze(axes)


def _global_norm(o: Operands) -> Value:
    """Convert GlobalLpPool: the norm of each channel."""
    x, order = o.x(), o.node.integer("p", 2)
    kinds = {1: "l1_norm", 2: "l2_norm"}
    if order not in kinds:
        raise UnsupportedError(f"a norm of order {order}; supported are orders 1 and 2")
    return x.reduce(kinds[order], range(2, x.rank))


PARTS: dict[str, Row] = {
    **dict.fromkeys(_REDUCTIONS, _reduce),
    "ArgMax": _argument,
    "ArgMin": _argument,
    "CumSum": _running_sum,
    "GlobalLpPool": _global_norm,
    PART: lambda o: o.x(whole_numbers=True).slice(lambda _: o.node.attributes["entries"]),
    "Slice": _slice,
    "Split": _split,
    "Tile": _tile,
}
