"""Read the config.json that timm writes beside a file with weights.

State dicts do not say how photos are normalised, and timm has weights of one network that want different
normalisations.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpscnn.converters.layer_names import shown
from mpscnn.graph.network import Network

_NAME = "config.json"
_MAX_BYTES = 1 << 20
_MIN_STD = 1e-3
_PRESETS: Mapping[tuple[tuple[float, ...], tuple[float, ...]], str] = {
    ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)): "torch",
    ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)): "tensorflow",
    ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)): "unit",
}
# The networks of timm 1.0.31 whose weights were trained with different normalisations.
SEVERAL_NORMALISATIONS = {
    "efficientnet_b0",
    "efficientnet_b1",
    "mobilenetv3_large_100",
    "mobilenetv4_conv_small",
    *(f"tf_efficientnet_b{number}" for number in range(8)),
}


@dataclass(frozen=True)
class TimmConfig:
    """The settings of a config.json of timm.

    Attributes:
        architecture: the name of the network in timm.
        preprocess: the preset or settings that normalise photos with its mean and standard deviation.
    """

    architecture: str
    preprocess: str | Mapping[str, Any]


def read_timm_config(weights: Path) -> TimmConfig | None:
    """Return the settings of the config.json beside a file with weights.

    It is None if there is no such file, or if it is not one of timm's.
    """
    path = weights.with_name(_NAME)
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        config = json.loads(content) if len(content) <= _MAX_BYTES else None
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(config, dict):
        return None
    architecture, settings = config.get("architecture"), config.get("pretrained_cfg")
    if not isinstance(architecture, str) or not isinstance(settings, dict):
        return None
    mean, std = (_numbers(settings.get(name)) for name in ("mean", "std"))
    if mean is None or std is None or min(std) < _MIN_STD:
        return None
    preset = _PRESETS.get((mean, std))
    return TimmConfig(
        architecture,
        preset or {"mean": [255.0 * x for x in mean], "scale": [1.0 / (255.0 * x) for x in std]},
    )


def choose_normalisation(network: Network, architecture: str, config: TimmConfig | None) -> None:
    """Set the network's preprocessing as the config.json says.

    If there is none, and timm has weights of the network for several normalisations, the network gets a note.
    """
    if config is not None and config.architecture == architecture:
        network.preprocess = config.preprocess
        return
    if config is not None:
        network.notes.append(
            f"the {_NAME} beside the file is not used: it describes {shown(config.architecture)}, and the weights "
            f"are those of {architecture}"
        )
    if architecture in SEVERAL_NORMALISATIONS:
        network.notes.append(_several(architecture, network.preprocess))


def _several(architecture: str, preset: object) -> str:
    return (
        f"photos are normalised by the preset {preset!r}, but timm has weights of {architecture} for other "
        f"normalisations, too: put timm's {_NAME} beside the file, or choose one with --preprocess"
    )


def _numbers(value: object) -> tuple[float, ...] | None:
    """Return three numbers of 0 to 1, or None for anything else."""
    if not isinstance(value, list) or len(value) != 3:
        return None
    if not all(isinstance(x, (int, float)) and not isinstance(x, bool) and 0 <= x <= 1 for x in value):
        return None
    return tuple(float(x) for x in value)
