"""The state of the conversion of one TensorFlow Lite file: the network that is built, and the file's values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.layer_names import LayerNames, quote_name
from mpscnn.converters.reading.tflite.constants import Constants
from mpscnn.converters.reading.tflite.file import FileOperator, TfliteFile
from mpscnn.converters.reading.tflite.quantizations import Quantizations
from mpscnn.converters.reading.tflite.ranges import copies_bytes
from mpscnn.converters.values.constant import Constant
from mpscnn.converters.values.layout import Atom, Axis, without_batch
from mpscnn.converters.values.layout_pass import Arranger
from mpscnn.converters.values.max_unpooling import Maxima
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.converters.values.value import Value
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.vision.detector import DetectionHead


class Conversion:
    """The network under construction, and the values of the file's tensors, which are given by their numbers.

    Args:
        network: the network that gets the layers.
        file: the file.
        constants: the constants of the file.
        names: makes the names of the network's layers.
        batch: the atom of the batch.

    Attributes:
        file_batch: the atom of the file's batch. Tensors that hold for one image only have another one.
        tensors: the values that the network computes.
        integers: the quantizations of the file's tensors and of the network's.
        maxima: the places of the maxima of poolings, by the tensor with their positions.
        heads: the outputs of a detector; empty for other networks.
        detection: the settings of a detector.
    """

    def __init__(
        self, network: Network, file: TfliteFile, constants: Constants, names: LayerNames, batch: Atom
    ) -> None:
        self.network = network
        self.file = file
        self.constants = constants
        self.names = names
        self.file_batch = batch
        self.tensors: dict[int, FileTensor] = {}
        self.arranger = Arranger(
            network, batch, lambda suffix: self.name(*self._named, suffix), constants.budget
        )
        self.integers = Quantizations(network, file, self.is_constant, self.name)
        self.maxima: dict[int, Maxima] = {}
        self.heads: list[Tensor] = []
        self.detection: DetectionHead | None = None
        self._named = -1, "value"

    @property
    def batch(self) -> Atom:
        """The batch of the operator that is being converted."""
        assert self.arranger.batch is not None
        return self.arranger.batch

    # ---- Names -----------------------------------------------------------------------------------------------------

    def begin(self, tensor: int, kind: str | None = None) -> None:
        """Begin a tensor of the file: layers that are added from now on get its name.

        If the tensor has no name, they get the name of the operator's `kind`.
        """
        self._named = tensor, self._named[1] if kind is None else kind.lower()

    def name(self, tensor: int, default: str, suffix: str) -> str:
        """Return a unique layer name: the tensor's name, or `default` if it has none, with a suffix."""
        stem = self.file.tensors[tensor].name.split(";")[0]
        return self.names.unique((stem or default) + suffix)

    # ---- Values ----------------------------------------------------------------------------------------------------

    def value(self, index: int) -> Value:
        """Return the value of a tensor. Raises UnsupportedError if it is absent, or no operator has computed it."""
        found = self.tensors.get(index) or (self.constants.find(index) if index >= 0 else None)
        if found is None:
            name = quote_name(self.file.tensors[index].name) if index >= 0 else "which is absent,"
            raise UnsupportedError(f"its operand {name} is the result of no layer")
        return found

    def computed(self, index: int) -> FileTensor:
        """Return a value that the network computes. Raises UnsupportedError for others; see `value`."""
        if self.is_constant(index):
            name = quote_name(self.file.tensors[index].name)
            raise UnsupportedError(f"its operand {name} is a constant, which is not supported here")
        value = self.value(index)
        assert isinstance(value, FileTensor)
        return value

    def is_constant(self, index: int) -> bool:
        """Return True if a tensor of the file does not depend on its inputs."""
        return index >= 0 and index not in self.tensors and self.constants.holds(index)

    def put(self, index: int, value: Value | Tensor) -> None:
        """Set the value of a tensor of the file. If it is a tensor of the network, its first axis is the batch."""
        if isinstance(value, Tensor):
            value = self.of_tensor(value)
        if isinstance(value, Constant):
            self.constants.put(index, value)
        elif isinstance(value, FileTensor):
            value = self.integers.kept(index, value).prepend_batch(self.batch)
            self.tensors[index] = value
            self.integers.note(index, value.tensor)

    def of_tensor(self, tensor: Tensor, *, batch_first: bool = True) -> FileTensor:
        """Return the value of a network's tensor. Without `batch_first` the batch is a part of the first other axis."""
        value = FileTensor.from_tensor(self.arranger, tensor)
        if batch_first:
            return value
        batch, first, *others = value.axes
        axes: tuple[Axis, ...] = (batch + first, *others)
        return replace(value, axes=axes)

    def constant_layer(self, numbers: NDArray[np.float32], rank: int, name: str) -> FileTensor:
        """Add a constant layer and return its value, extended to `rank` axes by axes of extent 1 in front."""
        shape = (1,) * (rank - numbers.ndim) + numbers.shape
        if numbers.size == 0 or not np.isfinite(numbers).all():
            raise UnsupportedError(
                f"its operand {quote_name(name)} is a constant that is empty or not finite"
            )
        if self.batch.high != 1 and shape[0] != 1:
            raise UnsupportedError(
                f"its operand {quote_name(name)} has other numbers for each image of the batch"
            )
        own = shape[1:] if shape[0] == 1 and len(shape) > 1 else shape
        layer = self.names.unique(name or "constant")
        tensor = self.network.constant(self.network.inputs[0], own, name=layer)
        self.network.graph.set_weight(layer, "value", np.ascontiguousarray(numbers.reshape(own)))
        return self.of_tensor(tensor, batch_first=len(own) < len(shape))

    def tensor(self, value: FileTensor) -> Tensor:
        """Return the network's tensor (n, other axes) for a value whose first axis is the batch."""
        if not value.has_batch_first:
            raise UnsupportedError(
                f"changes the batch: the first axis of its operand {value.shown} is not the batch"
            )
        if value.rank == 1:
            raise UnsupportedError("its operand has no axis but the batch")
        return self.arranger.physical(value, value.axes[1:])

    def plain(self, value: FileTensor) -> FileTensor:
        """Return a value with its elements in the order of the file's axes.

        If the batch is not a separate axis of the file's tensor, the network's tensor has it in front.
        """
        axes = [*map(without_batch, value.axes)]
        groups = axes[1:] if value.has_batch_first else axes
        order = tuple(atom for axis in groups for atom in axis)
        return value.with_tensor(self.arranger.physical(value, groups), order)

    def integers_in(self, index: int, what: str) -> list[int]:
        """Return the numbers of a tensor that must be a short list of constant integers, such as axes."""
        return self.constants.setting(index, what).integers(what)

    def tensor_of(self, name: str) -> Tensor:
        """Return the network's tensor for the file's tensor of a name. Raises WeightsError if there is none."""
        for index, tensor in enumerate(self.file.tensors):
            if tensor.name == name and index in self.tensors:
                return self.tensor(self.tensors[index])
        raise WeightsError(f"damaged: it has no tensor {quote_name(name)}")

    # ---- Operators -------------------------------------------------------------------------------------------------

    def only_user(self, index: int) -> FileOperator | None:
        """Return the single consumer of a tensor; None if there are several, or if it is an output of the file."""
        users = self.file.users.get(index, [])
        return users[0] if len(users) == 1 and index not in self.file.outputs else None

    def is_used(self, index: int) -> bool:
        """Return True if operators read a tensor, or if it is an output."""
        return bool(self.file.users.get(index)) or index in self.file.outputs

    @contextmanager
    def reading_bytes(self, operator: FileOperator) -> Iterator[None]:
        """Reinterpret the inputs of an operator that copies integers, within a `with` block.

        LiteRT copies the integers of some operators without regard to scales. Such inputs are read with the scale and
        zero point of the result.
        """
        kept = {index: self.tensors[index] for index in operator.inputs if index in self.tensors}
        target = self.integers.grid(operator.outputs[0]) if operator.outputs else None
        if target is not None and copies_bytes(operator.kind):
            for index, value in kept.items():
                if self.integers.grid(index) is not None:
                    self.tensors[index] = self.integers.reinterpreted(index, operator.outputs[0], value)
        try:
            yield
        finally:
            self.tensors |= kept
