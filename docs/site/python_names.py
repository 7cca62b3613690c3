"""Define the pages of the Python reference: which public names are on which page."""

from __future__ import annotations

#: Title, first sentence, and names of each page. mkdocstrings writes their documentation.
PAGES: dict[str, tuple[str, str, list[str]]] = {
    "models": (
        "Models and results",
        "Look up here how Python loads a model and what it answers about a photo.",
        [
            *("load", "Model", "Classification", "Prediction", "Detections", "Detection", "Box"),
            *("TrackedDetections", "Segmentation", "Area", "FeatureExtractor", "registry", "samples"),
        ],
    ),
    "photos": (
        "Photos and videos",
        "Look up here how Python opens photos and videos and makes a network's input of them.",
        ["open_photo", "YuvImage", "preprocess", "video", "Video", "VideoFrame", "read_idx"],
    ),
    "networks": (
        "Networks",
        "Look up here how Python builds a network from layers, compiles it and runs it.",
        [
            *(
                "Network",
                "Tensor",
                "DefaultPadding",
                "PaddingMethod",
                "Program",
                "Session",
                "Request",
                "Runner",
            ),
            *("FrameFuture", "Profile", "ProfileStep", "KindTotal", "DetectionHead", "Detector"),
            *("CompileOptions", "RunOptions", "unpack_binary_weights", "models"),
            *("profile", "get_device", "is_available"),
        ],
    ),
    "conversion": (
        "Conversion, comparison, precision",
        "Look up here how Python converts, compares and quantises networks.",
        [
            *(
                "converters",
                "from_torch",
                "from_keras",
                "onnx_backend",
                "onnxruntime",
                "InferenceSession",
                "compare",
                "Comparison",
                "ComparedLayer",
                "check_precision",
            ),
            *(
                "LayerPrecision",
                "PrecisionReport",
                "compare_precisions",
                "PrecisionFigures",
                "PrecisionTable",
            ),
            *("quantize", "QuantizationReport", "QuantizedLayer"),
        ],
    ),
    "training": (
        "Training and evaluation",
        "Look up here how Python trains a network and measures its accuracy.",
        [
            *("Trainer", "Sgd", "RmsProp", "Adam", "EarlyStopping", "History", "Epoch", "Evaluated"),
            *("ImageFolder", "Augmentation", "check_gradients", "GradientCheck", "evaluate", "Evaluation"),
            *("evaluate_detector", "DetectorEvaluation", "evaluate_segmenter", "SegmenterEvaluation"),
            *("check_data", "DataCheck", "Finding"),
            *(
                "AdamW",
                "DetectorMeasures",
                "SceneAugmentation",
                "SceneReport",
                "TrainedModel",
                "TrainingReport",
                "train",
                "train_classifier",
                "train_detector",
                "train_segmenter",
            ),
            "training",
        ],
    ),
    "kernels": (
        "Raw kernels and nodes",
        "Look up here how Python uses Apple's kernel classes, images, command buffers and nodes.",
        [
            *("kernels", "nodes", "CommandQueue", "CommandBuffer", "CommandStatus", "CommandError"),
            *("Image", "ImageDescriptor", "TemporaryImage"),
        ],
    ),
    "library": (
        "Devices, signals, errors",
        "Look up here what Python says about devices and the build, and which errors it raises.",
        [
            *("devices", "build_config", "operations", "empty", "convolve1d", "convolve2d", "correlate1d"),
            *("correlate2d", "Error", "ParameterError", "ShapeError", "WeightsError", "ImageError"),
            *("UnsupportedError", "DeviceError", "StateError", "DownloadError", "SlowPrecisionWarning"),
        ],
    ),
}


def pages() -> dict[str, str]:
    """Return the Markdown of every page by its name."""
    return {name: _page(*content) for name, content in PAGES.items()}


def _page(title: str, sentence: str, names: list[str]) -> str:
    return "\n\n".join([f"# {title}", sentence, *(f"::: mpscnn.{name}" for name in names)]) + "\n"
