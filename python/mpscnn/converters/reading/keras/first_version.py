"""Give the layers of Keras 1 the names, settings and weights that Keras 2 has for the same layers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

_KINDS = {
    "AtrousConvolution1D": "Conv1D",
    "AtrousConvolution2D": "Conv2D",
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "SeparableConvolution2D": "SeparableConv2D",
    "TimeDistributedDense": "Dense",
}
_SETTINGS = {
    "atrous_rate": "dilation_rate",
    "bias": "use_bias",
    "border_mode": "padding",
    "dim_ordering": "data_format",
    "filter_length": "kernel_size",
    "inner_activation": "recurrent_activation",
    "length": "size",
    "nb_filter": "filters",
    "output_dim": "units",
    "p": "rate",
    "pool_length": "pool_size",
    "sigma": "stddev",
    "stride": "strides",
    "subsample": "strides",
    "subsample_length": "strides",
}
_VALUES = {"th": "channels_first", "tf": "channels_last"}
_MERGES = {
    "ave": "Average",
    "concat": "Concatenate",
    "max": "Maximum",
    "mul": "Multiply",
    "sum": "Add",
}
# Settings that matter in training only, or that say again what the weights say.
_NEEDLESS = re.compile("(.*_)?init|dropout_[WU]|input_(dim|length)|weights|consume_less|nb_(row|col)")
# The axes of a batch normalization in mode 0 and of its variant with the last axis, mode 2. Mode 1 is another function.
_NORMS_OF_FEATURES = (0, 2)
_ALL_SIDES = 4

_GATES = {"LSTM": ("icfo", "ifco"), "GRU": ("zrh", "zrh")}
"""The order of the gates in the list of weights, and in the joined weights of Keras 2."""


def renewed(entry: Any) -> Any:
    """Return the description of a model or layer of Keras 1 as Keras 2 writes it. Nested ones are changed, too."""
    if isinstance(entry, list):
        return [renewed(one) for one in entry]
    if not isinstance(entry, Mapping):
        return entry
    if not isinstance(entry.get("class_name"), str) or not isinstance(entry.get("config"), Mapping):
        return {key: renewed(value) for key, value in entry.items()}
    kind, settings = entry["class_name"], entry["config"]
    if "layers" in settings and kind != "Merge":
        return {**entry, "config": renewed(settings)}
    changed = {
        "Embedding": lambda: _embedding(settings),
        "BatchNormalization": lambda: _normalization(settings),
        "Merge": lambda: _merge(settings),
        "ZeroPadding2D": lambda: _padding(settings),
    }.get(kind, lambda: _plain(settings))()
    if "nb_row" in settings:
        changed["kernel_size"] = [settings["nb_row"], settings.get("nb_col")]
    if kind in _GATES:
        changed["gates_apart"] = settings.get("consume_less") != "gpu"
    mode = settings.get("mode")
    kind = _MERGES.get(mode, kind) if kind == "Merge" and isinstance(mode, str) else _KINDS.get(kind, kind)
    return {**entry, "class_name": kind, "config": changed}


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        _SETTINGS.get(key, key): _VALUES.get(value, value) if isinstance(value, str) else renewed(value)
        for key, value in settings.items()
        if not _NEEDLESS.fullmatch(key)
    }


def _embedding(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of an embedding, the only layer whose `output_dim` has this name in Keras 2, too."""
    changed = _plain(settings)
    return {"output_dim" if key == "units" else key: value for key, value in changed.items()}


def _normalization(settings: Mapping[str, Any]) -> dict[str, Any]:
    known = {
        key: value for key, value in settings.items() if key != "mode" or value not in _NORMS_OF_FEATURES
    }
    return _plain(known | ({"axis": -1} if settings.get("mode") == _NORMS_OF_FEATURES[1] else {}))


def _merge(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the layer that has replaced Merge, which has all settings of all modes."""
    mode = settings.get("mode")
    if not isinstance(mode, str) or mode not in _MERGES or settings.get("layers"):
        return dict(settings)
    axis = {"axis": settings.get("concat_axis")} if mode == "concat" else {}
    return {"name": settings.get("name"), **axis}


def _padding(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a padding, whose sides may be a list of four numbers or have names."""
    changed, sides = _plain(settings), settings.get("padding")
    if isinstance(sides, Mapping):
        sides = [sides.get(f"{side}_pad", 0) for side in ("top", "bottom", "left", "right")]
    if isinstance(sides, list) and len(sides) == _ALL_SIDES:
        changed["padding"] = [sides[:2], sides[2:]]
    return changed


def roles_of_gates(kind: str, roles: tuple[str, ...]) -> list[str]:
    """Return the roles of a cell's weights in the order of the file, which has an array for each gate."""
    return [f"{role}/{gate}" for gate in _GATES[kind][0] for role in roles]


def joined_gates(weights: dict[str, Array]) -> dict[str, Array]:
    """Join the arrays of single gates, whose roles are those of `roles_of_gates`, as Keras 2 stores them."""
    parts: dict[str, dict[str, Array]] = {}
    made = {}
    for role, values in weights.items():
        stem, _, gate = role.rpartition("/")
        if "cell/" in stem:
            parts.setdefault(stem, {})[gate] = values
        else:
            made[role] = values
    for stem, gates in parts.items():
        order = next(joined for listed, joined in _GATES.values() if {*listed} == {*gates})
        made[stem] = np.concatenate([gates[gate] for gate in order], -1)
    return made


def kernel_of_sequences(kernel: Array, filters: Any) -> Array:
    """Return the kernel [steps][inputs][outputs] of a convolution of sequences, which Keras 1 stores with four axes."""
    if kernel.shape[1] != 1 or kernel.shape[3] != filters:
        kernel = kernel.transpose(2, 3, 1, 0)
    return np.ascontiguousarray(kernel[:, 0])
