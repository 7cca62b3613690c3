"""Poolings."""

from __future__ import annotations

from mpscnn.layer_arguments import IntPair, PaddingArgument, window_attributes
from mpscnn.layers.layer_maker import LayerMaker, Tensor


class PoolingLayers(LayerMaker):
    """Poolings."""

    def max_pool2d(
        self,
        x: Tensor,
        pool_size: IntPair,
        *,
        strides: IntPair | None = None,
        padding: PaddingArgument = "valid",
        dilation: IntPair = 1,
        ceil_mode: bool = False,
        name: str | None = None,
    ) -> Tensor:
        """Maximum of each window; positions in the padding never win. `strides` defaults to `pool_size`."""
        attributes = window_attributes(
            pool_size, pool_size if strides is None else strides, padding, dilation
        )
        attributes |= {"kind": "max", "ceil_mode": ceil_mode}
        return self.layer("pooling", [x], attributes, name=name, default="max_pool2d")

    def average_pool2d(
        self,
        x: Tensor,
        pool_size: IntPair,
        *,
        strides: IntPair | None = None,
        padding: PaddingArgument = "valid",
        count_padding: bool = False,
        ceil_mode: bool = False,
        name: str | None = None,
    ) -> Tensor:
        """Mean of each window. The divisor counts pixels of the image, with `count_padding` also zero padding."""
        attributes = window_attributes(pool_size, pool_size if strides is None else strides, padding, 1)
        attributes |= {"kind": "average", "ceil_mode": ceil_mode, "count_padding": count_padding}
        return self.layer("pooling", [x], attributes, name=name, default="average_pool2d")

    def global_average_pool2d(self, x: Tensor, *, name: str | None = None) -> Tensor:
        """Mean of each channel: (n, h, w, c) -> (n, 1, 1, c)."""
        return self._global_pool("average", x, name)

    def global_max_pool2d(self, x: Tensor, *, name: str | None = None) -> Tensor:
        """Maximum of each channel: (n, h, w, c) -> (n, 1, 1, c)."""
        return self._global_pool("max", x, name)

    def _global_pool(self, kind: str, x: Tensor, name: str | None) -> Tensor:
        attributes = {"kind": kind, "global": True}
        return self.layer("pooling", [x], attributes, name=name, default=f"global_{kind}_pool2d")
