"""Operators that move values, or only say how they are seen."""

from __future__ import annotations

from mpscnn.converters.arrange import surroundings
from mpscnn.converters.broadcast import with_common_atoms
from mpscnn.converters.layout import Atom, Axis, Value, product
from mpscnn.converters.onnx_reader.context import Context, Handler
from mpscnn.converters.onnx_reader.file import Node, element_type
from mpscnn.converters.unsupported import CHOOSE_SIZE
from mpscnn.errors import UnsupportedError, WeightsError

_FLOATS = frozenset({"float", "float16", "bfloat16"})
_MODES = {"constant": "constant", "reflect": "mirror", "edge": "clamp"}
_IMAGE_RANK = 4


# ---- Axes ----------------------------------------------------------------------------------------------------------


def _same(c: Context, node: Node) -> None:
    c.result(node, c.value(node.inputs[0], whole_numbers=True))


def _dropout(c: Context, node: Node) -> None:
    c.refuse_results(node, 1, "a mask")
    if node.input(2) is not None and c.constants.fixed(node.input(2), "its mode").any():
        raise UnsupportedError("it drops elements, as in training, which is not supported")
    _same(c, node)


def _cast_like(c: Context, node: Node) -> None:
    """The type of a constant, or that of everything that the network computes."""
    constant = c.constants.find(node.inputs[1])
    if constant is not None and constant.low.dtype.kind not in "fV":
        raise UnsupportedError(f"makes {constant.low.dtype} of computed numbers, which is not supported")
    if c.is_constant(node.inputs[0]):
        c.constants.put(node.outputs[0], c.constants.real(node.inputs[0], "its operand"))
        return
    x = c.value(node.inputs[0], whole_numbers=True)
    c.result(node, Value(x.tensor, x.axes, x.order))


def _cast(c: Context, node: Node) -> None:
    x = c.value(node.inputs[0], whole_numbers=True)
    target = element_type(node.integer("to"))
    if target in _FLOATS:
        c.result(node, Value(x.tensor, x.axes, x.order))
    elif x.whole_numbers and target in ("int32", "int64"):
        c.result(node, x)
    else:
        raise UnsupportedError(f"makes {target} of computed numbers, which is not supported")


def _reshape(c: Context, node: Node) -> None:
    x = c.value(node.inputs[0], whole_numbers=True)
    low, high = c.constants.shapes(node.input(1), "the new shape")
    if not node.integer("allowzero", 0):
        stated = x.stand_ins()
        for place, extent in enumerate(high):
            if extent == 0:
                if place >= x.rank:
                    raise WeightsError(f"damaged: extent {place} of {x.shown} is to be kept")
                low[place], high[place] = stated[0][place], stated[1][place]
    c.result(node, _reshaped(c, x, low, high))


def _reshaped(c: Context, x: Value, low: list[int], high: list[int]) -> Value:
    """New axes that lie across the old ones need the elements in order."""
    try:
        return x.reshaped(low, high)
    except UnsupportedError:
        plain = c.arranger.in_order_of_axes(x)
        if plain is x:
            raise
        return plain.reshaped(low, high)


def _flatten(c: Context, node: Node) -> None:
    x = c.value(node.inputs[0])
    axis = node.integer("axis", 1)
    first = x.rank if axis == x.rank else x.axis(axis)
    c.result(node, x.merged(0, first).merged(1, x.rank - first + 1))


def _axes(c: Context, node: Node) -> list[int] | None:
    """An attribute up to opset 12, then the second input."""
    if node.has("axes"):
        return node.integers("axes")
    return None if node.input(1) is None else c.constants.integers(node.input(1), "its axes")


def _squeeze(c: Context, node: Node) -> None:
    x = c.value(node.inputs[0], whole_numbers=True)
    axes = _axes(c, node)
    if axes is None:
        axes = [number for number, extent in enumerate(x.shape) if extent == 1]
    c.result(node, x.without_axes(axes))


def _unsqueeze(c: Context, node: Node) -> None:
    x = c.value(node.inputs[0], whole_numbers=True)
    axes = _axes(c, node)
    if axes is None:
        raise WeightsError("damaged: it has no axes")
    c.result(node, x.with_axes(axes))


def _transpose(c: Context, node: Node) -> None:
    x = c.value(node.inputs[0], whole_numbers=True)
    c.result(node, x.transposed(node.integers("perm", list(range(x.rank))[::-1])))


def _expand(c: Context, node: Node) -> None:
    x = c.value(node.inputs[0])
    low, high = c.constants.shapes(node.input(1), "the new shape")
    if len(high) > x.rank:
        x = x.with_axes(range(len(high) - x.rank))
    stated = x.stand_ins()
    low, high = (
        [*extents[: len(extents) - len(numbers)], *numbers]
        for numbers, extents in zip((low, high), stated, strict=True)
    )
    grows = any(
        number not in (1, extent)
        for numbers, extents in zip((low, high), stated, strict=True)
        for number, extent in zip(numbers, extents, strict=True)
    )
    result = node.outputs[0]
    users = c.users(result) if result not in c.results else []
    if grows and not (users and all(_repeats_anyway(c, user, result, (low, high)) for user in users)):
        raise UnsupportedError(f"repeats {x.shown} to {tuple(high)}, which is not supported")
    c.result(node, x)


def _repeats_anyway(c: Context, user: Node, name: str, shape: tuple[list[int], list[int]]) -> bool:
    """Whether arithmetic with another tensor of the shape repeats the value as well."""
    others = [one for one in user.inputs if one != name]
    return (
        user.kind in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Sum")
        and bool(others)
        and any(one in c.values and c.values[one].stand_ins() == shape for one in others)
    )


# ---- Parts ---------------------------------------------------------------------------------------------------------


def part(c: Context, node: Node, x: Value, axis: int, start: int, count: int, step: int = 1) -> Value:
    """Some of the positions of an axis: start, start + step, ..., as many as `count`."""
    atoms = x.axes[axis]
    if any(atom.is_batch for atom in atoms):
        raise UnsupportedError(f"takes a part of the batch of {x.shown}")
    new: Axis = () if count == 1 else (Atom(count),)
    axes = (*x.axes[:axis], new, *x.axes[axis + 1 :])
    sides = (("top", "height", "stride_y"), ("left", "width", "stride_x"), ("front", "channels", ""))
    x = c.arranger.in_one_piece(x, atoms)
    groups = c.arranger.grouping(x) if len(x.tensor.shape) == _IMAGE_RANK else None
    if atoms and groups and atoms in groups and (step == 1 or groups.index(atoms) < len(groups) - 1):
        tensor, place = x.tensor, groups.index(atoms)
        order = tuple(atom for group in (*groups[:place], new, *groups[place + 1 :]) for atom in group)
    else:
        tensor, before, behind = c.arranger.around(x, atoms)
        order, place = before + new + behind, 1
    first, extent, stride = sides[place]
    attributes = {first: start, extent: count} | ({stride: step} if stride else {})
    y = c.network.layer("slice", [tensor], attributes, name=c.layer_name(node))
    return Value(y, axes, order)


def _slice(c: Context, node: Node) -> None:
    x = c.value(node.inputs[0])
    for axis, start, count, step in _ranges(c, node, x):
        if not (start == 0 and step == 1 and count == x.shape[axis]):
            x = part(c, node, x, axis, start, count, step)
    c.result(node, x)


def _ranges(c: Context, node: Node, x: Value) -> list[tuple[int, int, int, int]]:
    """Axis, first position, how many, and the step."""
    if c.file.opset < 10:
        starts, ends = node.integers("starts"), node.integers("ends")
        axes, steps = node.integers("axes", list(range(len(starts)))), [1] * len(starts)
    else:
        starts = c.constants.integers(node.input(1), "its starts")
        ends = _ends(c, node)
        given = node.input(3)
        axes = list(range(len(starts))) if given is None else c.constants.integers(given, "its axes")
        given = node.input(4)
        steps = [1] * len(starts) if given is None else c.constants.integers(given, "its steps")
    result = []
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        number = x.axis(axis)
        extent = x.shape[number]
        if extent is None:
            if start == 0 and step == 1 and end >= _NO_END:
                continue
            raise UnsupportedError(f"takes a part of {x.shown}, whose size is free: {CHOOSE_SIZE}")
        if step == 0:
            raise WeightsError("damaged: its step is 0")
        positions = range(extent)[start:end:step]
        if step < 0:
            raise UnsupportedError(f"reads axis {number} backwards, which is not supported")
        if not positions:
            raise UnsupportedError(f"takes nothing of axis {number} of {x.shown}")
        result.append((number, positions.start, len(positions), step))
    return result


_NO_END = 2**31 - 1


def _ends(c: Context, node: Node) -> list[int]:
    """Of a free extent the end is that extent, or a large number."""
    low, high = c.constants.shapes(node.input(2), "its ends")
    if low != high:
        raise UnsupportedError(f"its ends depend on an extent that is free: {CHOOSE_SIZE}")
    return high


def _split(c: Context, node: Node) -> None:
    x = c.value(node.inputs[0])
    axis = x.axis(node.integer("axis", 0))
    extent = x.shape[axis]
    if extent is None:
        raise UnsupportedError(f"splits {x.shown} along an axis that is free: {CHOOSE_SIZE}")
    if node.has("split"):
        sizes = node.integers("split")
    elif node.input(1) is not None:
        sizes = c.constants.integers(node.input(1), "its parts")
    else:
        parts = node.integer("num_outputs", len(node.outputs))
        size = -(-extent // max(parts, 1))
        sizes = [size] * (parts - 1) + [extent - size * (parts - 1)]
    if 0 in sizes:
        raise UnsupportedError(f"splits {x.shown} into parts of which some are empty")
    if sum(sizes) != extent or len(sizes) != len(node.outputs) or min(sizes) < 1:
        raise WeightsError(f"damaged: splits {x.shown} along axis {axis} into {sizes}")
    start = 0
    for place, size in enumerate(sizes):
        if node.outputs[place]:
            y = x if size == extent else part(c, node, x, axis, start, size)
            c.result(node, y, place)
        start += size


def _gather(c: Context, node: Node) -> None:
    """One position of an axis, or some that follow each other."""
    x = c.value(node.inputs[0])
    axis = x.axis(node.integer("axis", 0))
    indices = c.constants.fixed(node.input(1), "its indices")
    extent = x.shape[axis]
    if extent is None:
        raise UnsupportedError(f"takes a part of {x.shown}, whose size is free: {CHOOSE_SIZE}")
    numbers = [int(one) + (extent if one < 0 else 0) for one in indices.reshape(-1)]
    if not numbers or min(numbers) < 0 or max(numbers) >= extent:
        raise WeightsError(f"damaged: takes positions {numbers[:5]} of axis {axis} of {x.shown}")
    step = numbers[1] - numbers[0] if len(numbers) > 1 else 1
    if indices.ndim > 1 or step < 1 or numbers != list(range(numbers[0], numbers[-1] + 1, step)):
        raise UnsupportedError("takes positions that do not follow each other, which is not supported")
    whole = len(numbers) == extent and step == 1
    y = x if whole else part(c, node, x, axis, numbers[0], len(numbers), step)
    c.result(node, y.without_axes([axis]) if indices.ndim == 0 else y)


# ---- Joining -------------------------------------------------------------------------------------------------------


def _concat(c: Context, node: Node) -> None:
    values = [c.value(name) for name in node.inputs]
    first = values[0]
    axis = first.axis(node.integer("axis", 1))
    if any(value.rank != first.rank for value in values):
        raise WeightsError(f"damaged: joins {', '.join(value.shown for value in values)}")
    if any(atom.is_batch for atom in first.axes[axis]):
        raise UnsupportedError("joins images along the batch")
    if len(values) == 1:
        c.result(node, first)
        return
    model = next((value for value in values if value.axes[axis]), first)
    joined = [value.axes[axis] for value in values]
    model, others = _alike(model, values, axis)
    before, behind, groups = _surroundings(c, model, axis)
    place = groups.index(model.axes[axis]) if groups else int(bool(before))
    groups = groups or [*([before] if before else []), (), *([behind] if behind else [])]
    tensors = []
    for value, atoms in zip(others, joined, strict=True):
        given = value.lying(value.tensor, value.order)
        own = (*given.axes[:axis], atoms, *given.axes[axis + 1 :])
        wanted = [*groups[:place], atoms, *groups[place + 1 :]]
        tensors.append(c.arranger.physical(Value(given.tensor, own, given.order), wanted))
    y = c.network.concat(tensors, axis=-1 if place == len(groups) - 1 else place + 1, name=c.layer_name(node))
    (new,) = c.arranger.atoms([y.shape[place + 1]])
    axes = (*model.axes[:axis], new, *model.axes[axis + 1 :])
    c.result(node, Value(y, axes, before + new + behind))


def _alike(model: Value, values: list[Value], axis: int) -> tuple[Value, list[Value]]:
    """All values with the same atoms, but for those of the axis along which they are joined."""

    def without(value: Value) -> Value:
        return Value(value.tensor, (*value.axes[:axis], (), *value.axes[axis + 1 :]), value.order)

    refined = without(model)
    for value in values:
        if any(product(a) != product(b) for a, b in zip(without(value).axes, refined.axes, strict=True)):
            raise WeightsError(f"damaged: joins {model.shown} and {value.shown} along axis {axis}")
        refined, _ = with_common_atoms(refined, without(value))
    others = [with_common_atoms(refined, without(value))[1] for value in values]
    return Value(
        refined.tensor, (*refined.axes[:axis], model.axes[axis], *refined.axes[axis + 1 :]), refined.order
    ), others


def _surroundings(c: Context, model: Value, axis: int) -> tuple[Axis, Axis, list[Axis] | None]:
    """What lies before and behind the axis, and the tensor's axes if one of them is the axis."""
    atoms = model.axes[axis]
    if not atoms:
        is_channels = axis == 1 and model.rank in (3, 4)
        earlier = {atom for one in model.axes[:axis] for atom in one}
        cut = len(model.order) if is_channels else sum(atom in earlier for atom in model.order)
        if set(model.order[:cut]) <= earlier or is_channels:
            return model.order[:cut], model.order[cut:], None
        raise UnsupportedError(f"joins {model.shown} along an axis that lies within others in memory")
    before, behind = surroundings(model, atoms)
    groups = c.arranger.grouping(model)
    if groups and atoms in groups and before + atoms + behind == model.order:
        return before, behind, groups
    return before, behind, None


# ---- Borders and blocks --------------------------------------------------------------------------------------------


def _pad(c: Context, node: Node) -> None:
    x = c.value(node.inputs[0])
    mode = node.text("mode", "constant")
    if mode not in _MODES:
        raise UnsupportedError(f"its mode is {mode!r}; supported are {', '.join(_MODES)}")
    pads, value = _borders(c, node, x.rank)
    if pads[0] or pads[x.rank]:
        raise UnsupportedError("pads the batch")
    is_zero = mode == "constant" and value == 0.0
    if not any(pads):
        c.result(node, x)
        return
    if x.rank not in (3, _IMAGE_RANK):
        raise UnsupportedError(f"pads {x.shown}; supported are images")
    if x.rank == 3:
        pads = [pads[0], pads[1], 0, pads[2], pads[3], pads[4], 0, pads[5]]
    _, front, top, left, _, back, bottom, right = pads
    # A border that is cut off may not be filled with zeros again.
    if is_zero and min(pads) >= 0 and not (front or back) and _belongs_to_convolution(c, node.outputs[0]):
        c.padded[node.outputs[0]] = (x, [top, left, bottom, right])
        return
    attributes = {"front": front, "back": back, "top": top, "bottom": bottom, "left": left, "right": right}
    image = c.arranger.image(x)
    y = c.network.layer(
        "padding", [image], attributes | {"mode": _MODES[mode], "value": value}, name=c.layer_name(node)
    )
    c.result(node, c.arranger.of_image(y, x.rank))


def _belongs_to_convolution(c: Context, name: str) -> bool:
    """Whether a border can be the padding of the convolution that alone reads it."""
    user = c.only_user(name)
    return (
        user is not None
        and user.kind == "Conv"
        and user.inputs[0] == name
        and user.text("auto_pad", "NOTSET") == "NOTSET"
        and min(user.integers("pads", [0])) >= 0
    )


def _borders(c: Context, node: Node, rank: int) -> tuple[list[int], float]:
    """Before and behind each axis, and what a constant border holds."""
    if c.file.opset < 11:
        pads, value = node.integers("pads"), node.number("value", 0.0)
    else:
        pads = c.constants.integers(node.input(1), "its pads")
        value = 0.0 if node.input(2) is None else c.constants.number(node.input(2), "its value")
    if node.input(3) is not None:
        axes = c.constants.integers(node.input(3), "its axes")
        full = [0] * (2 * rank)
        for place, axis in enumerate(axes):
            if not -rank <= axis < rank:
                raise WeightsError(f"damaged: pads axis {axis} of {rank}")
            full[axis % rank], full[axis % rank + rank] = pads[place], pads[place + len(axes)]
        pads = full
    if len(pads) != 2 * rank:
        raise WeightsError(f"damaged: pads {pads} for {rank} axes")
    return pads, value


def _depth_to_space(c: Context, node: Node) -> None:
    x = c.value(node.inputs[0])
    mode = node.text("mode", "DCR")
    orders = {"DCR": "position_major", "CRD": "channel_major"}
    if mode not in orders:
        raise WeightsError(f"damaged: its mode is {mode!r}")
    y = c.network.depth_to_space(
        c.arranger.image(x), node.integer("blocksize"), order=orders[mode], name=c.layer_name(node)
    )
    c.result(node, c.arranger.of_image(y))


def _space_to_depth(c: Context, node: Node) -> None:
    """Blocks of pixels become channels, which is another view until a layer needs it in order."""
    x = c.value(node.inputs[0])
    block = node.integer("blocksize")
    if x.rank != _IMAGE_RANK or not x.has_batch_first or None in x.shape[1:]:
        raise UnsupportedError(f"makes channels of blocks of {x.shown}; supported are images of a known size")
    (low, channels, height, width), (high, *_) = x.stand_ins()
    if block < 1 or height % block or width % block:
        raise WeightsError(f"damaged: blocks of {block} in {x.shown}")
    rows, columns = height // block, width // block
    split = [channels, rows, block, columns, block]
    joined = [channels * block * block, rows, columns]
    order = {"DCR": (0, 3, 5, 1, 2, 4), "CRD": (0, 1, 3, 5, 2, 4)}.get(node.text("mode", "DCR"))
    if order is None:
        raise WeightsError(f"damaged: its mode is {node.text('mode', 'DCR')!r}")
    y = x.reshaped([low, *split], [high, *split]).transposed(order)
    c.result(node, _reshaped(c, y, [low, *joined], [high, *joined]))


MOVES: dict[str, Handler] = {
    "Identity": _same,
    "Dropout": _dropout,
    "Cast": _cast,
    "CastLike": _cast_like,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Expand": _expand,
    "Slice": _slice,
    "Split": _split,
    "Gather": _gather,
    "Concat": _concat,
    "Pad": _pad,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
}
