"""Convolutional networks through Apple's Metal Performance Shaders on a Mac and a fast CPU engine everywhere.

    import mpscnn
    model = mpscnn.load("mobilenet_v2")
    print(model.predict("cat.jpg").top(3))

`load` for finished models, `Network` to build one, `mpscnn.models` for the field's architectures.
"""

from __future__ import annotations

from mpscnn import _core, models, registry
from mpscnn.errors import (
    DeviceError,
    DownloadError,
    Error,
    ImageError,
    ParameterError,
    ShapeError,
    StateError,
    UnsupportedError,
    WeightsError,
)
from mpscnn.layers.layer_maker import Tensor
from mpscnn.library import build_config, devices, operations, preprocess
from mpscnn.model import Model, load
from mpscnn.network import Network
from mpscnn.program import Program, Session
from mpscnn.results import Classification, Prediction
from mpscnn.signal import convolve1d, convolve2d, correlate1d, correlate2d

__version__ = _core.version()

__all__ = [
    "Classification",
    "DeviceError",
    "DownloadError",
    "Error",
    "ImageError",
    "Model",
    "Network",
    "ParameterError",
    "Prediction",
    "Program",
    "Session",
    "ShapeError",
    "StateError",
    "Tensor",
    "UnsupportedError",
    "WeightsError",
    "build_config",
    "convolve1d",
    "convolve2d",
    "correlate1d",
    "correlate2d",
    "devices",
    "load",
    "models",
    "operations",
    "preprocess",
    "registry",
]
