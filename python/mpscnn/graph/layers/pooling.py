"""Poolings."""

from __future__ import annotations

from mpscnn._private.arguments import IntPair, pair
from mpscnn._private.literals import PoolingEdgeName
from mpscnn.graph.layer_arguments import PaddingArgument, window_attributes
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor


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
        edge: PoolingEdgeName = "exclude",
        name: str | None = None,
    ) -> Tensor:
        """Maximum of each window of each channel: (n, h, w, c) -> (n, h', w', c). MPSCNN(Dilated)PoolingMax.

        Args:
            pool_size: taps (vertical, horizontal), or one number for both. `strides` defaults to it.
            padding: "valid", "same", "full" or numbers; negative ones leave rows or columns unread.
            edge: what taps outside the image read: "exclude" nothing (frameworks), "zero", or "clamp" the nearest
                pixel.

        Raises ShapeError for a window that covers only padding, unless `edge` gives the padding's values.
        """
        attributes = window_attributes(
            pool_size, pool_size if strides is None else strides, padding, dilation
        )
        attributes |= {"kind": "max", "ceil_mode": ceil_mode, "edge": edge}
        return self.layer("pooling", [x], attributes, name=name, default="max_pool2d")

    def average_pool2d(
        self,
        x: Tensor,
        pool_size: IntPair,
        *,
        strides: IntPair | None = None,
        padding: PaddingArgument = "valid",
        count_padding: bool = False,
        zero_pad: IntPair = 0,
        ceil_mode: bool = False,
        edge: PoolingEdgeName = "exclude",
        name: str | None = None,
    ) -> Tensor:
        """Mean of each window: the sum of the pixels that it covers, divided by their number. MPSCNNPoolingAverage.

        Args:
            count_padding: zero padding counts in the divisor (PyTorch's count_include_pad), a `ceil_mode` overhang
                does not.
            zero_pad: (vertical, horizontal) pixels on each side of the image that count in the divisor, wherever the
                windows lie (MPS' zeroPadSize).
            edge: "exclude" (frameworks), "zero": the divisor is always the number of taps, or "clamp" as MPS means
                it: as exclude, and 0 where a window covers no pixel.
        """
        attributes = window_attributes(pool_size, pool_size if strides is None else strides, padding, 1)
        attributes |= {
            "kind": "average",
            "ceil_mode": ceil_mode,
            "count_padding": count_padding,
            "edge": edge,
        }
        zero_pad_y, zero_pad_x = pair("zero_pad", zero_pad)
        attributes |= {"zero_pad_y": zero_pad_y, "zero_pad_x": zero_pad_x}
        return self.layer("pooling", [x], attributes, name=name, default="average_pool2d")

    def l2_norm_pool2d(
        self,
        x: Tensor,
        pool_size: IntPair,
        *,
        strides: IntPair | None = None,
        padding: PaddingArgument = "valid",
        dilation: IntPair = 1,
        ceil_mode: bool = False,
        edge: PoolingEdgeName = "exclude",
        name: str | None = None,
    ) -> Tensor:
        """Square root of the sum of squares of each window (PyTorch's lp_pool2d with p = 2). MPSCNNPoolingL2Norm.

        Args: as of `max_pool2d`.
        """
        attributes = window_attributes(
            pool_size, pool_size if strides is None else strides, padding, dilation
        )
        attributes |= {"kind": "l2_norm", "ceil_mode": ceil_mode, "edge": edge}
        return self.layer("pooling", [x], attributes, name=name, default="l2_norm_pool2d")

    def global_average_pool2d(self, x: Tensor, *, name: str | None = None) -> Tensor:
        """Mean of each channel: (n, h, w, c) -> (n, 1, 1, c)."""
        return self._global_pool("average", x, name)

    def global_max_pool2d(self, x: Tensor, *, name: str | None = None) -> Tensor:
        """Maximum of each channel: (n, h, w, c) -> (n, 1, 1, c)."""
        return self._global_pool("max", x, name)

    def _global_pool(self, kind: str, x: Tensor, name: str | None) -> Tensor:
        attributes = {"kind": kind, "global": True}
        return self.layer("pooling", [x], attributes, name=name, default=f"global_{kind}_pool2d")
