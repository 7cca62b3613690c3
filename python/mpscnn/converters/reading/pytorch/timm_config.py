"""Read the config.json that timm writes next to a file with weights.

State dicts do not say how photos are resized, cropped and normalised, and timm has weights of one network that want
different photos.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from mpscnn._private.files import is_file
from mpscnn._private.json_text import parse_json
from mpscnn.converters.finishing.photo_input import PhotoNote
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.errors import UnsupportedError
from mpscnn.graph.network import Network
from mpscnn.models.photo_transforms import CropMode, FilterName, PhotoTransform

#: The name of the file.
CONFIG = "config.json"
_MAX_BYTES = 1 << 20
_MIN_STD = 1e-3
_CROP, _MAX_CROP = 0.875, 16.0  # timm's default; mpscnn's maximum
_MIN_SIDE, _MAX_SIDE = 32, 16_384
_FILTERS: Mapping[object, FilterName] = {name: name for name in ("bilinear", "bicubic", "nearest")}
_MODES: Mapping[object, CropMode] = {name: name for name in ("center", "squash", "border")}
_Normalisation = tuple[tuple[float, ...], tuple[float, ...]]
#: The networks of timm 1.0.31 that have weights for different sizes, crops, filters or normalisations.
SEVERAL_TRANSFORMS = {
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b5",
    "mobilenetv3_large_100",
    "mobilenetv4_conv_large",
    "mobilenetv4_conv_medium",
    "mobilenetv4_conv_small",
    "mobilenetv4_hybrid_medium",
    *(f"resnet{layers}" for layers in (18, 34, 50, 101, 152)),
    "resnext101_32x8d",
    "resnext101_64x4d",
    "resnext50_32x4d",
    *(f"tf_efficientnet_b{number}" for number in range(8)),
    "wide_resnet101_2",
    "wide_resnet50_2",
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
        photos: how photos become inputs; None: it has no usable means and standard deviations.
        size: (height, width) of the input; None: it does not say it.
        arguments: the names of arguments that may change what the network computes.
        labels: the names of the classes; empty: it does not say them.
        replaced: what of `photos` is not as the file says, in words.
    """

    architecture: str
    photos: PhotoTransform | None
    size: tuple[int, int] | None = None
    arguments: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()


def read_timm_config(weights: Path) -> TimmConfig | None:
    """Return the settings of the config.json next to a file with weights.

    It is None if there is no such file, if it cannot be read, has more than 1 MiB, or is not one of timm's.
    """
    path = weights.with_name(CONFIG)
    try:
        if not is_file(path):
            return None
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        config = parse_json(content) if len(content) <= _MAX_BYTES else None
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
    settings = config.get("pretrained_cfg", config)
    photos, replaced = _photos(settings)
    return TimmConfig(
        config["architecture"], photos, _size(settings), tuple(names), _labels(config), replaced
    )


def model_files(path: Path) -> list[Path]:
    """Return a file of weights, and the config.json of timm next to it if there is one."""
    return [path, *([path.with_name(CONFIG)] if read_timm_config(path) else [])]


def _labels(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the classes, if there is a list of them."""
    found = config.get("label_names")
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        return ()
    return tuple(found)


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
    sure: bool = False,
) -> None:
    """Set the preprocessing that the config.json states, and note what of it is not used.

    Without one, a note says if timm has weights of the network that want other photos.

    Args:
        network: the network with the weights.
        architecture: its name in timm.
        config: the settings; None: there are none.
        known: the names of all networks with the same names of tensors.
        origin: the name of the file with the weights.
        by_user: whether the user or the file's name chose the architecture.
        sure: whether the file's name says how photos become inputs.

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
            if len(config.labels) == network.outputs[0].shape[-1]:
                network.labels = list(config.labels)
            if config.photos is not None:
                network.preprocess = config.photos.settings()
                network.notes += map(PhotoNote, config.replaced)
                return
            reason = f"it has no three means of 0 to 1 and deviations of {_MIN_STD} to 1"
        else:
            reason = (
                f"it describes {quote_name(config.architecture)}, and the weights are those of {architecture}"
            )
        network.notes.append(PhotoNote(f"the {CONFIG} next to the file is not used: {reason}"))
    if architecture in SEVERAL_TRANSFORMS and not sure:
        own = "" if config else f"put timm's {CONFIG} next to the file, or "
        network.notes.append(guess_of_photos(architecture, own))


def guess_of_photos(architecture: str, own: str) -> PhotoNote:
    """Return the note that other weights of a network want other photos. `own` names a remedy, or is empty."""
    return PhotoNote(
        f"photos are resized, cropped and normalised as for one kind of weights of {architecture}; others want other "
        f"photos: {own}choose with --preprocess (preprocess= in Python)"
    )


def size_in_config(
    config: TimmConfig | None, architecture: str, known: Sequence[str]
) -> tuple[int, int] | None:
    """Return (height, width) of the input if the config.json describes the architecture and says it."""
    if config is None or _known_name(config.architecture, known) != architecture:
        return None
    return config.size


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


def _photos(settings: object) -> tuple[PhotoTransform | None, tuple[str, ...]]:
    """Return how photos become inputs, and what of it is not as the settings say. Absent ones have timm's defaults."""
    normalisation = _normalisation(settings)
    if normalisation is None or not isinstance(settings, dict):
        return None, ()
    crop, filter_, mode = (settings.get(key) for key in ("crop_pct", "interpolation", "crop_mode"))
    has_filter, has_mode = (
        isinstance(value, str) and value in known for value, known in ((filter_, _FILTERS), (mode, _MODES))
    )
    replaced = [
        f"the {CONFIG} next to the file has another {key} than mpscnn, {quote_name(str(value))}; {used!r} is used"
        for key, value, is_known, used in (
            ("interpolation", filter_, has_filter, "bicubic"),
            ("crop_mode", mode, has_mode, "center"),
            ("crop_pct", crop, _is_crop(crop), _CROP),
        )
        if value and not is_known
    ]
    mean, std = normalisation
    return (
        PhotoTransform(
            float(crop) if _is_crop(crop) else _CROP,
            _FILTERS[filter_] if has_filter else "bicubic",
            _MODES[mode] if has_mode else "center",
            mean,
            std,
        ),
        tuple(replaced),
    )


def _is_crop(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= _MAX_CROP


def _size(settings: object) -> tuple[int, int] | None:
    size = settings.get("input_size") if isinstance(settings, dict) else None
    if not isinstance(size, list) or len(size) != 3:
        return None
    if not all(type(side) is int and _MIN_SIDE <= side <= _MAX_SIDE for side in size[1:]):
        return None
    return size[1], size[2]


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
