"""Turn blocks of pixels into channels, and channels into blocks of pixels."""

from __future__ import annotations

from mpscnn.converters.tensor import FileTensor
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layers.subpixel import ChannelBlocks


def space_to_depth(x: FileTensor, block: int, order: ChannelBlocks = "position_major") -> FileTensor:
    """Turn blocks of pixels of an image (n, height, width, channels) into channels. `depth_to_space` undoes this.

    No element moves until a layer needs another order.
    """
    batches, (height, width, channels) = _image_extents(x, "makes channels of blocks of")
    if block < 1 or height % block or width % block:
        raise WeightsError(f"damaged: blocks of {block} in {x.shown}")
    rows, columns = height // block, width // block
    apart = x.view(*([batch, rows, block, columns, block, channels] for batch in batches))
    y = apart.transpose((0, 1, 3, 2, 4, 5) if order == "position_major" else (0, 1, 3, 5, 2, 4))
    return y.reshape_to(*([batch, rows, columns, channels * block**2] for batch in batches))


def depth_to_space(x: FileTensor, rows: int, columns: int) -> FileTensor:
    """Turn the channels of an image (n, height, width, channels) into blocks of pixels, by moving elements.

    Channel (y * columns + x) * c + k becomes channel k of pixel (y, x) of a block. c is the number of new channels.
    """
    batches, (height, width, channels) = _image_extents(x, "makes pixels of the channels of")
    if rows < 1 or columns < 1 or channels % (rows * columns):
        raise WeightsError(f"damaged: makes blocks of {rows} x {columns} pixels of {x.shown}")
    left = channels // (rows * columns)
    apart = x.view(*([batch, height, width, rows, columns, left] for batch in batches))
    y = apart.transpose((0, 1, 3, 2, 4, 5))
    return y.reshape_to(*([batch, height * rows, width * columns, left] for batch in batches))


def _image_extents(x: FileTensor, what: str) -> tuple[list[int], list[int]]:
    """Return both trial numbers of an image's batch, and its other extents, which must be known."""
    if x.rank != 4 or not x.has_batch_first or None in x.shape[1:]:
        raise UnsupportedError(f"{what} {x.shown}; supported are images of a known size")
    low, high = x.trial_shapes()
    return [low[0], high[0]], low[1:]
