"""Borders around images."""

from __future__ import annotations

from typing import Any

from mpscnn.errors import ParameterError
from mpscnn.layer_arguments import PaddingArgument, window_attributes
from mpscnn.layers.layer_maker import LayerMaker, Tensor


class PaddingLayers(LayerMaker):
    """Borders around images."""

    def pad(
        self, x: Tensor, padding: PaddingArgument, *, value: float = 0.0, name: str | None = None
    ) -> Tensor:
        """A constant border: one number for all sides, (vertical, horizontal) or ((top, bottom), (left, right))."""
        if isinstance(padding, str):
            raise ParameterError(f"pad: padding must be numbers, got {padding!r}")
        window = window_attributes(1, 1, padding, 1)
        attributes: dict[str, Any] = {"value": value}
        attributes |= {side: window.get(f"pad_{side}", 0) for side in ("top", "bottom", "left", "right")}
        return self.layer("padding", [x], attributes, name=name, default="pad")
