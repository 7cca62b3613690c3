"""Python functions as layers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from mpscnn._private.arguments import whole_numbers
from mpscnn.errors import ParameterError, ShapeError
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor


class CustomLayers(LayerMaker):
    """Functions of the program."""

    @abstractmethod
    def add_custom(
        self, name: str | None, inputs: Sequence[Tensor], function: Callable[..., None], shape: Sequence[int]
    ) -> Tensor:
        """Add the layer to the network."""

    def custom(
        self,
        function: Callable[..., None],
        x: Tensor | Sequence[Tensor],
        *,
        shape: Sequence[int | None] | None = None,
        name: str | None = None,
    ) -> Tensor:
        """Return a layer that a Python function computes on the processor: `function(*inputs, out)` writes to `out`.

        The arguments are float32 arrays, batch first, in the network's own memory: inputs are read only, and none may
        be kept. The function runs in the thread that runs the session. If several sessions run, it runs in several
        threads at the same time. It must not run that session itself. With `precision="float16"` it computes in
        float32 as well. It has no
        gradient.

        An exception of the function becomes a ParameterError of the run that names the layer. A network with such a
        layer can
        be compiled and run, but not saved, pickled, copied or exported: UnsupportedError.

        Args:
            function: for example `lambda x, out: np.maximum(x, 0, out=out)`, which must return None or `out`.
            x: the input, or several of one batch size.
            shape: extents of the result behind the batch; None for one that is as the first input's. None: the shape of
                the first input.
            name: None: "custom_1", ...

        Raises:
            ParameterError: no function; ShapeError: a shape that no result can have.
        """
        if not callable(function):
            raise ParameterError(f"custom: function must be callable, got {function!r}")
        inputs = [x] if isinstance(x, Tensor) else list(x)
        return self.add_custom(name, inputs, function, _extents(shape))


def _extents(shape: Sequence[Any] | None) -> list[int]:
    if shape is None:
        return []
    extents = whole_numbers("custom: shape", [-1 if extent is None else extent for extent in shape])
    if not extents or any(extent == 0 or extent < -1 for extent in extents):
        raise ShapeError(f"custom: shape must have extents of at least 1, or None, got {tuple(shape)!r}")
    return extents
