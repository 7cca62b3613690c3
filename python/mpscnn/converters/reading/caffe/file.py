"""Read the two files of a Caffe network: the layers as text (.prototxt), and the weights (.caffemodel)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpscnn._private.files import is_file, read_content
from mpscnn.converters.opening.blobs import Blob
from mpscnn.converters.opening.layer_names import display_kind, quote_name
from mpscnn.converters.opening.wire.text import parse_text
from mpscnn.converters.reading.caffe.schema import NET_KIND, UNUSED, parameter_name
from mpscnn.converters.reading.caffe.weights import read_weights
from mpscnn.errors import UnsupportedError, WeightsError

WEIGHTS, TEXT = ".caffemodel", ".prototxt"
_MAX_LAYERS = 10_000
_MAX_MESSAGES = 10 * _MAX_LAYERS
_MAX_BLOBS = 1_024  # the maximum number of blobs that a layer reads or computes
# Names of types in Caffe's first format, in which the type was an enumeration.
_OLD_TYPES = {
    "ABSVAL": "AbsVal",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "ELTWISE": "Eltwise",
    "INNER_PRODUCT": "InnerProduct",
    "LRN": "LRN",
    "RELU": "ReLU",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "TANH": "TanH",
}


@dataclass(frozen=True)
class CaffeLayer:
    """A layer of the file.

    `parameters` is the message with the parameters of its type, and `unknown` the names of parameters that mpscnn does
    not know. `folds` states that factors and offsets may become part of the layer before: nothing else reads its
    result.
    """

    kind: str
    name: str
    bottoms: list[str]
    tops: list[str]
    parameters: Any
    transform: Any
    blobs: list[Blob]
    unknown: list[str]
    folds: bool = False


@dataclass(frozen=True)
class CaffeFile:
    """A network of Caffe: the layers for inference, the inputs with their shapes, and the file of weights.

    `left_out` has descriptions of layers that do not run in inference, and `unused` the names of the layers whose
    weights are in the file, but which the network does not have.
    """

    origin: str
    weights: Path
    name: str
    layers: list[CaffeLayer]
    inputs: dict[str, tuple[int, ...]]
    left_out: list[str]
    unused: list[str]


def companions(path: Path) -> list[Path]:
    """Return the other file of a network, which differs only in the suffix; empty if there is no such file."""
    other = path.with_suffix(TEXT if path.suffix.lower() == WEIGHTS else WEIGHTS)
    return [other] if is_file(other) else []


def model_files(path: Path) -> list[Path]:
    """Return a file, and the other one of its network if it is found."""
    return [path, *companions(path)]


def read_caffe(*paths: Path) -> CaffeFile:
    """Read the two files of a network. If only one is given, the other one is found by its name.

    Raises WeightsError for a missing or damaged file, and UnsupportedError if one of the two is not given or found.
    """
    given = list(paths)
    if len(given) == 1:
        given += companions(given[0])
    by_suffix = {path.suffix.lower(): path for path in given}
    if len(given) != 2 or set(by_suffix) != {WEIGHTS, TEXT}:
        raise UnsupportedError(
            f"{paths[0]}: a Caffe network is two files, {TEXT} (its layers) and {WEIGHTS} (its weights): give both"
        )
    net = _text(by_suffix[TEXT])
    try:
        return _file(net, by_suffix[WEIGHTS], str(by_suffix[TEXT]))
    except (UnsupportedError, WeightsError) as error:
        if str(error).startswith(tuple(map(str, given))):
            raise
        raise type(error)(f"{by_suffix[TEXT]}: {error}") from error


def _text(path: Path) -> Any:
    content = read_content(path, WeightsError, is_text=True)
    count = content.count(b"{") + content.count(b"<")
    if count > _MAX_MESSAGES:
        raise UnsupportedError(
            f"{path}: has {count} inner messages; more than {_MAX_MESSAGES} are not supported"
        )
    try:
        return parse_text(NET_KIND, content.decode("utf-8-sig"))
    except (UnicodeDecodeError, WeightsError) as error:
        raise WeightsError(f"{path}: is not a network of Caffe as text: {error}") from error


# ---- Layers ------------------------------------------------------------------------------------------------


def _file(net: Any, path: Path, origin: str) -> CaffeFile:
    weights = read_weights(path)
    listed = list(net.layer) or list(net.layers)
    if not listed:
        raise WeightsError("is not a network of Caffe: it has no layers")
    if len(listed) > _MAX_LAYERS:
        raise UnsupportedError(f"has {len(listed)} layers; more than {_MAX_LAYERS} are not supported")
    inputs = _net_inputs(net)
    layers, left_out = [], []
    for entry in listed:
        if not _runs(entry):
            left_out.append(f"{display_kind(str(entry.type))} {quote_name(entry.name)}")
            continue
        layer = _layer(entry, weights.get(entry.name, []))
        if layer.kind == "Input" or (layer.kind == "MemoryData" and layer.parameters is not None):
            inputs |= _layer_inputs(layer)
        layers.append(layer)
    names = {entry.name for entry in listed}
    unused = [name for name in weights if name not in names]
    return CaffeFile(origin, path, net.name, layers, inputs, left_out, unused)


def _runs(entry: Any) -> bool:
    """Return True if a layer is used for inference, which has the phase TEST, the level 0 and no stages."""
    if entry.include:
        return any(map(_is_met, entry.include))
    return entry.phase not in ("TRAIN", "0") and not any(map(_is_met, entry.exclude))


def _is_met(rule: Any) -> bool:
    if rule.phase not in ("", "TEST", "1") or rule.stage:
        return False
    return rule.min_level <= 0 and (not rule.has("max_level") or rule.max_level >= 0)


# Depthwise convolutions have other names in some versions of Caffe. Transposed convolutions have the parameters of
# convolutions.
_PARAMETERS_OF = {
    "ConvolutionDepthwise": "Convolution",
    "Deconvolution": "Convolution",
    "DepthwiseConvolution": "Convolution",
    "Normalize": "Norm",
}


def parameter_field(kind: str) -> str:
    """Return the field with the parameters of a type of layer."""
    return parameter_name(_PARAMETERS_OF.get(kind, kind))


def _layer(entry: Any, blobs: list[Blob]) -> CaffeLayer:
    kind = entry.type
    if kind.isupper() and kind not in ("LRN", "ELU", "BNLL", "LSTM", "MVN", "RNN", "SPP"):
        kind = _OLD_TYPES.get(kind, "".join(part.capitalize() for part in kind.split("_")))
    if max(len(entry.bottom), len(entry.top)) > _MAX_BLOBS:
        raise UnsupportedError(
            f"layer {quote_name(entry.name)} has {len(entry.bottom)} inputs and {len(entry.top)} results; supported "
            f"are {_MAX_BLOBS}"
        )
    bottoms, tops = list(entry.bottom), list(entry.top)
    if kind == "SoftmaxWithLoss":  # without labels it only computes softmax
        kind, bottoms, tops = "Softmax", bottoms[:1], tops[:1]
    parameters = getattr(entry, parameter_field(kind), None)
    return CaffeLayer(
        kind,
        entry.name or (entry.top[0] if entry.top else kind),
        bottoms,
        tops,
        parameters,
        entry.transform_param if entry.has("transform_param") else None,
        blobs,
        _unknown(entry, kind),
    )


def _unknown(entry: Any, kind: str) -> list[str]:
    """Return the names of a layer's parameters that are not read. Most kinds without parameters have no field."""
    parameters = getattr(entry, parameter_field(kind), None)
    if parameters is None:
        return [name for name in entry.skipped_names() if name == parameter_field(kind)]
    return [name for name in parameters.skipped_names() if name not in UNUSED]


def _net_inputs(net: Any) -> dict[str, tuple[int, ...]]:
    """Return the inputs that old files state in fields of the network instead of Input layers."""
    names, dims = list(net.input), list(net.input_dim)
    if net.input_shape:
        shapes = [tuple(shape.dim) for shape in net.input_shape]
    else:
        shapes = [tuple(dims[place : place + 4]) for place in range(0, len(dims), 4)]
    if len(shapes) == 1:
        shapes *= len(names)
    if len(shapes) != len(names):
        raise WeightsError(f"damaged: {len(names)} inputs, but {len(shapes)} shapes")
    return dict(zip(names, shapes, strict=True))


def _layer_inputs(layer: CaffeLayer) -> dict[str, tuple[int, ...]]:
    p = layer.parameters
    if layer.kind == "MemoryData":
        return {layer.tops[0]: (p.batch_size, p.channels, p.height, p.width)} if layer.tops else {}
    shapes = [tuple(shape.dim) for shape in p.shape]
    if len(shapes) == 1:
        shapes *= len(layer.tops)
    if len(shapes) != len(layer.tops):
        raise WeightsError(f"damaged: input {quote_name(layer.name)} has {len(shapes)} shapes")
    return dict(zip(layer.tops, shapes, strict=True))
