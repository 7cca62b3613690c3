"""One operation of a Core ML program. The functions that convert operations read operands and constants from it.

Its methods raise UnsupportedError and WeightsError with a reason only; the caller adds the file and the operation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from mpscnn.converters.opening.blobs import Blob
from mpscnn.converters.reading.coreml.program.constants import Array, Constant, Constants
from mpscnn.converters.reading.graph.builder import Builder
from mpscnn.converters.values.rows import Ints
from mpscnn.errors import UnsupportedError, WeightsError


class Operation:
    """One operation of a Core ML program, with access to its operands.

    Args:
        builder: builds the ONNX graph to which the operation is added.
        constants: the constants of the program.
        tensors: maps names of constants to their tensors, for those that are already in the graph.
        blocks: maps results to their block size, if they are between space_to_batch and batch_to_space.
        message: the protobuf message of the operation in the file.

    Attributes:
        kind: the type of the operation, such as "conv".
        name: its name in the file.
        outputs: the names of its results.
        reads: the names of the operands that are not constants: results of other operations, and inputs.
        block: the height and width of the blocks into which its operands are divided, from space_to_batch; None: they
            are whole images.
    """

    def __init__(
        self,
        builder: Builder,
        constants: Constants,
        tensors: dict[str, str],
        blocks: Mapping[str, tuple[int, int]],
        message: Any,
    ) -> None:
        self._b = builder
        self._constants = constants
        self._tensors = tensors
        self._message = message
        self._arguments = {entry.key: list(entry.value.arguments) for entry in message.inputs}
        self.kind: str = message.type
        self.outputs = [output.name for output in message.outputs]
        named = [
            binding.name for bindings in self._arguments.values() for binding in bindings if binding.name
        ]
        self.reads = [name for name in named if not constants.holds(name)]
        self.block = next((blocks[name] for name in self.reads if name in blocks), None)
        self.name = self._own_name() or next(iter(self.outputs), "") or self.kind
        if self.kind != "const":
            self.name = self.name.removesuffix(OF_HALVES) or self.name

    def _own_name(self) -> str:
        for entry in self._message.attributes:
            if entry.key == "name":
                texts = list(entry.value.immediateValue.tensor.strings.values)
                return str(texts[0]) if texts else ""
        return ""

    def constants_given(self) -> Mapping[str, Constant]:
        """Return the constant operands and attributes by their names, without lists and without the layer's name."""
        found: dict[str, Constant] = {}
        for entry in self._message.attributes:
            if entry.key != "name":
                found[entry.key] = self._constants.value(entry.value)
        for name, bindings in self._arguments.items():
            if len(bindings) == 1 and (constant := self._constant_of(bindings[0])) is not None:
                found[name] = constant
        return found

    def _constant_of(self, binding: Any) -> Constant | None:
        if binding.has("value"):
            return self._constants.value(binding.value)
        return self._constants.named(binding.name) if self._constants.holds(binding.name) else None

    # ---- Operands --------------------------------------------------------------------------------------------------

    @property
    def given(self) -> list[str]:
        """The names of the operands that are given."""
        return [name for name, bindings in self._arguments.items() if bindings]

    def has(self, name: str) -> bool:
        """Return True if an operand is given."""
        return bool(self._arguments.get(name))

    def tensor(self, name: str) -> str:
        """Return the graph's tensor of an operand, which may be constant or computed."""
        return self._tensor(self._binding(name))

    def tensors(self, name: str) -> list[str]:
        """Return the graph's tensors of an operand that is a list."""
        bindings = self._arguments.get(name)
        if not bindings:
            raise WeightsError(f"damaged: it has no {name}")
        return [self._tensor(binding) for binding in bindings]

    def is_constant(self, name: str) -> bool:
        """Return True if an operand is a constant."""
        return self.has(name) and self._constant_of(self._binding(name)) is not None

    def _binding(self, name: str) -> Any:
        bindings = self._arguments.get(name)
        if not bindings or len(bindings) != 1:
            raise WeightsError(f"damaged: it has no {name}")
        return bindings[0]

    def _tensor(self, binding: Any) -> str:
        constant = self._constant_of(binding)
        if constant is None:
            return self._b.tensor(binding.name)
        if binding.name and binding.name in self._tensors:
            return self._tensors[binding.name]
        made = self._b.weight(binding.name or "operand", _plain(self._constants.weight(constant)))
        if binding.name:
            self._tensors[binding.name] = made
        return made

    # ---- Constant operands -----------------------------------------------------------------------------------------

    def _constant(self, name: str) -> Constant:
        constant = self._constant_of(self._binding(name))
        if constant is None:
            raise UnsupportedError(f"its {name} is computed by the network, which is not supported")
        return constant

    def array(self, name: str) -> Array:
        """Return a constant operand as an array."""
        return self._constants.array(self._constant(name))

    def weight(self, name: str) -> str:
        """Return the graph's tensor of an operand, which must be constant."""
        constant, made = self._constant(name), self.tensor(name)
        if constant.integers is not None:
            self._b.note_integers(made, constant.integers)
        return made

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Return the shape of a constant operand."""
        return self._constant(name).shape

    def integers(self, name: str) -> Ints:
        """Return a constant operand that is a list of integers."""
        array = self.array(name)
        if array.dtype.kind not in "iu":
            raise WeightsError(f"damaged: its {name} are not whole numbers")
        if array.size > _MAX_INTEGERS:
            raise WeightsError(f"damaged: its {name} are {array.size} numbers")
        return tuple(int(one) for one in array.reshape(-1))

    def integer(self, name: str) -> int:
        """Return a constant operand that is one whole number."""
        found = self.integers(name)
        if len(found) != 1:
            raise WeightsError(f"damaged: its {name} is {list(found[:5])}")
        return found[0]

    def number(self, name: str) -> float:
        """Return a constant operand that is one finite number."""
        array = self.array(name)
        if array.size != 1 or not math.isfinite(float(array.reshape(()))):
            raise WeightsError(f"damaged: its {name} is {array.reshape(-1)[:5]}")
        return float(array.reshape(()))

    def flags(self, name: str) -> tuple[bool, ...]:
        """Return a constant operand of truth values."""
        return tuple(bool(one) for one in self.array(name).reshape(-1))

    def flag(self, name: str) -> bool:
        """Return a constant operand that is one truth value."""
        found = self.flags(name)
        if len(found) != 1:
            raise WeightsError(f"damaged: its {name} are {len(found)} values instead of 1")
        return found[0]

    def text(self, name: str) -> str:
        """Return a constant operand that is a text."""
        return self._constants.text(self._constant(name))

    def texts(self, name: str) -> list[str]:
        """Return a constant list of texts or numbers, as texts."""
        constant = self._constant(name)
        if isinstance(constant.held, list):
            return constant.held
        return [str(one) for one in self.array(name).reshape(-1)]


_MAX_INTEGERS = 4096
OF_HALVES = "_cast_fp16"
"""The suffix that coremltools adds to the names of operations when it makes a program of float16."""


def _plain(values: Array | Blob) -> Array | Blob:
    """Convert numbers to a type of the graph: float32, int64 or truth values."""
    if isinstance(values, Blob) or values.dtype.kind == "b":
        return values
    return values.astype(np.int64 if values.dtype.kind in "iu" else np.float32, copy=False)
