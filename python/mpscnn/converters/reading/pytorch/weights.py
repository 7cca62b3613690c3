"""Copy a state dict's tensors into a network. Batch normalizations are folded into convolutions and dense layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading.pytorch.state_dict import StateDict
from mpscnn.errors import WeightsError
from mpscnn.graph.flattened import flattened_images
from mpscnn.graph.network import Network
from mpscnn.graph.weight_layout import reorder_flattened_weights

_AFFINE = ("weight", "bias")
_STATISTICS = ("running_mean", "running_var")
# PyTorch's names for the weights of a batch normalization, by mpscnn's names. Weights of other layers need none.
_NAMES = dict(zip(("gamma", "beta", "mean", "variance"), (*_AFFINE, *_STATISTICS), strict=True))

Epsilons = Sequence[tuple[str, float]]
"""Pairs of a prefix of paths and the epsilon of the batch normalizations there. The first matching prefix is used.

They are needed because files do not store the epsilon.
"""


@dataclass(frozen=True)
class Module:
    """The paths in a state dict with the weights of one layer.

    Attributes:
        path: the path of the convolution or dense layer.
        norm: the path where a batch normalization after it may be; "" if there is none.
        scale: the path of a tensor that multiplies the channels after both; "" if there is none.
    """

    path: str
    norm: str = ""
    scale: str = ""


@dataclass
class Fit:
    """The result of comparing a state dict with the weights of a network.

    Attributes:
        norms: the path of the batch normalization after a layer, by the layer's name.
        differences: sentences on missing, unused or differing tensors; empty if the state dict fits.
    """

    norms: dict[str, str] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)


def check_fit(
    state: StateDict, network: Network, modules: Mapping[str, Module], unused: tuple[str, ...] = ()
) -> Fit:
    """Check whether a state dict fits a network: every tensor is used, and every layer finds its tensors.

    Args:
        modules: the modules of the network's layers.
        unused: prefixes of names that are not needed for inference.
    """
    fit = Fit()
    used: set[str] = set()
    for spec in network.weight_specs():
        layer = str(spec["layer"])
        if layer not in modules:
            fit.differences.append(f"there is nothing for {quote_name(layer)}")
            continue
        name = _name(modules[layer], str(spec["role"]))
        channels = (int(spec["shape"][0]),)
        if spec["role"] == "weight":
            if scale := modules[layer].scale:
                _note(fit, used, state, scale, channels)
            norm = modules[layer].norm
            if f"{norm}.running_mean" in state:
                fit.norms[layer] = norm
                _note(fit, used, state, f"{norm}.running_mean", channels)
                _note(fit, used, state, f"{norm}.running_var", channels)
                for role in _AFFINE:
                    _note(fit, used, state, f"{norm}.{role}", channels, required=False)
            shapes = _stored_shapes(tuple(spec["shape"]))
            _note(fit, used, state, name, *shapes)
        else:
            _note(fit, used, state, name, tuple(spec["shape"]), required=bool(spec["required"]))
    left = [name for name in state if name not in used and not name.startswith(unused)]
    fit.differences += [f"{quote_name(name)} belongs to no layer" for name in left]
    return fit


def set_weights(
    state: StateDict, network: Network, modules: Mapping[str, Module], fit: Fit, epsilons: Epsilons
) -> None:
    """Set the network's weights.

    Args:
        fit: the result of the check of this state dict, without differences.
        epsilons: the epsilons of the batch normalizations.
    """
    images = flattened_images(network.graph)
    for spec in network.weight_specs():
        layer, role = str(spec["layer"]), str(spec["role"])
        module = modules[layer]
        name, changed = _name(module, role), layer in fit.norms or module.scale
        if role == "weight" and changed:
            scale, offset = _combined_scale_and_offset(
                state, module, fit.norms.get(layer), epsilons, int(spec["shape"][0])
            )
            weight = _in_our_order(state.array(name), tuple(spec["shape"]))
            _set(network, state, layer, "weight", _scaled(weight, scale))
            _set(network, state, layer, "bias", offset)
        elif role == "weight":
            weight = _in_our_order(state.array(name), tuple(spec["shape"]))
            if layer in images:  # PyTorch flattens channel by channel
                weight = reorder_flattened_weights(name, weight, images[layer], "OIHW")
            _set(network, state, layer, role, weight)
        elif not changed and name in state:
            _set(network, state, layer, role, state.array(name))


def _name(module: Module, role: str) -> str:
    return f"{module.path}.{_NAMES.get(role, role)}"


def _combined_scale_and_offset(
    state: StateDict, module: Module, norm: str | None, epsilons: Epsilons, channels: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the scale and offset that follow a module's product: bias, batch normalization and scale, combined."""
    scale, offset = np.ones(channels), np.zeros(channels)
    if norm is not None:
        scale, offset = _scale_and_offset(state, norm, epsilons)
    if f"{module.path}.bias" in state:
        offset = offset + state.doubles(f"{module.path}.bias") * scale
    if module.scale:
        factors = state.doubles(module.scale)
        scale, offset = scale * factors, offset * factors
    return scale, offset


def _note(
    fit: Fit, used: set[str], state: StateDict, name: str, *shapes: tuple[int, ...], required: bool = True
) -> None:
    used.add(name)
    if name not in state:
        if required:
            fit.differences.append(f"{quote_name(name)} is missing")
    elif state.shape(name) not in shapes:
        expected = " or ".join(map(str, shapes))
        fit.differences.append(f"{quote_name(name)} has the shape {state.shape(name)}, not {expected}")


def _stored_shapes(ours: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return the shapes that a weight may have in PyTorch.

    Convolutions are OIHW there. A dense layer may be a 1x1 convolution.
    """
    if len(ours) == 4:
        out, height, width, inputs = ours
        return [(out, inputs, height, width)]
    return [ours, (*ours, 1, 1)]


def _in_our_order(weight: NDArray[Any], ours: tuple[int, ...]) -> NDArray[Any]:
    return weight.transpose(0, 2, 3, 1) if len(ours) == 4 else weight.reshape(ours)


def _scaled(weight: NDArray[Any], scale: NDArray[np.float64]) -> NDArray[np.float32]:
    """Multiply each output channel's weights by a factor. NumPy computes in float64, without a float64 copy of all."""
    scaled = np.empty(weight.shape, np.float32)
    with np.errstate(over="ignore"):
        np.multiply(weight, scale.reshape((-1,) + (1,) * (weight.ndim - 1)), out=scaled, casting="same_kind")
    return scaled


def _scale_and_offset(
    state: StateDict, norm: str, epsilons: Epsilons
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the scale and offset that a batch normalization is equal to, in float64.

    Float64 is used because they are products of several numbers.
    """
    epsilon = next(value for beginning, value in epsilons if norm.startswith(beginning))
    mean, variance = (state.doubles(f"{norm}.{role}") for role in _STATISTICS)
    if not bool(np.all(variance + epsilon > 0)):
        raise WeightsError(
            f"{state.origin}: {quote_name(norm)} has a negative variance, or one that is not a number"
        )
    gamma, beta = (
        state.doubles(f"{norm}.{role}") if f"{norm}.{role}" in state else np.float64(default)
        for role, default in zip(_AFFINE, (1.0, 0.0), strict=True)
    )
    scale = gamma / np.sqrt(variance + epsilon)
    return scale, beta - mean * scale


def _set(network: Network, state: StateDict, layer: str, role: str, values: NDArray[Any]) -> None:
    half = values.dtype.newbyteorder("=") == np.float16
    with np.errstate(over="ignore"):  # set_weight raises an error for infinities
        array = np.require(values, np.float16 if half else np.float32, ["ALIGNED"])
    try:
        network.graph.set_weight(layer, role, array)
    except WeightsError as error:
        raise WeightsError(f"{state.origin}: {error}") from error
