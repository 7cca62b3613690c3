"""Convert model files of other frameworks to networks, and networks to files of other frameworks."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpscnn._private.arguments import path_name, require_bool
from mpscnn._private.given_warnings import warn_caller
from mpscnn._private.literals import StoredTypeName
from mpscnn._private.other_arguments import accept_foreign_arguments
from mpscnn._private.other_names import attribute_error, twin_attribute
from mpscnn.converters.finishing.photo_settings import choose_settings, drop_wrong_labels, read_labels
from mpscnn.converters.formats.readers import format_of, format_of_files
from mpscnn.converters.opening.read_options import ReadOptions
from mpscnn.errors import ParameterError, WeightsError
from mpscnn.graph.network import Network, with_limits
from mpscnn.model import Model, network_of

__all__ = [
    "CONVERTER_VERSION",
    "convert_files",
    "export_coreai",
    "export_coreml",
    "export_onnx",
    "export_tflite",
    "read_labels",
    "read_network",
]

#: A part of the cache's file names. Raise it when a change of a converter changes its results for existing files.
CONVERTER_VERSION = 45


@accept_foreign_arguments
def read_network(
    sources: str | PathLike[str] | Sequence[str | PathLike[str]],
    *,
    name: str | None = None,
    size: tuple[int, int] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    outputs: Sequence[str] = (),
    architecture: str | None = None,
    fold: bool = True,
    signature: str | None = None,
) -> Network:
    """Convert a model file of another framework to a network, or join several files whose networks run in sequence.

    A folder with the eight raw weight files of Deep MNIST is read as `mpscnn.models.deep_mnist`.

    MobileNet V1 and V2, and DeepLab on a MobileNet, get the layer names of `mpscnn.models`. So do the layers of a
    MobileNet in detectors and feature extractors. All other layers keep the names of the file.

    The network's `preprocess` is set if the file describes its preprocessing. A TensorFlow Lite file whose input is
    8-bit integers describes it by the input's scale and zero point.

    Args:
        sources: the path of one file, or a list of the parts of a network in order.
        name: the network's name; None: the first file's.
        size: (height, width) of an image input that the file leaves free; None: it stays free, or, if the file holds
            only weights, it is the usual size of the architecture.
        shapes: the shapes of inputs by their names in the file, for inputs with free extents. The shapes include the
            batch and have the file's order of axes.
        outputs: names of tensors in the file to stop at, instead of its outputs.
        architecture: the network that a file of weights belongs to, needed if names and shapes of the weights fit
            several; None: the one that the file's name begins with, or that timm's config.json next to it names.
        fold: whether batch normalizations of a PyTorch state dict or a Caffe network become part of the layers before
            them. With False they are separate layers, which can be trained. The argument has no effect on other
            formats: normalizations in the file stay layers, and those that TensorFlow Lite has already folded stay
            folded.

        signature: the name of the signature or function to convert, for a file with several. None: "serving_default"
            of a TensorFlow Lite file or a SavedModel, and if there is none of this name, the first one of a TensorFlow
            Lite file and the only one of a SavedModel; the default function of a Core ML program; "main" of an asset
            of Core AI.

    Raises:
        UnsupportedError: an unknown format, a missing package, or layers that mpscnn lacks; the message names all of
            them. WeightsError: a missing or damaged file. ParameterError: no source, an argument that the format does
            not have, a `size` or shape other than the file's, or an input, output or signature that it does not have.
    """
    from mpscnn.converters.finishing.architecture_names import with_library_names
    from mpscnn.converters.finishing.simplify.simplifier import simplify
    from mpscnn.converters.opening.unsupported import prefix_errors
    from mpscnn.converters.values.float32_intermediates import keep_intermediates

    paths = _paths(sources)
    if not paths:
        raise ParameterError("convert: no input file given")
    stated = format_of(paths[0])
    if architecture is not None and not (stated and stated.has_weights_only):
        raise ParameterError(f"{paths[0]}: an architecture can be chosen for files of weights only")
    if signature is not None and not (stated and stated.has_signatures):
        raise ParameterError(
            f"{paths[0]}: a signature can be chosen for SavedModels, TensorFlow Lite files, Core ML's programs and "
            "Core AI's assets only"
        )
    found = format_of_files(paths)
    options = ReadOptions(
        name or found.title or paths[0].stem,
        size,
        shapes or {},
        tuple(outputs),
        architecture,
        fold,
        signature=signature,
    )
    with prefix_errors(*map(str, paths)):
        network = keep_intermediates(simplify(found.read(paths, options)))
        if not network.outputs:
            raise WeightsError("damaged: it has no outputs")
        return drop_wrong_labels(with_library_names(network))


def convert_files(
    sources: str | PathLike[str] | Sequence[str | PathLike[str]],
    output: str | PathLike[str],
    *,
    labels: str | PathLike[str] | None = None,
    preprocess: str | PathLike[str] | Mapping[str, Any] | None = None,
    name: str | None = None,
    dtype: StoredTypeName | None = None,
    information: Mapping[str, str] | None = None,
    detection: str | PathLike[str] | Mapping[str, Any] | None = None,
    scores: str | None = None,
    size: tuple[int, int] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    outputs: Sequence[str] = (),
    architecture: str | None = None,
    fold: bool = True,
    signature: str | None = None,
    score_threshold: float | None = None,
    iou_threshold: float | None = None,
    max_detections: int | None = None,
    approve: Callable[[Network], bool] | None = None,
) -> Network:
    """Convert model files and write the result; see `read_network` and `Network.save`.

    Args:
        sources: the path of one file, or a list of the parts of a network in order.
        labels: a text file with one class name per line, or a JSON list of them; None: the file's own, the digits for
            Deep MNIST's folder, or none.
        preprocess: name of a preset, a mapping (docs/preprocessing.md) or its JSON text, or a .json file; None: as the
            sources say, if they do (`Network.preprocess` of the result).
        name: the network's name; None: the first file's.
        dtype: "float16", "float32" or "uint8"; None: float16, but files with 8-bit integers keep what they have.
        information: "license", "source", ... of the model, kept in the file with those that the sources state.
        detection: how the outputs become boxes (docs/detection.md): "ultraface", "ssd" or "ssd-softmax", which bring
            preprocessing and labels too, a mapping or its JSON text, or a .json file; None: as the sources say, if
            they do.
        scores: what the results of a classifier are, "softmax", "sigmoid" or "as is", as for `mpscnn.load`; None: as
            the sources say, if they do.
        size, shapes, outputs, architecture, fold, signature: as for `read_network`.
        score_threshold, iou_threshold, max_detections: limits of a detector in the file, as for `Model.detect`; None:
            those of the sources.
        approve: a function that gets the network before it is written. If it returns False, no file is written.

    Raises the errors of `read_network` and `Network.save`, WeightsError if the number of labels differs from the number
    of classes, and ParameterError if the name of the output does not end in .safetensors or a setting is invalid.
    """
    if Path(path_name("output", output)).suffix != ".safetensors":
        raise ParameterError(f"{output}: the name of the output must end in .safetensors")
    network = read_network(
        sources,
        name=name,
        size=size,
        shapes=shapes,
        outputs=outputs,
        architecture=architecture,
        fold=fold,
        signature=signature,
    )
    choose_settings(
        network,
        detection=detection,
        preprocess=preprocess,
        labels=labels,
        scores=scores,
        score_threshold=score_threshold,
        iou_threshold=iou_threshold,
        max_detections=max_detections,
    )
    drop_wrong_labels(network)
    if approve is None or approve(network):
        network.save(output, dtype=dtype, information={**network.information, **(information or {})} or None)
    return network


@accept_foreign_arguments
def export_onnx(
    network: Network | Model,
    path: str | PathLike[str],
    *,
    size: tuple[int, int] | None = None,
    layout: str = "nchw",
    dtype: str | None = None,
    information: Mapping[str, str] | None = None,
    suppression: bool = False,
    score_threshold: float | None = None,
    iou_threshold: float | None = None,
    max_detections: int | None = None,
) -> None:
    """Write a network as an ONNX file (opset 17) with the same inputs and outputs, for any batch.

    The network's labels, preprocessing and detection are in the file's metadata, from where `read_network` takes them.
    They also have the texts about the model.

    Args:
        network: the network, with all its weights.
        path: the file to write.
        size: (height, width) of inputs that leave them free, which need it; a size that no input can have is refused.
        layout: the order of axes of image inputs and outputs: "nchw", as usual in ONNX, or "nhwc", as in mpscnn.
        dtype: the type of weights, inputs, outputs and intermediate results: "float32" or "float16". "uint8" writes
            8-bit weights, and QuantizeLinear and DequantizeLinear around the layers of a quantised network; inputs and
            outputs are float32 then. None: "uint8" for a quantised network, otherwise "float32".
        information: "license", "author", "description", "source", ... of the model; None: the network's own.
        suppression: True: a detector's file ends with NonMaxSuppression and takes one image. Its outputs are
            `detection_boxes` (objects, 4) float32, the left, top, right and bottom edges as fractions of the input;
            `detection_classes` (objects,) int64; and `detection_scores` (objects,) float32, the best ones first.
            False: the outputs are those of the network.
        score_threshold, iou_threshold, max_detections: limits of a detector in the file, as for `Model.detect`; None:
            the network's own.

    Raises:
        UnsupportedError: the package `onnx` is not installed, ONNX cannot express a layer, a detector's suppression or,
            with "uint8", its 8-bit weights, or there are more than 2 GB of weights. WeightsError: weights are missing
            or beyond float16, or the file cannot be written. ParameterError: a path without the suffix .onnx, an
            unknown layout or type, or limits or `suppression` for a network that is not a detector. ShapeError: the
            network leaves its height or width free, and `size` is not given.
    """
    from mpscnn.converters.writing.convention import require_suffix
    from mpscnn.converters.writing.integer_weights import of_stored_type
    from mpscnn.converters.writing.onnx.export import export

    require_suffix(path, "an ONNX file", ".onnx")
    if information is None:
        information = network.information
    network = with_limits(network_of(network), score_threshold, iou_threshold, max_detections)
    network, stored = of_stored_type(network, dtype, "float32")
    export(
        network,
        path,
        size=size,
        layout=layout,
        dtype=stored,
        suppression=require_bool("suppression", suppression),
        information=information,
    )


@accept_foreign_arguments
def export_tflite(
    network: Network | Model,
    path: str | PathLike[str],
    *,
    size: tuple[int, int] | None = None,
    dtype: str | None = None,
    information: Mapping[str, str] | None = None,
    score_threshold: float | None = None,
    iou_threshold: float | None = None,
    max_detections: int | None = None,
) -> None:
    """Write a network as a TensorFlow Lite file with the same inputs and outputs, for any batch.

    The file needs no other package, and LiteRT runs it. The network's labels and the normalization of photos are in
    the file as Google's metadata. `read_network` takes them, and everything else that the network states, from there.

    Args:
        network: the network, with all its weights.
        path: the file to write.
        size: (height, width) of inputs that leave them free, which need it; a size that no input can have is refused.
        dtype: the type of weights: "float32", or "float16" for weights that LiteRT converts to float32 when it loads
            them. "uint8" writes 8-bit weights, and the integers of a quantised network. None: "uint8" for a quantised
            network, otherwise "float32".
        information: "license", "author", "description", "source", ... of the model; None: the network's own.
        score_threshold, iou_threshold, max_detections: limits of a detector in the file, as for `Model.detect`; None:
            the network's own.

    Raises:
        UnsupportedError: TensorFlow Lite cannot express a layer, or the file has more than 2 GB. WeightsError: weights
            are missing or beyond float16, or the file cannot be written. ParameterError: a path without the suffix
            .tflite, an unknown type, or limits for a network that is not a detector. ShapeError: the network leaves its
            height or width free, and `size` is not given.
    """
    from mpscnn.converters.writing.convention import require_suffix
    from mpscnn.converters.writing.integer_weights import of_stored_type
    from mpscnn.converters.writing.tflite.export import export

    require_suffix(path, "a TensorFlow Lite file", ".tflite")
    if information is None:
        information = network.information
    network, stored = of_stored_type(
        with_limits(network_of(network), score_threshold, iou_threshold, max_detections), dtype, "float32"
    )
    export(network, path, size=size, dtype=stored, information=information)


@accept_foreign_arguments
def export_coreml(
    network: Network | Model,
    path: str | PathLike[str],
    *,
    size: tuple[int, int] | None = None,
    dtype: str | None = None,
    palette: int | None = None,
    target: str | None = None,
    information: Mapping[str, str] | None = None,
    score_threshold: float | None = None,
    iou_threshold: float | None = None,
    max_detections: int | None = None,
) -> None:
    """Write a network as a Core ML model: a program (.mlpackage) or a neural network (.mlmodel), for one image.

    A network with preprocessing (`Network.preprocess`) gets an image input. A network with labels becomes a Core ML
    classifier, whose output is probabilities. A detector becomes a pipeline that ends with Core ML's non-maximum
    suppression, and a segmenter with labels returns the class number of each pixel.

    Args:
        network: the network, with all its weights.
        path: the folder (.mlpackage) or file (.mlmodel) to write.
        size: (height, width) of inputs that leave them free, which need it; a size that no input can have is refused.
        dtype: the type of weights, and in programs also of intermediate results: "float32" or "float16". "uint8": the
            weights are 8-bit integers, except in layers that are kept in float32, and the results of programs float16.
            None: "uint8" for a quantised network without a palette, otherwise "float32".
        palette: the bits per weight (1, 2, 4, 6 or 8) for Core ML's palettization: each weight is an index into a table
            of 2^bits values. For packages only; needs scikit-learn.
        target: the minimum deployment target, "iOS13" to "iOS18"; None: iOS 15 for a package, iOS 16 for one with
            compressed weights, iOS 18 for one with a GRU that resets after the product, iOS 14 for a file. A file for a
            later system is the same as one for iOS 14.
        information: "license", "author", "description", "source", ... of the model; None: the network's own.
        score_threshold, iou_threshold, max_detections: limits of a detector in the file, as for `Model.detect`; None:
            the network's own.

    Raises:
        UnsupportedError: the package `coremltools` is not installed, Core ML cannot express a layer, or the network
            leaves its height or width free, and `size` is not given. WeightsError: weights are missing, or the file
            cannot be written. ParameterError: an unknown suffix, type, palette or target, or a target that is too old.
    """
    from mpscnn import _core
    from mpscnn._private.settings import as_json
    from mpscnn.converters.opening.layer_names import quote_name
    from mpscnn.converters.writing.coreml.export import export
    from mpscnn.graph.model_file import require_one_input
    from mpscnn.graph.quantized import stored_type

    if information is None:
        information = network.information
    network = with_limits(network_of(network), score_threshold, iou_threshold, max_detections)
    preprocess = None
    if network.preprocess is not None:
        require_one_input(network)
        text = as_json("preprocess", network.preprocess)
        preprocess = json.loads(_core.describe_preprocess(text, network.input.shape[-1] or 0))
    changed = export(
        network,
        path,
        size=size,
        dtype=stored_type(network, dtype, "float32") if palette is None else dtype or "float32",
        palette=palette,
        target=target,
        preprocess=preprocess,
        labels=network.labels,
        information=information,
    )
    if changed:
        names = ", ".join(f"{quote_name(name)} to {quote_name(now)}" for name, now in changed.items())
        warn_caller(
            f"{path}: Core ML allows letters, digits and _ in names, so these outputs are renamed: {names}",
        )


@accept_foreign_arguments
def export_coreai(
    network: Network | Model,
    path: str | PathLike[str],
    *,
    size: tuple[int, int] | None = None,
    dtype: str | None = None,
    image: bool = False,
    information: Mapping[str, str] | None = None,
    score_threshold: float | None = None,
    iou_threshold: float | None = None,
    max_detections: int | None = None,
) -> None:
    """Write a network as a Core AI asset (.aimodel), for macOS 27 and iOS 27, for one image.

    Inputs and outputs are float32 arrays with the channels first, unless `image` is True. Labels, preprocessing, scores
    and detection are entries of the asset's description, by which mpscnn reads them again. The names of classes are
    also in the entry `names`, as other exporters write them. The suppression of a detector's boxes is not part of the
    file, of which a RuntimeWarning tells.

    Args:
        network: the network, with all its weights.
        path: the folder (.aimodel) to write.
        size: (height, width) of inputs that leave them free, which need it; a size that no input can have is refused.
        dtype: the type of weights and intermediate results: "float32" or "float16". "uint8" writes 8-bit weights with
            a scale for each filter, and float32 results. None: "uint8" for a quantised network, otherwise "float32".
        image: True: the input is an image of the network's height and width, with 32 bits per pixel in the order BGRA,
            such as a CVPixelBuffer. The program begins with the network's preprocessing, and the app crops and resizes.
        information: "license", "author", "description", "source", ... of the model; None: the network's own.
        score_threshold, iou_threshold, max_detections: limits of a detector in the description, as for `Model.detect`;
            None: the network's own.

    Raises:
        UnsupportedError: the package coreai-core is not installed; Core AI cannot express a layer; the network leaves
            its height or width free, and `size` is not given; or `image` is True for a network without preprocessing,
            with a scale of 0, or whose input has other than three colours. WeightsError: weights are missing, or the
            folder cannot be written. ParameterError: an unknown suffix or type, or a limit that does not fit.
    """
    from mpscnn.converters.writing.coreai.export import export
    from mpscnn.converters.writing.coreai.image_input import image_preprocessing
    from mpscnn.converters.writing.integer_weights import of_stored_type

    if information is None:
        information = network.information
    network = with_limits(network_of(network), score_threshold, iou_threshold, max_detections)
    network, stored = of_stored_type(network, dtype, "float32")
    preprocess = image_preprocessing(network, str(path)) if image else None
    export(network, path, size=size, dtype=stored, preprocess=preprocess, information=information)


def _paths(sources: str | PathLike[str] | Sequence[str | PathLike[str]]) -> list[Path]:
    """Return the paths of one file or of several. Raises ParameterError for anything else."""
    if isinstance(sources, (str, PathLike)):
        return [Path(sources)]
    given = list(sources) if isinstance(sources, Iterable) else [sources]
    if not all(isinstance(path, (str, PathLike)) for path in given):
        raise ParameterError(f"convert: expected a path or a list of paths, got {sources!r}")
    return [Path(path) for path in given]


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})


if not TYPE_CHECKING:  # hidden from type checkers, for which every wrong name would be an Any

    def __getattr__(name: str) -> Any:
        found, hint = twin_attribute(sys.modules[__name__], __name__, name)
        if found:
            return found[0]
        raise attribute_error(__name__, name, hint)
