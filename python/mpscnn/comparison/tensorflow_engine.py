"""Run SavedModels and frozen graphs with TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mpscnn.comparison.trace import Array, Trace, Value
from mpscnn.converters.layer_names import quote_name
from mpscnn.converters.read_options import ReadOptions
from mpscnn.converters.tensorflow.file import read_tensorflow, saved_model_folder
from mpscnn.errors import UnsupportedError, WeightsError


class TensorflowEngine:
    """A SavedModel or a frozen graph, run by TensorFlow. Its trace has only the outputs.

    Args:
        path: the folder of a SavedModel, its saved_model.pb, or a frozen graph.
        outputs: operators of a frozen graph to stop at, instead of its outputs.
        signature: the signature of a SavedModel to run; None: its default.

    Raises:
        WeightsError: TensorFlow cannot read the file. UnsupportedError: an input of integers.
    """

    precision = "float32"
    ranges: ClassVar[dict[str, tuple[float, float]]] = {}

    def __init__(self, path: Path, outputs: Sequence[str] = (), signature: str | None = None) -> None:
        import tensorflow

        self._tensorflow = tensorflow
        file = read_tensorflow(path, ReadOptions(path.stem, outputs=outputs, signature=signature))
        self.inputs = dict(file.inputs)
        self._names = list(file.outputs)
        self.title = f"{path.name} (TensorFlow)"
        # Functions of signatures take their inputs by name, those of frozen graphs in the order of the inputs.
        self._is_signature = file.signature is not None
        try:
            if file.signature is not None:
                self._loaded = tensorflow.saved_model.load(str(saved_model_folder(path)))
                self._function = self._loaded.signatures[file.signature]
            else:
                self._function = self._wrapped(path, list(file.places.values()))
        except (ValueError, TypeError, OSError, KeyError, tensorflow.errors.OpError) as error:
            raise WeightsError(f"{path}: TensorFlow cannot read it: {error}") from error
        self._refuse_integers(path)

    def _wrapped(self, path: Path, places: Sequence[str]) -> Any:
        v1 = self._tensorflow.compat.v1
        graph = v1.GraphDef()
        graph.ParseFromString(path.read_bytes())
        imported = v1.wrap_function(lambda: v1.import_graph_def(graph, name=""), [])
        named = imported.graph.as_graph_element
        outputs = [name if ":" in name else f"{name}:0" for name in self._names]
        return imported.prune([named(f"{place}:0") for place in places], [named(name) for name in outputs])

    def _refuse_integers(self, path: Path) -> None:
        """Raise UnsupportedError if an input does not take floating-point numbers."""
        if self._is_signature:
            named = self._function.structured_input_signature[1]
            types = {name: named[name].dtype for name in self.inputs}
        else:
            types = dict(zip(self.inputs, (one.dtype for one in self._function.inputs), strict=True))
        for name, dtype in types.items():
            if not dtype.is_floating:
                raise UnsupportedError(
                    f"{path}: input {quote_name(name)} has the type {dtype.name}; compared are networks of floats"
                )

    def trace(self, inputs: Sequence[Array]) -> Trace:
        """Run the network once, and return its outputs."""
        tensors = [self._tensorflow.constant(array) for array in inputs]
        if self._is_signature:
            computed = self._function(**dict(zip(self.inputs, tensors, strict=True)))
        else:
            computed = self._function(*tensors)
        if isinstance(computed, dict):
            computed = [computed[name] for name in self._names]
        values = tuple(
            Value(f"output {number}", "", np.asarray(array, np.float32))
            for number, array in enumerate(computed)
        )
        return Trace(values, tuple(value.name for value in values))
