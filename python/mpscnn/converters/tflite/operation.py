"""One operator of a TensorFlow Lite file, as the functions of the operators' table see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.arrange import Arranger
from mpscnn.converters.budget import Budget
from mpscnn.converters.constant import Constant
from mpscnn.converters.layout import without_batch
from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.tflite.conversion import Conversion
from mpscnn.converters.tflite.file import FileOperator
from mpscnn.converters.tflite.file import FileTensor as StatedTensor
from mpscnn.converters.tflite.flatbuffer import Table
from mpscnn.converters.tflite.names import activation_name
from mpscnn.converters.value import Value
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network

_ACTIVATIONS: dict[str, Activation] = {
    "NONE": None,
    "RELU": "relu",
    "RELU6": "relu6",
    "RELU_N1_TO_1": {"kind": "clamp", "a": -1.0, "b": 1.0},
}

_MAX_ELEMENTS = 1024  # the size of constants with which files of any size may compute

Made = Value | Tensor | Iterator[Value | Tensor | None] | None
Handler = Callable[["Operation"], Made]
"""Converts an operator and returns its result, or yields one result after the other. None stands for no result."""


class Operation:
    """The operator that is being converted: its operands and options. Operands are given by their places.

    Args:
        conversion: the state of the conversion.
        operator: the operator as the file states it.
    """

    def __init__(self, conversion: Conversion, operator: FileOperator) -> None:
        self.c = conversion
        self.operator = operator
        self.kind = operator.kind
        self.network: Network = conversion.network
        self.arranger: Arranger = conversion.arranger
        self.budget: Budget = conversion.constants.budget

    @property
    def inputs(self) -> tuple[int, ...]:
        """The numbers of the tensors that it reads; -1 for an operand that is left out."""
        return self.operator.inputs

    @property
    def outputs(self) -> tuple[int, ...]:
        """The numbers of its results."""
        return self.operator.outputs

    @property
    def result(self) -> int:
        """The number of its first result."""
        return self.operator.outputs[0]

    def name(self, suffix: str = "") -> str:
        """Return a unique layer name from the name of the first result."""
        return self.c.name(self.result, self.kind.lower(), suffix)

    # ---- Operands --------------------------------------------------------------------------------------------------

    def has(self, place: int) -> bool:
        """Return True if an operand is given."""
        return len(self.inputs) > place and self.inputs[place] >= 0

    def stated(self, place: int) -> StatedTensor:
        """Return what the file states about an operand."""
        return self.c.file.tensors[self.inputs[place]]

    @property
    def stated_result(self) -> StatedTensor:
        """The file's statement about the first result."""
        return self.c.file.tensors[self.result]

    def is_constant(self, place: int) -> bool:
        """Return True if an operand does not depend on the file's inputs."""
        return self.c.is_constant(self.inputs[place])

    def value(self, place: int = 0) -> Value:
        """Return an operand in any state."""
        return self.c.value(self.inputs[place])

    def values(self) -> list[Value]:
        """Return all operands: constants if all of them are, otherwise tensors of the network.

        Constants are as `numbers_of` returns them.
        """
        places = range(len(self.inputs))
        if not all(map(self.is_constant, places)):
            return [*self.tensors()]
        return [self.numbers_of(place) for place in places]

    def numbers_of(self, place: int) -> Value:
        """Return an operand to compute with. Quantized constants are dequantized, and other integers get 64 bits."""
        value = self.value(place)
        if not isinstance(value, Constant):
            return value
        if value.size > max(
            _MAX_ELEMENTS, self.c.file.size
        ):  # so that no file can double its constants many times
            raise UnsupportedError(
                f"arithmetic on a constant of {value.size} elements in a file of {self.c.file.size} bytes is not "
                "supported"
            )
        if self.stated(place).quantization is not None:
            return Constant.of(self.real(place, "its operand"), self.budget)
        return value.cast(lambda x: x.astype(np.int64)) if value.low.dtype.kind in "iu" else value

    def tensors(self) -> list[FileTensor]:
        """Return all operands as tensors of the network. Constants among them become layers."""
        places = range(len(self.inputs))
        first = next((place for place in places if not self.is_constant(place)), None)
        if first is None:
            raise UnsupportedError("all its inputs are constants, which is not supported")
        like = self.x(first)
        return [self.operand(place, like) for place in places]

    def x(self, place: int = 0) -> FileTensor:
        """Return an operand that the network computes. Its batch may be a part of any axis."""
        return self.c.computed(self.inputs[place])

    def tensor(self, place: int = 0) -> Tensor:
        """Return the network's tensor (n, other axes) for an operand whose first axis is the batch."""
        return self.c.tensor(self.x(place))

    def operand(self, place: int, like: FileTensor) -> FileTensor:
        """Return an operand as a tensor of the network. A constant gets at least as many axes as `like`."""
        if not self.is_constant(place):
            return self.x(place)
        constant = self.constant(place, "its operand")
        if constant.is_fixed:
            numbers = self.c.constants.numbers(self.inputs[place], "its operand")
        else:
            numbers = constant.of_one_image(like.rank, self.c.file_batch, "its operand")[None]
        value = self.constant_layer(place, numbers, like)
        self.note_operand(place, value.tensor)
        return value

    def constant_layer(self, place: int, numbers: NDArray[np.float32], like: FileTensor) -> FileTensor:
        """Add a constant layer with the numbers of an operand, and at least as many axes as `like`."""
        return self.c.constant_layer(numbers, like.rank, self.stated(place).name)

    def constant(self, place: int, what: str) -> Constant:
        """Return an operand that must be constant. `what` begins the message if it is not."""
        return self.c.constants.constant(self.inputs[place], what)

    def integers(self, place: int, what: str) -> list[int]:
        """Return an operand that must be a short list of constant integers, such as axes."""
        return self.c.constants.setting(self.inputs[place], what).integers(what)

    def extents(self, place: int, what: str) -> tuple[list[int], list[int]]:
        """Return an operand that must be a short constant list, with both numbers of each free extent."""
        return self.c.constants.setting(self.inputs[place], what).shapes(what)

    def stored(self, place: int, what: str) -> NDArray[np.generic]:
        """Return the elements of a constant operand as stored."""
        return self.constant(place, what).view(what)

    def real(self, place: int, what: str) -> NDArray[np.float32]:
        """Return the elements of a constant operand as float32, dequantised if necessary."""
        return self.c.constants.real(self.inputs[place], what)

    def of_tensor(self, tensor: Tensor) -> FileTensor:
        """Return the value of a network's tensor, whose first axis is the batch."""
        return self.c.of_tensor(tensor)

    def plain(self, value: FileTensor) -> FileTensor:
        """Return the value with its elements in the order of the file's axes.

        If the batch is not a separate axis of the file's tensor, the network's tensor has it in front.
        """
        axes = [*map(without_batch, value.axes)]
        groups = axes[1:] if value.has_batch_first else axes
        order = tuple(atom for axis in groups for atom in axis)
        return value.with_tensor(self.arranger.physical(value, groups), order)

    def maker(self, place: int) -> FileOperator | None:
        """Return the operator that computes an operand."""
        return self.c.file.makers.get(self.inputs[place])

    @property
    def only_user(self) -> FileOperator | None:
        """The single consumer of the first result; None if there are several, or if it is an output of the file."""
        return self.c.only_user(self.result)

    def is_used(self, index: int) -> bool:
        """Return True if operators read a tensor, or if it is an output."""
        return bool(self.c.file.users.get(index)) or index in self.c.file.outputs

    # ---- Options ---------------------------------------------------------------------------------------------------

    @property
    def options(self) -> Table:
        """The operator's options. Raises WeightsError if it has none."""
        if self.operator.options is None:
            raise WeightsError("damaged: it has no options")
        return self.operator.options

    def integer(self, field: int, kind: str = "i", default: int = 0) -> int:
        """Return an integer option; `default` if the operator has no options. See `Table.number` for `kind`."""
        return self.operator.integer(field, kind, default)

    def flag(self, field: int) -> bool:
        """Return a boolean option; false if the operator has no options."""
        return self.operator.flag(field)

    def numbers(self, *fields: int) -> list[float]:
        """Return options that are numbers. Raises WeightsError if the operator has no options."""
        return [self.options.number(field, "f") for field in fields]

    def activation(self, field: int) -> Activation:
        """Return the activation that the operator ends with.

        Raises UnsupportedError for those that LiteRT leaves out, or refuses: TANH, SIGN_BIT and unknown ones.
        """
        name = activation_name(self.integer(field, "b"))
        if name not in _ACTIVATIONS:
            raise UnsupportedError(
                f"it ends with the activation {name}, which LiteRT does not compute either"
            )
        return _ACTIVATIONS[name]

    def refuse_activation(self, field: int) -> None:
        """Raise UnsupportedError if the operator ends with an activation."""
        if self.activation(field) is not None:
            raise UnsupportedError("it ends with an activation, which is not supported")

    # ---- Weights ---------------------------------------------------------------------------------------------------

    def weight_shape(self, order: Sequence[int] | None = None) -> tuple[int, ...]:
        """Return the shape of the weights: operand 1, which is a constant. `order` transposes it."""
        weights = self.stored(1, "its weights")
        return (weights if order is None else weights.transpose(order)).shape

    def set_weights(self, layer: str, order: tuple[int, ...], shape: tuple[int, ...] | None = None) -> None:
        """Set a layer's weight and bias from operands 1 and 2; see `Constants.set_weight` for the other arguments."""
        self.c.constants.set_weight(self.network, f"{layer}.weight", self.inputs[1], order, shape)
        if self.has(2):
            self.c.constants.set_bias(self.network, layer, self.inputs[2])

    def set_weight(self, layer: str, role: str, values: NDArray[Any]) -> None:
        """Set a weight of a layer from an array."""
        self.network.graph.set_weight(layer, role, np.ascontiguousarray(values))

    # ---- Integers --------------------------------------------------------------------------------------------------

    def are_integers(self, *places: int) -> bool:
        """Return True if these operands and the first result are quantized to 8 bits with one scale each."""
        given = (*(self.inputs[place] for place in places), self.result)
        return all(self.c.integers.of(index) is not None for index in given)

    def changes_integers(self) -> bool:
        """Return True if the first operand and the first result have different 8-bit quantizations."""
        return self.are_integers(0) and self.c.integers.of(self.inputs[0]) != self.c.integers.of(self.result)

    def fused_activation(self, activation: Activation) -> Activation:
        """Return the activation for the operator's layer; see `Quantizations.fused_activation`."""
        return self.c.integers.fused_activation(self.operator, activation)

    def note_operand(self, place: int, tensor: Tensor) -> None:
        """Record that a tensor of the network has the quantization of an operand."""
        self.c.integers.note(self.inputs[place], tensor)

    def note_result(self, tensor: Tensor) -> None:
        """Record that a tensor of the network has the quantization of the first result."""
        self.c.integers.note(self.result, tensor)

    def reinterpreted(self, value: Value, result: int) -> Value:
        """Return a value whose integers are those of the first result, read as those of another result."""
        if not isinstance(value, FileTensor):
            return value
        return self.c.integers.reinterpreted(self.result, result, value)
