"""Define the layer method for Python functions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from mpscnn._private.arguments import require_sequence, whole_numbers
from mpscnn.errors import ParameterError, ShapeError
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor


class CustomLayers(LayerMaker):
    """The method for layers that a Python function computes."""

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
        """Add a layer that a Python function computes on the CPU.

        The function is called as `function(*inputs, out)`, and writes its result to `out`.

        The arguments are float32 arrays with the batch first, also if `precision="float16"`. They are the network's own
        memory: inputs are read-only, and the function must not keep any array. It runs in the thread that runs the
        session, so several sessions call it in several threads at the same time. It must not run that session itself.
        The layer has no gradient.

        If the function raises an exception, the run raises a ParameterError that names the layer. A network with such a
        layer can be compiled and run. Saving, pickling, copying and exporting it raise UnsupportedError.

        Args:
            function: for example `lambda x, out: np.maximum(x, 0, out=out)`. It must return None or `out`.
            x: the input, or several inputs with the same batch size.
            shape: the extents of the result without the batch. An extent of None is the same as the first input's. None
                instead of a shape: the shape of the first input.
            name: the layer's name; None: "custom_1", ...

        Raises:
            ParameterError: `function` is not callable.
            ShapeError: no result can have this shape.
        """
        if not callable(function):
            raise ParameterError(f"custom: function must be callable, got {function!r}")
        inputs = [x] if isinstance(x, Tensor) else list(x)
        return self.add_custom(name, inputs, function, _extents(shape))


def _extents(shape: Sequence[Any] | None) -> list[int]:
    if shape is None:
        return []
    extents = whole_numbers(
        "custom: shape",
        [-1 if extent is None else extent for extent in require_sequence("custom: shape", shape)],
    )
    if not extents or any(extent == 0 or extent < -1 for extent in extents):
        raise ShapeError(f"custom: shape must have extents of at least 1, or None, got {tuple(shape)!r}")
    return extents
