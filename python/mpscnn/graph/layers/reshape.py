"""Define the layer methods that change the shape, or the order of axes and channels, and that concatenate tensors."""

from __future__ import annotations

from collections.abc import Sequence

from mpscnn._private.arguments import whole_numbers
from mpscnn._private.expected_names import accept_foreign_arguments
from mpscnn.errors import ParameterError
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor


class ReshapeLayers(LayerMaker):
    """Methods that change the shape or the order of axes and channels, and that concatenate tensors."""

    def reshape(self, x: Tensor, shape: Sequence[int], *, name: str | None = None) -> Tensor:
        """Change the shape; the elements keep their order.

        `shape` has no batch. 0 means the extent of x on the same axis, which may be free. One extent may be -1.
        """
        return self.layer("reshape", [x], {"shape": whole_numbers("reshape: shape", shape)}, name=name)

    def flatten(self, x: Tensor, *, name: str | None = None) -> Tensor:
        """Flatten an image: (n, h, w, c) -> (n, h * w * c)."""
        return self.layer("reshape", [x], {"shape": [-1]}, name=name, default="flatten")

    def transpose(self, x: Tensor, axes: Sequence[int], *, name: str | None = None) -> Tensor:
        """Permute the axes after the batch like `numpy.transpose`: axis i + 1 of the result is axis `axes[i]` of x.

        An image (n, h, w, c) with axes (3, 1, 2) becomes (n, c, h, w). The batch, axis 0, stays first and is not
        listed.

        Raises ParameterError unless each axis of x but the batch is listed once.
        """
        return self.layer("transpose", [x], {"axes": whole_numbers("transpose: axes", axes)}, name=name)

    def channel_shuffle(self, x: Tensor, groups: int, *, name: str | None = None) -> Tensor:
        """Interleave groups of consecutive channels like `torch.nn.ChannelShuffle`: (..., c) -> (..., c).

        Channel k * groups + g of the result is channel g * (c / groups) + k of x (Zhang et al. 2018).

        Raises ParameterError unless `groups` divides the number of channels.
        """
        return self.layer("channel_shuffle", [x], {"groups": groups}, name=name)

    @accept_foreign_arguments
    def concat(self, tensors: Sequence[Tensor], *, axis: int = -1, name: str | None = None) -> Tensor:
        """Concatenate tensors along `axis`, which must not be the batch."""
        if not isinstance(tensors, Sequence):
            raise ParameterError(f"concat: expected several tensors, got {type(tensors).__name__}")
        return self.layer("concatenation", list(tensors), {"axis": axis}, name=name, default="concat")
