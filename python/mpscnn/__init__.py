"""Convolutional networks through Apple's Metal Performance Shaders on a Mac and a fast CPU engine everywhere.

    import mpscnn
    model = mpscnn.load("mobilenet_v2")
    print(model.predict("cat.jpg").top(3))

`load` for finished models, `Network` to build one, `mpscnn.models` for the field's architectures.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mpscnn import _core
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
from mpscnn.model import Model, load
from mpscnn.program import Program, Request, Session

if TYPE_CHECKING:
    from mpscnn import converters, kernels, models, registry
    from mpscnn import photo as photo  # for its documented functions; no part of "import *"
    from mpscnn.commands import CommandBuffer, CommandError, CommandQueue, CommandStatus
    from mpscnn.detection import Box, Detection, Detections
    from mpscnn.detector import DetectionHead, Detector
    from mpscnn.evaluation import Evaluation, evaluate
    from mpscnn.feature_image import Image, ImageDescriptor, TemporaryImage
    from mpscnn.features import FeatureExtractor
    from mpscnn.idx import read_idx
    from mpscnn.layers.layer_maker import Tensor
    from mpscnn.library import build_config, devices, empty, operations, preprocess
    from mpscnn.network import Network
    from mpscnn.padding import DefaultPadding, PaddingMethod
    from mpscnn.photo import YuvImage, open_photo
    from mpscnn.profile import KindTotal, Profile, ProfileStep
    from mpscnn.results import Classification, Prediction
    from mpscnn.runner import FrameFuture, Runner
    from mpscnn.segmentation import Area, Segmentation
    from mpscnn.signal import convolve1d, convolve2d, correlate1d, correlate2d
    from mpscnn.weights import unpack_binary_weights

__version__ = _core.version()

#: The names above that a program which only runs a model does not wait for: by module, imported at first use.
_LAZY = {
    "commands": ("CommandBuffer", "CommandError", "CommandQueue", "CommandStatus"),
    "detection": ("Box", "Detection", "Detections"),
    "detector": ("DetectionHead", "Detector"),
    "evaluation": ("Evaluation", "evaluate"),
    "feature_image": ("Image", "ImageDescriptor", "TemporaryImage"),
    "features": ("FeatureExtractor",),
    "idx": ("read_idx",),
    "layers.layer_maker": ("Tensor",),
    "library": ("build_config", "devices", "empty", "operations", "preprocess"),
    "network": ("Network",),
    "padding": ("DefaultPadding", "PaddingMethod"),
    "photo": ("YuvImage", "open_photo"),
    "profile": ("KindTotal", "Profile", "ProfileStep"),
    "results": ("Classification", "Prediction"),
    "runner": ("FrameFuture", "Runner"),
    "segmentation": ("Area", "Segmentation"),
    "signal": ("convolve1d", "convolve2d", "correlate1d", "correlate2d"),
    "weights": ("unpack_binary_weights",),
}
_MODULE_OF = {name: module for module, names in _LAZY.items() for name in names}
_LAZY_MODULES = ("converters", "kernels", "models", "registry", "photo")

__all__ = [
    "Area",
    "Box",
    "Classification",
    "CommandBuffer",
    "CommandError",
    "CommandQueue",
    "CommandStatus",
    "DefaultPadding",
    "Detection",
    "DetectionHead",
    "Detections",
    "Detector",
    "DeviceError",
    "DownloadError",
    "Error",
    "Evaluation",
    "FeatureExtractor",
    "FrameFuture",
    "Image",
    "ImageDescriptor",
    "ImageError",
    "KindTotal",
    "Model",
    "Network",
    "PaddingMethod",
    "ParameterError",
    "Prediction",
    "Profile",
    "ProfileStep",
    "Program",
    "Request",
    "Runner",
    "Segmentation",
    "Session",
    "ShapeError",
    "StateError",
    "TemporaryImage",
    "Tensor",
    "UnsupportedError",
    "WeightsError",
    "YuvImage",
    "build_config",
    "converters",
    "convolve1d",
    "convolve2d",
    "correlate1d",
    "correlate2d",
    "devices",
    "empty",
    "evaluate",
    "kernels",
    "load",
    "models",
    "open_photo",
    "operations",
    "preprocess",
    "read_idx",
    "registry",
    "unpack_binary_weights",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY_MODULES:
        return import_module(f"mpscnn.{name}")  # which makes it an attribute as well
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'mpscnn' has no attribute {name!r}")
    value = getattr(import_module(f"mpscnn.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_LAZY_MODULES})
