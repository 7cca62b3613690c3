"""Define the layer methods for poolings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mpscnn._private.arguments import IntPair, pair
from mpscnn._private.literals import PoolingEdgeName
from mpscnn.graph.layer_arguments import PaddingArgument, window_attributes
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor


class PoolingLayers(LayerMaker):
    """Methods for poolings."""

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
        """Return the maximum of each window: (n, h, w, c) -> (n, h', w', c). See MPSCNNPoolingMax.

        Args:
            pool_size: (vertical, horizontal), or one number for both. It is also the default of `strides`.
            padding: "valid", "same", "full" or numbers; negative ones skip rows or columns.
            edge: values outside the image: "exclude" ignores them (as other frameworks do), "zero", or "clamp" (the
                nearest pixel).

        Raises ShapeError for a window that covers only padding, unless `edge` gives values for it.
        """
        window = window_attributes(pool_size, pool_size if strides is None else strides, padding, dilation)
        return self._pool("max", x, window | {"ceil_mode": ceil_mode, "edge": edge}, name)

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
        """Return the mean of each window, without pixels outside the image by default. See MPSCNNPoolingAverage.

        The mean is the sum of the covered pixels divided by a number that these arguments determine.

        Args:
            count_padding: zero padding counts in the divisor (PyTorch's count_include_pad), but not what `ceil_mode`
                adds.
            zero_pad: (vertical, horizontal) pixels on each side of the image that count in the divisor, wherever the
                windows are (MPS' zeroPadSize).
            edge: "exclude" (other frameworks); "zero": the divisor is always the size of the window; "clamp" as in MPS:
                like "exclude", but 0 if a window covers no pixel.
        """
        attributes = window_attributes(pool_size, pool_size if strides is None else strides, padding, 1)
        attributes |= {"ceil_mode": ceil_mode, "count_padding": count_padding, "edge": edge}
        attributes["zero_pad_y"], attributes["zero_pad_x"] = pair("zero_pad", zero_pad)
        return self._pool("average", x, attributes, name)

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
        """Return the root of the sum of squares of each window. See MPSCNNPoolingL2Norm.

        This is PyTorch's lp_pool2d with p = 2.

        The arguments are those of `max_pool2d`.
        """
        window = window_attributes(pool_size, pool_size if strides is None else strides, padding, dilation)
        return self._pool("l2_norm", x, window | {"ceil_mode": ceil_mode, "edge": edge}, name)

    def global_average_pool2d(self, x: Tensor, *, name: str | None = None) -> Tensor:
        """Return the mean of each channel: (n, h, w, c) -> (n, 1, 1, c)."""
        return self._pool("average", x, {"global": True}, name, "global_")

    def global_max_pool2d(self, x: Tensor, *, name: str | None = None) -> Tensor:
        """Return the maximum of each channel: (n, h, w, c) -> (n, 1, 1, c)."""
        return self._pool("max", x, {"global": True}, name, "global_")

    def _pool(
        self, kind: str, x: Tensor, attributes: Mapping[str, Any], name: str | None, prefix: str = ""
    ) -> Tensor:
        default = f"{prefix}{kind}_pool2d"
        return self.layer("pooling", [x], {"kind": kind, **attributes}, name=name, default=default)
