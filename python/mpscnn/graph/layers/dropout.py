"""Define the layer method for dropout."""

from __future__ import annotations

from mpscnn._private.arguments import is_finite_number, is_sequence
from mpscnn.errors import ParameterError
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor


class DropoutLayers(LayerMaker):
    """The method for dropout."""

    def dropout(
        self,
        x: Tensor,
        rate: float = 0.5,
        *,
        seed: int = 0,
        mask_strides: tuple[int, int, int] = (1, 1, 1),
        training: bool = False,
        name: str | None = None,
    ) -> Tensor:
        """Set a share of the elements to zero and divide the others by 1 - rate (Srivastava et al. 2014).

        In inference (`training` is False) the result is x, and compiling removes the layer. For an input of ones, the
        result is the mask: 1 / (1 - rate) for kept elements, 0 for dropped ones.

        Args:
            rate: the share of dropped elements, at least 0 and below 1.
            seed: the same seed gives the same mask, on every device.
            mask_strides: 0 or 1 along (y, x, channels). With 0 the mask is repeated along this axis, so (0, 0, 1) drops
                whole channels.
            training: True: drop elements; False: return x.

        Raises:
            ParameterError: an argument is out of its range.
        """
        if not is_finite_number(rate) or not 0 <= rate < 1:
            raise ParameterError(f"dropout: rate must be at least 0 and below 1, got {rate!r}")
        if not is_sequence(mask_strides) or len(mask_strides) != 3:
            raise ParameterError(f"dropout: mask_strides must be 3 numbers, got {mask_strides!r}")
        attributes = {"keep_probability": 1.0 - float(rate), "seed": seed, "training": training}
        attributes |= {
            f"mask_stride_{axis}": stride
            for axis, stride in zip(("y", "x", "channels"), mask_strides, strict=True)
        }
        return self.layer("dropout", [x], attributes, name=name)
