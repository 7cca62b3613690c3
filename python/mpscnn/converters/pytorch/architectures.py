"""Which network a state dict belongs to, by its names and shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from mpscnn.converters.layer_names import shown
from mpscnn.converters.pytorch.state_dict import StateDict
from mpscnn.converters.pytorch.weights import ModulePath, fit_of, set_weights
from mpscnn.errors import UnsupportedError
from mpscnn.graph.network import Network
from mpscnn.models.blocks import Classifier
from mpscnn.models.mnasnet import MNASNETS
from mpscnn.models.mobilenet_v2_torch import MobileNetV2
from mpscnn.models.resnet import RESNETS
from mpscnn.models.squeezenet import SQUEEZENETS

Size = tuple[int, int] | None

_WIDTHS = (1.0, 0.25, 0.35, 0.5, 0.75, 1.1, 1.2, 1.3, 1.4)
_DEFAULT_EPSILON = 1e-5


@dataclass(frozen=True)
class Architecture:
    """A network that a state dict may belong to.

    Attributes:
        name: what its collection calls it.
        build: the network for a size of the image, None: the architecture's own.
        epsilon: of its batch normalizations; the file does not say.
        path_of: where the state dict has the weights of a layer.
    """

    name: str
    build: Callable[[Size], Network]
    epsilon: float = _DEFAULT_EPSILON
    path_of: ModulePath = str


@dataclass(frozen=True)
class Family:
    """Networks whose state dicts have the same names.

    Attributes:
        name: for messages.
        marks: names that all of them have and no other family has together.
        members: the family's networks, with as many classes as the state dict says.
    """

    name: str
    marks: tuple[str, ...]
    members: Callable[[StateDict], Iterable[Architecture]]


def network_of(state: StateDict, name: str, size: Size) -> Network:
    """The network with its weights.

    Args:
        name: the network's.
        size: (height, width) of its image; None: what the architecture was made for.

    Raises:
        UnsupportedError: it is none that is known. WeightsError: a weight is not finite or not floating point.
    """
    for family in FAMILIES:
        if all(mark in state for mark in family.marks):
            return _member(state, family, name, size)
    raise UnsupportedError(
        f"{state.origin}: its {len(state)} tensors ({_first_names(state)}) belong to no known network; known are "
        f"{', '.join(family.name for family in FAMILIES)}; export any other as ONNX"
    )


def _member(state: StateDict, family: Family, name: str, size: Size) -> Network:
    closest: list[str] | None = None
    nearest = ""
    for architecture in family.members(state):
        network = _named(architecture.build(size), name)
        fit = fit_of(state, network, architecture.path_of)
        if not fit.differences:
            set_weights(state, network, architecture.path_of, fit, architecture.epsilon)
            return network
        if closest is None or len(fit.differences) < len(closest):
            closest, nearest = fit.differences, architecture.name
    differences = closest or []
    raise UnsupportedError(
        f"{state.origin}: has names of {family.name}, but differs from all; from {nearest} in {len(differences)} "
        f"tensors: {'; '.join(differences[:3])}"
    )


def _named(network: Network, name: str) -> Network:
    """The same network, whose weights are not set yet, with another name."""
    named = network.restructured(network.to_dict() | {"name": name}, {})
    named.preprocess, named.detection = network.preprocess, network.detection
    return named


def _first_names(state: StateDict) -> str:
    names = [shown(name) for name, _ in zip(state, range(3), strict=False)]
    return ", ".join(names) + (", ..." if len(state) > len(names) else "")


# ---- torchvision ---------------------------------------------------------------------------------------------------


def _classifiers(
    networks: Iterable[Classifier], last: str, *, epsilon: float = _DEFAULT_EPSILON
) -> Callable[[StateDict], Iterator[Architecture]]:
    """The members of a family of classifiers, whose layer `last` has a row for each class."""

    def members(state: StateDict) -> Iterator[Architecture]:
        classes = max((1, *state.shape(f"{last}.weight")[:1]))
        for network in networks:
            yield Architecture(network.name, _builder(network, classes), epsilon)

    return members


def _builder(network: Classifier, classes: int) -> Callable[[Size], Network]:
    return lambda size: network(input_size=size, classes=classes)


_MOBILENETS_V2 = [MobileNetV2(f"mobilenet_v2 of width {width:g}", width=width) for width in _WIDTHS]

FAMILIES = (
    Family(
        "ResNet and ResNeXt",
        ("conv1.weight", "layer1.0.conv1.weight", "fc.weight"),
        _classifiers(RESNETS, "fc"),
    ),
    Family(
        "MobileNet V2",
        ("features.0.0.weight", "features.1.conv.0.0.weight", "classifier.1.weight"),
        _classifiers(_MOBILENETS_V2, "classifier.1"),
    ),
    Family(
        "SqueezeNet",
        ("features.0.weight", "features.3.squeeze.weight", "classifier.1.weight"),
        _classifiers(SQUEEZENETS, "classifier.1"),
    ),
    Family(
        "MNASNet",
        ("layers.0.weight", "layers.8.0.layers.0.weight", "classifier.1.weight"),
        _classifiers(MNASNETS, "classifier.1"),
    ),
)
