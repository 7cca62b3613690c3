"""Find the weights of each layer in a Keras file."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading.keras.config import KerasLayer, KerasModel
from mpscnn.converters.reading.keras.first_version import (
    joined_gates,
    kernel_of_sequences,
    roles_of_gates,
)
from mpscnn.converters.reading.keras.hdf5 import Hdf5
from mpscnn.converters.reading.keras.settings import Settings
from mpscnn.errors import UnsupportedError, WeightsError

Weights = dict[str, NDArray[np.float32]]
Path = tuple[str, ...]
"""The names of a layer and of the models around it, the outermost first."""


class WeightSource(Protocol):
    """The weights of a file's layers."""

    def of(self, path: Path, layer: KerasLayer) -> Weights:
        """Return a layer's weights by their roles: kernel, bias, gamma, ... Raises WeightsError if one is missing."""


# The roles of trained weights in Keras's order, by class. The second text is the setting that must be true for the
# weight to exist; an empty text means that it always exists.
_CONVOLUTION = (("kernel", ""), ("bias", "use_bias"))
_SEPARABLE = (("depthwise_kernel", ""), ("pointwise_kernel", ""), ("bias", "use_bias"))
_SCALED = (("gamma", "scale"), ("beta", "center"))
_TRAINED: dict[str, tuple[tuple[str, str], ...]] = {
    **dict.fromkeys(
        (
            "Conv1D",
            "Conv2D",
            "Conv1DTranspose",
            "Conv2DTranspose",
            "Convolution2D",
            "Dense",
            "DepthwiseConv1D",
            "DepthwiseConv2D",
        ),
        _CONVOLUTION,
    ),
    "SeparableConv1D": _SEPARABLE,
    "SeparableConv2D": _SEPARABLE,
    "BatchNormalization": _SCALED,
    "GroupNormalization": _SCALED,
    "LayerNormalization": _SCALED,
    "Embedding": (("embeddings", ""),),
    "LayerScale": (("gamma", ""),),
    "PReLU": (("alpha", ""),),
    "RMSNormalization": (("scale", ""),),
    "Attention": (("scale", "use_scale"),),
    "MultiHeadAttention": tuple(
        (f"{part}/{role}", setting)
        for part in ("query", "key", "value", "output")
        for role, setting in _CONVOLUTION
    ),
}
_CELL = ("kernel", "recurrent_kernel", "bias")
_FIXED: dict[str, tuple[str, ...]] = {
    "BatchNormalization": ("moving_mean", "moving_variance"),
    "Normalization": ("mean", "variance", "count"),
}
# Other names of roles: Keras 2 calls the kernel of a depthwise convolution depthwise_kernel.
_ALIASES = {"depthwise_kernel": "kernel"}


def inner_settings(layer: KerasLayer) -> Settings:
    """Return the settings of the layer inside a Bidirectional. Raises WeightsError if they are missing."""
    inner = layer.settings.values.get("layer")
    config = inner.get("config") if isinstance(inner, Mapping) else None
    if not isinstance(config, Mapping):
        raise WeightsError("damaged: it holds no layer")
    return Settings(config)


#: The classes of convolutions whose kernels Theano applies in reverse.
_REVERSED = ("Conv1D", "Conv2D", "Conv2DTranspose", "Convolution2D")
_CELLS = ("CuDNNGRU", "CuDNNLSTM", "GRU", "LSTM")
_WITH_FOUR_AXES = 4


def _cell_roles(kind: Any, settings: Settings) -> list[str]:
    roles = _CELL if settings.flag("use_bias", True) else _CELL[:2]
    return roles_of_gates(kind, roles) if settings.flag("gates_apart", False) else [*roles]


def _trained(layer: KerasLayer) -> list[str]:
    roles = _TRAINED.get(layer.kind, ())
    if layer.kind in _CELLS:
        return [f"cell/{role}" for role in _cell_roles(layer.kind, layer.settings)]
    if layer.kind == "Bidirectional":
        settings = inner_settings(layer)
        inner = _cell_roles(layer.settings.values["layer"].get("class_name"), settings)
        parts = ("forward_layer", "backward_layer")
        return [f"{part}/cell/{role}" for part in parts for role in inner]
    if layer.kind == "EinsumDense":
        return ["kernel", "bias"] if layer.settings.text("bias_axes", "") else ["kernel"]
    return [role for role, setting in roles if not setting or layer.settings.flag(setting, True)]


def _fixed(layer: KerasLayer) -> list[str]:
    if layer.kind == "Normalization" and "mean" in layer.settings:
        return []
    return list(_FIXED.get(layer.kind, ()))


def weight_roles(layer: KerasLayer) -> list[str]:
    """Return the roles of a layer's weights, in the order in which Keras stores them."""
    return _trained(layer) + _fixed(layer)


# ---- Keras 3 -----------------------------------------------------------------------------------------------


_EARLY_STEM = "_layer_checkpoint_dependencies"


class NumberedWeights:
    """The weights in a .keras file: model.weights.h5 has groups named after classes of layers (conv2d, conv2d_1, ...).

    Each group has arrays named 0, 1, ... Keras 2.12 and 2.13 count each layer with weights twice, so that the second
    convolution is conv2d_2. Keras 2.14 counts once.
    """

    def __init__(self, file: Hdf5, model: KerasModel) -> None:
        self._file = file
        self._is_early = not file.has("layers") and file.has(_EARLY_STEM)
        for is_counted_twice in (True, False) if self._is_early else (False,):
            self._places: dict[Path, str] = {}
            self._shared: dict[int, str] = {}
            self._first: dict[tuple[str, str], str] = {}
            self._is_complete = True
            self._collect(model, (), "", is_counted_twice=is_counted_twice)
            if self._is_complete:
                break

    def of(self, path: Path, layer: KerasLayer) -> Weights:
        """Return a layer's weights by their roles. Raises WeightsError if one is missing."""
        place = self._places[path] + "/vars"
        name = self._file.text(place, "name")
        if name is not None and name != layer.name:
            raise WeightsError(f"damaged: the weights at {quote_name(place)} are those of {quote_name(name)}")
        weights: Weights = {}
        for number, role in enumerate(weight_roles(layer)):
            if role == "count":
                continue
            values = self._file.array(_numbered(place, number, role, self._is_early))
            if values is None:
                raise WeightsError(f"damaged: the file does not have its {role} (at {quote_name(place)})")
            weights[role] = values
        return weights

    def _collect(self, model: KerasModel, path: Path, place: str, *, is_counted_twice: bool) -> None:
        """Find the group of each layer: the name of its class, with a number for all but the first of a class."""
        stem = _EARLY_STEM if self._is_early else "layers"
        counts: dict[str, int] = {}
        for position, layer in enumerate(model.layers):
            if layer.is_function or (model.kind in ("Sequential", "TimeDistributed") and position == 0):
                continue
            name = _snake_case(layer.kind)
            counts[name] = counts.get(name, -1) + 1
            own = f"{place}/{stem}/{name}" + (f"_{counts[name]}" if counts[name] else "")
            if model.kind == "TimeDistributed":
                own = f"{place}/layer"
            if is_counted_twice and _has_weights(layer):
                counts[name] += 1
            first = self._first.setdefault((layer.kind, layer.name), own)
            # A shared layer has its weights in the group of its first occurrence.
            if layer.identity is not None:
                # Keras does not always number the first occurrence.
                place_of_first = own if self._file.has(own) else first
                own = self._shared.setdefault(layer.identity, place_of_first)
            inner = (*path, layer.name)
            self._places[inner] = own
            if layer.model is not None:
                self._collect(layer.model, inner, own, is_counted_twice=is_counted_twice)
            elif _has_weights(layer):
                self._is_complete &= self._file.has(own)


def _has_weights(layer: KerasLayer) -> bool:
    if layer.model is not None:
        return any(map(_has_weights, layer.model.layers))
    return bool(weight_roles(layer))


def _numbered(place: str, number: int, role: str, is_early: bool) -> str:
    """Return the path of an array, which has this number in the group at `place`.

    Arrays of an inner layer are in a separate group, named after the attribute of the outer layer. `is_early` is True
    for files of Keras 2.12 and 2.13, in which some of these names begin with an underscore.
    """
    part, _, _ = role.rpartition("/")
    if not part:
        return f"{place}/{number}"
    inner = part if part.endswith("cell") else f"_{part}_dense" if is_early else f"{part}_dense"
    return f"{place.removesuffix('/vars')}/{inner}/vars/{inner_weight_position(role)}"


def inner_weight_position(role: str) -> int:
    """Return the position of the weight with this role among the weights of its inner layer."""
    part, _, own = role.rpartition("/")
    return _CELL.index(own) if part.endswith("cell") else int(own == "bias")


def _snake_case(kind: str) -> str:
    """Return a class's name in snake case, as Keras writes it in paths."""
    name = re.sub(r"\W+", "", kind)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


# ---- .h5 ---------------------------------------------------------------------------------------------------


class NamedWeights:
    """The weights in an .h5 file: `model_weights` has a group for each layer, with a list of the names of its arrays.

    The list of a nested model has the weights of all its layers, trained ones first.

    Args:
        file: the file.
        model: the model that it describes.
        generation: the major version of Keras.
        is_reversed: True if the model computed in Theano, which reverses the kernels of convolutions.
    """

    def __init__(self, file: Hdf5, model: KerasModel, generation: int, *, is_reversed: bool = False) -> None:
        self._file = file
        self._is_reversed = is_reversed
        self._model = model
        self._generation = generation
        self._listed: dict[str, Mapping[tuple[Path, str], str]] = {}

    def of(self, path: Path, layer: KerasLayer) -> Weights:
        """Return a layer's weights by their roles. Raises WeightsError if one is missing."""
        top = path[0]
        if top not in self._listed:
            self._listed[top] = self._list(self._model.by_name()[top])
        listed = self._listed[top]
        weights: Weights = {}
        for role in weight_roles(layer):
            if role == "count":
                continue
            place = f"model_weights/{top}/{listed.get((path, role), role)}"
            values = self._file.array(place)
            if values is None:
                raise WeightsError(f"damaged: the file does not have its {role} (at {quote_name(place)})")
            weights[role] = values
        if "kernel" in weights:
            weights["kernel"] = self._kernel(layer, weights["kernel"])
        return (
            joined_gates(weights) if any("cell/" in role and role[-2] == "/" for role in weights) else weights
        )

    def _kernel(self, layer: KerasLayer, kernel: NDArray[np.float32]) -> NDArray[np.float32]:
        if layer.kind == "Conv1D" and kernel.ndim == _WITH_FOUR_AXES:
            kernel = kernel_of_sequences(kernel, layer.settings.values.get("filters"))
        if self._is_reversed and layer.kind in _REVERSED:
            kernel = np.ascontiguousarray(np.flip(kernel, tuple(range(kernel.ndim - 2))))
        return kernel

    def _list(self, layer: KerasLayer) -> dict[tuple[Path, str], str]:
        """Return the names of the arrays for a layer's weights, or for those of all layers in a nested model."""
        names = self._file.texts(f"model_weights/{layer.name}", "weight_names") or []
        trained, fixed = self._roles((layer.name,), layer)
        stored = {role: role for role in trained + fixed}
        if len(names) < len(stored):  # a layer that several nested models share is listed only once
            firsts: dict[tuple[str, str], tuple[Path, str]] = {}
            stored = {one: firsts.setdefault((one[0][-1], one[1]), one) for one in stored}
        roles = list(dict.fromkeys(stored.values()))
        expected = f"it has {len(names)} weights, {len(roles)} are expected: " + ", ".join(
            quote_name(role) for _, role in roles[:8]
        )
        if len(names) > len(roles) > 0:
            raise UnsupportedError(f"{expected}; save the model before it is quantised or enlarged (LoRA)")
        if len(names) != len(roles):
            raise WeightsError(f"damaged: {expected}")
        for name, (path, role) in zip(names, roles, strict=True):
            given = name.rpartition("/")[2].partition(":")[0]
            own = role.rpartition("/")[2]
            # Keras 1 has other names, such as "dense_1_W".
            if self._generation > 1 and given != own and _ALIASES.get(given) != own:
                raise WeightsError(
                    f"damaged: {quote_name(name)} is where the {role} of {quote_name(path[-1])} should be"
                )
        listed = dict(zip(roles, names, strict=True))
        return {role: listed[first] for role, first in stored.items()}

    def _roles(self, path: Path, layer: KerasLayer) -> tuple[list[tuple[Path, str]], list[tuple[Path, str]]]:
        """Return the trained weights and the other weights, each as (path, role)."""
        if layer.model is None:
            trained, fixed = ([(path, role) for role in roles(layer)] for roles in (_trained, _fixed))
            return (trained, fixed) if layer.trainable else ([], trained + fixed)
        inner = [self._roles((*path, one.name), one) for one in layer.model.layers]
        if not layer.trainable and self._generation >= 3:
            return [], [role for trained, fixed in inner for role in trained + fixed]
        trained = [role for roles, _ in inner for role in roles]
        fixed = [role for _, roles in inner for role in roles]
        return (trained, fixed) if layer.trainable else ([], trained + fixed)


# ---- Plain names -------------------------------------------------------------------------------------------


class PlainWeights:
    """Weights in a mapping with names such as "conv1/kernel", or "model/conv1/kernel" for a layer in a model."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._arrays = arrays
        self._names = sorted(arrays)

    def of(self, path: Path, layer: KerasLayer) -> Weights:
        """Return a layer's weights by their roles. Raises WeightsError if one is missing."""
        weights: Weights = {}
        for role in _trained(layer) + _fixed(layer):
            if role == "count":
                continue
            name = self._name(path, role)
            if name is None:
                expected = quote_name(f"{path[-1]}/{role}")
                raise WeightsError(f"damaged: the files do not have its {role} ({expected})")
            weights[role] = self._arrays[name].astype(np.float32, copy=False)
        return weights

    def _name(self, path: Path, role: str) -> str | None:
        """Return the name of a layer's weight; None if there is none.

        The layer in a TimeDistributed has the name of the outermost one. In recurrent layers, there may be names
        between those of the layer and the weight: "lstm/lstm_cell_1/kernel", and "both/forward_lstm/kernel" for a
        Bidirectional.
        """
        *parts, own = role.split("/")
        ends = [own, *(alias for alias, wanted in _ALIASES.items() if wanted == own)]
        ends_of_path = (path[first:] for first in range(len(path)))
        starts = (path[:count] for count in range(len(path) - 1, 0, -1))
        for stem in map("/".join, (*ends_of_path, *starts)):
            for end in ends:
                if (exact := "/".join([stem, *parts, end])) in self._arrays:
                    return exact
            found = [name for name in self._within(stem) if _fits(name, stem, parts, ends)] if parts else []
            if len(found) == 1:
                return found[0]
        return None

    def _within(self, stem: str) -> list[str]:
        """Return the names that begin with "stem/"."""
        first, last = (bisect_left(self._names, stem + end) for end in ("/", chr(ord("/") + 1)))
        return self._names[first:last]


def _fits(name: str, stem: str, parts: list[str], ends: list[str]) -> bool:
    """Return True if a name below `stem` is that of a weight of a recurrent layer or of one of its directions."""
    *between, end = name.removeprefix(f"{stem}/").split("/")
    directions = [part.partition("_")[0] for part in parts if part.endswith("_layer")]
    return end in ends and all(any(one.startswith(way) for one in between) for way in directions)
