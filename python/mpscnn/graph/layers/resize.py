"""Define the layer methods that resize images."""

from __future__ import annotations

from typing import Any, Literal

from mpscnn._private.arguments import IntPair, result_size
from mpscnn._private.literals import EdgeName
from mpscnn.errors import ParameterError
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor


class ResizeLayers(LayerMaker):
    """Methods that resize images."""

    def resize(
        self,
        x: Tensor,
        size: IntPair | None = None,
        *,
        scale: float | tuple[float, float] = 1,
        method: Literal["bilinear", "nearest", "lanczos"] = "bilinear",
        alignment: Literal["half_pixel", "corners", "asymmetric", "pytorch_half_pixel"] = "half_pixel",
        edge: EdgeName = "clamp",
        rounding: Literal[
            "by_alignment", "floor", "ceil", "round_prefer_floor", "round_prefer_ceil"
        ] = "by_alignment",
        name: str | None = None,
    ) -> Tensor:
        """Resize images: (n, h, w, c) -> (n, h', w', c).

        See MPSCNNUpsamplingNearest, MPSCNNUpsamplingBilinear, MPSNNResizeBilinear and MPSImageLanczosScale.

        Args:
            size: (height, width) of the result, or one number for both.
            scale: without `size`, factors (vertical, horizontal); the result's size is rounded down.
            method: "bilinear" or "nearest", without antialiasing; or "lanczos" with three lobes, which widen in
                proportion when the image becomes smaller.
            alignment: the position in the input that output pixel o samples, with r = input / output size or 1 / scale:
                "half_pixel": (o + 0.5) * r - 0.5 (TensorFlow 2, PyTorch); "corners": o * (input - 1) / (output - 1)
                (align_corners); "asymmetric": o * r (TensorFlow 1; PyTorch's nearest); "pytorch_half_pixel": like
                "half_pixel", but 0 along an axis with one output pixel.
            edge: values outside the image: "clamp" (the nearest pixel) or "zero".
            rounding: the pixel that "nearest" takes between two pixels: "floor" the lower one, "ceil" the upper one,
                "round_prefer_floor" and "round_prefer_ceil" the nearer one, and in the middle the lower or upper one;
                "by_alignment" means "floor" for "asymmetric", otherwise "round_prefer_ceil".
        """
        attributes: dict[str, Any] = {"kind": method, "alignment": alignment}
        if size is not None:
            attributes["height"], attributes["width"] = result_size("resize: size", size)
        factors = scale if isinstance(scale, (tuple, list)) else (scale, scale)
        if len(factors) != 2:
            raise ParameterError(f"resize: scale must be a number or (vertical, horizontal), got {scale!r}")
        vertical, horizontal = factors
        attributes |= {"scale_y": vertical, "scale_x": horizontal, "edge": edge, "rounding": rounding}
        return self.layer("resize", [x], attributes, name=name)

    def upsample(
        self,
        x: Tensor,
        scale: float | tuple[float, float] | None = None,
        *,
        size: IntPair | None = None,
        method: Literal["bilinear", "nearest"] = "nearest",
        name: str | None = None,
    ) -> Tensor:
        """Enlarge images like PyTorch's Upsample and Keras' UpSampling2D: (n, h, w, c) -> (n, h', w', c).

        Args:
            scale: the factor, or (vertical, horizontal); None: 2 if there is no `size`.
            size: (h', w') instead of `scale`, or one number for both.
            method: "nearest" repeats pixels, "bilinear" interpolates as `resize` does.
        """
        if scale is None:
            scale = 2 if size is None else 1
        return self.resize(
            x,
            size,
            scale=scale,
            method=method,
            alignment="asymmetric" if method == "nearest" else "half_pixel",
            name=name,
        )
