"""Read the config.json that timm writes next to a file with weights.

State dicts do not say how photos are normalised, and timm has weights of one network that want different
normalisations.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mpscnn.converters.layer_names import quote_name
from mpscnn.converters.photo_input import PhotoNote, preprocess_of_normalized
from mpscnn.errors import UnsupportedError
from mpscnn.graph.network import Network

#: The name of the file.
CONFIG = "config.json"
_MAX_BYTES = 1 << 20
_MIN_STD = 1e-3
_Normalisation = tuple[tuple[float, ...], tuple[float, ...]]
_PRESETS: Mapping[_Normalisation, str] = {
    ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)): "torch",
    ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)): "tensorflow",
    ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)): "unit",
}
#: The networks of timm 1.0.31 that have weights for different normalisations.
SEVERAL_NORMALISATIONS = {
    "efficientnet_b0",
    "efficientnet_b1",
    "mobilenetv3_large_100",
    "mobilenetv4_conv_small",
    "resnet34",
    *(f"tf_efficientnet_b{number}" for number in range(8)),
}
# Networks of timm that have the names and shapes of other networks, because their blur poolings have no weights.
_BLURRED = re.compile(r"mobilenetv4_conv_(aa|blur)|resnet(aa|blur)|efficientnet_blur")
# Arguments of timm's functions that do not change what a network computes, or that its weights show.
_HARMLESS = {"num_classes", "in_chans", "img_size", "drop_rate", "drop_path_rate"}


@dataclass(frozen=True)
class TimmConfig:
    """The settings of a config.json of timm.

    Attributes:
        architecture: the name of the network in timm.
        normalisation: the means and the standard deviations of the channels, for photos of 0 to 1; None: it has no
            usable ones.
        arguments: the names of arguments that may change what the network computes.
    """

    architecture: str
    normalisation: _Normalisation | None
    arguments: tuple[str, ...] = ()


def read_timm_config(weights: Path) -> TimmConfig | None:
    """Return the settings of the config.json next to a file with weights.

    It is None if there is no such file, if it cannot be read, has more than 1 MiB, or is not one of timm's.
    """
    path = weights.with_name(CONFIG)
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        config = json.loads(content) if len(content) <= _MAX_BYTES else None
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(config, dict) or not isinstance(config.get("architecture"), str):
        return None
    arguments = config.get("model_args")
    names = [
        name
        for name, value in (arguments.items() if isinstance(arguments, dict) else ())
        if name not in _HARMLESS and (name, value) != ("global_pool", "avg")
    ]
    # Files of older versions of timm have the mean and the deviation next to the architecture.
    return TimmConfig(
        config["architecture"], _normalisation(config.get("pretrained_cfg", config)), tuple(names)
    )


def is_named(name: str, architecture: str) -> bool:
    """Return True if the name of a file or a config.json begins with the name of an architecture.

    A tag of the weights may follow, such as in "efficientnet_b0_ra-3dd342df.pth".
    """
    return name.startswith(architecture) and not name[len(architecture) :][:1].isalnum()


def refuse_blur_by_name(origin: str, name: str) -> None:
    """Raise UnsupportedError if a file's name is that of a network with blur poolings."""
    if blurred := _BLURRED.search(name):
        raise UnsupportedError(_has_blur(origin, "its name", blurred[0]))


def apply_config(
    network: Network,
    architecture: str,
    config: TimmConfig | None,
    known: Sequence[str],
    origin: str,
    *,
    by_user: bool,
) -> None:
    """Set the preprocessing that the config.json states, and note what of it is not used.

    Without one, a note says if timm has weights of the network for several normalisations.

    Args:
        network: the network with the weights.
        architecture: its name in timm.
        config: the settings; None: there are none.
        known: the names of all networks with the same names of tensors.
        origin: the name of the file with the weights.
        by_user: whether the user or the file's name chose the architecture.

    Raises UnsupportedError if the config.json says that the network has blur poolings.
    """
    if config is not None:
        blurred = _BLURRED.search(config.architecture)
        sharp = re.sub("_?(aa|blur)", "", config.architecture)
        if blurred and not by_user and _known_name(sharp, known) == architecture:
            raise UnsupportedError(_has_blur(origin, f"the {CONFIG} next to it", blurred[0]))
        if _known_name(config.architecture, known) == architecture:
            if config.arguments:
                network.notes.append(_unused_arguments(config))
            if config.normalisation is not None:
                samples = ([255.0 * x for x in numbers] for numbers in config.normalisation)
                network.preprocess = _PRESETS.get(config.normalisation) or preprocess_of_normalized(
                    network, *samples
                )
                return
            reason = f"it has no three means of 0 to 1 and deviations of {_MIN_STD} to 1"
        else:
            reason = (
                f"it describes {quote_name(config.architecture)}, and the weights are those of {architecture}"
            )
        network.notes.append(PhotoNote(f"the {CONFIG} next to the file is not used: {reason}"))
    if architecture in SEVERAL_NORMALISATIONS:
        own = "" if config else f"put timm's {CONFIG} next to the file, or "
        network.notes.append(
            PhotoNote(
                f"photos are normalised by the preset {network.preprocess!r}, but timm has weights of {architecture} "
                f"for other normalisations, too: {own}choose one with --preprocess (preprocess= in Python)"
            )
        )


def _known_name(name: str, known: Sequence[str]) -> str | None:
    """Return the longest known name that a name of timm begins with."""
    return max((one for one in known if is_named(name, one)), key=len, default=None)


def _unused_arguments(config: TimmConfig) -> str:
    names = [quote_name(name) for name in config.arguments[:3]]
    more = ", ..." if len(config.arguments) > 3 else ""
    return (
        f"the {CONFIG} next to the file has arguments that are not used and may change the network: "
        f"{', '.join(names)}{more}"
    )


def _has_blur(origin: str, source: str, network: str) -> str:
    return (
        f"{origin}: by {source} it is one of timm's {network} networks, whose blur poolings are not supported and have "
        "no weights: export it as ONNX, or, if it is none, choose another with --architecture (architecture= in Python)"
    )


def _normalisation(settings: object) -> _Normalisation | None:
    if not isinstance(settings, dict):
        return None
    mean, std = (_numbers(settings.get(name)) for name in ("mean", "std"))
    if mean is None or std is None or min(std) < _MIN_STD:
        return None
    return mean, std


def _numbers(value: object) -> tuple[float, ...] | None:
    """Return three numbers of 0 to 1, or None for anything else."""
    if not isinstance(value, list) or len(value) != 3:
        return None
    if not all(isinstance(x, (int, float)) and not isinstance(x, bool) and 0 <= x <= 1 for x in value):
        return None
    return tuple(float(x) for x in value)
