"""Convert space_to_batch and batch_to_space. Convolutions between them become dilated convolutions of whole images.

Images that are divided into blocks keep their own layout in the graph: only the padding of space_to_batch and the crops
of batch_to_space become layers. An operation between the two must treat each pixel alike, or be a convolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mpscnn.converters.reading.coreml.program.operation import Operation
from mpscnn.converters.reading.coreml.program.row_calls import Tensor, Wholes
from mpscnn.converters.reading.graph.blocks import cut, pad
from mpscnn.converters.reading.graph.builder import Builder
from mpscnn.converters.values.rows import Ints, Row
from mpscnn.errors import UnsupportedError, WeightsError

_PER_CHANNEL = frozenset({"batch_norm", "prelu", "softplus_parametric"})
_PER_ELEMENT = frozenset(
    {
        "abs",
        "cast",
        "clamped_relu",
        "clip",
        "elu",
        "gelu",
        "identity",
        "leaky_relu",
        "linear_activation",
        "relu",
    }
    | {"relu6", "scaled_tanh", "sigmoid", "sigmoid_hard", "silu", "softplus", "softsign", "square", "tanh"}
    | {"threshold", "thresholded_relu"}
)
_KEEP = _PER_CHANNEL | _PER_ELEMENT | {"conv"}


def result_block(op: Operation) -> tuple[int, int] | None:
    """Return the block size of an operation's results; None if they are whole images.

    Raises UnsupportedError if the operation does not treat all blocks alike.
    """
    if op.kind == "space_to_batch":
        if op.block is not None:
            raise UnsupportedError("divides images that are already divided into blocks of the batch")
        return _block_shape(op.integers("block_shape"))
    if op.block is None or op.kind == "batch_to_space":
        return None
    if op.kind not in _KEEP:
        raise UnsupportedError("computes with images that are divided into blocks of the batch")
    return op.block


def whole_image_windows(op: Operation, settings: dict[str, Any], kernel: Sequence[int]) -> dict[str, Any]:
    """Return the settings of a convolution of blocks for the whole image. Its dilation becomes the size of a block.

    Args:
        op: the convolution.
        settings: "strides", "dilations" and maybe "pads" or "auto_pad", for the blocks.
        kernel: the height and width of the weights.
    """
    if op.block is None:
        return settings
    if settings["strides"] != [1, 1]:
        raise UnsupportedError("has strides, and its images are divided into blocks of the batch")
    block, dilations = op.block, settings["dilations"]
    pads = settings.get("pads", [0, 0, 0, 0])
    if "auto_pad" in settings:
        totals = [(taps - 1) * dilation for taps, dilation in zip(kernel, dilations, strict=True)]
        less, more = [total // 2 for total in totals], [total - total // 2 for total in totals]
        pads = [*less, *more] if settings["auto_pad"] == "SAME_UPPER" else [*more, *less]
    rest = {name: value for name, value in settings.items() if name != "auto_pad"}
    return {
        **rest,
        "dilations": [one * size for one, size in zip(dilations, block, strict=True)],
        "pads": [amount * size for amount, size in zip(pads, (*block, *block), strict=True)],
    }


def _block_shape(sizes: Ints) -> tuple[int, int]:
    if len(sizes) != 2 or not all(1 <= size < 2**31 for size in sizes):
        raise WeightsError(f"damaged: its block_shape is {list(sizes[:5])}")
    return sizes[0], sizes[1]


def _sides(amounts: Ints, name: str) -> list[int]:
    """Return an operand as top, bottom, left and right."""
    if len(amounts) != 4 or not all(0 <= amount < 2**31 for amount in amounts):
        raise WeightsError(f"damaged: its {name} are {list(amounts[:8])}")
    return list(amounts)


def _space_to_batch(b: Builder, x: Tensor, block_shape: Wholes, paddings: Wholes) -> str:
    """Convert space_to_batch to its padding only."""
    made = pad(b, x, _sides(paddings, "paddings"), "constant")
    for extent, size in zip(b.extents(made)[2:], _block_shape(block_shape), strict=True):
        if extent is not None and extent % size:
            raise WeightsError(f"damaged: divides {extent} pixels into blocks of {size}")
    return made


def _batch_to_space(b: Builder, op: Operation, x: Tensor, block_shape: Wholes, crops: Wholes) -> str:
    """Convert batch_to_space to its crops only."""
    if op.block is None or op.block != _block_shape(block_shape):
        raise UnsupportedError("joins images of the batch, which no space_to_batch of this size has made")
    top, bottom, left, right = _sides(crops, "crops")
    return cut(b, x, (top, left), (bottom, right))


BLOCKS: dict[str, Row] = {"batch_to_space": _batch_to_space, "space_to_batch": _space_to_batch}
