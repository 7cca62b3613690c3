"""A TensorFlow Lite file's network in the making, and what of the file its layers are made of."""

from __future__ import annotations

from collections.abc import Callable

from mpscnn.converters.layer_names import LayerNames, shown
from mpscnn.converters.tflite.constants import Constants
from mpscnn.converters.tflite.file import FileOperator, TfliteFile
from mpscnn.converters.tflite.flatbuffer import Table
from mpscnn.converters.tflite.names import activation_name
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.network import Network
from mpscnn.vision.detector import DetectionHead

_ACTIVATIONS: dict[str, Activation] = {
    "NONE": None,
    "RELU": "relu",
    "RELU6": "relu6",
    "TANH": "tanh",
    "RELU_N1_TO_1": {"kind": "clamp", "a": -1.0, "b": 1.0},
}


class OperatorReader:
    """A network in the making, and what of a file its layers are made of."""

    def __init__(self, network: Network, file: TfliteFile, constants: Constants, names: LayerNames) -> None:
        self.network = network
        self.file = file
        self.constants = constants
        self.names = names
        self.values: dict[int, Tensor] = {}
        self.detection: DetectionHead | None = None
        self.heads: list[Tensor] = []
        self.results = frozenset(file.outputs)
        self.spread: dict[int, tuple[Tensor, tuple[int, int], list[int]]] = {}
        """Of what SPACE_TO_BATCH_ND makes: the image, the block and the padding."""
        self.joined: set[int] = set()
        """Results of convolutions that have a block as their dilation."""
        self._users: dict[int, list[FileOperator]] = {}
        for operator in file.operators:
            for index in set(operator.inputs):
                self._users.setdefault(index, []).append(operator)

    def value(self, index: int) -> Tensor:
        """What the network computes for a tensor of the file."""
        if index not in self.values:
            name = shown(self.file.tensors[index].name) if index >= 0 else "which is absent,"
            if index >= 0 and self.constants.find(index) is not None:
                raise UnsupportedError(f"its operand {name} is a constant, which is not supported here")
            raise UnsupportedError(f"its operand {name} is the result of no layer")
        return self.values[index]

    def only_user(self, index: int) -> FileOperator | None:
        """The one operator that reads a tensor; None where there are others, or it is a result of the file."""
        users = self._users.get(index, [])
        return users[0] if len(users) == 1 and index not in self.results else None

    def result(self, operator: FileOperator, value: Tensor) -> None:
        """Sets what the network computes for the operator's first result."""
        self.values[operator.outputs[0]] = value

    def name_of(self, operator: FileOperator) -> str:
        """What the file calls an operator: its result's name, if it has one."""
        return self.file.tensors[operator.outputs[0]].name if operator.outputs else "?"

    def layer_name(self, operator: FileOperator, suffix: str = "") -> str:
        """The result's name in the file, made unique; `;` separates names that TensorFlow merged."""
        stem = self.file.tensors[operator.outputs[0]].name.split(";")[0]
        return self.names.unique((stem or operator.kind.lower()) + suffix)

    def activation(self, operator: FileOperator, field: int) -> Activation:
        """The activation that the operator ends with."""
        name = activation_name(operator.options.integer(field, "b") if operator.options else 0)
        if name not in _ACTIVATIONS:
            raise UnsupportedError(f"it ends with the activation {name}, which is not supported yet")
        return _ACTIVATIONS[name]

    def options(self, operator: FileOperator) -> Table:
        """The operator's own options."""
        if operator.options is None:
            raise WeightsError("damaged: it has no options")
        return operator.options

    def weight_shape(self, operator: FileOperator) -> tuple[int, ...]:
        """Of input 1, a constant."""
        return self.constants.stored(operator.inputs[1], "its weights").shape

    def set_weights(
        self,
        operator: FileOperator,
        layer: str,
        order: tuple[int, ...],
        shape: tuple[int, ...] | None = None,
    ) -> None:
        """Inputs 1 and 2 as weight and bias; `order` and `shape` as of `Constants.set_weight`."""
        self.constants.set_weight(self.network, f"{layer}.weight", operator.inputs[1], order, shape)
        if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
            bias = self.constants.real(operator.inputs[2], "its biases")
            self.network.graph.set_weight(layer, "bias", bias)


Reader = OperatorReader
Handler = Callable[[OperatorReader, FileOperator], None]
