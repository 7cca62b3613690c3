"""Convert Slice, Split, Tile, Gather, Concat and similar operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate

import numpy as np

from mpscnn.converters.budget import Cost
from mpscnn.converters.constant import CHEAP, Constant, listed
from mpscnn.converters.constant_pair import Array
from mpscnn.converters.layer_names import quote_name
from mpscnn.converters.onnx_reader.context import Context, Handler
from mpscnn.converters.onnx_reader.expansions import PART
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.onnx_reader.operands import Operands, Row
from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.value import Value
from mpscnn.errors import UnsupportedError, WeightsError

_MAX_PARTS = 4096  # the maximum number of tensors in a sequence
_OPERATIONS_OF_PART = 1_000  # the cost of looking at a tensor of a sequence
_OF_MATRIX = 2  # the number of axes of a matrix


def _split_to_sequence(c: Context, node: Node) -> None:
    """Convert SplitToSequence: parts of listed sizes, of one size, or of extent 1.

    Only if the file states no sizes, `keepdims` may drop the axis, which then has the extent 1.
    """
    drops_axis = node.input(1) is None and not node.flag("keepdims", default=True)
    if _is_known(c, node.inputs[0]):
        _split_constant(c, node, drops_axis=drops_axis)
        return
    x = c.x(node)
    axis = x.axis(node.integer("axis", 0))
    parts = x.split(axis, _sizes(c, node, x.known_extent(axis, "splits"), x.shown))
    c.known.sequences[node.outputs[0]] = [one.squeeze([axis]) if drops_axis else one for one in parts]


def _is_known(c: Context, name: str) -> bool:
    """Return True for a constant that is not a trainable parameter, so parts of it are constants, too."""
    return c.is_constant(name) and not c.learns(name)


def _split_constant(c: Context, node: Node, *, drops_axis: bool) -> None:
    array = c.constants.fixed(node.inputs[0], "its operand")
    axis, what = node.integer("axis", 0), f"a constant of shape {array.shape}"
    if not -array.ndim <= axis < array.ndim:
        raise WeightsError(f"damaged: splits {what} along axis {axis}")
    ends = list(accumulate(_sizes(c, node, array.shape[axis], what)))
    parts: list[FileTensor | str] = []
    for place, part in enumerate(np.split(array, ends[:-1], axis)):
        name = f"{node.outputs[0]}/part{place}"
        c.constants.put(name, part.squeeze(axis) if drops_axis else part)
        parts.append(name)
    c.known.sequences[node.outputs[0]] = parts


def _sizes(c: Context, node: Node, extent: int, what: str) -> list[int]:
    """Return the sizes of the parts of a SplitToSequence."""
    given = node.input(1)
    stated = [1] if given is None else c.constants.integers(given, "its parts")
    is_one_size = given is None or c.constants.fixed(given, "its parts").ndim == 0
    sizes = stated
    if is_one_size and stated[0] > 0:
        whole, rest = divmod(extent, stated[0])
        if whole > _MAX_PARTS:
            raise UnsupportedError(f"splits {what} into {whole} parts; supported are {_MAX_PARTS}")
        sizes = [stated[0]] * whole + [rest] * (rest > 0)
    if not sizes or sum(sizes) != extent or min(sizes) < 1:
        raise WeightsError(f"damaged: splits {what} into {sizes[:5]}")
    if len(sizes) > _MAX_PARTS:
        raise UnsupportedError(f"splits {what} into {len(sizes)} parts; supported are {_MAX_PARTS}")
    return sizes


def _sequence(c: Context, node: Node) -> None:
    c.known.sequences[node.outputs[0]] = [
        name if _is_known(c, name) else c.value(name) for name in node.inputs
    ]


def _sequence_at(c: Context, node: Node) -> FileTensor | None:
    parts, place = _parts_of(c, node), c.constants.integers(node.input(1), "its place")[0]
    if not -len(parts) <= place < len(parts):
        raise WeightsError(f"damaged: takes part {place} of {len(parts)}")
    part = parts[place]
    if isinstance(part, str):
        c.constants.put(node.outputs[0], c.constants.fixed(part, "its part"))
        return None
    return part


def _concat_from_sequence(c: Context, node: Node) -> FileTensor:
    joined = _parts_of(c, node)
    c.constants.budget.spend(Cost(0, _OPERATIONS_OF_PART * len(joined)))
    parts = [c.value(part) if isinstance(part, str) else part for part in joined]
    axis = node.integer("axis")
    if node.flag("new_axis", default=False):
        axis = axis % (parts[0].rank + 1) if -parts[0].rank - 1 <= axis <= parts[0].rank else axis
        parts = [one.expand_dims([axis]) for one in parts]
    return parts[0].concat(parts[1:], parts[0].axis(axis))


def _parts_of(c: Context, node: Node) -> list[FileTensor | str]:
    if node.inputs[0] not in c.known.sequences:
        raise UnsupportedError(
            f"its operand {quote_name(node.inputs[0])} is not a sequence of tensors that is known"
        )
    return c.known.sequences[node.inputs[0]]


def _gather(o: Operands) -> Value:
    """Convert Gather. The axes of the indices replace the axis."""
    x, indices = o.value(0, whole_numbers=True), o.value(1, whole_numbers=True)
    axis = x.axis(o.node.integer("axis", 0))
    if isinstance(x, Constant) and isinstance(indices, FileTensor):
        return _look_up(x, axis, indices)
    return x.take(axis, indices)


def _look_up(constant: Constant, axis: int, indices: FileTensor) -> FileTensor:
    """Convert Gather of a constant by computed indices: an embedding lookup. Negative indices count from the end."""
    table = constant.real("its table")
    if axis or table.ndim < 2:
        raise UnsupportedError(f"looks up a constant {table.shape} along another axis than the first one")
    return indices.mark_as_floats().wrap_negative_indices(len(table)).look_up(table)


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
        if not o.node.has("num_outputs") and extent % max(whole, 1):
            raise WeightsError(
                f"damaged: splits {x.shown} along axis {axis} into {whole} equal parts, which its extent {extent} "
                "does not allow"
            )
        size = -(-extent // max(whole, 1))
        sizes = [size] * (whole - 1) + [extent - size * (whole - 1)]
    if len(sizes) != count:
        raise WeightsError(f"damaged: splits {x.shown} into {len(sizes)} parts, but has {count} results")
    return list(x.split(axis, sizes))


def _concat(o: Operands) -> Value:
    first, *others = o.values() if o.are_constants else _joined_tensors(o.c, o.node)
    return first.concat(others, first.axis(o.node.integer("axis", 1)))


def _joined_tensors(c: Context, node: Node) -> list[FileTensor]:
    """Return the operands of Concat as tensors, each with the batch in the same axis."""
    computed = c.first_computed(node.inputs, whole_numbers=True)
    axis = computed.axis(node.integer("axis", 1))
    computed = _with_batch_outside(computed, axis)
    return [
        c.constant_with_batch_of(name, computed)
        if c.is_constant(name)
        else _with_batch_outside(c.value(name, whole_numbers=True), axis)
        for name in node.inputs
    ]


def _with_batch_outside(x: FileTensor, axis: int) -> FileTensor:
    """Return the tensor with a batch of 1 moved out of an axis, if the axis has other elements, too."""
    atoms = x.axes[axis] if axis < x.rank else ()
    is_movable = len(atoms) > 1 and x.rank > 1 and any(atom.is_batch and atom.high == 1 for atom in atoms)
    return x.with_batch_outside(axis) if is_movable else x


def _triangle(o: Operands) -> Value:
    """Convert Trilu: zeros replace the elements on one side of a diagonal of the last two axes."""
    function = np.triu if o.node.flag("upper", default=True) else np.tril
    x = o.x(whole_numbers=True)
    diagonal = None if o.node.input(1) is None else o.constant(1, "its diagonal")
    if x.rank < _OF_MATRIX:
        raise WeightsError(f"damaged: takes a triangle of {x.shown}")

    def triangle(array: Array, first: Array | None) -> Array:
        place = 0 if first is None else int(first.reshape(()))
        return function(array, min(max(place, -array.shape[-2]), array.shape[-1]))

    if isinstance(x, Constant):
        return x.compute(lambda *given: x.run(given[0].size, CHEAP, lambda: triangle(*given)), diagonal)
    assert isinstance(x, FileTensor)
    first = None if diagonal is None else np.asarray(diagonal.integers("its diagonal"))
    return _triangle_of_tensor(x, lambda ones: triangle(ones, first))


def _triangle_of_tensor(x: FileTensor, triangle: Callable[[Array], Array]) -> FileTensor:
    rows, columns = (x.known_extent(axis, "takes a triangle of") for axis in (x.rank - 2, x.rank - 1))
    if any(atom.is_batch and atom.high != 1 for axis in x.axes[-2:] for atom in axis):
        raise UnsupportedError(f"takes a triangle of {x.shown}, in which images are rows or columns")
    extents, name = (1,) * (x.rank - 1 - _OF_MATRIX) + (rows, columns), x.arranger.name("/triangle")
    made = x.arranger.constant(name, extents, lambda: triangle(np.ones((rows, columns), np.float32)))
    chosen = FileTensor.from_tensor(x.arranger, made)
    return (chosen if x.rank > _OF_MATRIX else chosen.merge_axes(0, 2)).where(lambda: x, None)


SLICING: dict[str, Row] = {
    "Concat": _concat,
    "Gather": _gather,
    PART: lambda o: o.x(whole_numbers=True).slice(lambda _: o.node.attributes["entries"]),
    "Slice": _slice,
    "Split": _split,
    "Tile": lambda o: o.x(whole_numbers=True).tile(o.constant(1, "its repeats").integers("its repeats")),
    "Trilu": _triangle,
}
"""The functions of operators that serve constants and tensors of the network alike."""

SEQUENCES: dict[str, Handler] = {
    "SplitToSequence": _split_to_sequence,
    "SequenceConstruct": _sequence,
    "SequenceAt": _sequence_at,
    "ConcatFromSequence": _concat_from_sequence,
}
