"""The quantizations of a TensorFlow Lite file, and layers that keep numbers within the range of their integers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mpscnn.converters.reading.tflite.file import FileOperator, TfliteFile
from mpscnn.converters.reading.tflite.metadata import LIMITS
from mpscnn.converters.reading.tflite.ranges import result_limits
from mpscnn.converters.values.integer_limits import (
    UNLIMITED,
    Grid,
    Limits,
    activation_limits,
    clip_limits,
    clipping_activation,
)
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network

# The types of quantized tensors. In some files results have 16 bits although weights have 8.
_LIMITING = ("uint8", "int8", "int16")
_NEGLIGIBLE = 1.001  # one quantization step, and a tolerance for the rounding of scales


class Quantizations:
    """The quantizations of a file's tensors, and those of the network's tensors.

    Tensors of the file are given by their numbers.

    Args:
        network: the network that gets the layers.
        file: the file.
        is_constant: returns whether a tensor of the file is a constant.
        name: returns a layer's name for a tensor of the file, the name for tensors without one, and a suffix.

    Attributes:
        of_tensors: the quantizations of the network's tensors, by index; None if the file has several for one tensor.
    """

    def __init__(
        self,
        network: Network,
        file: TfliteFile,
        is_constant: Callable[[int], bool],
        name: Callable[[int, str, str], str],
    ) -> None:
        self._network = network
        self._file = file
        self._is_constant = is_constant
        self._name = name
        self.of_tensors: dict[int, Grid | None] = {}
        self._own_limits = set(file.metadata.own_names(LIMITS))
        self._limited: set[int] = (
            set()
        )  # tensors whose layer already clips them to the range of their integers

    # ---- The file's ------------------------------------------------------------------------------------------------

    def grid(self, index: int) -> Grid | None:
        """Return the quantization of a tensor; None if the file does not quantize it with one valid scale."""
        tensor = self._file.tensors[index]
        quantization = tensor.quantization
        if (
            quantization is None
            or tensor.dtype.name not in _LIMITING
            or quantization.scales.size != 1
            or not 0.0 < quantization.scales[0] < np.inf
        ):
            return None
        return Grid(float(quantization.scales[0]), int(quantization.zero_points[0]), tensor.dtype)

    def of(self, index: int) -> Grid | None:
        """Return the quantization of a tensor with 8 bits and one scale; None for other tensors."""
        grid = self.grid(index)
        return grid if grid is not None and grid.dtype.itemsize == 1 else None

    def note(self, index: int, tensor: Tensor) -> None:
        """Record the quantization that the file has for a tensor of the network."""
        own = self.of(index)
        if own is not None:
            self.of_tensors[tensor.index] = own if self.of_tensors.get(tensor.index, own) == own else None

    # ---- Ranges ----------------------------------------------------------------------------------------------------

    def _limits(self, index: int) -> Limits:
        """Return the range that a tensor's integers can represent; unlimited for tensors without a quantization."""
        grid = self.grid(index)
        return UNLIMITED if grid is None else grid.limits

    def _result_limits(self, operator: FileOperator, grid: Grid) -> Limits:
        given = [index for index in operator.inputs if index >= 0 and not self._is_setting(index)]
        operands = [self._limits(index) for index in given if self._file.tensors[index].dtype.kind != "b"]
        return result_limits(operator.kind, operands, grid)

    def _is_setting(self, index: int) -> bool:
        """Return True if a tensor is a constant int32, int64 or bool, such as axes and shapes."""
        return self._is_constant(index) and self._file.tensors[index].dtype.name in ("int32", "int64", "bool")

    def _states_limits(self, index: int) -> bool:
        """Return True if the range of a result's integers is a limit of its layer.

        A file that mpscnn has written lists these layers. In other files they are not known, so all have limits.
        """
        return not self._file.metadata.own or self._file.tensors[index].name in self._own_limits

    def fused_activation(self, operator: FileOperator, activation: Activation) -> Activation:
        """Return the activation for an operator's layer: the file's activation merged with the range of the integers.

        Args:
            operator: the operator.
            activation: the activation that the file states. If it does more than clip, it is returned unchanged, and a
                separate layer clips to the range later.
        """
        index = operator.outputs[0]
        grid = self.grid(index) if self._states_limits(index) else None
        limits = None if grid is None else clip_limits(activation, grid, self._result_limits(operator, grid))
        if grid is None or limits is None:
            return activation
        self._limited.add(index)
        if limits == activation_limits(activation):
            return activation
        return clipping_activation(limits, grid.step)

    def kept(self, index: int, value: FileTensor) -> FileTensor:
        """Return a tensor's value within the range of its integers, and with its quantization.

        The value is clipped if no layer has done that yet. A change of scale becomes a separate layer before the
        clipping, because LiteRT rounds such a change differently from an activation that changes the scale. A range
        that cuts off at most one step gets no layer: for example, the integers of sigmoids end one step below 1.
        """
        grid, maker = self.grid(index), self._file.makers.get(index)
        if grid is None or maker is None or index in self._limited or not self._states_limits(index):
            return self._in_own(index, value)
        given = self._result_limits(maker, grid)
        if not given.exceed(grid.limits, _NEGLIGIBLE * grid.step):
            return self._in_own(index, value)
        value = self._in_own(index, value)
        self.note(index, value.tensor)
        limits = clip_limits(None, grid, given)
        assert limits is not None
        name = self._name(index, maker.kind.lower(), "/limits")
        limited = self._network.activation(value.tensor, clipping_activation(limits, grid.step), name=name)
        return self._in_own(index, value.with_same_layout(limited))

    def _in_own(self, index: int, value: FileTensor) -> FileTensor:
        """Return the value with the quantization of the file's tensor. If it has another one, a layer is added."""
        own, tensor = self.of(index), value.tensor
        if own is None or self.of_tensors.get(tensor.index, own) == own:
            return value
        name = self._name(index, "value", "/integers")
        return value.with_same_layout(self._network.layer("neuron", [tensor], {"kind": "none"}, name=name))

    # ---- Integers that are copied ----------------------------------------------------------------------------------

    def reinterpreted(self, index: int, other: int, value: FileTensor) -> FileTensor:
        """Return the numbers that a tensor's integers represent with the scale and zero point of another tensor."""
        own, target = self.grid(index), self.grid(other)
        if own is None or target is None or own == target or own.dtype != target.dtype:
            return value
        line: Activation = {
            "kind": "linear",
            "a": target.step / own.step,
            "b": (own.zero_point - target.zero_point) * target.step,
        }
        y = self._network.activation(value.tensor, line, name=self._name(other, "value", "/integers"))
        self.note(other, y)
        return value.with_same_layout(y)

    def reinterpreted_number(self, index: int, other: int, number: float) -> float:
        """Do the same as `reinterpreted` for the number in a constant tensor."""
        own, target = self.grid(index), self.grid(other)
        if own is None or target is None or own == target:
            return number
        return (round(number / own.step) + own.zero_point - target.zero_point) * target.step
