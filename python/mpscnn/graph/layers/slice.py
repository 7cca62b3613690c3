"""Parts of images."""

from __future__ import annotations

from typing import Any

from mpscnn.errors import ParameterError
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor

Part = slice | tuple[int | None, int | None] | None


class SliceLayers(LayerMaker):
    """Parts of images."""

    def slice(
        self,
        x: Tensor,
        *,
        rows: Part = None,
        columns: Part = None,
        channels: Part = None,
        name: str | None = None,
    ) -> Tensor:
        """Rows, columns and channels: `x[:, rows, columns, channels]` of an array. Nothing is copied. MPSNNSlice.

        Args:
            rows, columns, channels: (start, stop) or a Python slice, None for all. Rows and columns may have a step
                above 1. A stop counted from the end needs an extent that the network knows.

        Raises ShapeError for a part that does not lie within the image or is empty.
        """
        attributes: dict[str, Any] = {}
        axes = (("top", "height", "stride_y"), ("left", "width", "stride_x"), ("front", "channels", None))
        for axis, (part, names) in enumerate(zip((rows, columns, channels), axes, strict=True), start=1):
            if part is not None:
                given = part if isinstance(part, slice) else slice(*part)
                attributes |= _range(given, x.shape[axis], names)
        return self.layer("slice", [x], attributes, name=name, default="slice")


def _range(part: slice, extent: int | None, names: tuple[str, str, str | None]) -> dict[str, int]:
    """One axis' parameters, none of them out of the operation's sight: it refuses what lies outside."""
    first, count, stride = names
    step = 1 if part.step is None else int(part.step)
    start = 0 if part.start is None else int(part.start)
    if step < 1 or (step > 1 and stride is None):
        raise ParameterError(
            f"slice: the step of rows and columns must be 1 or more, of channels 1, got {step}"
        )
    attributes = {first: start} | ({stride: step} if stride is not None else {})
    if part.stop is None:
        return attributes
    stop = int(part.stop)
    if (stop < 0) != (start < 0):
        if extent is None:
            raise ParameterError(
                f"slice: {first} {start} up to {stop} needs an extent that the network knows"
            )
        start, stop = (value + extent if value < 0 else value for value in (start, stop))
    if stop <= start:
        raise ParameterError(f"slice: nothing lies from {part.start} up to {part.stop}")
    return attributes | {count: -(-(stop - start) // step)}
