"""Convert Keras's layers: one function for each class.

They raise UnsupportedError and WeightsError with only a reason. The caller adds the names of file and layer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from mpscnn._private.literals import PaddingName
from mpscnn.converters.affine import affine
from mpscnn.converters.keras.arithmetic import MERGES
from mpscnn.converters.keras.attention import ATTENTION
from mpscnn.converters.keras.channel_reshapes import as_channels
from mpscnn.converters.keras.config import KerasLayer
from mpscnn.converters.keras.convolutions import CONVOLUTIONS
from mpscnn.converters.keras.dense import DENSE
from mpscnn.converters.keras.functions import LAYERS as FUNCTIONS
from mpscnn.converters.keras.functions import layer_function
from mpscnn.converters.keras.layer_call import LayerCall
from mpscnn.converters.keras.normalizations import NORMALIZATIONS
from mpscnn.converters.keras.recurrent import RECURRENT
from mpscnn.converters.keras.sequences import convert_as_image, pair
from mpscnn.converters.keras.shapes import SHAPES
from mpscnn.converters.lookup import select_rows
from mpscnn.errors import UnsupportedError
from mpscnn.graph.layers.layer_maker import Tensor

Handler = Callable[[LayerCall], Tensor]


def _function_layer(c: LayerCall) -> Tensor:
    return c.applied(layer_function(c.layer.kind, c.settings, c.generation))


def _layer_scale(c: LayerCall) -> Tensor:
    """Convert LayerScale, a factor for each channel, of ConvNeXt in keras.applications."""
    return affine(c.network, c.x(), scale=c.weights()["gamma"], offset=None, activation=None, name=c.name())


def _embedding(c: LayerCall) -> Tensor:
    """Convert Embedding: select rows of a table by integer indices."""
    if c.settings.flag("mask_zero", False):
        raise UnsupportedError("with a mask it is not supported")
    x, table = c.x(), c.weights()["embeddings"]
    if None in x.shape[1:]:
        raise UnsupportedError(f"looks up {x.shape}, whose number of elements is free")
    extents = [int(extent or 0) for extent in x.shape[1:]]
    numbers = c.network.reshape(x, [1, -1, 1], name=c.name("/numbers"))
    y = select_rows(c.network, numbers, table, c.name)
    return c.network.reshape(y, [*extents, table.shape[1]], name=c.name("/shape"))


def _prelu(c: LayerCall) -> Tensor:
    name = c.name()
    x, (slope,), back_again = as_channels(c, c.x(), c.weights()["alpha"])
    y = c.network.activation(x, "prelu", name=name)
    c.set_weight(name, "slope", np.asarray(slope, np.float32))
    return back_again(y)


# ---- Poolings ----------------------------------------------------------------------------------------------


def _pooling(c: LayerCall, x: Tensor, kind: str) -> Tensor:
    size = pair(c, "pool_size", 2)
    strides = pair(c, "strides", 2) if "strides" in c.settings else size
    named = c.settings.text("padding", "valid")
    if named not in ("valid", "same"):
        raise UnsupportedError(f"the padding {named!r} is not supported")
    padding: PaddingName = "same" if named == "same" else "valid"
    if padding == "valid" and size == x.shape[1:3]:
        return _whole(c, kind)(x, name=c.name())
    return _windows(c, kind)(x, size, strides=strides, padding=padding, name=c.name())


def _global_pooling(c: LayerCall, x: Tensor, kind: str) -> Tensor:
    y = _whole(c, kind)(x, name=c.name())
    return y if c.settings.flag("keepdims", False) else c.network.flatten(y, name=c.name("/flatten"))


def _adaptive_pooling(c: LayerCall, x: Tensor, kind: str) -> Tensor:
    """Convert adaptive poolings whose windows all have the same size and do not overlap."""
    wanted = pair(c, "output_size", 1)
    if None in x.shape[1:3] or min(wanted) < 1:
        raise UnsupportedError(f"windows for {wanted} positions of {x.shape}")
    extents = [extent or 0 for extent in x.shape[1:3]]
    if any(extent % count for extent, count in zip(extents, wanted, strict=True)):
        raise UnsupportedError(f"{wanted} windows of {x.shape}, which are of different sizes")
    size = (extents[0] // wanted[0], extents[1] // wanted[1])
    return _windows(c, kind)(x, size, name=c.name())


def _whole(c: LayerCall, kind: str) -> Callable[..., Tensor]:
    return c.network.global_max_pool2d if kind == "max" else c.network.global_average_pool2d


def _windows(c: LayerCall, kind: str) -> Callable[..., Tensor]:
    return c.network.max_pool2d if kind == "max" else c.network.average_pool2d


def _poolings(name: str, handler: Callable[..., Tensor]) -> dict[str, Handler]:
    """Return the rows of the table for a family of poolings: average and max, of sequences and of images."""
    kinds = {"Average": "average", "Max": "max"}
    return {
        name.format(theirs, axes): convert_as_image(partial(handler, kind=kind))
        for theirs, kind in kinds.items()
        for axes in ("1D", "2D")
    }


# ---- Others ------------------------------------------------------------------------------------------------


def _same(c: LayerCall) -> Tensor:
    return c.x()


# Layers that change their input at random in training, and do nothing in inference.
_RANDOM = (
    "AlphaDropout", "AugMix", "Dropout", "GaussianDropout", "GaussianNoise",
    "RandAugment", "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter", "RandomContrast",
    "RandomElasticTransform", "RandomErasing", "RandomFlip", "RandomGaussianBlur", "RandomGrayscale", "RandomHue",
    "RandomInvert", "RandomPerspective", "RandomPosterization", "RandomRotation", "RandomSaturation", "RandomSharpness",
    "RandomShear", "RandomTranslation", "RandomZoom", "SpatialDropout1D", "SpatialDropout2D",
    "StochasticDepth",
)  # fmt: skip


def differs_in_training(layer: KerasLayer) -> bool:
    """Return True if a layer computes something else in training. Normalizations that are not trained do not."""
    if layer.kind == "BatchNormalization":
        return layer.trainable
    return layer.kind in _RANDOM or any(
        layer.settings.number(key, 0.0) > 0.0 for key in ("dropout", "recurrent_dropout")
    )


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(FUNCTIONS, _function_layer),
    **dict.fromkeys(("ActivityRegularization", "Identity", *_RANDOM), _same),
    "Embedding": _embedding,
    "LayerScale": _layer_scale,
    "PReLU": _prelu,
    **_poolings("{}Pooling{}", _pooling),
    **_poolings("Adaptive{}Pooling{}", _adaptive_pooling),
    **_poolings("Global{}Pooling{}", _global_pooling),
    **ATTENTION,
    **CONVOLUTIONS,
    **DENSE,
    **MERGES,
    **NORMALIZATIONS,
    **RECURRENT,
    **SHAPES,
}
"""The functions that convert layers, by the name of the class, including older names of classes."""
