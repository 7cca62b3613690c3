"""What Keras's layers are as ours: one function for each class.

They raise UnsupportedError and WeightsError with a reason only; who calls them knows file and layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mpscnn.converters.affine import affine
from mpscnn.converters.keras.applied import Applied
from mpscnn.converters.keras.arithmetic import MERGES
from mpscnn.converters.keras.convolutions import CONVOLUTIONS
from mpscnn.converters.keras.functions import LAYERS as FUNCTIONS
from mpscnn.converters.keras.functions import layer_function
from mpscnn.converters.keras.rows import along_rows, back
from mpscnn.converters.keras.shapes import SHAPES
from mpscnn.errors import UnsupportedError, WeightsError
from mpscnn.graph.layers.layer_maker import Tensor

Handler = Callable[[Applied], Tensor]


def _function_layer(c: Applied) -> Tensor:
    function, x = layer_function(c.layer.kind, c.settings, c.generation), c.x()
    if function.layers is not None:
        return function.layers(c.network, x, c.name())
    return x if function.neuron is None else c.network.activation(x, function.neuron, name=c.name())


def _prelu(c: Applied) -> Tensor:
    x, slope = c.x(), c.weights()["alpha"]
    if slope.size != x.shape[-1]:
        raise UnsupportedError(
            f"slopes of shape {slope.shape}; only one per channel is supported (shared_axes)"
        )
    name = c.name()
    y = c.network.activation(x, "prelu", name=name)
    c.set_weight(name, "slope", slope.reshape(-1))
    return y


# ---- Normalizations ----------------------------------------------------------------------------------------


def _over_channels(c: Applied, x: Tensor) -> None:
    """Raises UnsupportedError unless the setting `axis` is the last one."""
    axes = c.settings.wholes("axis", [-1])
    if [axis % len(x.shape) for axis in axes] != [len(x.shape) - 1]:
        raise UnsupportedError(f"it normalises the axes {axes} of {x.shape}; only the last one is supported")


def _batch_normalization(c: Applied) -> Tensor:
    x = c.x()
    _over_channels(c, x)
    if c.settings.flag("renorm", False):
        raise UnsupportedError("batch renormalization is not supported")
    name = c.name()
    y = c.network.batch_norm(x, epsilon=c.settings.number("epsilon", 1e-3), name=name)
    weights = c.weights()
    roles = {"moving_mean": "mean", "moving_variance": "variance", "gamma": "gamma", "beta": "beta"}
    for theirs, ours in roles.items():
        c.set_weight(name, ours, weights.get(theirs))
    return y


def _group_normalization(c: Applied) -> Tensor:
    x = c.x()
    _over_channels(c, x)
    groups, name = c.settings.whole("groups", 32), c.name()
    y = c.network.group_norm(
        x,
        (x.shape[-1] or 1) if groups == -1 else groups,
        epsilon=c.settings.number("epsilon", 1e-3),
        name=name,
    )
    weights = c.weights()
    for role in ("gamma", "beta"):
        c.set_weight(name, role, weights.get(role))
    return y


def _normalization(c: Applied) -> Tensor:
    """(x - mean) / standard deviation, both found before training."""
    x = c.x()
    _over_channels(c, x)
    weights = {} if "mean" in c.settings else c.weights()
    mean, variance = (
        np.array(weights[role] if weights else c.settings.numbers(role), np.float64)
        for role in ("mean", "variance")
    )
    if not np.isfinite([*mean.reshape(-1), *variance.reshape(-1)]).all() or (variance < 0.0).any():
        raise WeightsError("damaged: its mean and variance are not those of numbers")
    if max(np.abs(mean).max(initial=0.0), variance.max(initial=0.0)) > np.finfo(np.float32).max:
        raise WeightsError("damaged: its mean and variance are beyond float32")
    deviation = np.maximum(np.sqrt(variance), 1e-7)
    if c.settings.flag("invert", False):
        return affine(c.network, x, scale=deviation, offset=mean, name=c.name())
    return affine(c.network, x, scale=1.0 / deviation, offset=-mean / deviation, name=c.name())


def _rescaling(c: Applied) -> Tensor:
    scale, offset = c.settings.numbers("scale"), [0.0]
    if "offset" in c.settings:
        offset = c.settings.numbers("offset")
    x = c.x()
    if not {len(scale), len(offset)} <= {1, x.shape[-1]}:
        raise UnsupportedError("its scale and offset are other than one number or one per channel")
    if len(scale) == len(offset) == 1:
        neuron = {"kind": "linear", "a": scale[0], "b": offset[0]}
        return c.network.activation(x, neuron, name=c.name())
    return affine(c.network, x, scale=np.array(scale), offset=np.array(offset), name=c.name())


# ---- Poolings ----------------------------------------------------------------------------------------------


def _pooling(c: Applied, kind: str, *, rows: bool) -> Tensor:
    x = along_rows(c, c.x()) if rows else c.image()
    size: Any = (1, c.settings.single("pool_size", 2)) if rows else c.settings.pair("pool_size", 2)
    strides = size
    if "strides" in c.settings:
        strides = (1, c.settings.single("strides", 2)) if rows else c.settings.pair("strides", 2)
    padding = c.settings.text("padding", "valid")
    if padding not in ("valid", "same"):
        raise UnsupportedError(f"the padding {padding!r} is not supported")
    if padding == "valid" and size == x.shape[1:3]:
        pool = c.network.global_max_pool2d if kind == "max" else c.network.global_average_pool2d
        y = pool(x, name=c.name())
    elif kind == "max":
        y = c.network.max_pool2d(x, size, strides=strides, padding=padding, name=c.name())
    else:
        y = c.network.average_pool2d(x, size, strides=strides, padding=padding, name=c.name())
    return back(c, y) if rows else y


def _global_pooling(c: Applied, kind: str, *, rows: bool) -> Tensor:
    x = along_rows(c, c.x()) if rows else c.image()
    pool = c.network.global_max_pool2d if kind == "max" else c.network.global_average_pool2d
    y = pool(x, name=c.name())
    if not c.settings.flag("keepdims", False):
        return c.network.flatten(y, name=c.name("/flatten"))
    return back(c, y) if rows else y


def _pool(kind: str, *, rows: bool) -> Handler:
    return lambda c: _pooling(c, kind, rows=rows)


def _global_pool(kind: str, *, rows: bool) -> Handler:
    return lambda c: _global_pooling(c, kind, rows=rows)


# ---- Dense -------------------------------------------------------------------------------------------------


def _dense(c: Applied) -> Tensor:
    """Over the last axis, whatever is before it."""
    x, units, function = c.x(), c.settings.whole("units", 0), c.function()
    *positions, features = x.shape[1:]
    name = c.name()
    weights = c.weights()
    if not positions:
        y = c.network.dense(x, units, activation=function.neuron, name=name)
        c.set_weight(name, "weight", weights["kernel"], (1, 0))
    else:
        if len(x.shape) != 4:
            count = -1 if None in positions else math.prod(extent or 0 for extent in positions)
            x = c.network.reshape(x, [1, count, features or 0], name=c.name("/positions"))
        y = c.network.conv2d(x, units, 1, activation=function.neuron, name=name)
        c.set_weight(name, "weight", weights["kernel"][None, None], (3, 0, 1, 2))
    c.set_weight(name, "bias", weights.get("bias"))
    if positions and len(positions) != 2:
        extents = [-1 if extent is None else extent for extent in positions]
        y = c.network.reshape(y, [*extents, units], name=c.name("/reshape"))
    return c.finished(y, function)


# ---- Others ------------------------------------------------------------------------------------------------


def _same(c: Applied) -> Tensor:
    return c.x()


def _refused(reason: str) -> Handler:
    def refuse(_: Applied) -> Tensor:
        raise UnsupportedError(reason)

    return refuse


_RECURRENT = "recurrent layers are not supported"
_ATTENTION = "attention layers are not supported yet"
# What only training does.
_NOTHING = (
    "ActivityRegularization",
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "RandomBrightness",
    "RandomContrast",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    "SpatialDropout1D",
    "SpatialDropout2D",
)
HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(FUNCTIONS, _function_layer),
    **dict.fromkeys(_NOTHING, _same),
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN", "RNN", "ConvLSTM2D", "Bidirectional"), _refused(_RECURRENT)),
    **dict.fromkeys(("Attention", "AdditiveAttention", "MultiHeadAttention"), _refused(_ATTENTION)),
    "Lambda": _refused(
        "holds code of Python, which is never executed: build the model without Lambda layers and load its weights"
    ),
    "TensorFlowOpLayer": _refused("is an operation of TensorFlow's own: save the model as .tflite or .onnx"),
    "Dot": _refused("products of two tensors are not supported"),
    "TimeDistributed": _refused("layers over time are not supported"),
    "Embedding": _refused("lookups of words are not supported"),
    "RandomCrop": _refused("crops at random; leave it out of the model that is saved"),
    "PReLU": _prelu,
    "BatchNormalization": _batch_normalization,
    "GroupNormalization": _group_normalization,
    "Normalization": _normalization,
    "Rescaling": _rescaling,
    "Dense": _dense,
    "MaxPooling1D": _pool("max", rows=True),
    "MaxPooling2D": _pool("max", rows=False),
    "AveragePooling1D": _pool("average", rows=True),
    "AveragePooling2D": _pool("average", rows=False),
    "GlobalMaxPooling1D": _global_pool("max", rows=True),
    "GlobalMaxPooling2D": _global_pool("max", rows=False),
    "GlobalAveragePooling1D": _global_pool("average", rows=True),
    "GlobalAveragePooling2D": _global_pool("average", rows=False),
    **CONVOLUTIONS,
    **SHAPES,
    **MERGES,
}
"""By the class's name. Older names of classes are others for the same."""
