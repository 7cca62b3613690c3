"""Let a layer compute with several images of each image of the batch, as channels."""

from __future__ import annotations

from dataclasses import replace

from mpscnn.converters.layout import product, without_batch
from mpscnn.converters.tensor import FileTensor


def images_as_channels(x: FileTensor, channels: int) -> tuple[FileTensor, int]:
    """Move images from the first axis to the channels, if a reshape has put them next to the batch.

    Args:
        x: the tensor.
        channels: the number of the channel axis.

    Returns the tensor, whose first axis is the batch alone, and the number of images that became channels, which
    is 1 if nothing changes. The images come first in the order of channels.
    """
    images = without_batch(x.axes[0]) if x.rank else ()
    count = product(images)
    if x.rank not in (3, 4) or not images or count is None or len(images) == len(x.axes[0]):
        return x, 1
    axes = list(x.axes)
    axes[0] = tuple(atom for atom in axes[0] if atom.is_batch)
    axes[channels] = images + axes[channels]
    return replace(x, axes=tuple(axes)), count


def channels_as_images(x: FileTensor, channels: int, count: int) -> FileTensor:
    """Undo `images_as_channels` for a result that has other channels."""
    if count == 1:
        return x
    low, high = (
        [*one[:channels], count, one[channels] // count, *one[channels + 1 :]] for one in x.trial_shapes()
    )
    apart = x.view(low, high)
    order = [0, channels, *(axis for axis in range(1, apart.rank) if axis != channels)]
    return apart.transpose(order).merge_axes(0, 2)
