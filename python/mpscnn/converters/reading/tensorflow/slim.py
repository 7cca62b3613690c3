"""Convert checkpoints of TF-slim with the published names of variables: MobileNets, SSD, SSDLite and DeepLab."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.finishing.left_out import left_out
from mpscnn.converters.finishing.renaming import copy_with_name
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.opening.read_options import ReadOptions, only
from mpscnn.converters.opening.saved_models import is_saved_model
from mpscnn.converters.reading.tensorflow.bundle import Bundle
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.network import Network
from mpscnn.models.deeplab import deeplab_v3, deeplab_v3_plus
from mpscnn.models.mobilenet import mobilenet_v1, mobilenet_v2
from mpscnn.models.ssd import ssd_mobilenet_v1, ssdlite_mobilenet_v2

# The suffix of variables with moving averages of weights, which the published networks use for evaluation.
_AVERAGE = "/ExponentialMovingAverage"
_EPSILON, _DEEPLAB_HEAD_EPSILON = 1e-3, 1e-5
_WIDTHS_V1 = (1.0, 0.75, 0.5, 0.25)
_WIDTHS_V2 = (1.0, 1.4, 1.3, 0.75, 0.5, 0.35)
_MAX_CHANNELS = 1 << 24

Rules = Sequence[tuple[str, Callable[[int], str]]]
"""Patterns of mpscnn's layer names, and functions that return TF-slim's name for the number in mpscnn's name."""


@dataclass(frozen=True)
class Family:
    """Networks whose checkpoints have the same names.

    Attributes:
        name: the name of the family in messages.
        marks: variables that all members have. The first family whose marks are all in a checkpoint is chosen.
        members: a function that yields the networks to which a checkpoint may belong.
        rules: how TF-slim's names follow from the layers' names.
        head_epsilon: the epsilon of the batch normalizations outside of the MobileNet.
    """

    name: str
    marks: tuple[str, ...]
    members: Callable[[Bundle, ReadOptions], Iterator[Network]]
    rules: Rules
    head_epsilon: float = _EPSILON


def read(paths: Sequence[Path], options: ReadOptions) -> Network:
    """Return the network of a file. Raises the errors of `convert`, and those of opening the file."""
    path = only(paths)
    options.refuse_choices(path)
    return convert(Bundle(path), options)


def convert(bundle: Bundle, options: ReadOptions) -> Network:
    """Return the network of a checkpoint.

    Batch normalizations become part of the layers before them. Moving averages of variables are used if there are any.

    Raises:
        UnsupportedError: names that belong to no known network, or shapes that fit none. WeightsError: a damaged file.
    """
    for family in FAMILIES:
        if all(mark in bundle for mark in family.marks):
            return _member(bundle, family, options)
    folder = Path(bundle.origin).absolute().parents[1]
    if is_saved_model(folder):
        raise UnsupportedError(
            f"{bundle.origin}: has the variables of a SavedModel; give its folder: {folder}"
        )
    names = ", ".join(quote_name(name) for name, _ in zip(bundle, range(3), strict=False))
    raise UnsupportedError(
        f"{bundle.origin}: its {len(bundle)} variables ({names}, ...) belong to no known network; known are "
        f"{', '.join(family.name for family in FAMILIES)}; save any other as a SavedModel"
    )


def _member(bundle: Bundle, family: Family, options: ReadOptions) -> Network:
    closest: list[str] | None = None
    for network in family.members(bundle, options):
        differences = list(_differences(bundle, family, network))
        if not differences:
            named = copy_with_name(network, options.name)
            named.preprocess = "tensorflow"
            _set_weights(bundle, family, named)
            others = [quote_name(name) for name in bundle if name not in bundle.read]
            named.notes += left_out("other variables", others)
            return named
        if closest is None or len(differences) < len(closest):
            closest = differences
    raise UnsupportedError(
        f"{bundle.origin}: has names of {family.name}, but differs from all: {'; '.join((closest or [])[:3])}"
    )


# ---- Names ---------------------------------------------------------------------------------------------------------


def _slim_name(family: Family, layer: str) -> str:
    for pattern, name in family.rules:
        if found := re.fullmatch(pattern, layer):
            return name(int(found[1]) if found.re.groups else 0)
    raise AssertionError(layer)


def _stored(bundle: Bundle, name: str) -> str | None:
    """Return the name of the variable's moving average, or of the variable; None if neither is in the checkpoint."""
    return next((one for one in (name + _AVERAGE, name) if one in bundle), None)


def _kernel(bundle: Bundle, layer: str) -> str | None:
    return _stored(bundle, f"{layer}/weights") or _stored(bundle, f"{layer}/depthwise_weights")


def _differences(bundle: Bundle, family: Family, network: Network) -> Iterator[str]:
    for spec in network.weight_specs():
        if spec["role"] != "weight":
            continue
        name = _slim_name(family, str(spec["layer"]))
        kernel, shape = _kernel(bundle, name), tuple(int(one) for one in spec["shape"])
        if kernel is None:
            yield f"{quote_name(name)} is missing"
            continue
        expected = _slim_shape(shape, is_depthwise=kernel.startswith(f"{name}/depthwise"))
        if bundle[kernel].shape != expected:
            yield f"{quote_name(kernel)} has the shape {bundle[kernel].shape}, not {expected}"


def _slim_shape(ours: tuple[int, ...], *, is_depthwise: bool) -> tuple[int, ...]:
    outputs, height, width, inputs = ours
    return (height, width, outputs, 1) if is_depthwise else (height, width, inputs, outputs)


# ---- Weights -------------------------------------------------------------------------------------------------------


def _set_weights(bundle: Bundle, family: Family, network: Network) -> None:
    for layer in dict.fromkeys(str(spec["layer"]) for spec in network.weight_specs()):
        name = _slim_name(family, layer)
        kernel = _kernel(bundle, name)
        assert kernel is not None
        weight = bundle.array(kernel).astype(np.float64)
        is_depthwise = kernel.startswith(f"{name}/depthwise")
        weight = weight.transpose((2, 0, 1, 3) if is_depthwise else (3, 0, 1, 2))
        scale, offset = _scale_and_offset(bundle, family, name, weight.shape[0])
        with np.errstate(over="ignore", invalid="ignore"):  # the network refuses weights that are not finite
            folded = (weight * scale.reshape(-1, 1, 1, 1)).astype(np.float32)
            bias = offset.astype(np.float32)
        try:
            network.graph.set_weight(layer, "weight", np.ascontiguousarray(folded))
            network.graph.set_weight(layer, "bias", bias)
        except WeightsError as error:
            raise WeightsError(f"{bundle.origin}: {error}") from error


def _scale_and_offset(
    bundle: Bundle, family: Family, name: str, channels: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the scale and offset of each channel after a layer's product: from its bias or batch normalization."""
    if bias := _stored(bundle, f"{name}/biases"):
        return np.ones(channels), _vector(bundle, bias, channels)
    found = {
        role: stored
        for role in ("gamma", "beta", "moving_mean", "moving_variance")
        if (stored := _stored(bundle, f"{name}/BatchNorm/{role}"))
    }
    if "moving_variance" not in found or "moving_mean" not in found:
        raise WeightsError(
            f"{bundle.origin}: {quote_name(name)} has neither biases nor a batch normalization"
        )
    values = {role: _vector(bundle, stored, channels) for role, stored in found.items()}
    epsilon = _EPSILON if "Mobilenet" in name else family.head_epsilon
    variance = values["moving_variance"] + epsilon
    if not bool(np.all(variance > 0)):
        raise WeightsError(
            f"{bundle.origin}: {quote_name(name)} has a negative variance, or one that is not a number"
        )
    scale = values.get("gamma", np.ones(channels)) / np.sqrt(variance)
    return scale, values.get("beta", np.zeros(channels)) - values["moving_mean"] * scale


def _vector(bundle: Bundle, name: str, channels: int) -> NDArray[np.float64]:
    values = bundle.array(name)
    if values.shape != (channels,):
        raise WeightsError(
            f"{bundle.origin}: {quote_name(name)} has the shape {values.shape}, not {(channels,)}"
        )
    return values.astype(np.float64)


# ---- Networks ------------------------------------------------------------------------------------------------------


def _v1(prefix: str) -> Rules:
    return (
        ("conv1", lambda _: f"{prefix}/Conv2d_0"),
        (r"depthwise(\d+)", lambda number: f"{prefix}/Conv2d_{number}_depthwise"),
        (r"pointwise(\d+)", lambda number: f"{prefix}/Conv2d_{number}_pointwise"),
        ("classifier", lambda _: f"{prefix}/Logits/Conv2d_1c_1x1"),
    )


def _v2(prefix: str) -> Rules:
    def block(part: str) -> Callable[[int], str]:
        return lambda number: f"{prefix}/expanded_conv{f'_{number - 1}' if number > 1 else ''}/{part}"

    return (
        ("conv1", lambda _: f"{prefix}/Conv"),
        (r"expand(\d+)", block("expand")),
        (r"depthwise(\d+)", block("depthwise")),
        (r"project(\d+)", block("project")),
        ("conv_last", lambda _: f"{prefix}/Conv_1"),
        ("classifier", lambda _: f"{prefix}/Logits/Conv2d_1c_1x1"),
    )


_EXTRA_CHANNELS = (512, 256, 256, 128)


def _heads(stem: str) -> Rules:
    """Return the rules for the convolutions of an SSD after its MobileNet.

    Each additional feature map has half the size, and TF-slim's name contains its number of channels.
    """

    def extra(kind: str, ending: str = "") -> Callable[[int], str]:
        size = "1x1" if kind == "1" else "3x3_s2"
        share = 2 if kind == "1" else 1
        return lambda number: (
            f"{stem}_{kind}_Conv2d_{number + 1}_{size}_{_EXTRA_CHANNELS[number - 1] // share}{ending}"
        )

    def predictor(kind: str) -> Callable[[int], str]:
        return lambda number: f"BoxPredictor_{number - 1}/{kind}"

    return (
        (r"extra(\d)_reduce", extra("1")),
        (r"extra(\d)_depthwise", extra("2", "_depthwise")),
        (r"extra(\d)", extra("2")),
        (r"box(\d)_depthwise", predictor("BoxEncodingPredictor_depthwise")),
        (r"box(\d)", predictor("BoxEncodingPredictor")),
        (r"score(\d)_depthwise", predictor("ClassPredictor_depthwise")),
        (r"score(\d)", predictor("ClassPredictor")),
    )


_DEEPLAB: Rules = (
    *_v2("MobilenetV2"),
    ("image_pooling", lambda _: "image_pooling"),
    ("aspp0", lambda _: "aspp0"),
    (r"aspp(\d)_depthwise", lambda number: f"aspp{number}_depthwise"),
    (r"aspp(\d)_pointwise", lambda number: f"aspp{number}_pointwise"),
    ("aspp_projection", lambda _: "concat_projection"),
    ("decoder_projection", lambda _: "decoder/feature_projection0"),
    (r"decoder(\d)_depthwise", lambda number: f"decoder/decoder_conv{number - 1}_depthwise"),
    (r"decoder(\d)_pointwise", lambda number: f"decoder/decoder_conv{number - 1}_pointwise"),
    ("logits", lambda _: "logits/semantic"),
)


def _last(bundle: Bundle, name: str) -> int:
    """Return the number of output channels of a layer that decides on the classes of a network."""
    shape = bundle[name].shape
    if not shape or not 0 < shape[-1] <= _MAX_CHANNELS:
        raise WeightsError(f"{bundle.origin}: damaged: {quote_name(name)} has the shape {shape}")
    return shape[-1]


def _sized(options: ReadOptions) -> dict[str, tuple[int, int]]:
    return {} if options.size is None else {"input_size": options.size}


Members = Callable[[Bundle, ReadOptions], Iterator[Network]]


def _classifiers(
    build: Callable[..., Network], widths: Sequence[float], logits: str
) -> Callable[..., Iterator[Network]]:
    def members(bundle: Bundle, options: ReadOptions) -> Iterator[Network]:
        classes = _last(bundle, f"{logits}/weights")
        for width in widths:
            yield build(classes=classes, depth_multiplier=width, **_sized(options))

    return members


def _detectors(build: Callable[..., Network], anchors: int) -> Members:
    def members(bundle: Bundle, options: ReadOptions) -> Iterator[Network]:
        classes = max(1, _last(bundle, "BoxPredictor_0/ClassPredictor/weights") // anchors - 1)
        for width in (1.0, 0.75, 0.5, 0.25):
            yield build(classes=classes, depth_multiplier=width, **_sized(options))

    return members


def _segmenters(bundle: Bundle, options: ReadOptions) -> Iterator[Network]:
    settings: Mapping[str, object] = {"classes": _last(bundle, "logits/semantic/weights"), **_sized(options)}
    rates = (6, 12, 18) if "aspp1_depthwise/depthwise_weights" in bundle else ()
    build = deeplab_v3_plus if "decoder/feature_projection0/weights" in bundle else deeplab_v3
    for width in (1.0, 0.5):
        yield build(depth_multiplier=width, atrous_rates=rates, **settings)  # type: ignore[arg-type]


_V1_PREFIX, _V2_PREFIX = "FeatureExtractor/MobilenetV1", "FeatureExtractor/MobilenetV2"
_HEAD = "BoxPredictor_0/ClassPredictor/weights"

FAMILIES = (
    Family(
        "SSD on MobileNet V1",
        (f"{_V1_PREFIX}/Conv2d_0/weights", _HEAD),
        _detectors(ssd_mobilenet_v1, 3),
        (*_v1(_V1_PREFIX), *_heads(f"{_V1_PREFIX}/Conv2d_13_pointwise")),
    ),
    Family(
        "SSDLite on MobileNet V2",
        (f"{_V2_PREFIX}/Conv/weights", _HEAD),
        _detectors(ssdlite_mobilenet_v2, 3),
        (*_v2(_V2_PREFIX), *_heads(f"{_V2_PREFIX}/layer_19")),
    ),
    Family(
        "DeepLab on MobileNet V2",
        ("MobilenetV2/Conv/weights", "logits/semantic/weights"),
        _segmenters,
        _DEEPLAB,
        _DEEPLAB_HEAD_EPSILON,
    ),
    Family(
        "MobileNet V1",
        ("MobilenetV1/Conv2d_0/weights", "MobilenetV1/Logits/Conv2d_1c_1x1/weights"),
        _classifiers(mobilenet_v1, _WIDTHS_V1, "MobilenetV1/Logits/Conv2d_1c_1x1"),
        _v1("MobilenetV1"),
    ),
    Family(
        "MobileNet V2",
        ("MobilenetV2/Conv/weights", "MobilenetV2/Logits/Conv2d_1c_1x1/weights"),
        _classifiers(mobilenet_v2, _WIDTHS_V2, "MobilenetV2/Logits/Conv2d_1c_1x1"),
        _v2("MobilenetV2"),
    ),
)
