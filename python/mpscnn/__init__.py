"""Convolutional networks through Apple's Metal Performance Shaders on a Mac and a fast CPU engine everywhere.

    import mpscnn
    model = mpscnn.load("mobilenet_v2")
    print(model.predict("cat.jpg").top(3))

Use `load` for complete models, `Network` to build one, and `mpscnn.models` for known architectures.
"""

from __future__ import annotations

from mpscnn._private import command_start as _command_start  # noqa: F401 - it acts when it is imported

# isort: split
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

try:
    from mpscnn import _core
except ImportError as error:
    if "partially initialized" not in str(error):
        raise
    from pathlib import Path as _Path

    from mpscnn._private.missing_core import reason_for_missing_core

    raise ImportError(reason_for_missing_core(_Path(__file__).parent)) from None

# isort: split
from mpscnn._private import toolkit
from mpscnn._private.other_names import explain_unknown_names
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

if TYPE_CHECKING:
    from mpscnn import __config__ as __config__
    from mpscnn import (
        converters,
        kernels,
        models,
        nodes,
        onnx_backend,
        onnxruntime,
        registry,
        samples,
        training,
    )
    from mpscnn import sklearn as sklearn  # not in "import *", where it would hide scikit-learn itself
    from mpscnn.apps import ray as ray  # not in "import *", where it would hide Ray itself
    from mpscnn.apps.train.complete_training import TrainedModel
    from mpscnn.apps.train.dispatch import train
    from mpscnn.apps.train.report import TrainingReport
    from mpscnn.apps.train.scene_report import DetectorMeasures, SceneReport
    from mpscnn.apps.train.train_classifier import train_classifier
    from mpscnn.apps.train.train_scenes import train_detector, train_segmenter
    from mpscnn.apps.video.stream import Video, VideoFrame, video
    from mpscnn.comparison import (
        ComparedLayer,
        Comparison,
        LayerPrecision,
        PrecisionFigures,
        PrecisionReport,
        PrecisionTable,
        check_precision,
        compare,
        compare_precisions,
    )
    from mpscnn.converters.reading.keras.live import from_keras
    from mpscnn.converters.reading.pytorch.module import from_torch
    from mpscnn.evaluation.classifier import Evaluation
    from mpscnn.evaluation.data_check import DataCheck, check_data
    from mpscnn.evaluation.detector import DetectorEvaluation, evaluate_detector
    from mpscnn.evaluation.dispatch import evaluate
    from mpscnn.evaluation.finding import Finding
    from mpscnn.evaluation.segmenter import SegmenterEvaluation, evaluate_segmenter
    from mpscnn.graph.features import FeatureExtractor
    from mpscnn.graph.gradients import GradientCheck, check_gradients
    from mpscnn.graph.layers.layer_maker import Tensor
    from mpscnn.graph.network import Network
    from mpscnn.graph.padding import DefaultPadding, PaddingMethod
    from mpscnn.graph.weights import unpack_binary_weights
    from mpscnn.model import Model, load
    from mpscnn.onnxruntime import InferenceSession
    from mpscnn.quantization import QuantizationReport, QuantizedLayer, quantize
    from mpscnn.runner.runner import FrameFuture, Runner
    from mpscnn.runtime.commands import CommandBuffer, CommandError, CommandQueue, CommandStatus
    from mpscnn.runtime.feature_image import Image, ImageDescriptor, TemporaryImage
    from mpscnn.runtime.library import build_config, devices, empty, get_device, is_available, operations
    from mpscnn.runtime.options import CompileOptions, RunOptions
    from mpscnn.runtime.profile import KindTotal, Profile, ProfileStep
    from mpscnn.runtime.profiling import profile
    from mpscnn.runtime.program import Program, Session
    from mpscnn.runtime.request import Request
    from mpscnn.runtime.slow_precision import SlowPrecisionWarning
    from mpscnn.signal import convolve1d, convolve2d, correlate1d, correlate2d
    from mpscnn.training.early_stopping import EarlyStopping
    from mpscnn.training.history import Epoch, History
    from mpscnn.training.image_folder import ImageFolder
    from mpscnn.training.optimizers import Adam, AdamW, RmsProp, Sgd
    from mpscnn.training.photo_views import Augmentation
    from mpscnn.training.progress import Evaluated
    from mpscnn.training.scenes.views import SceneAugmentation
    from mpscnn.training.trainer import Trainer
    from mpscnn.vision import photo as photo  # for its documented functions; not in "import *"
    from mpscnn.vision.box import Box
    from mpscnn.vision.detection import Detection, Detections
    from mpscnn.vision.detector import DetectionHead, Detector
    from mpscnn.vision.idx import read_idx
    from mpscnn.vision.photo import YuvImage, open_photo
    from mpscnn.vision.preprocessing import preprocess
    from mpscnn.vision.results import Classification, Prediction
    from mpscnn.vision.segmentation import Area, Segmentation
    from mpscnn.vision.tracked_detections import TrackedDetections

    # Other frameworks' names of our classes and functions.
    SGD, RMSprop, load_model = Sgd, RmsProp, load

__version__ = _core.version()

# Register how to import the parts of the toolkit that the library uses.
toolkit.provide(
    toolkit.Importers(
        converters=lambda: cast(
            toolkit.Converter, import_module("mpscnn.converters.formats.conversion_cache")
        ),
        writers=lambda: cast(toolkit.Writers, import_module("mpscnn.converters.formats.writers")),
        precisions=lambda: cast(toolkit.Precisions, import_module("mpscnn.comparison.precision_choice")),
        coreml_programs=lambda: cast(
            toolkit.CoremlPrograms, import_module("mpscnn.converters.writing.coreml.compiled_program")
        ),
        calibrations=lambda: cast(toolkit.Calibrations, import_module("mpscnn.evaluation.calibration")),
    )
)

#: Names that are imported at their first use, by module, so that a program or a command imports only what it needs.
_LAZY = {
    "model": ("Model", "load"),
    "runtime.options": ("CompileOptions", "RunOptions"),
    "runtime.program": ("Program", "Session"),
    "runtime.slow_precision": ("SlowPrecisionWarning",),
    "runtime.request": ("Request",),
    "comparison": (
        "ComparedLayer",
        "Comparison",
        "LayerPrecision",
        "PrecisionFigures",
        "PrecisionReport",
        "PrecisionTable",
        "check_precision",
        "compare",
        "compare_precisions",
    ),
    "converters.reading.keras.live": ("from_keras",),
    "converters.reading.pytorch.module": ("from_torch",),
    "quantization": ("QuantizationReport", "QuantizedLayer", "quantize"),
    "onnxruntime": ("InferenceSession",),
    "runtime.commands": ("CommandBuffer", "CommandError", "CommandQueue", "CommandStatus"),
    "vision.box": ("Box",),
    "vision.detection": ("Detection", "Detections"),
    "vision.detector": ("DetectionHead", "Detector"),
    "vision.tracked_detections": ("TrackedDetections",),
    "evaluation.data_check": ("DataCheck", "check_data"),
    "evaluation.detector": ("DetectorEvaluation", "evaluate_detector"),
    "evaluation.classifier": ("Evaluation",),
    "evaluation.dispatch": ("evaluate",),
    "evaluation.finding": ("Finding",),
    "evaluation.segmenter": ("SegmenterEvaluation", "evaluate_segmenter"),
    "runtime.feature_image": ("Image", "ImageDescriptor", "TemporaryImage"),
    "graph.features": ("FeatureExtractor",),
    "vision.idx": ("read_idx",),
    "graph.layers.layer_maker": ("Tensor",),
    "runtime.library": ("build_config", "devices", "empty", "get_device", "is_available", "operations"),
    "vision.preprocessing": ("preprocess",),
    "graph.network": ("Network",),
    "graph.padding": ("DefaultPadding", "PaddingMethod"),
    "vision.photo": ("YuvImage", "open_photo"),
    "runtime.profile": ("KindTotal", "Profile", "ProfileStep"),
    "runtime.profiling": ("profile",),
    "vision.results": ("Classification", "Prediction"),
    "runner.runner": ("FrameFuture", "Runner"),
    "apps.train.dispatch": ("train",),
    "apps.train.report": ("TrainingReport",),
    "apps.train.scene_report": ("DetectorMeasures", "SceneReport"),
    "apps.train.train_scenes": ("train_detector", "train_segmenter"),
    "apps.train.train_classifier": ("train_classifier",),
    "apps.train.complete_training": ("TrainedModel",),
    "apps.video.stream": ("Video", "VideoFrame", "video"),
    "graph.gradients": ("GradientCheck", "check_gradients"),
    "training.image_folder": ("ImageFolder",),
    "training.photo_views": ("Augmentation",),
    "training.optimizers": ("Adam", "AdamW", "RmsProp", "Sgd"),
    "training.progress": ("Evaluated",),
    "training.scenes.views": ("SceneAugmentation",),
    "training.early_stopping": ("EarlyStopping",),
    "training.history": ("Epoch", "History"),
    "training.trainer": ("Trainer",),
    "vision.segmentation": ("Area", "Segmentation"),
    "signal": ("convolve1d", "convolve2d", "correlate1d", "correlate2d"),
    "graph.weights": ("unpack_binary_weights",),
}
#: Functions of modules that users look for in the package itself.
_FORWARDED = {
    **dict.fromkeys(("export_onnx", "export_tflite", "export_coreml", "read_network"), "converters"),
    "show_config": "__config__",
}
#: Other frameworks' names of our classes and functions.
_EXPECTED = {
    "SGD": "Sgd",
    "RMSprop": "RmsProp",
    "load_model": "load",
    "augment": "Augmentation",
    "from_timm": "from_torch",
    "image_dataset_from_directory": "ImageFolder",
}
_MODULE_OF = {name: module for module, names in _LAZY.items() for name in names} | _FORWARDED
_LAZY_MODULES = {
    name: name
    for name in (
        "__config__",
        "converters",
        "kernels",
        "models",
        "nodes",
        "onnx_backend",
        "onnxruntime",
        "registry",
        "samples",
        "sklearn",
        "training",
    )
} | {"photo": "vision.photo", "ray": "apps.ray"}

__all__ = [
    "Adam",
    "AdamW",
    "Area",
    "Augmentation",
    "Box",
    "Classification",
    "CommandBuffer",
    "CommandError",
    "CommandQueue",
    "CommandStatus",
    "ComparedLayer",
    "Comparison",
    "CompileOptions",
    "DataCheck",
    "DefaultPadding",
    "Detection",
    "DetectionHead",
    "Detections",
    "Detector",
    "DetectorEvaluation",
    "DetectorMeasures",
    "DeviceError",
    "DownloadError",
    "EarlyStopping",
    "Epoch",
    "Error",
    "Evaluated",
    "Evaluation",
    "FeatureExtractor",
    "Finding",
    "FrameFuture",
    "GradientCheck",
    "History",
    "Image",
    "ImageDescriptor",
    "ImageError",
    "ImageFolder",
    "InferenceSession",
    "KindTotal",
    "LayerPrecision",
    "Model",
    "Network",
    "PaddingMethod",
    "ParameterError",
    "PrecisionFigures",
    "PrecisionReport",
    "PrecisionTable",
    "Prediction",
    "Profile",
    "ProfileStep",
    "Program",
    "QuantizationReport",
    "QuantizedLayer",
    "Request",
    "RmsProp",
    "RunOptions",
    "Runner",
    "SceneAugmentation",
    "SceneReport",
    "Segmentation",
    "SegmenterEvaluation",
    "Session",
    "Sgd",
    "ShapeError",
    "SlowPrecisionWarning",
    "StateError",
    "TemporaryImage",
    "Tensor",
    "TrackedDetections",
    "TrainedModel",
    "Trainer",
    "TrainingReport",
    "UnsupportedError",
    "Video",
    "VideoFrame",
    "WeightsError",
    "YuvImage",
    "build_config",
    "check_data",
    "check_gradients",
    "check_precision",
    "compare",
    "compare_precisions",
    "converters",
    "convolve1d",
    "convolve2d",
    "correlate1d",
    "correlate2d",
    "devices",
    "empty",
    "evaluate",
    "evaluate_detector",
    "evaluate_segmenter",
    "from_keras",
    "from_torch",
    "get_device",
    "is_available",
    "kernels",
    "load",
    "models",
    "nodes",
    "onnx_backend",
    "onnxruntime",
    "open_photo",
    "operations",
    "preprocess",
    "profile",
    "quantize",
    "read_idx",
    "registry",
    "samples",
    "train",
    "train_classifier",
    "train_detector",
    "train_segmenter",
    "training",
    "unpack_binary_weights",
    "video",
]


def _imported(name: str) -> Any:
    """Return a module, or a name of one."""
    if name in _LAZY_MODULES:
        return import_module(f"mpscnn.{_LAZY_MODULES[name]}")
    name = _EXPECTED.get(name, name)
    return getattr(import_module(f"mpscnn.{_MODULE_OF[name]}"), name)


def _hint(name: str) -> str:
    """Return a hint that says where mpscnn has a class of Apple's or of onnxruntime, or "" if it has none."""
    from mpscnn import kernels, nodes, onnxruntime

    own = name.removeprefix("MPS").removeprefix("MTL")
    if own in __all__:
        return f"; it is {own!r} here"
    if name in (*nodes.names(), *nodes.__all__):
        return f"; it is mpscnn.nodes.{name}"
    if name in onnxruntime.__all__:
        return f"; it is mpscnn.onnxruntime.{name}"
    raw = own.removeprefix("CNN").removeprefix("NN")
    return f"; it is mpscnn.kernels.{raw}" if raw in kernels.__all__ else ""


def __dir__() -> list[str]:
    return sorted({*__all__, *_LAZY_MODULES, *(name for name in globals() if name.startswith("__"))})


explain_unknown_names(__name__, make=_imported, made={**_LAZY_MODULES, **_MODULE_OF, **_EXPECTED}, hint=_hint)
