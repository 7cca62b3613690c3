"""Turn blocks of pixels into channels and back, and several images of each image of the batch, too."""

from __future__ import annotations

from dataclasses import replace

from mpscnn.converters.values.layout import product, without_batch
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layers.convolution import ChannelBlocks


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


def images_as_channels(x: FileTensor, channels: int) -> tuple[FileTensor, int]:
    """Move images from the first axis to the channels, if a reshape has put them next to the batch.

    Args:
        x: the tensor.
        channels: the number of the channel axis.

    Returns the tensor, whose first axis is the batch alone, and the number of images that became channels, which
    is 1 if nothing changes. The images come first in the order of channels.
    """
    return images_below_each_other(x, channels) if x.rank in (3, 4) else (x, 1)


def images_below_each_other(x: FileTensor, axis: int) -> tuple[FileTensor, int]:
    """Move images from the first axis to the beginning of another axis, as `images_as_channels` does."""
    images = without_batch(x.axes[0]) if x.rank else ()
    count = product(images)
    if not images or count is None or len(images) == len(x.axes[0]):
        return x, 1
    axes = list(x.axes)
    axes[0] = tuple(atom for atom in axes[0] if atom.is_batch)
    axes[axis] = images + axes[axis]
    return replace(x, axes=tuple(axes)), count


def images_apart(x: FileTensor, axis: int, count: int) -> FileTensor:
    """Undo `images_below_each_other` for a result that has other extents."""
    if count == 1:
        return x
    low, high = ([*one[:axis], count, one[axis] // count, *one[axis + 1 :]] for one in x.trial_shapes())
    apart = x.view(low, high)
    order = [0, axis, *(other for other in range(1, apart.rank) if other != axis)]
    return apart.transpose(order).merge_axes(0, 2)
