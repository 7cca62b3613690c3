"""Read the constants of a TensorFlow Lite file: as stored, as integer settings, or dequantized."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.budget import Budget
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading.tflite.file import FileTensor, TfliteFile
from mpscnn.converters.reading.tflite.sparse import densify
from mpscnn.converters.values.constant import Constant
from mpscnn.converters.values.constant_pair import as_float32
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.network import Network

_MAX_SETTING = 2 * 8  # the padding of 8 axes, the longest list of integers among the operators


class Constants:
    """The constants of a file by tensor number, including results of operators that were folded during conversion.

    Methods raise UnsupportedError for a tensor that is not a constant or cannot be read, and WeightsError if copies of
    constants take far more than the file's size.
    """

    def __init__(self, file: TfliteFile) -> None:
        self._file = file
        self._computed: dict[int, Constant] = {}
        self._dequantized: dict[int, int] = {}
        self.budget = Budget(lambda: file.size)

    def holds(self, index: int) -> bool:
        """Return True if the tensor is a constant. Its elements are not read. Raises as `find`."""
        tensor = self._file.tensors[index]
        if index not in self._computed and tensor.problem:
            raise UnsupportedError(tensor.problem)
        return index in self._computed or tensor.elements is not None

    def find(self, index: int) -> Constant | None:
        """Return the constant, with the elements as stored; None for tensors that the network computes."""
        if index in self._computed:
            return self._computed[index]
        tensor = self._file.tensors[index]
        if tensor.problem:
            raise UnsupportedError(tensor.problem)
        if tensor.elements is None:
            return None
        if tensor.sparsity is None:
            return Constant.of(tensor.elements.read(), self.budget)
        self.count(tensor.dtype.itemsize * math.prod(tensor.shape))
        self.put(
            index, Constant.of(densify(tensor.elements.read(), tensor.sparsity, tensor.shape), self.budget)
        )
        return self._computed[index]

    def put(self, index: int, constant: Constant) -> None:
        """Set a tensor that was computed from constants."""
        self._computed[index] = constant

    def note_dequantized(self, index: int, source: int) -> None:
        """Record that a constant has the numbers of another one. A weight then stays 8-bit integers."""
        self._dequantized[index] = source

    def stored(self, index: int, what: str) -> NDArray[np.generic]:
        """Return the elements as stored. `what` begins the message if they are not constant."""
        return self.constant(index, what).view(what)

    def constant(self, index: int, what: str) -> Constant:
        """Return a tensor that must be constant. `what` begins the message if it is not."""
        constant = self.find(index) if index >= 0 else None
        if constant is None:
            raise UnsupportedError(f"{what} must be constant, but the network computes them")
        return constant

    def setting(self, index: int, what: str) -> Constant:
        """Return a constant that must be a short list, such as axes or a shape."""
        constant = self.constant(index, what)
        if constant.size > _MAX_SETTING:
            raise UnsupportedError(
                f"{what} has {constant.size} numbers; more than {_MAX_SETTING} are not supported"
            )
        return constant

    def real(self, index: int, what: str) -> NDArray[np.float32]:
        """Return the elements as float32, dequantised if necessary."""
        values, tensor = self.stored(index, what), self._file.tensors[index]
        self.count(4 * values.size)
        if values.dtype.kind == "f":
            return values.astype(np.float32, copy=False)
        quantization = tensor.quantization
        if quantization is None:
            raise WeightsError(f"tensor {quote_name(tensor.name)} is {values.dtype} without a scale")
        scales, zero_points = quantization.scales.astype(np.float64), quantization.zero_points
        if scales.size > 1:
            axis = quantization.axis
            if not 0 <= axis < values.ndim or values.shape[axis] != scales.size:
                raise WeightsError(
                    f"damaged: tensor {quote_name(tensor.name)} has {scales.size} scales for axis {axis} of "
                    f"{values.shape}"
                )
            along = [1] * values.ndim
            along[axis] = -1
            scales, zero_points = scales.reshape(along), zero_points.reshape(along)
        result: NDArray[np.float32] = ((values.astype(np.float64) - zero_points) * scales).astype(np.float32)
        return result

    def numbers(self, index: int, what: str) -> NDArray[np.float32]:
        """Return the elements as float32. Integers and booleans without a quantization are converted unchanged."""
        values = self.stored(index, what)
        if values.dtype.kind not in "biu" or self._file.tensors[index].quantization is not None:
            return self.real(index, what)
        self.count(4 * values.size)
        return as_float32(values, what)

    def set_weight(
        self,
        network: Network,
        name: str,
        index: int,
        order: Sequence[int],
        shape: Sequence[int] | None = None,
    ) -> None:
        """Set a weight of the network from a constant. Quantised constants stay integers.

        Args:
            network: the network.
            name: the name of the weight, "layer.role".
            index: the number of the tensor.
            order: the transposition from the tensor's axes to those of the weight.
            shape: the weight's shape after that, if it differs.
        """
        layer, _, role = name.rpartition(".")
        index = self._integers_of(index, order[0])
        values, tensor = self.stored(index, "its weights"), self._file.tensors[index]
        self.count(values.nbytes)
        values = values.transpose(order)
        if shape is not None:
            values = values.reshape(shape)
        if values.dtype.kind == "f":
            kept = np.float16 if values.dtype == np.float16 else np.float32
            network.graph.set_weight(layer, role, values.astype(kept, copy=False))
            return
        scales, zero_points = _quantization_of_weight(tensor, values.dtype, order[0])
        # Networks store int8 as uint8, so 128 is added to integers and zero points.
        shift = 128 if values.dtype == np.int8 else 0
        stored = (values.astype(np.int16) + shift).astype(np.uint8)
        network.set_quantized_weight(name, stored, scales, (zero_points + shift).astype(np.float32))

    def _integers_of(self, index: int, outputs_axis: int) -> int:
        """Return the tensor of 8-bit integers that DEQUANTIZE has read, if their scales are those of a weight."""
        source = self._dequantized.get(index, index)
        tensor = self._file.tensors[source]
        if tensor.dtype not in (np.uint8, np.int8) or tensor.quantization is None:
            return index
        fits = tensor.quantization.scales.size == 1 or tensor.quantization.axis == outputs_axis
        return source if fits else index

    def set_bias(self, network: Network, layer: str, index: int) -> None:
        """Set a layer's bias from a constant. Quantised 32-bit integers stay integers."""
        values, quantization = self.stored(index, "its biases"), self._file.tensors[index].quantization
        if values.dtype != np.int32 or quantization is None:
            network.graph.set_weight(layer, "bias", self.real(index, "its biases"))
            return
        self.count(values.nbytes)
        zero_points = quantization.zero_points.astype(np.float32)
        network.set_quantized_weight(
            f"{layer}.bias", values.astype(np.int32), quantization.scales, zero_points
        )

    def count(self, size: int) -> None:
        """Count bytes of copies of constants. Raises WeightsError if they exceed what the file's size allows."""
        self.budget.copy(size)


def _quantization_of_weight(
    tensor: FileTensor, dtype: np.dtype[np.generic], outputs_axis: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    quantization = tensor.quantization
    if quantization is None or dtype not in (np.uint8, np.int8):
        raise UnsupportedError(f"tensor {quote_name(tensor.name)}: weights of type {dtype} are not supported")
    if quantization.scales.size > 1 and quantization.axis != outputs_axis:
        raise UnsupportedError(
            f"tensor {quote_name(tensor.name)} is quantised along axis {quantization.axis}, not along its outputs"
        )
    return quantization.scales, quantization.zero_points
