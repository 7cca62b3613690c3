"""Building networks from conventional layers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from os import PathLike
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal, cast

from mpscnn import _core
from mpscnn._private.arguments import is_finite_number, require_text, whole_number, whole_numbers
from mpscnn._private.expected_names import PRECISIONS, Expected, takes_expected_arguments
from mpscnn._private.literals import StoredTypeName
from mpscnn._private.model_name import MODEL_SUFFIX
from mpscnn._private.names import did_you_mean
from mpscnn._private.printable import printable
from mpscnn.errors import ParameterError
from mpscnn.graph.graph_maker import GraphMaker
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.arithmetic import ArithmeticLayers
from mpscnn.graph.layers.binary_convolution import BinaryConvolutionLayers
from mpscnn.graph.layers.concatenation import ConcatenationLayers
from mpscnn.graph.layers.constant import ConstantLayers
from mpscnn.graph.layers.convolution import ConvolutionLayers
from mpscnn.graph.layers.custom import CustomLayers
from mpscnn.graph.layers.dropout import DropoutLayers
from mpscnn.graph.layers.fully_connected import FullyConnectedLayers
from mpscnn.graph.layers.gather import GatherLayers
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.layers.matrix_product import MatrixProductLayers
from mpscnn.graph.layers.neuron import NeuronLayers
from mpscnn.graph.layers.normalization import NormalizationLayers
from mpscnn.graph.layers.padding import PaddingLayers
from mpscnn.graph.layers.pooling import PoolingLayers
from mpscnn.graph.layers.recurrent import RecurrentLayers
from mpscnn.graph.layers.reduction import ReductionLayers
from mpscnn.graph.layers.reshape import ReshapeLayers
from mpscnn.graph.layers.resize import ResizeLayers
from mpscnn.graph.layers.slice import SliceLayers
from mpscnn.graph.layers.softmax import SoftmaxLayers
from mpscnn.graph.layers.subpixel import SubpixelLayers
from mpscnn.graph.layers.transpose import TransposeLayers
from mpscnn.graph.layers.transposed_convolution import TransposedConvolutionLayers
from mpscnn.graph.structure import NetworkStructure
from mpscnn.runtime.options import CompileOptions
from mpscnn.runtime.program import Program, compile_graph

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Unpack

    from mpscnn.runtime.options import CompileArguments
    from mpscnn.vision.detector import DetectionHead


class Network(
    Expected,
    NetworkStructure,
    ConvolutionLayers,
    TransposedConvolutionLayers,
    SubpixelLayers,
    BinaryConvolutionLayers,
    FullyConnectedLayers,
    PoolingLayers,
    ArithmeticLayers,
    ConstantLayers,
    MatrixProductLayers,
    NormalizationLayers,
    NeuronLayers,
    SliceLayers,
    GatherLayers,
    TransposeLayers,
    SoftmaxLayers,
    DropoutLayers,
    ConcatenationLayers,
    PaddingLayers,
    RecurrentLayers,
    ReductionLayers,
    ReshapeLayers,
    ResizeLayers,
    CustomLayers,
):
    """A convolutional network: layers, their weights, its inputs and outputs.

    Layers mean exactly what the layers of the same name mean in TensorFlow and PyTorch; images are NHWC. Every method
    that adds a layer checks the shapes and raises ShapeError or ParameterError with the layer's name. `a + b`, `a - b`,
    `a * b` and `a / b` of tensors, or of a tensor and a number, are layers, too.

    Its `detection` has the settings that turn a detector's outputs into boxes; it is None for other networks. Its
    `preprocess`, a preset's name or a mapping (`mpscnn.preprocess`), turns a photo into the input; None: not known.
    `save` keeps both.

    Its `notes` are sentences of a converter about what it left out or changed, its `labels` names of the classes that
    a converted file holds, its `source_ends` the file's tensors that its outputs are made of, where these are not the
    file's outputs.

    Args:
        input: (height, width, channels) of the image, or (features,); None for extents that may vary. Several
            inputs: a mapping from names to such shapes.
        name: shown in tables and messages.
    """

    def __init__(
        self, input: Sequence[int | None] | Mapping[str, Sequence[int | None]], *, name: str = "network"
    ) -> None:
        self.graph = _core.Graph(name)
        self.name = name
        given: object = input
        if not isinstance(given, (Mapping, Sequence)) or isinstance(given, str):
            raise ParameterError(
                f"input must be (height, width, channels), (features,) or a mapping to such, got {given!r}"
            )
        self._maker = GraphMaker(self.graph, name, {})
        named = input if isinstance(input, Mapping) else {"image" if len(input) == 3 else "input": input}
        self.inputs = [self._add_input(key, shape) for key, shape in named.items()]
        self.outputs: list[Tensor] = []
        self._detection: DetectionHead | None = None
        self.preprocess: str | Mapping[str, Any] | None = None
        self.notes: list[str] = []
        self.labels: list[str] | None = None
        self.source_ends: list[str] = []

    @classmethod
    def from_graph(cls, graph: _core.Graph) -> Network:
        """Wrap a graph of the core, for example one read from a model file."""
        network = cls.__new__(cls)
        description = json.loads(graph.to_json())
        network.graph = graph
        network.name = description["name"]
        network._detection = None
        network.preprocess = None
        network.notes = []
        network.labels = None
        network.source_ends = []
        input_names = [entry["name"] for entry in description["inputs"]]
        names = input_names + [entry["name"] for entry in description["nodes"]]
        indices = {name: position for position, name in enumerate(names)}
        network._maker = GraphMaker(graph, network.name, indices)
        network.inputs = [network[name] for name in input_names]
        network.outputs = [network[name] for name in description["outputs"]]
        return network

    def __copy__(self) -> Network:
        """Return a deep copy, as `copy.deepcopy` does. Its tensors belong to it."""
        return deepcopy(self)

    def __repr__(self) -> str:
        inputs = ", ".join(f"{tensor.name} {tensor.shape}" for tensor in self.inputs)
        return f"<Network {self.name!r}: {printable(inputs)}>"

    def _repr_html_(self) -> str:
        from mpscnn.graph.network_view import network_html

        return network_html(self)

    # ---- Layers ----------------------------------------------------------------------------------------

    def layer(
        self,
        operation: str,
        inputs: Sequence[Tensor],
        attributes: Mapping[str, Any],
        *,
        activation: Activation = None,
        name: str | None = None,
        default: str | None = None,
    ) -> Tensor:
        """Any operation of `mpscnn.operations()` by its own name and parameters; the other methods end here."""
        return self._maker.layer(
            operation, inputs, attributes, activation=activation, name=name, default=default
        )

    def with_bias(self, made: Tensor, use_bias: bool | None) -> Tensor:
        """Give a new layer a bias of zeros, or none whatever the weights; None leaves it to the weights."""
        return self._maker.with_bias(made, use_bias)

    def _without_bias(self) -> set[str]:
        return self._maker.without_bias

    def add_custom(
        self, name: str | None, inputs: Sequence[Tensor], function: Callable[..., None], shape: Sequence[int]
    ) -> Tensor:
        """Add the layer of `custom`."""
        return self._maker.custom(name, inputs, function, shape)

    def output(self, x: Tensor) -> Tensor:
        """Mark a result of the network. Several outputs keep the order in which they were marked."""
        self._maker.require_own(x)
        self.graph.mark_output(x.index)
        self.outputs.append(x)
        return x

    def keep_float32(self, layers: Sequence[str | Tensor], *, keep: bool = True) -> None:
        """Keep layers in float32 when the network computes in float16 or int8: nothing of them is rounded.

        That goes for weights and results. A layer together with the batch normalization and the activation after it
        counts as one in float16. In int8 such a layer reads and gives numbers; layers of integers that read its result
        need to know its integers (`quantize`). Model files hold it. `mpscnn.check_precision` finds the layers that need
        it in float16, `mpscnn.quantize` those in int8.

        Raises ParameterError for a layer that there is not, for an input, and for one name instead of a sequence.
        """
        for index in self._indices_of("keep_float32", layers):
            self.graph.keep_float32(index, keep)

    def learn(self, layers: Sequence[str | Tensor], *, learn: bool = True) -> None:
        """Say whether training changes the weights of layers.

        Unless this says otherwise, the weights of all layers that can be trained learn, but for the values of
        `constant`. Model files hold it. `Trainer.freeze` keeps weights for a time only.

        Raises ParameterError for a layer that there is not, for an input, and for one name instead of a sequence.
        """
        for index in self._indices_of("learn", layers):
            self.graph.set_learning(index, learn)

    def _indices_of(self, what: str, layers: Sequence[str | Tensor]) -> list[int]:
        if isinstance(layers, str) or not isinstance(layers, Iterable):
            raise ParameterError(f"{what}: layers must be a sequence of layers, got {layers!r}")
        return [layer.index if isinstance(layer, Tensor) else self[layer].index for layer in layers]

    def quantize(self, x: str | Tensor, dtype: str, scale: float, zero_point: int) -> None:
        """State how 8-bit integers stand for an input or a layer's result: number = (integer - zero_point) * scale.

        Precision "int8" computes in these integers; others do not look at them. Networks of quantised TensorFlow Lite
        files have them, and so do model files.

        Args:
            x: what they stand for.
            dtype: "uint8" or "int8".
            scale: positive; kept as float32.
            zero_point: the integer that stands for 0.

        Raises ParameterError for a layer that there is not, another type and numbers that are not allowed.
        """
        if not is_finite_number(scale):
            raise ParameterError(f"quantize: scale must be a number of at least 2^-126, got {scale!r}")
        zero = whole_number("quantize: zero_point", zero_point, -128, 255)
        index = x.index if isinstance(x, Tensor) else self[x].index
        self.graph.quantize(index, require_text("quantize: dtype", dtype), float(scale), zero)

    def __getitem__(self, name: str) -> Tensor:
        """Return the result of the layer of this name."""
        if not isinstance(name, str) or name not in self._maker.indices:
            raise ParameterError(
                f"network {self.name!r} has no layer {name!r}{did_you_mean(str(name), self.layer_names())}"
            )
        return Tensor(self._maker, self._maker.indices[name], name)

    def layer_names(self) -> list[str]:
        """Return the names of the inputs and of all layers, in the order of the network."""
        return list(self._maker.indices)

    # ---- Looking, running, saving ----------------------------------------------------------------------

    @property
    def num_parameters(self) -> int:
        """The number of weights, biases and other numbers that layers have."""
        return sum(
            math.prod(spec["shape"]) for spec in self.weight_specs() if spec["set"] or spec["required"]
        )

    def count_params(self) -> int:
        """Return `num_parameters`."""
        return self.num_parameters

    @property
    def parameters(self) -> dict[str, NDArray[Any]]:
        """The same as `weights`."""
        return self.weights

    def copy(self) -> Network:
        """Return a network of its own, as `copy.deepcopy` makes."""
        return deepcopy(self)

    def predict(self, x: Any) -> Any:
        """Compute the outputs for arrays. Each call compiles the network; `compile` does that once for many runs."""
        return self.compile().run(x)

    __call__ = predict

    def subgraph(self, outputs: Sequence[str]) -> Network:
        """Return the network that computes the given layers: a copy without what they do not need.

        Raises ParameterError for a layer that there is not.
        """
        structure = self.to_dict()
        needed = {self[name].name for name in outputs}
        for node in reversed(structure["nodes"]):
            if node["name"] in needed:
                needed.update(node["inputs"])
        structure["nodes"] = [node for node in structure["nodes"] if node["name"] in needed]
        return self.restructured(structure | {"outputs": list(outputs)})

    def restructured(self, structure: Mapping[str, Any], names: Mapping[str, str] | None = None) -> Network:
        """Return a network of another structure (as of `to_dict`) with this one's weights.

        Args:
            structure: the new network.
            names: from this network's layers to the new one's; the weights of layers that are left out are not copied.
                None: layers keep their names.
        """
        if names is None:
            names = {node["name"]: node["name"] for node in structure["nodes"]}
        result = Network.from_graph(_core.Graph.from_json(json.dumps(dict(structure))))
        for spec in self.weight_specs():
            if spec["set"] and spec["layer"] in names:
                stored = self.graph.get_weight(spec["layer"], spec["role"])
                result.graph.set_weight(names[spec["layer"]], spec["role"], *stored)
        result._maker.without_bias = {names[layer] for layer in self._maker.without_bias if layer in names}
        return result

    @takes_expected_arguments(options=CompileOptions.fields)
    def compile(
        self, *, outputs: Sequence[str | Tensor] | None = None, **options: Unpack[CompileArguments]
    ) -> Program:
        """Prepare the network for a device.

        Args:
            outputs: layers whose results are wanted instead of the network's outputs; the rest is not computed.
            options: those of `CompileOptions`, such as `device`, `precision` and `max_memory`.

        Raises:
            DeviceError: there is no such device. UnsupportedError: it cannot run a layer. WeightsError: weights are
                missing. ShapeError: the packed weights take more than `max_memory`; a session raises it where its
                intermediate results would. TypeError: there is no such option.
        """
        wanted = [tensor if isinstance(tensor, str) else tensor.name for tensor in outputs or []]
        return compile_graph(self.graph, wanted, CompileOptions(**options))

    def gradients(
        self,
        x: Any,
        labels: Any = None,
        *,
        loss: str | Mapping[str, Any] = "softmax_cross_entropy",
        output_gradient: Any = None,
        seed: int = 0,
        threads: int | Literal["auto"] = "auto",
    ) -> tuple[float | None, dict[str, NDArray[np.float32]]]:
        """Return the loss, and its gradients by the names of inputs and weights, on the CPU in float32.

        The network is as when it is trained: dropout drops, batch normalizations take the statistics of the batch.

        Args:
            x: inputs (n, ...), a list for several.
            labels: class numbers (n,), or floats of the prediction's shape.
            loss: as of `mpscnn.Trainer`.
            output_gradient: instead of labels and a loss, which is None then: the gradient of the output.
            seed: of dropout.
            threads: a number, or "auto"; bits do not depend on it.

        Raises:
            ParameterError: neither labels nor an output gradient, or both. ShapeError: arrays that do not fit.
            UnsupportedError: a layer that gradients cannot pass; it is named.
        """
        from mpscnn.graph.gradients import gradients

        return gradients(
            self, x, labels, loss=loss, output_gradient=output_gradient, seed=seed, threads=threads
        )

    @takes_expected_arguments
    def save(
        self,
        path: str | PathLike[str],
        *,
        dtype: StoredTypeName | None = None,
        labels: Sequence[str] | None = None,
        preprocess: str | Mapping[str, Any] | None = None,
        information: Mapping[str, str] | None = None,
    ) -> None:
        """Write a file of the format that the suffix names, replacing an older one only when complete.

        Args:
            path: FILE.safetensors is a model file (docs/model_format.md), and so is a file without a suffix. FILE.onnx
                is an ONNX file, with images in ONNX' own order; `mpscnn.converters.export_onnx` has its options.
                FILE.mlpackage and FILE.mlmodel are Core ML models; `mpscnn.converters.export_coreml` has theirs.
            dtype: how weights are stored: "float16", "float32" or "uint8" (quantised per output channel, but for layers
                that are kept in float32; weights that are such integers already stay unchanged). None: as they are in
                a network that has 8-bit integers, so that it computes the same in every precision; else "float16" in
                model files and "float32" in others. Biases and batch norms of model files stay float32.
            labels: names of the classes; None: the network's own, if it has any. For model files.
            preprocess: a preset's name or a mapping, see `mpscnn.preprocess`; None: the network's own. For model files.
            information: free text: "license", "source", "description". For model files.

        Raises:
            ParameterError: a suffix of no format that can be written, or something that the format does not hold.
            WeightsError: weights are missing, or the file cannot be written.
        """
        from mpscnn.graph.model_file import save_foreign, save_model

        if isinstance(dtype, str):
            dtype = cast(StoredTypeName, PRECISIONS.get(dtype.lower(), dtype))

        suffix = PurePath(path).suffix.lower()
        if suffix not in ("", MODEL_SUFFIX):
            given = {"labels": labels, "preprocess": preprocess, "information": information}
            save_foreign(self, path, dtype, suffix, given)
            return
        if preprocess is None:
            preprocess = self.preprocess
        if labels is None:
            labels = self.labels
        save_model(self, path, dtype=dtype, labels=labels, preprocess=preprocess, information=information)

    # ---- Names -----------------------------------------------------------------------------------------

    def _add_input(self, name: str, shape: Sequence[int | None]) -> Tensor:
        extents = whole_numbers(f"input {name!r}", [-1 if extent is None else extent for extent in shape])
        return self._maker.added(self.graph.add_input(name, [-1, *extents]), name)
