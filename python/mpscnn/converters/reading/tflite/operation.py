"""An operator of a TensorFlow Lite file and its operands, as the rows of the operators' table see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.budget import Budget
from mpscnn.converters.reading.tflite.conversion import Conversion
from mpscnn.converters.reading.tflite.file import FileOperator
from mpscnn.converters.reading.tflite.file import FileTensor as StatedTensor
from mpscnn.converters.values.constant import Constant
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.converters.values.value import Value
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network

_MAX_ELEMENTS = 1024  # the size of constants with which files of any size may compute


@dataclass(frozen=True)
class Source:
    """An operand as the file has it. Its methods return it in the form that a row needs.

    Attributes:
        c: the state of the conversion.
        index: the number of its tensor.
    """

    c: Conversion
    index: int

    @property
    def stated(self) -> StatedTensor:
        """Return what the file states about it."""
        return self.c.file.tensors[self.index]

    @property
    def is_constant(self) -> bool:
        """True if it does not depend on the file's inputs."""
        return self.c.is_constant(self.index)

    @property
    def maker(self) -> FileOperator | None:
        """The operator that computes it."""
        return self.c.file.makers.get(self.index)

    def value(self) -> Value:
        """Return it in any state."""
        return self.c.value(self.index)

    def numbers(self) -> Value:
        """Return it to compute with. Quantized constants are dequantized, and other integers get 64 bits."""
        value = self.value()
        if not isinstance(value, Constant):
            return value
        if value.size > max(
            _MAX_ELEMENTS, self.c.file.size
        ):  # so that no file can double its constants many times
            raise UnsupportedError(
                f"arithmetic on a constant of {value.size} elements in a file of {self.c.file.size} bytes is not "
                "supported"
            )
        if self.stated.quantization is not None:
            return Constant.of(self.real("its operand"), self.c.constants.budget)
        return value.cast(lambda x: x.astype(np.int64)) if value.low.dtype.kind in "iu" else value

    def computed(self) -> FileTensor:
        """Return it as a tensor that the network computes. Its batch may be a part of any axis."""
        return self.c.computed(self.index)

    def tensor(self) -> Tensor:
        """Return the network's tensor (n, other axes). Its first axis must be the batch."""
        return self.c.tensor(self.computed())

    def beside(self, like: FileTensor) -> FileTensor:
        """Return it as a tensor of the network. A constant becomes a layer with at least as many axes as `like`."""
        if not self.is_constant:
            return self.computed()
        constant = self.constant("its operand")
        if constant.is_fixed:
            numbers = self.c.constants.numbers(self.index, "its operand")
        else:
            numbers = constant.of_one_image(like.rank, self.c.file_batch, "its operand")[None]
        value = self.layer_of(numbers, like)
        self.note(value.tensor)
        return value

    def layer_of(self, numbers: NDArray[np.float32], like: FileTensor) -> FileTensor:
        """Add a constant layer with the numbers of this operand, and at least as many axes as `like`."""
        return self.c.constant_layer(numbers, like.rank, self.stated.name)

    def constant(self, what: str) -> Constant:
        """Return it as a constant. `what` begins the message if it is none."""
        return self.c.constants.constant(self.index, what)

    def stored(self, what: str) -> NDArray[np.generic]:
        """Return the elements of a constant as stored."""
        return self.constant(what).view(what)

    def real(self, what: str) -> NDArray[np.float32]:
        """Return the elements of a constant as float32, dequantised if necessary."""
        return self.c.constants.real(self.index, what)

    def extents(self, what: str) -> tuple[list[int], list[int]]:
        """Return a short constant list, with both numbers of each free extent."""
        return self.c.constants.setting(self.index, what).shapes(what)

    def note(self, tensor: Tensor) -> None:
        """Record that a tensor of the network has the quantization of this operand."""
        self.c.integers.note(self.index, tensor)

    def plain(self) -> FileTensor:
        """Return it as a tensor whose elements are in the order of the file's axes."""
        return self.c.plain(self.computed())


class Operation:
    """The operator that is being converted, with its results.

    Args:
        c: the state of the conversion.
        stated: the operator as the file states it.
    """

    def __init__(self, c: Conversion, stated: FileOperator) -> None:
        self.c = c
        self.stated = stated
        self.kind = stated.kind
        self.network: Network = c.network
        self.budget: Budget = c.constants.budget

    @property
    def result(self) -> int:
        """The number of its first result."""
        return self.stated.outputs[0]

    @property
    def stated_result(self) -> StatedTensor:
        """The file's statement about the first result."""
        return self.c.file.tensors[self.result]

    @cached_property
    def only_user(self) -> FileOperator | None:
        """The single consumer of the first result; None if there are several, or if it is an output of the file."""
        return self.c.only_user(self.result)

    def name(self, suffix: str = "") -> str:
        """Return a unique layer name from the name of the first result."""
        return self.c.name(self.result, self.kind.lower(), suffix)

    def fused(self, activation: Activation) -> Activation:
        """Return the activation for the operator's layer; see `Quantizations.fused_activation`."""
        return self.c.integers.fused_activation(self.stated, activation)

    def note(self, tensor: Tensor) -> None:
        """Record that a tensor of the network has the quantization of the first result."""
        self.c.integers.note(self.result, tensor)

    def are_integers(self, *operands: Source) -> bool:
        """Return True if these operands and the first result are quantized to 8 bits with one scale each."""
        given = (*(one.index for one in operands), self.result)
        return all(self.c.integers.of(index) is not None for index in given)

    def changes_integers(self, x: Source) -> bool:
        """Return True if an operand and the first result have different 8-bit quantizations."""
        return self.are_integers(x) and self.c.integers.of(x.index) != self.c.integers.of(self.result)

    def reinterpreted(self, value: Value, result: int) -> Value:
        """Return a value whose integers are those of the first result, read as those of another result."""
        if not isinstance(value, FileTensor):
            return value
        return self.c.integers.reinterpreted(self.result, result, value)

    def set_weights(
        self,
        layer: str,
        kernel: Source,
        bias: Source | None,
        order: tuple[int, ...],
        shape: tuple[int, ...] | None = None,
    ) -> None:
        """Set a layer's weight and bias; see `Constants.set_weight` for the other arguments."""
        self.c.constants.set_weight(self.network, f"{layer}.weight", kernel.index, order, shape)
        if bias is not None:
            self.c.constants.set_bias(self.network, layer, bias.index)


def together(operands: Sequence[Source]) -> list[Value]:
    """Return operands to compute with: constants if all of them are, otherwise tensors of the network."""
    if not all(one.is_constant for one in operands):
        return [*tensors(operands)]
    return [one.numbers() for one in operands]


def tensors(operands: Sequence[Source]) -> list[FileTensor]:
    """Return operands as tensors of the network. Constants among them become layers."""
    first = next((one for one in operands if not one.is_constant), None)
    if first is None:
        raise UnsupportedError("all its inputs are constants, which is not supported")
    like = first.computed()
    return [one.beside(like) for one in operands]
