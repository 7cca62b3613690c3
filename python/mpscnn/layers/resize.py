"""Images of another size."""

from __future__ import annotations

from typing import Any

from mpscnn.layer_arguments import IntPair, pair
from mpscnn.layers.layer_maker import LayerMaker, Tensor


class ResizeLayers(LayerMaker):
    """Images of another size."""

    def resize(
        self,
        x: Tensor,
        size: tuple[int, int] | None = None,
        *,
        scale: IntPair = 1,
        method: str = "bilinear",
        alignment: str = "half_pixel",
        name: str | None = None,
    ) -> Tensor:
        """Image of another size: `size` (height, width), or whole-number factors `scale`.

        Args:
            method: "bilinear" or "nearest".
            alignment: "half_pixel", "corners" (align_corners) or "asymmetric" (TensorFlow 1's default).
        """
        attributes: dict[str, Any] = {"kind": method, "alignment": alignment}
        if size is not None:
            attributes |= {"height": size[0], "width": size[1]}
        vertical, horizontal = pair("scale", scale)
        attributes |= {"scale_y": vertical, "scale_x": horizontal}
        return self.layer("resize", [x], attributes, name=name, default="resize")
