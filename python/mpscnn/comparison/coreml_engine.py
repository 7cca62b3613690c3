"""Run Core ML models with Core ML itself, on a Mac."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mpscnn.comparison.trace import Array, Trace, Value, channels_first, channels_last
from mpscnn.errors import UnsupportedError, WeightsError

SUFFIXES = (".mlmodel", ".mlpackage")
"""The suffixes of the files that Core ML runs."""
_NETWORKS = ("neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor", "mlProgram")
_FLOAT32, _HALF = 65568, 10


class CoremlEngine:
    """A Core ML model, run by Core ML on the CPU. Its trace has only the outputs.

    Image inputs become arrays of preprocessed photos, because random input is not a photo.

    Args:
        path: the file (.mlmodel) or folder (.mlpackage).

    Raises:
        UnsupportedError: this is not a Mac, coremltools is not installed, or the model is not a network alone.
        WeightsError: Core ML cannot read it.
    """

    ranges: ClassVar[dict[str, tuple[float, float]]] = {}

    def __init__(self, path: Path) -> None:
        self.title = f"{path.name} (Core ML)"
        if platform.system() != "Darwin":
            raise UnsupportedError(
                f"{path}@coreml: Core ML predicts on macOS only; without @coreml mpscnn runs the file anywhere"
            )
        try:
            coremltools: Any = import_module("coremltools")
        except ImportError as error:
            raise UnsupportedError(
                f"{path}@coreml: coremltools cannot be imported: pip install 'mpscnn[coreml]' ({error})"
            ) from error
        from mpscnn.converters import read_network
        from mpscnn.converters.coreml.file import read_coreml

        message = read_coreml(path).model
        kind = next((name for name in _NETWORKS if message.has(name)), None)
        if kind is None:
            raise UnsupportedError(
                f"{path}@coreml: Core ML is compared for networks alone, and not for pipelines such as a detector's"
            )
        self.precision = "float16" if _has_halves(message) else "float32"
        self._network = read_network([path])
        self.inputs = {tensor.name: (1, *tensor.shape[1:]) for tensor in self._network.inputs}
        try:
            whole = coremltools.models.MLModel(str(path), skip_model_load=True)
            spec = whole.get_spec()
            _without_images(spec, kind)
            self._spec = spec
            self._model = coremltools.models.MLModel(
                spec, weights_dir=whole.weights_dir, compute_units=coremltools.ComputeUnit.CPU_ONLY
            )
        except (RuntimeError, ValueError, TypeError, OSError) as error:
            raise WeightsError(f"{path}: Core ML cannot read it: {error}") from error

    def trace(self, inputs: Sequence[Array]) -> Trace:
        """Run the network once, and return its outputs."""
        description = self._spec.description
        given = {}
        for feature, array in zip(description.input, inputs, strict=True):
            shape = [int(extent) for extent in feature.type.multiArrayType.shape]
            numbers = channels_first(array)
            given[feature.name] = numbers.reshape(shape) if np.prod(shape) == numbers.size else numbers
        try:
            computed = self._model.predict(given)
        except (RuntimeError, ValueError, TypeError) as error:
            raise WeightsError(f"{self.title}: Core ML cannot run it: {error}") from error
        values = []
        wanted = [one.name for one in description.output if one.name != description.predictedFeatureName]
        for place, (name, tensor) in enumerate(zip(wanted, self._network.outputs, strict=True)):
            found = computed[name]
            if isinstance(found, dict):  # the probability of each label
                labels = {str(label): probability for label, probability in found.items()}
                found = [labels[label] for label in self._network.labels or labels]
            array = np.asarray(found, np.float32)
            if len(tensor.shape) == 4 and array.ndim in (3, 4):
                array = channels_last(array.reshape(1, *array.shape[-3:]))
            answer = (1, *(extent or 1 for extent in tensor.shape[1:]))
            if array.size == np.prod(answer):
                array = array.reshape(answer)
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


def _without_images(spec: Any, kind: str) -> None:
    """Let a model take arrays in place of images."""
    for feature in spec.description.input:
        if not feature.type.HasField("imageType"):
            continue
        image = feature.type.imageType
        shape = [1 if image.colorSpace in (10, 40) else 3, int(image.height), int(image.width)]
        feature.type.ClearField("imageType")
        array = feature.type.multiArrayType
        array.shape.extend([1, *shape] if kind == "mlProgram" else shape)
        array.dataType = _FLOAT32
    if kind != "mlProgram":
        prepared = getattr(spec, kind).preprocessing
        for place in reversed(range(len(prepared))):
            if prepared[place].HasField("scaler"):
                del prepared[place]
