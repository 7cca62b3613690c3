"""Define the layer method for Python functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mpscnn._private.arguments import require_sequence, whole_numbers
from mpscnn._private.callables import takes_output
from mpscnn.errors import ParameterError, ShapeError
from mpscnn.graph.layers.layer_maker import LayerMaker, Tensor

if TYPE_CHECKING:
    from mpscnn.graph.graph_maker import GraphMaker


class CustomLayers(LayerMaker):
    """The method for layers that a Python function computes."""

    _maker: GraphMaker

    def custom(
        self,
        function: Callable[..., Any],
        x: Tensor | Sequence[Tensor],
        *,
        shape: Sequence[int | None] | None = None,
        name: str | None = None,
    ) -> Tensor:
        """Add a layer that computes function(x) on the CPU, where x is a layer's result or the network's input.

        The function is called as `function(*inputs, out)` and writes its result to `out`, or as `function(*inputs)` and
        returns its result. Its signature says which, so a function of C without one, and one of `*arguments` alone, is
        refused. A returned array has the shape of the result, and is copied. Before the call, `out` is filled with NaN.

        The arguments are float32 arrays with the batch first, also if `precision="float16"`. They are the network's own
        memory: inputs are read-only, and the function must not keep any array. It runs in the thread that runs the
        session, so several sessions call it in several threads at the same time. It must not run that session itself.
        The layer has no gradient.

        If the function raises an exception, the run raises a ParameterError that names the layer. A network with such a
        layer can be compiled and run. Saving, pickling, copying and exporting it raise UnsupportedError.

        Args:
            function: for example `lambda x, out: np.maximum(x, 0, out=out)`, or `lambda x: 2 * x`. An argument with a
                default gets the output only if it is called `out`.
            x: the input, or several inputs with the same batch size.
            shape: the extents of the result without the batch. An extent of None is the same as the first input's. None
                instead of a shape: the shape of the first input.
            name: the layer's name; None: "custom_1", ...

        Raises:
            ParameterError: `function` is not callable with the inputs, neither with `out` nor without.
            ShapeError: no result can have this shape.
        """
        if callable(x):
            raise ParameterError("custom: the function comes first, then its input: net.custom(function, x)")
        inputs = [x] if isinstance(x, Tensor) else list(require_sequence("custom: x", x))
        takes = takes_output("custom: function", function, len(inputs))
        return self._maker.custom(name, inputs, function, _extents(shape), takes_output=takes)


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
