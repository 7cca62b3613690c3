"""The state of a conversion of a TensorFlow Lite file that all operators share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.arrange import Arranger
from mpscnn.converters.integer_limits import (
    UNLIMITED,
    Grid,
    Limits,
    activation_limits,
    clip_limits,
    clipping_activation,
)
from mpscnn.converters.layer_names import LayerNames, quote_name
from mpscnn.converters.layout import Axis, batch_atom, without_batch
from mpscnn.converters.max_unpooling import Maxima
from mpscnn.converters.tensor import FileTensor
from mpscnn.converters.tflite.constants import Constants
from mpscnn.converters.tflite.file import FileOperator, TfliteFile
from mpscnn.converters.tflite.flatbuffer import Table
from mpscnn.converters.tflite.names import activation_name
from mpscnn.converters.tflite.ranges import copies_bytes, result_limits
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.vision.detector import DetectionHead

_ACTIVATIONS: dict[str, Activation] = {
    "NONE": None,
    "RELU": "relu",
    "RELU6": "relu6",
    "RELU_N1_TO_1": {"kind": "clamp", "a": -1.0, "b": 1.0},
}

# The types of quantized tensors. In some files results have 16 bits although weights have 8.
_LIMITING = ("uint8", "int8", "int16")
_NEGLIGIBLE = 1.001  # one quantization step, and a tolerance for the rounding of scales

Integers = tuple[str, float, int]
"""The type, scale and zero point of a quantized tensor."""


class OperatorReader:
    """The network under construction, the file's values and constants, and methods for converting operators."""

    def __init__(
        self,
        network: Network,
        file: TfliteFile,
        constants: Constants,
        names: LayerNames,
        *,
        has_batch: bool = True,
    ) -> None:
        self.network = network
        self.file = file
        self.constants = constants
        self.names = names
        self.values: dict[int, FileTensor] = {}
        # The shapes in the file have this batch, but the network takes any batch.
        self.batch = (file.tensors[file.inputs[0]].shape or (1,))[0] if file.inputs and has_batch else 1
        self.batch_atom = batch_atom(self.batch)
        self.arranger = Arranger(network, self.batch_atom, self._name, constants.budget)
        self._named, self._kind = -1, "value"
        self.integers: dict[int, Integers | None] = {}
        """The quantizations of the network's tensors, by index; None if the file has several for one tensor."""
        self.detection: DetectionHead | None = None
        self.heads: list[Tensor] = []
        self.results = frozenset(file.outputs)
        self.spread: dict[int, tuple[Tensor, tuple[int, int], list[int]]] = {}
        """The image, block size and padding of each SPACE_TO_BATCH_ND, by the index of its result."""
        self.maxima: dict[int, Maxima] = {}
        """The places of the maxima of poolings, by the index of the tensor with their positions."""
        self.joined: set[int] = set()
        """Results of convolutions whose dilation was written as SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND."""
        self._ended: set[int] = set()  # tensors whose layer already clips them to the range of their integers

    def begin(self, tensor: int, kind: str | None = None) -> None:
        """Begin a tensor of the file: layers that are added from now on get its name.

        If the tensor has no name, they get the name of the operator's `kind`.
        """
        self._named = tensor
        self._kind = self._kind if kind is None else kind.lower()

    def seen(self, index: int) -> FileTensor:
        """Return a computed tensor of the file. Its batch may be a part of any axis.

        Raises UnsupportedError if no layer has computed the tensor.
        """
        if index not in self.values:
            name = quote_name(self.file.tensors[index].name) if index >= 0 else "which is absent,"
            if index >= 0 and self.constants.holds(index):
                raise UnsupportedError(f"its operand {name} is a constant, which is not supported here")
            raise UnsupportedError(f"its operand {name} is the result of no layer")
        return self.values[index]

    def is_constant(self, index: int) -> bool:
        """Return True if a tensor of the file does not depend on its inputs."""
        return index >= 0 and index not in self.values and self.constants.holds(index)

    def value(self, index: int) -> Tensor:
        """Return the network's tensor (n, other axes) for a tensor of the file whose first axis is the batch."""
        return self.tensor(self.seen(index))

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
        """Return the value with its elements in the order of the file's axes.

        If the batch is not a separate axis of the file's tensor, the network's tensor has it in front.
        """
        axes = [*map(without_batch, value.axes)]
        groups = axes[1:] if value.has_batch_first else axes
        order = tuple(atom for axis in groups for atom in axis)
        return value.with_tensor(self.arranger.physical(value, groups), order)

    def operand(self, index: int, like: FileTensor) -> FileTensor:
        """Return a computed or constant operand. A constant gets at least as many axes as `like`."""
        if not self.is_constant(index):
            return self.seen(index)
        numbers = self.constants.numbers(index, "its operand")
        value = self.constant(numbers, like.rank, self.file.tensors[index].name)
        self.note_integers(index, value.tensor)
        return value

    def constant(self, numbers: NDArray[np.float32], rank: int, name: str) -> FileTensor:
        """Add a constant layer and return its value, extended to `rank` axes by axes of extent 1 in front."""
        shape = (1,) * (rank - numbers.ndim) + numbers.shape
        if numbers.size == 0 or not np.isfinite(numbers).all():
            raise UnsupportedError(
                f"its operand {quote_name(name)} is a constant that is empty or not finite"
            )
        if self.batch != 1 and shape[0] != 1:
            raise UnsupportedError(
                f"its operand {quote_name(name)} has other numbers for each image of the batch"
            )
        own = shape[1:] if shape[0] == 1 and len(shape) > 1 else shape
        layer = self.names.unique(name or "constant")
        tensor = self.network.constant(self.network.inputs[0], own, name=layer)
        self.network.graph.set_weight(layer, "value", np.ascontiguousarray(numbers.reshape(own)))
        return self.of_tensor(tensor, batch_first=len(own) < len(shape))

    def of_tensor(self, tensor: Tensor, *, batch_first: bool = True) -> FileTensor:
        """Return the value of a network's tensor. Without `batch_first` the batch is a part of the first other axis."""
        if batch_first:
            return FileTensor.from_tensor(self.arranger, tensor)
        axes = self.arranger.atoms(tensor.shape[1:])
        first: Axis = (self.batch_atom, *axes[0])
        order = tuple(atom for axis in axes for atom in axis)
        return FileTensor(tensor, (first, *axes[1:]), order, arranger=self.arranger)

    def only_user(self, index: int) -> FileOperator | None:
        """Return the single consumer of a tensor; None if there are several, or if it is an output of the file."""
        users = self.file.users.get(index, [])
        return users[0] if len(users) == 1 and index not in self.results else None

    def put(self, operator: FileOperator, made: Made) -> None:
        """Set the operator's first result. If it is a tensor of the network, its first axis is the batch."""
        if made is not None:
            self.set_value(
                operator.outputs[0], made if isinstance(made, FileTensor) else self.of_tensor(made)
            )

    def set_value(self, index: int, value: FileTensor) -> None:
        """Set the computed value of a tensor of the file."""
        value = self._in_own_integers(index, self._within_integers(index, value))
        self.values[index] = value.prepend_batch(self.batch_atom if self.batch == 1 else None)
        self.note_integers(index)

    # ---- Integers ------------------------------------------------------------------------------------------

    def grid(self, index: int) -> Grid | None:
        """Return the quantization of a tensor; None if the file does not quantize it with one valid scale."""
        tensor = self.file.tensors[index]
        quantization = tensor.quantization
        if (
            quantization is None
            or tensor.dtype.name not in _LIMITING
            or quantization.scales.size != 1
            or not 0.0 < quantization.scales[0] < np.inf
        ):
            return None
        return Grid(float(quantization.scales[0]), int(quantization.zero_points[0]), tensor.dtype)

    def limits(self, index: int) -> Limits:
        """Return the range that a tensor's integers can represent; unlimited for tensors without a quantization."""
        grid = self.grid(index)
        return UNLIMITED if grid is None else grid.limits

    def _result_limits(self, operator: FileOperator, grid: Grid) -> Limits:
        given = [index for index in operator.inputs if index >= 0 and not self.is_setting(index)]
        operands = [self.limits(index) for index in given if self.file.tensors[index].dtype.kind != "b"]
        return result_limits(operator.kind, operands, grid)

    def is_setting(self, index: int) -> bool:
        """Return True if a tensor is a constant int32, int64 or bool, such as axes and shapes."""
        return self.is_constant(index) and self.file.tensors[index].dtype.name in ("int32", "int64", "bool")

    def fused_activation(self, operator: FileOperator, activation: Activation) -> Activation:
        """Return the activation for an operator's layer: the file's activation merged with the range of the integers.

        Args:
            operator: the operator.
            activation: the activation that the file states. If it does more than clip, it is returned unchanged, and a
                separate layer clips to the range later.
        """
        index = operator.outputs[0]
        grid = self.grid(index)
        limits = None if grid is None else clip_limits(activation, grid, self._result_limits(operator, grid))
        if grid is None or limits is None:
            return activation
        self._ended.add(index)
        if limits == activation_limits(activation):
            return activation
        return clipping_activation(limits, grid.step)

    def _within_integers(self, index: int, value: FileTensor) -> FileTensor:
        """Return the value clipped to the range of its integers, if no layer has done that yet.

        A change of scale becomes a separate layer before the clipping, because LiteRT rounds such a change differently
        from an activation that changes the scale. A range that cuts off at most one step gets no layer: for example,
        the integers of sigmoids and probabilities end one step below 1.
        """
        grid, maker = self.grid(index), self.file.makers.get(index)
        if grid is None or maker is None or index in self._ended:
            return value
        given = self._result_limits(maker, grid)
        if not given.exceed(grid.limits, _NEGLIGIBLE * grid.step):
            return value
        value = self._in_own_integers(index, value)
        self.note_integers(index, value.tensor)
        limits = clip_limits(None, grid, given)
        assert limits is not None
        name = self._name_for(index, maker.kind.lower(), "/limits")
        limited = self.network.activation(value.tensor, clipping_activation(limits, grid.step), name=name)
        return value.with_same_layout(limited)

    def _in_own_integers(self, index: int, value: FileTensor) -> FileTensor:
        """Return the value with the quantization of the file's tensor. If it has another one, a layer is added."""
        own, tensor = self._integers_of(index), value.tensor
        if own is None or self.integers.get(tensor.index, own) == own:
            return value
        name = self._name_for(index, "value", "/integers")
        return value.with_same_layout(self.network.layer("neuron", [tensor], {"kind": "none"}, name=name))

    @contextmanager
    def reading_bytes(self, operator: FileOperator) -> Iterator[None]:
        """Reinterpret the inputs of an operator that copies integers, within a `with` block.

        LiteRT copies the integers of some operators without regard to scales. Such inputs are read with the scale and
        zero point of the result.
        """
        target = self.grid(operator.outputs[0]) if operator.outputs else None
        kept = dict(self.values)
        if target is not None and copies_bytes(operator.kind):
            for index in dict.fromkeys(operator.inputs):
                if index in self.values and self.grid(index) is not None:
                    self.values[index] = self.reinterpreted_as(index, operator.outputs[0], self.values[index])
        try:
            yield
        finally:
            self.values.update({index: kept[index] for index in operator.inputs if index in kept})

    def reinterpreted_as(self, index: int, other: int, value: FileTensor) -> FileTensor:
        """Return the numbers that a tensor's integers represent with the scale and zero point of another tensor."""
        own, target = self.grid(index), self.grid(other)
        if own is None or target is None or own == target or own.dtype != target.dtype:
            return value
        line: Activation = {
            "kind": "linear",
            "a": target.step / own.step,
            "b": (own.zero_point - target.zero_point) * target.step,
        }
        y = self.network.activation(value.tensor, line, name=self._name_for(other, "value", "/integers"))
        self.note_integers(other, y)
        return value.with_same_layout(y)

    def number_reinterpreted_as(self, index: int, other: int, number: float) -> float:
        """Do the same as `reinterpreted_as` for the number in a constant tensor."""
        own, target = self.grid(index), self.grid(other)
        if own is None or target is None or own == target:
            return number
        return (round(number / own.step) + own.zero_point - target.zero_point) * target.step

    def note_integers(self, index: int, tensor: Tensor | None = None) -> None:
        """Record the quantization that the file has for a tensor of the network."""
        value = (tensor or self.values[index].tensor).index
        own = self._integers_of(index)
        if own is not None:
            self.integers[value] = own if self.integers.get(value, own) == own else None

    def has_integers(self, index: int) -> bool:
        """Return True if a tensor of the file is quantized to 8 bits with one scale."""
        return self._integers_of(index) is not None

    def has_other_integers(self, first: int, second: int) -> bool:
        """Return True if two tensors of the file have different 8-bit quantizations."""
        integers = [self._integers_of(index) for index in (first, second)]
        return None not in integers and integers[0] != integers[1]

    def _integers_of(self, index: int) -> Integers | None:
        grid = self.grid(index)
        if grid is None or grid.dtype.itemsize != 1:
            return None
        return grid.dtype.name, grid.step, grid.zero_point

    def name_of(self, operator: FileOperator) -> str:
        """Return the file's name of an operator: its result's name, if it has one."""
        return self.file.tensors[operator.outputs[0]].name if operator.outputs else "?"

    def layer_name(self, operator: FileOperator, suffix: str = "") -> str:
        """Return a unique layer name from the name of the operator's result."""
        return self._name_for(operator.outputs[0], operator.kind.lower(), suffix)

    def _name(self, suffix: str) -> str:
        return self._name_for(self._named, self._kind, suffix)

    def _name_for(self, tensor: int, default: str, suffix: str) -> str:
        stem = self.file.tensors[tensor].name.split(";")[0]
        return self.names.unique((stem or default) + suffix)

    def activation(self, operator: FileOperator, field: int) -> Activation:
        """Return the activation that the operator ends with.

        Raises UnsupportedError for those that LiteRT leaves out, or refuses: TANH, SIGN_BIT and unknown ones.
        """
        name = activation_name(operator.integer(field, "b"))
        if name not in _ACTIVATIONS:
            raise UnsupportedError(
                f"it ends with the activation {name}, which LiteRT does not compute either"
            )
        return _ACTIVATIONS[name]

    def options(self, operator: FileOperator) -> Table:
        """Return the operator's options. Raises WeightsError if it has none."""
        if operator.options is None:
            raise WeightsError("damaged: it has no options")
        return operator.options

    def weight_shape(self, operator: FileOperator, order: Sequence[int] | None = None) -> tuple[int, ...]:
        """Return the shape of the weights: input 1, which is a constant. `order` transposes it."""
        weights = self.constants.stored(operator.inputs[1], "its weights")
        return (weights if order is None else weights.transpose(order)).shape

    def set_weights(
        self,
        operator: FileOperator,
        layer: str,
        order: tuple[int, ...],
        shape: tuple[int, ...] | None = None,
    ) -> None:
        """Set a layer's weight and bias from inputs 1 and 2. See `Constants.set_weight` for the other arguments."""
        self.constants.set_weight(self.network, f"{layer}.weight", operator.inputs[1], order, shape)
        if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
            self.constants.set_bias(self.network, layer, operator.inputs[2])


Reader = OperatorReader
Made = FileTensor | Tensor | None
Handler = Callable[[OperatorReader, FileOperator], Made]
"""Converts an operator and returns the first result. A handler that sets the results itself returns None."""
