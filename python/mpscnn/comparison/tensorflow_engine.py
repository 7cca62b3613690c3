"""Run graphs of TensorFlow with TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from mpscnn.comparison.trace import Array, Steps, Trace, Value
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.errors import UnsupportedError, WeightsError


class TensorflowEngine:
    """A graph, run by TensorFlow. Its trace has only the outputs.

    Args:
        name: the name of the file.
        content: the bytes of a GraphDef without variables and functions.
        inputs: the shapes of the inputs by the names that users see; None for a free extent. The graph has their
            placeholders in this order.
        places: the names of the placeholders in the graph.
        outputs: the names of the outputs in the graph, such as "y:0".

    Raises:
        WeightsError: TensorFlow cannot read the graph. UnsupportedError: an input of integers.
    """

    precision = "float32"
    steps: ClassVar[dict[str, Steps]] = {}

    def __init__(
        self,
        name: str,
        content: bytes,
        inputs: Mapping[str, tuple[int | None, ...]],
        places: Sequence[str],
        outputs: Sequence[str],
    ) -> None:
        import tensorflow

        self._tensorflow = tensorflow
        self.inputs = dict(inputs)
        self.title = f"{name} (TensorFlow)"
        v1 = tensorflow.compat.v1
        try:
            graph = v1.GraphDef()
            graph.ParseFromString(content)
            imported = v1.wrap_function(lambda: v1.import_graph_def(graph, name=""), [])
            named = imported.graph.as_graph_element
            self._function = imported.prune(
                [named(f"{place}:0") for place in places], [named(output) for output in outputs]
            )
        except (ValueError, TypeError, OSError, KeyError, tensorflow.errors.OpError) as error:
            raise WeightsError(f"{name}: TensorFlow cannot read it: {error}") from error
        for own, tensor in zip(self.inputs, self._function.inputs, strict=True):
            if not tensor.dtype.is_floating:
                raise UnsupportedError(
                    f"{name}: input {quote_name(own)} has the type {tensor.dtype.name}; compared are networks of floats"
                )

    def trace(self, inputs: Sequence[Array]) -> Trace:
        """Run the network once, and return its outputs."""
        computed: Sequence[Any] = self._function(*map(self._tensorflow.constant, inputs))
        values = tuple(
            Value(f"output {number}", "", np.asarray(array, np.float32))
            for number, array in enumerate(computed)
        )
        return Trace(values, tuple(value.name for value in values))
