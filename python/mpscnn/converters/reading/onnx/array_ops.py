"""Convert operators that move elements, change shapes or cast types."""

from __future__ import annotations

import math
from typing import Annotated, Literal, NoReturn

import numpy as np

from mpscnn.converters.opening.budget import Cost
from mpscnn.converters.opening.unsupported import MixedImagesError
from mpscnn.converters.reading.onnx.context import Context
from mpscnn.converters.reading.onnx.expansions import ALIGNED
from mpscnn.converters.reading.onnx.known_results import Border, Deferred, Expanded
from mpscnn.converters.reading.onnx.node import Node
from mpscnn.converters.reading.onnx.row_calls import Computed, ComputedWhole, Either, Given
from mpscnn.converters.values.constant import Constant
from mpscnn.converters.values.image_blocks import space_to_depth
from mpscnn.converters.values.layout import TO_NCHW, TO_NHWC
from mpscnn.converters.values.rows import Ints, Name, Operand, Row, ignores
from mpscnn.converters.values.slicing import PAD_MODES
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.converters.values.value import Value
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layers.convolution import ChannelBlocks

_IMAGE_RANK = 4


# ---- Axes ----------------------------------------------------------------------------------------------------------


@ignores("ratio", "seed", "is_test")
def _dropout(
    c: Context, node: Node, x: ComputedWhole, ratio: Name | None = None, mode: Name | None = None
) -> FileTensor:
    c.refuse_results(node, 1, "a mask")
    training = mode is not None and c.constants.fixed(mode, "its mode").any()
    if training and (ratio is None or c.constants.number(ratio, "its ratio") != 0.0):
        raise UnsupportedError("it drops elements, as in training, which is not supported")
    return x


Shape = Annotated[Constant, Operand("the new shape")]


def _expand_constant(x: Given, shape: Shape) -> Value:
    return x.broadcast_to(shape)


def _expand(c: Context, node: Node, x: ComputedWhole, shape: Shape) -> None:
    """Convert Expand. It gets a layer when a node reads the result, unless that node broadcasts the operand."""
    shapes = shape.shapes("the new shape")
    x = x.wrap(x.expand_dims(range(len(shapes[1]) - x.rank)))
    low, high = (
        [
            extent if number == 1 else number
            for number, extent in zip(
                [*extents[: len(extents) - len(numbers)], *numbers], extents, strict=True
            )
        ]
        for numbers, extents in zip(shapes, x.trial_shapes(), strict=True)
    )
    whole = Constant.of_extents((low, high), c.constants.budget)

    def repeated() -> FileTensor:
        y = x.broadcast_to(whole)
        return y.mark_as_integers() if x.whole_numbers else y

    c.known.deferred[node.outputs[0]] = Deferred(node, repeated, Expanded(x, (low, high)))


def _aligned(x: Either, other: Either, *, axis: int) -> Value:
    """Convert `ALIGNED`: add axes after those of the first operand, which may be a constant."""
    return x.expand_dims(range(x.rank, max(x.rank, other.rank - axis % max(other.rank, 1))))


# ---- Borders and blocks --------------------------------------------------------------------------------------------

ConstantAxes = Annotated[Ints, Operand("its axes")]
PadMode = Literal["constant", "edge", "reflect", "symmetric", "wrap"]
Pads = Annotated[Ints, Operand("its pads", or_setting=True)]
PadValue = Annotated[float, Operand("its value", or_setting=True)]


def _pad_constant(
    x: Given,
    pads: Pads,
    value: PadValue = 0.0,
    axes: ConstantAxes | None = None,
    *,
    mode: PadMode = "constant",
) -> Value:
    sides = borders(x.rank, pads, axes)
    return x.pad([*zip(sides[: x.rank], sides[x.rank :], strict=True)], mode, value)


def _pad(
    c: Context, node: Node, x: Computed, pads: Pads, value: PadValue = 0.0, axes: ConstantAxes | None = None,
    *, mode: PadMode = "constant",
) -> Value | None:  # fmt: skip
    sides = borders(x.rank, pads, axes)
    if sides[0] or sides[x.rank]:
        raise MixedImagesError("pads the batch")
    if not any(sides):
        return x
    if x.rank not in (3, _IMAGE_RANK) or mode == "wrap" or not x.has_batch_first:
        for axis, both in enumerate(zip(sides[: x.rank], sides[x.rank :], strict=True)):
            if any(both):
                x = _padded_axis(x, axis, both, mode, value)
        return x
    return _padded_image(c, node, x, sides, mode, value)


def _padded_image(
    c: Context, node: Node, x: FileTensor, pads: list[int], mode: str, value: float
) -> FileTensor | None:
    """Pad an image or a sequence by one layer. A border of minus infinity waits for a MaxPool."""
    if x.rank == 3:
        pads = [pads[0], pads[1], 0, pads[2], pads[3], pads[4], 0, pads[5]]
    # A MaxPool takes its border on the axes that it pools, wherever they lie in memory.
    lies_channels_last = math.isfinite(value) and _lies_channels_last(x, pads)
    if lies_channels_last:
        x = x.transpose(TO_NCHW)
        pads = [pads[side + axis] for side in (0, _IMAGE_RANK) for axis in TO_NCHW]
    _, front, top, left, _, back, bottom, right = pads
    if not math.isfinite(value):
        reason = f"its border holds {value}, which is only supported as the padding of a maximum"
        if mode != "constant" or value > 0 or front or back:
            raise UnsupportedError(reason)
        border = Border(x, (top, left, bottom, right))
        c.known.deferred[node.outputs[0]] = Deferred(node, lambda: _refused(reason), border)
        return None
    attributes = {"front": front, "back": back, "top": top, "bottom": bottom, "left": left, "right": right}
    settings = attributes | {"mode": PAD_MODES[mode], "value": value}
    y = x.wrap_image(c.network.layer("padding", [x.image()], settings, name=c.naming.of_node(node)))
    return y.transpose(TO_NHWC) if lies_channels_last else y


def _refused(reason: str) -> NoReturn:
    raise UnsupportedError(reason)


def _lies_channels_last(x: FileTensor, pads: list[int]) -> bool:
    """Return True for an image with the channels last, as in TensorFlow.

    The file's order of axes is then the order in memory, so no element needs to move. An image of one channel may lie
    in both orders; then its last axis is taken for the channels only if it gets no border.
    """
    if x.rank != _IMAGE_RANK or not x.has_batch_first or x.shape[3] is None:
        return False
    lies_as_image = x.order == x.atoms_of([2, 3, 1])
    return x.order == x.atoms_of([1, 2, 3]) and not (lies_as_image and (pads[3] or pads[7]))


def _padded_axis(x: FileTensor, axis: int, sides: tuple[int, int], mode: str, value: float) -> FileTensor:
    if mode != "wrap":
        if not math.isfinite(value):
            raise UnsupportedError(f"its border holds {value}, which is only supported for images")
        return x.pad(axis, sides, {"mode": PAD_MODES[mode], "value": value})
    extent = x.known_extent(axis, "repeats")
    before, after = (max(side, 0) for side in sides)
    first, last = (max(-side, 0) for side in sides)  # negative pads crop first; then the rest is repeated
    kept = extent - first - last
    if kept < 1:
        raise WeightsError(f"damaged: leaves {kept} of axis {axis} of {x.shown}")
    count = before + kept + after
    x.arranger.budget.spend(Cost.of_list(count))
    return x.take(axis, first + np.arange(-before, count - before) % kept)


def borders(rank: int, pads: Ints, axes: Ints | None) -> list[int]:
    """Return the pads before and after each axis of a Pad, which may state them for some axes only."""
    if axes is None:
        full = list(pads)
    else:
        full = [0] * (2 * rank)
        for place, axis in enumerate(axes):
            if not -rank <= axis < rank:
                raise WeightsError(f"damaged: pads axis {axis} of {rank}")
            full[axis % rank], full[axis % rank + rank] = pads[place], pads[place + len(axes)]
    if len(full) != 2 * rank:
        raise WeightsError(f"damaged: pads {full} for {rank} axes")
    return full


Blocks = Literal["DCR", "CRD"]
_ORDERS: dict[Blocks, ChannelBlocks] = {"DCR": "position_major", "CRD": "channel_major"}


def _depth_to_space(x: Computed, *, blocksize: int, mode: Blocks = "DCR") -> FileTensor:
    name = x.arranger.name("")
    return x.wrap_image(x.network.depth_to_space(x.image(), blocksize, order=_ORDERS[mode], name=name))


def _space_to_depth(x: Computed, *, blocksize: int, mode: Blocks = "DCR") -> FileTensor:
    if x.rank != _IMAGE_RANK:
        raise UnsupportedError(f"makes channels of blocks of {x.shown}, which is not an image")
    return space_to_depth(x.transpose(TO_NHWC), blocksize, _ORDERS[mode]).transpose(TO_NCHW)


ARRAY_OPS: dict[str, Row] = {ALIGNED: _aligned}
ARRAY_OPS_OF_CONSTANTS: dict[str, Row] = {"Expand": _expand_constant, "Pad": _pad_constant}
ARRAY_OPS_OF_TENSORS: dict[str, Row] = {
    "DepthToSpace": _depth_to_space,
    "Dropout": _dropout,
    "Expand": _expand,
    "Pad": _pad,
    "SpaceToDepth": _space_to_depth,
}
