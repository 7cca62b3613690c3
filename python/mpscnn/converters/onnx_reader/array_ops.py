"""Convert operators that move elements, change shapes or cast types."""

from __future__ import annotations

import math
from typing import NoReturn

import numpy as np

from mpscnn.converters.budget import Cost
from mpscnn.converters.constant import Constant
from mpscnn.converters.image_blocks import space_to_depth
from mpscnn.converters.layout import TO_NCHW, TO_NHWC
from mpscnn.converters.onnx_reader.context import Context, Handler
from mpscnn.converters.onnx_reader.expansions import ALIGNED
from mpscnn.converters.onnx_reader.known_results import Border, Deferred, Expanded
from mpscnn.converters.onnx_reader.node import Node
from mpscnn.converters.onnx_reader.operands import Operands, Row
from mpscnn.converters.slicing import PAD_MODES
from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.unsupported import MixedImagesError
from mpscnn.converters.value import Value
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layers.convolution import ChannelBlocks

_IMAGE_RANK = 4


# ---- Axes ----------------------------------------------------------------------------------------------------------


def _dropout(c: Context, node: Node) -> FileTensor:
    c.refuse_results(node, 1, "a mask")
    training = node.input(2) is not None and c.constants.fixed(node.input(2), "its mode").any()
    if training and (node.input(1) is None or c.constants.number(node.input(1), "its ratio") != 0.0):
        raise UnsupportedError("it drops elements, as in training, which is not supported")
    return c.x(node, whole_numbers=True)


def _expand(o: Operands) -> Value | None:
    """Convert Expand. A tensor gets a layer when a node reads the result, unless that node broadcasts the operand."""
    x, wanted = o.x(whole_numbers=True), o.constant(1, "the new shape")
    if not isinstance(x, FileTensor):
        return x.broadcast_to(wanted)
    shapes = wanted.shapes("the new shape")
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
    shape = Constant.of_extents((low, high), o.budget)

    def repeated() -> FileTensor:
        y = x.broadcast_to(shape)
        return y.mark_as_integers() if x.whole_numbers else y

    o.c.known.deferred[o.node.outputs[0]] = Deferred(o.node, repeated, Expanded(x, (low, high)))
    return None


def _aligned(o: Operands) -> Value:
    """Convert `ALIGNED`: add axes after those of the first operand, which may be a constant."""
    x, other = (o.value(place, whole_numbers=True) for place in (0, 1))
    axis = o.node.integer("axis")
    return x.expand_dims(range(x.rank, max(x.rank, other.rank - axis % max(other.rank, 1))))


# ---- Borders and blocks --------------------------------------------------------------------------------------------


def _pad(o: Operands) -> Value | None:
    x, mode = o.x(), o.node.text("mode", "constant")
    if mode not in PAD_MODES and mode != "wrap":
        raise UnsupportedError(f"its mode is {mode!r}; supported are {', '.join(PAD_MODES)} and wrap")
    pads, value = borders(o, x.rank)
    if isinstance(x, Constant):
        return x.pad([*zip(pads[: x.rank], pads[x.rank :], strict=True)], mode, value)
    assert isinstance(x, FileTensor)
    if pads[0] or pads[x.rank]:
        raise MixedImagesError("pads the batch")
    if not any(pads):
        return x
    if x.rank not in (3, _IMAGE_RANK) or mode == "wrap":
        for axis, sides in enumerate(zip(pads[: x.rank], pads[x.rank :], strict=True)):
            if any(sides):
                x = _padded_axis(x, axis, sides, mode, value)
        return x
    return _padded_image(o.c, o.node, x, pads, mode, value)


def _padded_image(
    c: Context, node: Node, x: FileTensor, pads: list[int], mode: str, value: float
) -> FileTensor | None:
    """Pad an image or a sequence by one layer. A border of minus infinity waits for a MaxPool."""
    if x.rank == 3:
        pads = [pads[0], pads[1], 0, pads[2], pads[3], pads[4], 0, pads[5]]
    lies_channels_last = _lies_channels_last(x, pads)
    if lies_channels_last:
        x = x.transpose(TO_NCHW)
        pads = [pads[side + axis] for side in (0, _IMAGE_RANK) for axis in TO_NCHW]
    _, front, top, left, _, back, bottom, right = pads
    if not math.isfinite(value):
        reason = f"its border holds {value}, which is only supported as the padding of a maximum"
        if mode != "constant" or value > 0 or front or back or lies_channels_last:
            raise UnsupportedError(reason)
        border = Border(x, (top, left, bottom, right))
        c.known.deferred[node.outputs[0]] = Deferred(node, lambda: _refused(reason), border)
        return None
    attributes = {"front": front, "back": back, "top": top, "bottom": bottom, "left": left, "right": right}
    settings = attributes | {"mode": PAD_MODES[mode], "value": value}
    y = x.wrap_image(c.network.layer("padding", [x.image()], settings, name=c.layer_name(node)))
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


def borders(o: Operands, rank: int) -> tuple[list[int], float]:
    """Return the pads before and after each axis of a Pad node, and the value of a constant border."""
    pads, value = o.integers("pads", 1, "its pads"), o.node.number("value", 0.0)
    if pads is None:
        raise WeightsError("damaged: it has no pads")
    if (stated := o.optional(2)) is not None:
        value = stated.number("its value")
    if (axes := o.optional(3)) is not None:
        places = axes.integers("its axes")
        full = [0] * (2 * rank)
        for place, axis in enumerate(places):
            if not -rank <= axis < rank:
                raise WeightsError(f"damaged: pads axis {axis} of {rank}")
            full[axis % rank], full[axis % rank + rank] = pads[place], pads[place + len(places)]
        pads = full
    if len(pads) != 2 * rank:
        raise WeightsError(f"damaged: pads {pads} for {rank} axes")
    return pads, value


def _depth_to_space(c: Context, node: Node) -> FileTensor:
    x, order = c.x(node), _channel_blocks(node)
    block, name = node.integer("blocksize"), c.layer_name(node)
    return x.wrap_image(c.network.depth_to_space(x.image(), block, order=order, name=name))


def _space_to_depth(c: Context, node: Node) -> FileTensor:
    x = c.x(node)
    if x.rank != _IMAGE_RANK:
        raise UnsupportedError(f"makes channels of blocks of {x.shown}, which is not an image")
    made = space_to_depth(x.transpose(TO_NHWC), node.integer("blocksize"), _channel_blocks(node))
    return made.transpose(TO_NCHW)


def _channel_blocks(node: Node) -> ChannelBlocks:
    orders: dict[str, ChannelBlocks] = {"DCR": "position_major", "CRD": "channel_major"}
    mode = node.text("mode", "DCR")
    if mode not in orders:
        raise WeightsError(f"damaged: its mode is {mode!r}")
    return orders[mode]


ARRAY_OPS: dict[str, Row] = {
    ALIGNED: _aligned,
    "Expand": _expand,
    "Pad": _pad,
}
"""The functions of operators that serve constants and tensors of the network alike."""

TENSOR_OPS: dict[str, Handler] = {
    "Dropout": _dropout,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
}
