"""A layer of a Core ML neural network, for the rows that convert layers.

They raise UnsupportedError and WeightsError with only a reason. The caller adds the names of file and layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from re import sub
from typing import Any

from mpscnn.converters.opening.blobs import Blob
from mpscnn.converters.opening.wire.kinds import Field
from mpscnn.converters.reading.coreml.weights import Shape, Weights


@dataclass(frozen=True)
class StoredWeight:
    """A weight of the file.

    Attributes:
        message: the message with the numbers.
        name: its name in the file.
        weights: reads it.
    """

    message: Any
    name: str
    weights: Weights

    def blob(self, shape: Shape, *, axis: int = 0) -> Blob:
        """Return the weight in a shape; see `Weights.blob`."""
        return self.weights.blob(self.message, shape, f"its {self.name}", axis=axis)

    def has_size(self, size: int) -> bool:
        """Return True if the file's bytes are those of `size` elements."""
        return self.weights.has_size(self.message, size)


@dataclass(frozen=True)
class Layer:
    """A layer of the file.

    Attributes:
        kind: the kind of layer: the name of the message's field with its parameters.
        name: the name in the file.
        inputs: the names of the input tensors in the ONNX graph.
        outputs: the names of the output blobs in the file.
        message: the message with the parameters.
        weights: reads the weights.
        is_old: whether all blobs are images (sequence, batch, channels, height, width), as in old files. Blobs of one
            image in the sequence lack the first axis in the graph.
    """

    kind: str
    name: str
    inputs: list[str]
    outputs: list[str]
    message: Any
    weights: Weights
    is_old: bool = False

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The parameters that the layer states; see `stated_by`."""
        return stated_by(self.message, self.weights)


def stated_by(message: Any, weights: Weights) -> dict[str, Any]:
    """Return what a message states, by names such as kernel_size for the field kernelSize.

    Inner messages become dictionaries, and weights become `StoredWeight`. Fields that are 0, false or empty count as
    missing, as protocol buffers do not write them. Fields that are not known have the names "field 1", "field 2", ...
    """
    fields, made = message.message_kind.fields, {}
    for name in message.stated():
        field, value = fields[name], getattr(message, name)
        if field.inner is not None or value:
            made[setting_name(name)] = _plain(field, value, weights)
    return made | {f"field {number}": value for number, value in message.unread().items()}


def _plain(field: Field, value: Any, weights: Weights) -> Any:
    if field.inner is None:
        return value
    if field.inner.name == "Weights":
        return StoredWeight(value, setting_name(field.name), weights)
    if field.is_repeated:
        return [stated_by(one, weights) for one in value]
    return stated_by(value, weights)


@cache
def setting_name(field: str) -> str:
    """Return the name of a setting for a field of a message, such as kernel_size for kernelSize."""
    return sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", field.replace("ReLU", "Relu")).lower()
