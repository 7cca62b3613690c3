"""Run Core ML models with Core ML itself, on a Mac."""

from __future__ import annotations

import importlib.util
import platform
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, ClassVar

import numpy as np

from mpscnn._private.confined import Limits
from mpscnn._private.installation import install_command
from mpscnn.comparison.confined_engine import ConfinedEngine
from mpscnn.comparison.trace import Array, Steps, Trace, Value, channels_first, channels_last
from mpscnn.errors import UnsupportedError, WeightsError

SUFFIXES = (".mlmodel", ".mlpackage")
"""The suffixes of the files that Core ML runs."""
_NETWORKS = ("neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor", "mlProgram")
_HALF = 10


def open_coreml(path: Path, limits: Limits) -> ConfinedEngine:
    """Return Core ML with the network of a file, on the CPU and in a confined process.

    Core ML gets a file that is written again from what mpscnn reads. Image inputs become arrays of preprocessed photos,
    because random input is not a photo.

    Args:
        path: the file (.mlmodel) or folder (.mlpackage).
        limits: what the process may use.

    Raises:
        UnsupportedError: this is not a Mac, coremltools is not installed, the model is not a network alone, or mpscnn
            does not read it. WeightsError: Core ML cannot read it, or the file is damaged.
    """
    if platform.system() != "Darwin":
        raise UnsupportedError(
            f"{path}@coreml: Core ML predicts on macOS only; without @coreml mpscnn runs the file anywhere"
        )
    if importlib.util.find_spec("coremltools") is None:
        raise UnsupportedError(f"{path}@coreml: coremltools is not installed: {install_command('coreml')}")
    from mpscnn.converters import read_network
    from mpscnn.converters.opening.unsupported import prefix_errors
    from mpscnn.converters.reading.coreml.cut import cut_coreml
    from mpscnn.converters.reading.coreml.file import read_coreml

    file = read_coreml(path)
    if not any(map(file.model.has, _NETWORKS)):
        raise UnsupportedError(
            f"{path}@coreml: Core ML is compared for networks alone, and not for pipelines such as a detector's"
        )
    network = read_network([path])
    with prefix_errors(str(path)):
        model = cut_coreml(file)
    options = {
        "precision": "float16" if _has_halves(file.model) else "float32",
        "inputs": {tensor.name: (1, *tensor.shape[1:]) for tensor in network.inputs},
        "outputs": [[extent or 1 for extent in tensor.shape[1:]] for tensor in network.outputs],
        "labels": network.labels,
        "features": model.inputs,
        "results": model.outputs,
    }
    folder = Path(mkdtemp(prefix="mpscnn_coreml_"))
    options["path"] = str(model.save(folder))
    return ConfinedEngine("coreml", path.name, options, [], limits, folder=folder)


class CoremlEngine:
    """A Core ML model, run by Core ML on the CPU. Its trace has only the outputs.

    Args:
        name: the name of the network's file, for messages.
        options: what `open_coreml` knows of the network, and the path of the file that it has written.

    Raises WeightsError if Core ML cannot read the file.
    """

    steps: ClassVar[dict[str, Steps]] = {}

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        coremltools: Any = import_module("coremltools")
        self.title = f"{name} (Core ML)"
        self.precision = options["precision"]
        self.inputs = {key: tuple(shape) for key, shape in options["inputs"].items()}
        self._options = options
        try:
            self._model = coremltools.models.MLModel(
                options["path"], compute_units=coremltools.ComputeUnit.CPU_ONLY
            )
        except (RuntimeError, ValueError, TypeError, OSError) as error:
            raise WeightsError(f"{name}: Core ML cannot read it: {error}") from error

    def trace(self, inputs: Sequence[Array]) -> Trace:
        """Run the network once, and return its outputs."""
        given = {}
        for (feature, shape), array in zip(self._options["features"], inputs, strict=True):
            numbers = channels_first(array)
            given[feature] = numbers.reshape(shape) if np.prod(shape) == numbers.size else numbers
        try:
            computed = self._model.predict(given)
        except (RuntimeError, ValueError, TypeError) as error:
            raise WeightsError(f"{self.title}: Core ML cannot run it: {error}") from error
        values = []
        results = zip(self._options["results"], self._options["outputs"], strict=True)
        for place, (name, shape) in enumerate(results):
            found = computed[name]
            if isinstance(found, dict):  # the probability of each label
                labels = {str(label): probability for label, probability in found.items()}
                found = [labels[label] for label in self._options["labels"] or labels]
            array = np.asarray(found, np.float32)
            if len(shape) == 3 and array.ndim in (3, 4):
                array = channels_last(array.reshape(1, *array.shape[-3:]))
            if array.size == np.prod(shape):
                array = array.reshape((1, *shape))
            values.append(Value(f"output {place}", "", array))
        return Trace(tuple(values), tuple(value.name for value in values))


def _has_halves(model: Any) -> bool:
    """Return whether a model has a program that computes in float16."""
    for function in model.mlProgram.functions:
        for block in function.value.block_specializations:
            for operation in block.value.operations:
                types = [output.type.tensorType.dataType for output in operation.outputs]
                if operation.type not in ("const", "cast") and _HALF in types:
                    return True
    return False
