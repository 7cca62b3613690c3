"""Convert Keras's layers: one function for each class.

They raise UnsupportedError and WeightsError with only a reason. The caller adds the names of file and layer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mpscnn._private.literals import PaddingName
from mpscnn.converters.affine import affine
from mpscnn.converters.keras.applied import Applied
from mpscnn.converters.keras.arithmetic import MERGES
from mpscnn.converters.keras.attention import ATTENTION
from mpscnn.converters.keras.convolutions import CONVOLUTIONS
from mpscnn.converters.keras.dense import DENSE
from mpscnn.converters.keras.functions import LAYERS as FUNCTIONS
from mpscnn.converters.keras.functions import layer_function
from mpscnn.converters.keras.normalizations import NORMALIZATIONS
from mpscnn.converters.keras.positions import as_channels
from mpscnn.converters.keras.recurrent import RECURRENT
from mpscnn.converters.keras.rows import along_rows, back
from mpscnn.converters.keras.shapes import SHAPES
from mpscnn.converters.lookup import rows_of_table
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layers.layer_maker import Tensor

Handler = Callable[[Applied], Tensor]


def _function_layer(c: Applied) -> Tensor:
    function, x = layer_function(c.layer.kind, c.settings, c.generation), c.x()
    if function.layers is not None:
        return function.layers(c.network, x, c.name())
    return x if function.neuron is None else c.network.activation(x, function.neuron, name=c.name())


def _layer_scale(c: Applied) -> Tensor:
    """Convert LayerScale, a factor for each channel, of ConvNeXt in keras.applications."""
    return affine(c.network, c.x(), scale=c.weights()["gamma"], offset=None, activation=None, name=c.name())


def _embedding(c: Applied) -> Tensor:
    """Convert Embedding: select rows of a table by integer indices."""
    if c.settings.flag("mask_zero", False):
        raise UnsupportedError("with a mask it is not supported")
    x, table = c.x(), c.weights()["embeddings"]
    if None in x.shape[1:]:
        raise UnsupportedError(f"looks up {x.shape}, whose number of elements is free")
    extents = [int(extent or 0) for extent in x.shape[1:]]
    numbers = c.network.reshape(x, [1, -1, 1], name=c.name("/numbers"))
    y = rows_of_table(c.network, numbers, table, c.name)
    return c.network.reshape(y, [*extents, table.shape[1]], name=c.name("/shape"))


def _prelu(c: Applied) -> Tensor:
    name = c.name()
    x, (slope,), back_again = as_channels(c, c.x(), c.weights()["alpha"])
    y = c.network.activation(x, "prelu", name=name)
    c.set_weight(name, "slope", np.asarray(slope, np.float32))
    return back_again(y)


# ---- Poolings ----------------------------------------------------------------------------------------------


def _pooling(c: Applied, kind: str, *, rows: bool) -> Tensor:
    x = along_rows(c, c.x()) if rows else c.image()
    size: Any = (1, c.settings.single("pool_size", 2)) if rows else c.settings.pair("pool_size", 2)
    strides = size
    if "strides" in c.settings:
        strides = (1, c.settings.single("strides", 2)) if rows else c.settings.pair("strides", 2)
    named = c.settings.text("padding", "valid")
    if named not in ("valid", "same"):
        raise UnsupportedError(f"the padding {named!r} is not supported")
    padding: PaddingName = "same" if named == "same" else "valid"
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


def _adaptive_pooling(c: Applied, kind: str, *, rows: bool) -> Tensor:
    """Convert adaptive poolings whose windows all have the same size and do not overlap."""
    x = along_rows(c, c.x()) if rows else c.image()
    wanted = (1, c.settings.single("output_size", 1)) if rows else c.settings.pair("output_size", 1)
    if None in x.shape[1:3] or min(wanted) < 1:
        raise UnsupportedError(f"windows for {wanted} positions of {x.shape}")
    extents = [extent or 0 for extent in x.shape[1:3]]
    if any(extent % count for extent, count in zip(extents, wanted, strict=True)):
        raise UnsupportedError(f"{wanted} windows of {x.shape}, which are of different sizes")
    size = (extents[0] // wanted[0], extents[1] // wanted[1])
    pool = c.network.max_pool2d if kind == "max" else c.network.average_pool2d
    y = pool(x, size, name=c.name())
    return back(c, y) if rows else y


def _adaptive_pool(kind: str, *, rows: bool) -> Handler:
    return lambda c: _adaptive_pooling(c, kind, rows=rows)


def _pool(kind: str, *, rows: bool) -> Handler:
    return lambda c: _pooling(c, kind, rows=rows)


def _global_pool(kind: str, *, rows: bool) -> Handler:
    return lambda c: _global_pooling(c, kind, rows=rows)


# ---- Others ------------------------------------------------------------------------------------------------


def _same(c: Applied) -> Tensor:
    return c.x()


# Layers that do nothing in inference.
_NOTHING = (
    "ActivityRegularization", "AlphaDropout", "AugMix", "Dropout", "GaussianDropout", "GaussianNoise", "Identity",
    "RandAugment", "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter", "RandomContrast",
    "RandomElasticTransform", "RandomErasing", "RandomFlip", "RandomGaussianBlur", "RandomGrayscale", "RandomHue",
    "RandomInvert", "RandomPerspective", "RandomPosterization", "RandomRotation", "RandomSaturation", "RandomSharpness",
    "RandomShear", "RandomTranslation", "RandomZoom", "SpatialDropout1D", "SpatialDropout2D",
    "StochasticDepth",
)  # fmt: skip


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(FUNCTIONS, _function_layer),
    **dict.fromkeys(_NOTHING, _same),
    "Embedding": _embedding,
    "LayerScale": _layer_scale,
    "PReLU": _prelu,
    "MaxPooling1D": _pool("max", rows=True),
    "MaxPooling2D": _pool("max", rows=False),
    "AveragePooling1D": _pool("average", rows=True),
    "AveragePooling2D": _pool("average", rows=False),
    "AdaptiveAveragePooling1D": _adaptive_pool("average", rows=True),
    "AdaptiveAveragePooling2D": _adaptive_pool("average", rows=False),
    "AdaptiveMaxPooling1D": _adaptive_pool("max", rows=True),
    "AdaptiveMaxPooling2D": _adaptive_pool("max", rows=False),
    "GlobalMaxPooling1D": _global_pool("max", rows=True),
    "GlobalMaxPooling2D": _global_pool("max", rows=False),
    "GlobalAveragePooling1D": _global_pool("average", rows=True),
    "GlobalAveragePooling2D": _global_pool("average", rows=False),
    **ATTENTION,
    **CONVOLUTIONS,
    **DENSE,
    **MERGES,
    **NORMALIZATIONS,
    **RECURRENT,
    **SHAPES,
}
"""The functions that convert layers, by the name of the class, including older names of classes."""
