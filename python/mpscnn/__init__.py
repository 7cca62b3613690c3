"""Convolutional networks through Apple's Metal Performance Shaders on a Mac and a fast CPU engine everywhere.

    import mpscnn
    model = mpscnn.load("mobilenet_v2")
    print(model.predict("cat.jpg").top(3))

`load` for finished models, `Network` to build one, `mpscnn.models` for the field's architectures.
"""

from __future__ import annotations

from mpscnn import _core, converters, kernels, models, registry
from mpscnn.commands import CommandBuffer, CommandError, CommandQueue, CommandStatus
from mpscnn.detection import Box, Detection, Detections
from mpscnn.detector import DetectionHead, Detector
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
from mpscnn.evaluation import Evaluation, evaluate
from mpscnn.feature_image import Image, ImageDescriptor, TemporaryImage
from mpscnn.features import FeatureExtractor
from mpscnn.idx import read_idx
from mpscnn.layers.layer_maker import Tensor
from mpscnn.library import build_config, devices, empty, operations, preprocess
from mpscnn.model import Model, load
from mpscnn.network import Network
from mpscnn.padding import DefaultPadding, PaddingMethod
from mpscnn.photo import YuvImage, open_photo
from mpscnn.program import Program, Request, Session
from mpscnn.results import Classification, Prediction
from mpscnn.runner import FrameFuture, Runner
from mpscnn.segmentation import Area, Segmentation
from mpscnn.signal import convolve1d, convolve2d, correlate1d, correlate2d
from mpscnn.weights import unpack_binary_weights

__version__ = _core.version()

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
    "Model",
    "Network",
    "PaddingMethod",
    "ParameterError",
    "Prediction",
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
