"""Build networks from the usual layers."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from itertools import islice
from os import PathLike
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal, cast

from mpscnn import _core
from mpscnn._private.arguments import (
    is_finite_number,
    name_list,
    path_name,
    require_text,
    whole_number,
    whole_numbers,
)
from mpscnn._private.given_warnings import warn_caller
from mpscnn._private.literals import ScoresName, StoredTypeName
from mpscnn._private.model_name import MODEL_SUFFIX
from mpscnn._private.names import did_you_mean
from mpscnn._private.other_arguments import accept_foreign_arguments, number_format
from mpscnn._private.other_names import FixedAttributes, OfClass
from mpscnn._private.printable import printable
from mpscnn.errors import ParameterError
from mpscnn.graph.graph_maker import GraphMaker
from mpscnn.graph.layer_arguments import Activation
from mpscnn.graph.layers.arithmetic import ArithmeticLayers
from mpscnn.graph.layers.binary_convolution import BinaryConvolutionLayers
from mpscnn.graph.layers.convolution import ConvolutionLayers
from mpscnn.graph.layers.custom import CustomLayers
from mpscnn.graph.layers.layer_maker import Tensor
from mpscnn.graph.layers.matrix_product import MatrixProductLayers
from mpscnn.graph.layers.neuron import NeuronLayers
from mpscnn.graph.layers.normalization import NormalizationLayers
from mpscnn.graph.layers.pooling import PoolingLayers
from mpscnn.graph.layers.recurrent import RecurrentLayers
from mpscnn.graph.layers.reduction import ReductionLayers
from mpscnn.graph.layers.reshape import ReshapeLayers
from mpscnn.graph.layers.resize import ResizeLayers
from mpscnn.graph.layers.slice import SliceLayers
from mpscnn.graph.structure import NetworkStructure
from mpscnn.graph.weight_layout import FixedWeights, OwnWeights
from mpscnn.runtime.options import CompileOptions
from mpscnn.runtime.program import Program, compile_graph

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Unpack

    from mpscnn.runtime.options import CompileArguments
    from mpscnn.vision.detector import DetectionHead


def with_limits(
    network: Network, score_threshold: float | None, iou_threshold: float | None, max_detections: int | None
) -> Network:
    """Return a copy of a detector with other limits of its suppression, or the network itself if all are None.

    Raises ParameterError for a network that is not a detector, and for a limit that is out of its range.
    """
    if score_threshold is None and iou_threshold is None and max_detections is None:
        return network
    if network.detection is None:
        raise ParameterError(
            f"network {network.name!r} is not a detector, so score_threshold, iou_threshold and max_detections have no "
            "meaning"
        )
    limited = network.copy()
    limited.detection = network.detection.with_limits(score_threshold, iou_threshold, max_detections)
    return limited


def _network_of_file(path: str | PathLike[str]) -> Network:
    """Return the network of a file or name that `mpscnn.load` takes."""
    network: Network = sys.modules["mpscnn"].load(path_name("path", path)).network
    return network


class Network(
    FixedAttributes,
    NetworkStructure,
    ConvolutionLayers,
    BinaryConvolutionLayers,
    PoolingLayers,
    ArithmeticLayers,
    MatrixProductLayers,
    NormalizationLayers,
    NeuronLayers,
    SliceLayers,
    RecurrentLayers,
    ReductionLayers,
    ReshapeLayers,
    ResizeLayers,
    CustomLayers,
):
    """A convolutional network: layers, their weights, its inputs and outputs.

    Layers have the same meaning as layers of that name in TensorFlow and PyTorch; images are NHWC. Every method that
    adds a layer checks the shapes and raises ShapeError or ParameterError with the layer's name. `a + b`, `a - b`, `a *
    b` and `a / b` of tensors, or of a tensor and a number, add layers, too.

    `save` keeps four attributes. `detection` holds the settings that turn a detector's outputs into boxes; None for
    other networks. `preprocess` is the name of a preset or a mapping (`mpscnn.preprocess`) that turns a photo into the
    input; None if it is unknown. `labels` are the class names; None if they are unknown. `scores` says what the scores
    of the classes are; None if nothing states it.

    Converters set three others. `notes` are sentences about what was left out or changed, `source_ends` are the file's
    tensors that correspond to the network's outputs, if these are not the file's outputs, and `information` has the
    texts that the file states about the model, such as "license" and "source".

    Args:
        input: (height, width, channels) of the image, or (features,); up to 5 extents are allowed. None for extents
            that may vary, except for the last one. Several inputs: a mapping from names to such shapes.
        name: the name in tables and messages.
    """

    _other_names = (
        ("summary", "info"),
        ("input.shape", "input_shape"),
        ("resize", "interpolate"),
        ("upsample", "upsampling2d up_sampling2d"),
        ("max_pool2d", "max_pooling2d maxpool2d maxpool"),
        ("average_pool2d", "average_pooling2d avg_pool2d avgpool"),
        ("global_average_pool2d", "global_average_pooling2d adaptive_avg_pool2d"),
        ("batch_norm", "batch_normalization batch_norm2d batchnorm2d bn"),
        ("concat", "concatenate cat"),
        ("dense", "fc fully_connected"),
        ("conv2d_transpose", "conv_transpose2d deconv2d"),
        ("save", "export export_onnx export_coreml export_tflite to_onnx to_coreml to_tflite"),
        ("copy", "clone"),
        ("replace_head", "reset_classifier"),
    )

    load = OfClass(_network_of_file)
    name: str
    graph: _core.Graph
    inputs: list[Tensor]
    outputs: list[Tensor]
    preprocess: str | Mapping[str, Any] | None
    labels: list[str] | None
    notes: list[str]
    source_ends: list[str]
    information: dict[str, str]

    @accept_foreign_arguments
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
        self.outputs = []
        self._detection: DetectionHead | None = None
        self._scores: ScoresName | None = None
        self._answers: dict[str, Any] | None = None
        self.preprocess = None
        self.notes = []
        self.labels = None
        self.source_ends = []
        self.information = {}

    @classmethod
    @accept_foreign_arguments
    def from_graph(cls, graph: _core.Graph) -> Network:
        """Wrap a graph of the core, for example one that was read from a model file."""
        return cls._wrapped(graph, json.loads(graph.to_json()))

    @classmethod
    def _wrapped(cls, graph: _core.Graph, description: Mapping[str, Any]) -> Network:
        """Wrap a graph that has this description, in the form of `to_dict`."""
        network = cls.__new__(cls)
        network.graph = graph
        network.name = description["name"]
        network._detection = None
        network._scores = None
        network._answers = None
        network.preprocess = None
        network.notes = []
        network.labels = None
        network.source_ends = []
        network.information = {}
        input_names = [entry["name"] for entry in description["inputs"]]
        names = input_names + [entry["name"] for entry in description["nodes"]]
        indices = {name: position for position, name in enumerate(names)}
        network._maker = GraphMaker(graph, network.name, indices)
        network.inputs = [network[name] for name in input_names]
        network.outputs = [network[name] for name in description["outputs"]]
        return network

    def __copy__(self) -> Network:
        """Return a deep copy, like `copy.deepcopy`. Its tensors belong to the copy."""
        return deepcopy(self)

    def __repr__(self) -> str:
        inputs = ", ".join(f"{tensor.name} {tensor.shape}" for tensor in self.inputs)
        return f"<Network {self.name!r}: {printable(inputs)}>"

    def _repr_html_(self) -> str:
        from mpscnn.graph.network_view import network_html

        return network_html(self)

    # ---- Layers ----------------------------------------------------------------------------------------

    @accept_foreign_arguments
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
        """Add a layer with any operation of `mpscnn.operations()`, by the operation's name and parameters.

        All other layer methods call this one.
        """
        return self._maker.layer(
            operation, inputs, attributes, activation=activation, name=name, default=default
        )

    @accept_foreign_arguments
    def with_bias(self, made: Tensor, use_bias: bool | None) -> Tensor:
        """Set whether a new layer has a bias.

        True: it has one, which is zero at first. False: it has none. None: it has one if its weights have one.
        """
        return self._maker.with_bias(made, use_bias)

    def _without_bias(self) -> set[str]:
        return self._maker.without_bias

    def output(self, x: Tensor) -> Tensor:
        """Mark a tensor as an output of the network. Outputs keep the order in which they are marked."""
        self._maker.require_own(x)
        self.graph.mark_output(x.index)
        self.outputs.append(x)
        return x

    @accept_foreign_arguments
    def keep_float32(self, layers: Sequence[str | Tensor], *, keep: bool = True) -> None:
        """Keep layers in float32 when the network runs in float16 or int8: their weights and results are not rounded.

        In float16, a layer includes the batch normalization and the activation after it. In int8, such a layer reads
        and returns floats; if an integer layer reads its result, the result needs a quantisation (`quantize`). Model
        files store this setting. `mpscnn.check_precision` finds layers that need it in float16, `mpscnn.quantize` those
        in int8.

        Raises ParameterError for an unknown layer, an input, or a single name instead of a sequence.
        """
        for index in self._indices_of("keep_float32", layers):
            self.graph.keep_float32(index, keep)

    @accept_foreign_arguments
    def learn(self, layers: Sequence[str | Tensor], *, learn: bool = True) -> None:
        """Set whether training changes the weights of layers.

        By default the weights of all layers that can be trained are changed, except for values of `constant`. Model
        files store this setting. `Trainer.freeze` does the same for one trainer.

        Raises ParameterError for an unknown layer, an input, or a single name instead of a sequence.
        """
        for index in self._indices_of("learn", layers):
            self.graph.set_learning(index, learn)

    def _indices_of(self, what: str, layers: Sequence[str | Tensor]) -> list[int]:
        if isinstance(layers, str) or not isinstance(layers, Iterable):
            raise ParameterError(f"{what}: layers must be a sequence of layers, got {layers!r}")
        return [layer.index if isinstance(layer, Tensor) else self[layer].index for layer in layers]

    def quantize(
        self,
        x: str | Tensor,
        dtype: str | None = None,
        scale: float | None = None,
        zero_point: int | None = None,
    ) -> None:
        """Set the quantisation of an input or a layer's result: number = (integer - zero_point) * scale.

        Precision "int8" computes in these integers; other precisions ignore them. Networks from quantised TensorFlow
        Lite files have them, and model files store them.

        Args:
            x: the input or layer.
            dtype: "uint8" or "int8".
            scale: a positive number, stored as float32.
            zero_point: the integer that represents 0.

        Raises ParameterError for an unknown layer, another type, or numbers out of range. TypeError: an argument is
        missing.
        """
        if dtype is None or scale is None or zero_point is None:
            raise TypeError(
                "quantize() sets the scale of one layer and needs dtype, scale and zero_point; "
                "mpscnn.quantize(network, images) quantises the whole network"
            )
        if not is_finite_number(scale):
            raise ParameterError(f"quantize: scale must be a number of at least 2^-126, got {scale!r}")
        zero = whole_number("quantize: zero_point", zero_point, -128, 255)
        index = x.index if isinstance(x, Tensor) else self[x].index
        self.graph.quantize(index, require_text("quantize: dtype", dtype), float(scale), zero)

    def __getitem__(self, name: str) -> Tensor:
        """Return the tensor of the layer or input with this name."""
        if not isinstance(name, str):
            raise ParameterError(
                f"network {self.name!r} has layers by name, got {name!r}; layer_names() lists them"
            )
        if name not in self._maker.indices:
            raise ParameterError(
                f"network {self.name!r} has no layer {name!r}"
                f"{did_you_mean(name, self.layer_names()) or '; layer_names() lists them'}"
            )
        return Tensor(self._maker, self._maker.indices[name], name)

    def __contains__(self, name: object) -> bool:
        """Return True if there is a layer or input with this name."""
        return name in self._maker.indices

    def __len__(self) -> int:
        """Return the number of layers."""
        return len(self._maker.indices) - len(self.inputs)

    def __bool__(self) -> bool:
        """Return True, also if there is no layer yet."""
        return True

    def layer_names(self, first: int = 0) -> list[str]:
        """Return the names of the inputs and of all layers, in the network's order, from position `first` on."""
        last = islice(reversed(self._maker.indices), max(len(self._maker.indices) - first, 0))
        return [*last][::-1]

    # ---- Inspection, computation, saving ---------------------------------------------------------------

    @property
    def num_parameters(self) -> int:
        """The number of elements of all weights, including biases and normalizations."""
        return sum(
            math.prod(spec["shape"]) for spec in self.weight_specs() if spec["set"] or spec["required"]
        )

    def count_params(self) -> int:
        """Return `num_parameters`."""
        return self.num_parameters

    @property
    def parameters(self) -> FixedWeights:
        """An alias of `weights`. `parameters()` is an iterator over the arrays."""
        return self.weights

    def state_dict(self) -> OwnWeights:
        """Return copies of all weights, which can be changed and given to `load_state_dict`.

        The order of axes is mpscnn's, also of arrays that are added. Unlike in PyTorch, a change alone has no effect on
        the network.
        """
        return OwnWeights({name: array.copy() for name, array in self.weights.items()})

    @accept_foreign_arguments
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the `state_dict` of a network, or of a PyTorch module with layers of the same names.

        It is `load_weights` with the layout "OIHW", unless the weights are those of a network of mpscnn.
        """
        self.load_weights(state, layout=None if isinstance(state, OwnWeights) else "OIHW")

    def eval(self) -> Network:
        """Return this network. A network always computes as in inference; only a `Trainer` trains."""
        return self

    def copy(self) -> Network:
        """Return an independent copy, like `copy.deepcopy`."""
        return deepcopy(self)

    def predict(self, x: Any) -> Any:
        """Compute the outputs for arrays. Each call compiles the network. For many runs call `compile` once."""
        return self.compile().run(x)

    __call__ = predict

    @accept_foreign_arguments
    def subgraph(self, outputs: Sequence[str]) -> Network:
        """Return a copy of the network that computes only the given layers and those that they need.

        The copy has no labels, preprocessing, scores or detection settings.

        Raises ParameterError for a layer that is unknown or given twice.
        """
        from mpscnn._private.needed_nodes import needed_nodes

        structure = self.to_dict()
        nodes = needed_nodes(structure["nodes"], [self[name].name for name in outputs])
        return self.restructured(structure | {"nodes": nodes, "outputs": list(outputs)})

    @accept_foreign_arguments
    def replace_head(
        self, classes: int | Sequence[str], *, name: str | None = None, seed: int = 0
    ) -> Network:
        """Return a copy of a classifier with a new last layer for other classes, to be trained.

        The new head is a dense layer and a softmax. The copy keeps the preprocessing and all weights but those of the
        old last layer. It has no labels or `scores` of the old classes. A RuntimeWarning says that a copy of a
        quantised network has no scales of 8-bit integers, which would not fit the trained weights.

        Args:
            classes: the number of classes, at least 2, or their names, which become the labels.
            name: the name of the copy; None: "classifier_of_<number>_classes".
            seed: the random seed of the new layer's weights.

        Raises:
            UnsupportedError: the network does not read one image of a fixed size, or does not end in a fully connected
                layer, perhaps followed by a softmax.
            ParameterError: an argument is out of its range.
        """
        from mpscnn.graph.class_head import class_list, classifier_name

        count, labels = class_list(classes)
        title = classifier_name(count) if name is None else require_text("name", name)
        return self._with_head(count, labels, title, seed, "softmax")

    def _with_head(
        self,
        count: int,
        labels: list[str] | None,
        title: str,
        seed: int,
        end: ScoresName,
        features: str | None = None,
    ) -> Network:
        """Return a copy of a classifier with a new last layer and the function in which it ends. See `replace_head`."""
        from mpscnn.graph.class_head import add_classes, class_layer, feature_layer
        from mpscnn.graph.quantized import has_integer_tensors, unquantized

        features, layer = features or feature_layer(self), class_layer(self)
        if has_integer_tensors(self):
            warn_caller(
                f"network {self.name!r} is quantised, and {title!r} is not: after its training "
                "mpscnn.quantize(network, photos) quantises it",
            )
        structure = unquantized(self.subgraph([features]).to_dict())
        result = self.restructured(structure | {"name": title, "outputs": []})
        result.output(add_classes(result, result[features], count, layer, end))
        result.initialize_weights(seed, layers=[layer])
        result.preprocess, result.labels = self.preprocess, labels
        return result

    @accept_foreign_arguments
    def restructured(self, structure: Mapping[str, Any], names: Mapping[str, str] | None = None) -> Network:
        """Return a network with another structure and this network's weights, whose memory both networks share.

        Args:
            structure: the new structure, in the form of `to_dict`.
            names: maps this network's layers to the new network's. Layers that are not in it lose their weights. None:
                layers keep their names.
        """
        if names is None:
            names = {node["name"]: node["name"] for node in structure["nodes"]}
        result = Network._wrapped(_core.Graph.from_json(json.dumps(dict(structure))), structure)
        for spec in self.weight_specs():
            if spec["set"] and spec["layer"] in names:
                result.graph.share_weight(names[spec["layer"]], spec["role"], self.graph, spec["layer"])
        result._maker.without_bias = {names[layer] for layer in self._maker.without_bias if layer in names}
        return result

    @accept_foreign_arguments(options=CompileOptions.fields)
    def compile(
        self,
        *,
        outputs: Sequence[str | Tensor] | None = None,
        within: float | None = None,
        **options: Unpack[CompileArguments],
    ) -> Program:
        """Compile the network for a device.

        Args:
            outputs: compute these layers instead of the network's outputs, and only the layers that they need.
            within: let precision "auto" be the fastest one whose error is at most this number, as for `mpscnn.load`.
                None: "auto" is float32.
            options: the fields of `CompileOptions`, such as `device`, `precision` and `max_memory`.

        Raises:
            DeviceError: there is no such device.
            UnsupportedError: the device cannot run a layer.
            WeightsError: weights are missing.
            ShapeError: the packed weights need more than `max_memory`. A session raises it, too, for its intermediate
                results.
            ParameterError: an option has a wrong value, there is no such layer, or the network has no output.
            TypeError: there is no such option.
        """
        wanted = [tensor if isinstance(tensor, str) else tensor.name for tensor in outputs or []]
        compiled = CompileOptions(**options)
        if within is None:
            return compile_graph(self.graph, wanted, compiled)
        from mpscnn._private.toolkit import precisions
        from mpscnn.runtime.slow_precision import on_trial

        measured = self
        if wanted:
            measured = self.subgraph(wanted)
            measured.preprocess = self.preprocess
        fastest = precisions().fastest_options(measured, compiled, None, within)
        with on_trial():
            return compile_graph(self.graph, wanted, compiled.replaced(**fastest))

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
        """Return the loss, and its gradients by the names of inputs and weights.

        They are computed on the CPU in float32.

        The network runs as in training: dropout is active, and batch normalizations use the statistics of the batch.

        Args:
            x: inputs (n, ...), a list for several.
            labels: class numbers (n,), or floats of the prediction's shape.
            loss: as for `mpscnn.Trainer`.
            output_gradient: the gradient of the output, instead of labels and a loss. The returned loss is then None.
            seed: the random seed of dropout.
            threads: a number, or "auto". The results do not depend on it.

        Raises:
            ParameterError: both labels and an output gradient are given, or neither; or another argument is wrong.
            ShapeError: arrays do not fit.
            WeightsError: weights are missing.
            UnsupportedError: a layer has no gradient; the message names it.
        """
        from mpscnn.graph.gradients import gradients

        return gradients(
            self, x, labels, loss=loss, output_gradient=output_gradient, seed=seed, threads=threads
        )

    @accept_foreign_arguments
    def save(
        self,
        path: str | PathLike[str],
        *,
        dtype: StoredTypeName | None = None,
        labels: Sequence[str] | None = None,
        preprocess: str | Mapping[str, Any] | None = None,
        information: Mapping[str, str] | None = None,
        score_threshold: float | None = None,
        iou_threshold: float | None = None,
        max_detections: int | None = None,
    ) -> None:
        """Write the network to a file in the format of its suffix.

        An existing file is replaced when the new one is complete.

        Args:
            path: FILE.safetensors: a model file (docs/model_format.md). FILE.onnx: an ONNX file with images in ONNX's
                usual layout (NCHW); `mpscnn.converters.export_onnx` has more options.
                FILE.tflite: a TensorFlow Lite file; `mpscnn.converters.export_tflite` has more options.
                FILE.mlpackage or FILE.mlmodel: a Core ML model; `mpscnn.converters.export_coreml` has more options.
            dtype: the stored type of weights: "float16", "float32" or "uint8" (quantised for each output channel).
                Layers kept in float32 are not quantised, and weights that are 8-bit integers stay unchanged. None: a
                quantised network keeps 8-bit integers in all formats; others have "float16" in model files and
                "float32" in others. Biases and batch normalizations in model files are always float32.
            labels: the class names; None: the network's own labels.
            preprocess: the name of a preset or a mapping, see `mpscnn.preprocess`; None: the network's own.
            information: texts "license", "source" and "description"; None: those of the network's own `information`.
            score_threshold, iou_threshold, max_detections: limits of a detector in the file, as for `Model.detect`;
                None: the network's own. Measures of accuracy by other tools need a low `score_threshold`, such as 0.01.

        Raises:
            ParameterError: there is no suffix, it is not one of a supported format, or the format cannot store an
                argument.
            WeightsError: weights are missing, or the file cannot be written.
        """
        from mpscnn.graph.model_file import save_foreign, save_model

        dtype = cast(StoredTypeName | None, number_format(dtype))
        limited = with_limits(self, score_threshold, iou_threshold, max_detections)
        if limited is not self:
            limited.save(path, dtype=dtype, labels=labels, preprocess=preprocess, information=information)
            return
        if information is None:
            information = self.information or None
        suffix = PurePath(path_name("path", path)).suffix.lower()
        if suffix != MODEL_SUFFIX:
            network = self
            if labels is not None or preprocess is not None:
                network = self.copy()
                network.labels = self.labels if labels is None else name_list("labels", labels)
                network.preprocess = self.preprocess if preprocess is None else preprocess
            save_foreign(network, path, dtype, suffix, information)
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
