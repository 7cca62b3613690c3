"""Define the layer methods that permute axes and channels."""

from __future__ import annotations

from collections.abc import Sequence

from mpscnn._private.arguments import whole_numbers
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor


class TransposeLayers(LayerMaker):
    """Methods that permute axes and channels."""

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
