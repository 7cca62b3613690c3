"""Find the network that a state dict belongs to, by the names and shapes of its tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from mpscnn.converters.finishing.renaming import copy_with_name
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading.pytorch.heads import (
    Head,
    first_names,
    has_head,
    prefix_of_marks,
    with_usual_head,
    without_head,
    without_prefix,
)
from mpscnn.converters.reading.pytorch.naming import (
    inception_modules,
    timm_depths,
    timm_modules,
    torchvision_modules,
)
from mpscnn.converters.reading.pytorch.separate_norms import separate_norms
from mpscnn.converters.reading.pytorch.state_dict import StateDict
from mpscnn.converters.reading.pytorch.timm_config import (
    TimmConfig,
    apply_config,
    guess_of_photos,
    is_named,
    refuse_blur_by_name,
    size_in_config,
)
from mpscnn.converters.reading.pytorch.torchvision_weights import SEVERAL_TRANSFORMS, transform_of_file
from mpscnn.converters.reading.pytorch.weights import Epsilons, Fit, Module, check_fit, set_weights
from mpscnn.errors import UnsupportedError
from mpscnn.graph.network import Network
from mpscnn.models.blocks import Classifier
from mpscnn.models.efficientnet import EFFICIENTNETS, EFFICIENTNETS_LITE, EFFICIENTNETS_V2, EfficientNet
from mpscnn.models.inception import inception_v3
from mpscnn.models.mnasnet import MNASNETS, MNASNet
from mpscnn.models.mobilenet_v2_torch import MobileNetV2
from mpscnn.models.mobilenet_v3 import LARGE, SMALL, MobileNetV3
from mpscnn.models.mobilenet_v3_segmenters import (
    Segmenter,
    deeplabv3_mobilenet_v3_large,
    lraspp_mobilenet_v3_large,
)
from mpscnn.models.mobilenet_v4 import MOBILENETS_V4
from mpscnn.models.mobilenets_timm import MOBILENETS_TIMM, mobilenet_v3_rw
from mpscnn.models.photo_transforms import TIMM, TimmWeights
from mpscnn.models.resnet import RESNETS
from mpscnn.models.shufflenet import SHUFFLENETS
from mpscnn.models.squeezenet import SQUEEZENETS
from mpscnn.models.ssdlite320 import ssdlite320_mobilenet_v3_large
from mpscnn.models.ultraface import ultraface_slim
from mpscnn.models.vgg import VGGS

Size = tuple[int, int] | None

_WIDTHS = (1.0, 0.25, 0.35, 0.5, 0.75, 1.1, 1.2, 1.3, 1.4)


@dataclass(frozen=True)
class Architecture:
    """A network that a state dict may belong to.

    Attributes:
        name: the name of the network in torchvision or timm.
        build: a function that builds the network for a size of the image; None: the usual size.
        epsilons: the epsilons of its batch normalizations.
        plausible: False if it is clear, without building it, that the state dict belongs to another network.
    """

    name: str
    build: Callable[[Size], Network]
    epsilons: Epsilons
    plausible: bool = True


@dataclass(frozen=True)
class Family:
    """Networks whose state dicts have the same names.

    Attributes:
        name: the name of the family in messages.
        marks: names of tensors that all members have, also without their last layer.
        members: a function that yields the family's networks, with the number of classes of the state dict.
        head: the last layer, which users replace or leave out; None if the network has to have it.
        modules: a function that finds the weights of the network's layers in the state dict.
        unused: prefixes of names that are not needed for inference.
        is_timm: whether timm has networks with these names.
    """

    name: str
    marks: tuple[str, ...]
    members: Callable[[StateDict], Iterable[Architecture]]
    head: Head | None = None
    modules: Callable[[Network, StateDict], Mapping[str, Module]] = torchvision_modules
    unused: tuple[str, ...] = ()
    is_timm: bool = False


def match_network(
    state: StateDict,
    name: str,
    size: Size,
    architecture: str | None = None,
    *,
    config: TimmConfig | None = None,
    fold: bool = True,
) -> Network:
    """Return the network that a state dict belongs to, with its weights.

    Args:
        state: the state dict.
        name: the name of the network.
        size: (height, width) of the network's image; None: the usual size of the architecture.
        architecture: the name of the architecture, needed if names and shapes fit several; None: the one that the
            file's name begins with, or the one of `config`.
        config: the settings that timm wrote next to the file, which name the architecture and the preprocessing.
        fold: whether batch normalizations become part of the layers before them, or stay separate layers.

    Raises:
        UnsupportedError: the architecture is unknown, ambiguous, or by the file's name or `config` one that is not
            supported; or a weight is not floating point.
        WeightsError: a weight is not finite.
    """
    own_names = [Path(state.origin).name, *([config.architecture] if config else [])]
    if architecture is None:
        refuse_blur_by_name(state.origin, own_names[0])
    family, state = _family(state)
    chosen = _member(state, family, size, architecture, own_names, config)
    network = _with_weights(state, chosen, name, fold)
    by_user = architecture is not None or is_named(own_names[0], chosen.architecture.name)
    _choose_photos(network, state, family, chosen.architecture.name, config, by_user=by_user)
    network.notes += [*state.notes, *_note_of_no_head(state, family, network)]
    return network


def _family(state: StateDict) -> tuple[Family, StateDict]:
    """Return the family that a state dict belongs to, and the state dict with the family's names.

    The family whose marks have the shortest prefix is chosen, and of several the first.
    """
    prefixes = [(prefix_of_marks(state, family.marks), family) for family in FAMILIES]
    found = [(prefix, family) for prefix, family in prefixes if prefix is not None]
    if not found:
        raise UnsupportedError(
            f"{state.origin}: its {len(state)} tensors ({first_names(list(state))}) belong to no known network; known "
            f"are {', '.join(family.name for family in FAMILIES)}; mpscnn.from_torch(module, example) converts any "
            "other in Python, and torch.onnx.export writes it as ONNX"
        )
    prefix, family = min(found, key=lambda one: len(one[0]))
    state = without_prefix(state, prefix, family.name)
    return family, with_usual_head(state, family.head) if family.head else state


def _note_of_no_head(state: StateDict, family: Family, network: Network) -> list[str]:
    if not family.head or has_head(state, family.head):
        return []
    return [
        f"the file has no {quote_name(family.head.path)}, so the network has no last layer: its output "
        f"{quote_name(network.outputs[0].name)} are features, not scores of classes"
    ]


def _choose_photos(
    network: Network,
    state: StateDict,
    family: Family,
    architecture: str,
    config: TimmConfig | None,
    *,
    by_user: bool,
) -> None:
    """Set how photos become inputs, by a config.json or the file's name, and note if this is a guess."""
    named = transform_of_file(Path(state.origin).name) if family.modules is torchvision_modules else None
    if named is not None:
        network.preprocess = named.settings()
    if family.is_timm:
        known = [member.name for member in family.members(state)]
        apply_config(
            network, architecture, config, known, state.origin, by_user=by_user, sure=named is not None
        )
    elif named is None and architecture in SEVERAL_TRANSFORMS:
        network.notes.append(guess_of_photos(architecture, "keep the name of torchvision's file, or "))


@dataclass(frozen=True)
class _Candidate:
    architecture: Architecture
    network: Network
    modules: Mapping[str, Module]
    fit: Fit


def _member(
    state: StateDict,
    family: Family,
    size: Size,
    wanted: str | None,
    own_names: Sequence[str],
    config: TimmConfig | None,
) -> _Candidate:
    """Return the network of a family that the weights fit. `own_names` choose one of several."""
    members = [architecture for architecture in family.members(state) if wanted in (None, architecture.name)]
    members = [architecture for architecture in members if architecture.plausible] or members
    names = [architecture.name for architecture in family.members(state)]
    candidates = [
        _candidate(
            *(state, family, architecture),
            size or (size_in_config(config, architecture.name, names) if family.is_timm else None),
        )
        for architecture in members
    ]
    if not candidates:
        raise UnsupportedError(
            f"{state.origin}: {family.name} has no architecture {wanted!r}; it has {', '.join(names)}"
        )
    fitting = [candidate for candidate in candidates if not candidate.fit.differences]
    if not fitting:
        closest = min(candidates, key=lambda candidate: len(candidate.fit.differences))
        raise _no_member(state, family, closest)
    return fitting[0] if len(fitting) == 1 else _by_name(state, fitting, own_names)


def _with_weights(state: StateDict, chosen: _Candidate, name: str, fold: bool) -> Network:
    network, modules, fit = copy_with_name(chosen.network, name), chosen.modules, chosen.fit
    epsilons = chosen.architecture.epsilons
    if not fold:
        network, modules, fit = separate_norms(network, modules, fit, epsilons)
    set_weights(state, network, modules, fit, epsilons)
    return network


def _candidate(state: StateDict, family: Family, architecture: Architecture, size: Size) -> _Candidate:
    network = architecture.build(size)
    if family.head and not has_head(state, family.head):
        network = without_head(network)
    modules = family.modules(network, state)
    return _Candidate(architecture, network, modules, check_fit(state, network, modules, family.unused))


def _no_member(state: StateDict, family: Family, closest: _Candidate) -> UnsupportedError:
    differences = closest.fit.differences
    return UnsupportedError(
        f"{state.origin}: has names of {family.name}, but differs from all; from {closest.architecture.name} in "
        f"{len(differences)} tensors: {'; '.join(differences[:3])}"
    )


def _by_name(state: StateDict, fitting: Sequence[_Candidate], own_names: Sequence[str]) -> _Candidate:
    """Return the fitting architecture whose name one of `own_names` begins with. Earlier ones have precedence."""
    for own_name in own_names:
        named = [candidate for candidate in fitting if own_name.startswith(candidate.architecture.name)]
        if len(named) == 1:
            return named[0]
    names = ", ".join(candidate.architecture.name for candidate in fitting)
    raise UnsupportedError(
        f"{state.origin}: has the weights of {names}, which compute differently; choose one with --architecture "
        "(architecture= in Python), or let the file's name begin with it"
    )


# ---- torchvision ---------------------------------------------------------------------------------------------------

_MOBILENETS_V2 = [MobileNetV2(f"mobilenet_v2 of width {width:g}", width=width) for width in _WIDTHS]
_V3 = ("large", LARGE, 1280), ("small", SMALL, 1024)
_MOBILENETS_V3 = [
    MobileNetV3(f"mobilenet_v3_{size} of width {width:g}", blocks, hidden, width=width)
    for size, blocks, hidden in _V3
    for width in _WIDTHS
]
_WITH_TENSORFLOW_EPSILON = (
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    *(network.name for network in EFFICIENTNETS_V2),
    inception_v3.name,
)


# The epsilons of batch normalizations by prefix: PyTorch's default, the epsilon of networks ported from TensorFlow, and
# the epsilons of segmenters, which have TensorFlow's in the backbone and PyTorch's in the head.
_DEFAULT_EPSILON = (("", 1e-5),)
_TENSORFLOW_EPSILON = (("", 1e-3),)
_BACKBONE_EPSILON = (("backbone.", 1e-3), ("", 1e-5))


def _epsilons(network: Classifier) -> Epsilons:
    """Return the epsilon of torchvision's batch normalizations."""
    given = isinstance(network, MobileNetV3) or network.name in _WITH_TENSORFLOW_EPSILON
    return _TENSORFLOW_EPSILON if given else _DEFAULT_EPSILON


def _classifiers(networks: Iterable[Classifier], last: str) -> Callable[[StateDict], Iterator[Architecture]]:
    """Return a function that yields the members of a family of classifiers. Layer `last` has a row for each class."""

    def members(state: StateDict) -> Iterator[Architecture]:
        for network in networks:
            yield Architecture(network.name, _builder(network, _rows(state, last)), _epsilons(network))

    return members


def _segmenter(network: Segmenter, last: str) -> Callable[[StateDict], Iterator[Architecture]]:
    """Return a function that yields the only member of a family. Layer `last` has a row for each class."""

    def members(state: StateDict) -> Iterator[Architecture]:
        yield Architecture(network.name, _builder(network, _rows(state, last)), _BACKBONE_EPSILON)

    return members


def _ssdlites(state: StateDict) -> Iterator[Architecture]:
    """Yield SSDLite as published, and with a backbone that keeps all channels (reduced_tail=False)."""
    classes = _detected(state, "head.classification_head.module_list.0.1", 6)
    name = "ssdlite320_mobilenet_v3_large"
    for suffix, reduced in (("", True), (" without reduced_tail", False)):
        build = _builder(partial(ssdlite320_mobilenet_v3_large, reduced_tail=reduced), classes)
        yield Architecture(name + suffix, build, _TENSORFLOW_EPSILON)


def _ultrafaces(state: StateDict) -> Iterator[Architecture]:
    classes = _detected(state, "classification_headers.0.2", 3)
    yield Architecture("ultraface_slim", _builder(ultraface_slim, classes), _DEFAULT_EPSILON)


def _detected(state: StateDict, layer: str, anchors: int) -> int:
    """Return the number of classes without the background. The layer has a row for each class and anchor."""
    return max(1, _rows(state, layer) // anchors - 1)


def _builder(network: Callable[..., Network], classes: int) -> Callable[[Size], Network]:
    def build(size: Size) -> Network:
        return network(classes=classes) if size is None else network(classes=classes, input_size=size)

    return build


def _rows(state: StateDict, layer: str) -> int:
    return max((1, *state.shape(f"{layer}.weight")[:1]))


# ---- timm ----------------------------------------------------------------------------------------------------------

_TIMM: tuple[MobileNetV2 | MNASNet | MobileNetV3 | EfficientNet, ...] = (
    *(MobileNetV2(f"mobilenetv2_{100 * width:03.0f}", width=width) for width in (0.35, 0.5, 0.75, 1.0, 1.4)),
    MobileNetV2("mobilenetv2_110d", width=1.1, depth=1.2, fixed_ends=True),
    MobileNetV2("mobilenetv2_120d", width=1.2, depth=1.4, fixed_ends=True),
    *(MNASNet(f"mnasnet_{100 * width:03.0f}", width) for width in (0.5, 0.75, 1.0, 1.4)),
    *(
        MobileNetV3(f"mobilenetv3_{size}_{100 * width:03.0f}", blocks, hidden, width, timm=True)
        for size, blocks, hidden in _V3
        for width in (0.5, 0.75, 1.0)
    ),
    *EFFICIENTNETS,
    *EFFICIENTNETS_LITE,
)
_TIMM_TABLES = (*MOBILENETS_V4, *MOBILENETS_TIMM)
# Networks of timm whose weights come from TensorFlow.
_TIMM_TF: tuple[MobileNetV3 | EfficientNet, ...] = (
    *(network for network in _TIMM if isinstance(network, (MobileNetV3, EfficientNet))),
    *(
        MobileNetV3(f"mobilenetv3_{size}_minimal_100", blocks, hidden, timm=True, minimal=True)
        for size, blocks, hidden in _V3
    ),
    *(replace(network, name=network.name.replace("_v2", "v2")) for network in EFFICIENTNETS_V2),
)


def _timm_members(state: StateDict) -> Iterator[Architecture]:
    classes = _rows(state, "classifier")
    depths = timm_depths(state)
    for network in _TIMM:
        build, plausible = _builder(_as_in_timm(network), classes), network.depths == depths
        yield Architecture(network.name, build, _DEFAULT_EPSILON, plausible)
    for table in _TIMM_TABLES:
        epsilon = _TENSORFLOW_EPSILON if table is mobilenet_v3_rw else _DEFAULT_EPSILON
        plausible = depths == [len(stage) for stage in table.stages]
        yield Architecture(table.name, _builder(_as_in_timm(table), classes), epsilon, plausible)
    for network in _TIMM_TF:
        tf = replace(network, name=f"tf_{network.name}", same=True)
        build, plausible = _builder(_as_in_timm(tf), classes), tf.depths == depths
        yield Architecture(tf.name, build, _TENSORFLOW_EPSILON, plausible)


def _as_in_timm(network: Classifier) -> Classifier:
    """Return the network with the size and the photos of the weights that timm takes by default."""
    weights = TIMM.get(network.name, TimmWeights())
    return replace(network, photos=weights.photos, input_size=weights.size)


# ---- All -----------------------------------------------------------------------------------------------------------

FAMILIES = (
    Family(
        "ResNet and ResNeXt",
        ("conv1.weight", "layer1.0.conv1.weight"),
        _classifiers(RESNETS, "fc"),
        Head("fc", "fc"),
        is_timm=True,
    ),
    Family(
        "MobileNet V2",
        ("features.0.0.weight", "features.1.conv.0.0.weight"),
        _classifiers(_MOBILENETS_V2, "classifier.1"),
        Head("classifier.1", "classifier"),
    ),
    Family(
        "MobileNet V3",
        ("features.0.0.weight", "features.1.block.0.0.weight"),
        _classifiers(_MOBILENETS_V3, "classifier.3"),
        Head("classifier.3", "classifier.3"),
    ),
    Family(
        "EfficientNet",
        ("features.0.0.weight", "features.1.0.block.1.fc1.weight"),
        _classifiers(EFFICIENTNETS, "classifier.1"),
        Head("classifier.1", "classifier"),
    ),
    Family(
        "EfficientNet V2",
        ("features.0.0.weight", "features.1.0.block.0.0.weight"),
        _classifiers(EFFICIENTNETS_V2, "classifier.1"),
        Head("classifier.1", "classifier"),
    ),
    Family(
        "ShuffleNet V2",
        ("conv1.0.weight", "stage2.0.branch1.0.weight"),
        _classifiers(SHUFFLENETS, "fc"),
        Head("fc", "fc"),
    ),
    Family(
        "SqueezeNet",
        ("features.0.weight", "features.3.squeeze.weight", "classifier.1.weight"),
        _classifiers(SQUEEZENETS, "classifier.1"),
    ),
    Family(
        "VGG",
        ("features.0.weight", "classifier.0.weight", "classifier.3.weight", "classifier.6.weight"),
        _classifiers(VGGS, "classifier.6"),
    ),
    Family(
        "Inception",
        ("Conv2d_1a_3x3.conv.weight", "Mixed_5b.branch1x1.conv.weight"),
        _classifiers([inception_v3], "fc"),
        Head("fc", "fc"),
        modules=inception_modules,
        unused=("AuxLogits.",),
    ),
    Family(
        "MNASNet",
        ("layers.0.weight", "layers.8.0.layers.0.weight"),
        _classifiers(MNASNETS, "classifier.1"),
        Head("classifier.1", "classifier"),
    ),
    Family(
        "LR-ASPP on MobileNet V3",
        ("backbone.0.0.weight", "classifier.cbr.0.weight"),
        _segmenter(lraspp_mobilenet_v3_large, "classifier.low_classifier"),
    ),
    Family(
        "DeepLabv3 on MobileNet V3",
        ("backbone.0.0.weight", "classifier.0.convs.0.0.weight"),
        _segmenter(deeplabv3_mobilenet_v3_large, "classifier.4"),
        unused=("aux_classifier.",),
    ),
    Family(
        "SSDLite on MobileNet V3",
        ("backbone.features.0.0.0.weight", "head.classification_head.module_list.0.0.0.weight"),
        _ssdlites,
    ),
    Family("UltraFace", ("base_net.0.0.weight", "classification_headers.0.0.weight"), _ultrafaces),
    Family(
        "timm's MobileNets and EfficientNets",
        ("conv_stem.weight",),
        _timm_members,
        Head("classifier", "classifier"),
        timm_modules,
        is_timm=True,
    ),
)
