"""List the functions that convert Keras's layers and functions, by the name of the class, and the refused layers.

They raise UnsupportedError and WeightsError with only a reason. The caller adds the names of file and layer.
"""

from __future__ import annotations

from typing import Any

from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading.keras.arithmetic import ARITHMETIC, MERGES, like_layer
from mpscnn.converters.reading.keras.array_ops import ARRAY_FUNCTIONS, ARRAYS
from mpscnn.converters.reading.keras.attention import ATTENTION
from mpscnn.converters.reading.keras.config import KerasLayer
from mpscnn.converters.reading.keras.convolutions import CONVOLUTIONS
from mpscnn.converters.reading.keras.dense import DENSE
from mpscnn.converters.reading.keras.functions import LAYERS as ACTIVATIONS
from mpscnn.converters.reading.keras.images import IMAGES
from mpscnn.converters.reading.keras.layer_call import LayerCall
from mpscnn.converters.reading.keras.normalizations import NORMALIZATIONS
from mpscnn.converters.reading.keras.recurrent import RECURRENT
from mpscnn.converters.reading.keras.row_calls import X, call_row
from mpscnn.converters.reading.keras.settings import Text
from mpscnn.converters.values.rows import Row, ignores, schema_of
from mpscnn.converters.values.tensor import FileTensor
from mpscnn.errors import UnsupportedError

_REASONS = {
    "recurrent layers of this kind are not supported": """
        ConvLSTM1D ConvLSTM2D ConvLSTM3D GRUCell LSTMCell RNN SimpleRNN SimpleRNNCell StackedRNNCells""",
    "holds code of Python, which is never executed: build the model without Lambda layers and load its weights": """
        Lambda""",
    "is an operation of TensorFlow: save the model as .tflite or .onnx": "TensorFlowOpLayer TFSMLayer",
    "is a module of another framework: convert it from there": "FlaxLayer JaxLayer TorchModuleWrapper",
    "attention of this kind is not supported": "AdditiveAttention GroupQueryAttention GroupedQueryAttention",
    "lookups of words in both directions are not supported": "ReversibleEmbedding",
    "text and categories are not supported": """
        CategoryEncoding Discretization HashedCrossing Hashing IntegerLookup StringLookup TextVectorization""",
    "wrappers of layers are not supported": "Pipeline SpectralNormalization Wrapper",
    "masks are not supported": "Masking",
    "spectra of sound are not supported": "MelSpectrogram STFTSpectrogram",
    "3-D layers are not supported": """
        AdaptiveAveragePooling3D AdaptiveMaxPooling3D AveragePooling3D Conv3D Conv3DTranspose Cropping3D
        GlobalAveragePooling3D GlobalMaxPooling3D MaxPooling3D SpatialDropout3D UpSampling3D ZeroPadding3D""",
    "crops at random; leave it out of the model that is saved": "RandomCrop",
    "changes photos depending on their content; remove it before you save the model": """
        AutoContrast ContrastLimitedAdaptiveHistogramEqualization CutMix Equalization MaxNumBoundingBoxes MixUp
        Solarization""",
}

REFUSED = {kind: reason for reason, kinds in _REASONS.items() for kind in kinds.split()}
"""The reason by the name of the class."""


def _same(x: X) -> FileTensor:
    return x


def _without_effect(*settings: str) -> Row:
    """Return the row of a layer that does nothing in inference, whatever these settings are."""

    @ignores(*settings)
    def row(x: X) -> FileTensor:
        return x

    return row


def _of_any_settings(x: X, **_: Any) -> FileTensor:
    """Convert StochasticDepth, which Keras does not have: each package's class has settings of its own."""
    return x


_DROPOUT = _without_effect("data_format", "noise_shape", "rate", "seed")
_PHOTO = _without_effect(
    "all_ops", "alpha", "bounding_box_format", "brightness_factor", "chain_depth", "contrast_factor", "data_format",
    "factor", "fill_mode", "fill_value", "height_factor", "hue_factor", "interpolation", "kernel_size", "mode",
    "num_chains", "num_ops", "saturation_factor", "scale", "seed", "sigma", "value_range", "width_factor", "x_factor",
    "y_factor",
)  # fmt: skip
_OF_PHOTOS = (
    "AugMix", "RandAugment", "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter", "RandomContrast",
    "RandomElasticTransform", "RandomErasing", "RandomFlip", "RandomGaussianBlur", "RandomGrayscale", "RandomHue",
    "RandomInvert", "RandomPerspective", "RandomPosterization", "RandomRotation", "RandomSaturation", "RandomSharpness",
    "RandomShear", "RandomTranslation", "RandomZoom",
)  # fmt: skip
_DROPOUTS = ("AlphaDropout", "Dropout", "GaussianDropout", "SpatialDropout1D", "SpatialDropout2D")
# Layers that change their input at random in training, and do nothing in inference.
_RANDOM: dict[str, Row] = {
    **dict.fromkeys(_DROPOUTS, _DROPOUT),
    **dict.fromkeys(_OF_PHOTOS, _PHOTO),
    "GaussianNoise": _without_effect("seed", "stddev"),
    "StochasticDepth": _of_any_settings,
}


POINTWISE = frozenset({"Activation", "Dense", "ELU", "LeakyReLU", "ReLU", *_RANDOM})
"""Layers that compute the same for each step of a sequence, with any number of axes before the last one."""


def differs_in_training(layer: KerasLayer) -> bool:
    """Return True if a layer computes something else in training. Normalizations that are not trained do not."""
    if layer.kind == "BatchNormalization":
        return layer.trainable
    return layer.kind in _RANDOM or any(
        layer.settings.number(key, 0.0) > 0.0 for key in ("dropout", "recurrent_dropout")
    )


FUNCTIONS: dict[str, Row] = {**ARITHMETIC, **ARRAY_FUNCTIONS}
"""The functions that convert calls of keras.ops."""

# The names in keras.ops of TensorFlow's functions, which TFOpLambda layers of Keras 2 call.
_TENSORFLOW = {
    "__operators__.add": "Add",
    "cast": "Cast",
    "clip_by_value": "Clip",
    "concat": "Concatenate",
    "expand_dims": "ExpandDims",
    "linalg.matmul": "Matmul",
    "math.abs": "Absolute",
    "math.add": "Add",
    "math.divide": "TrueDivide",
    "math.exp": "Exp",
    "math.maximum": "Maximum",
    "math.minimum": "Minimum",
    "math.multiply": "Multiply",
    "math.pow": "Power",
    "math.reduce_max": "Max",
    "math.reduce_mean": "Mean",
    "math.reduce_min": "Min",
    "math.reduce_sum": "Sum",
    "math.rsqrt": "Rsqrt",
    "math.sigmoid": "Sigmoid",
    "math.sqrt": "Sqrt",
    "math.square": "Square",
    "math.subtract": "Subtract",
    "math.tanh": "Tanh",
    "math.truediv": "TrueDivide",
    "nn.gelu": "Gelu",
    "nn.relu": "Relu",
    "nn.relu6": "Relu6",
    "nn.silu": "Silu",
    "nn.softmax": "Softmax",
    "nn.softplus": "Softplus",
    "reshape": "Reshape",
    "split": "Split",
    "squeeze": "Squeeze",
    "stack": "Stack",
    "tile": "Tile",
    "transpose": "Transpose",
}
# The names of settings in keras.ops for those of TensorFlow's arguments that differ.
_ARGUMENTS = {
    "clip_value_max": "x_max",
    "clip_value_min": "x_min",
    "multiples": "repeats",
    "num_or_size_splits": "indices_or_sections",
    "perm": "axes",
    "shape": "newshape",
}
# The arguments that are operands, and those that change nothing.
_OTHER_ARGUMENTS = {"b", "conjugate", "dtype", "name", "y"}
_DEFAULTS = {"beta": 1.0}


def _tensorflow_function(c: LayerCall, *, function: Text = "") -> Any:
    if function not in _TENSORFLOW:
        raise UnsupportedError(f"TensorFlow's function {quote_name(function)} is not supported")
    row = FUNCTIONS[_TENSORFLOW[function]]
    schema = schema_of(row)
    given: dict[str, Any] = {"approximate": False} if function == "nn.gelu" else {}
    for key, value in c.keywords.items():
        name = _ARGUMENTS.get(key, key)
        if name in schema.settings or (schema.passes_on and key not in _OTHER_ARGUMENTS):
            given[name] = value
        elif key not in _OTHER_ARGUMENTS and value not in (None, False, _DEFAULTS.get(key)):
            raise UnsupportedError(
                f"TensorFlow's function {quote_name(function)} is not supported with the argument {quote_name(key)}"
            )
    if function == "split" and isinstance(c.keywords.get("num_or_size_splits"), list):
        raise UnsupportedError("splits into parts of different sizes, which is not supported")
    return call_row(row, c, given)


ROWS: dict[str, Row] = {
    **{kind: like_layer(kind) for kind in ACTIVATIONS},
    **_RANDOM,
    "ActivityRegularization": _without_effect("l1", "l2"),
    "Identity": _same,
    "TFOpLambda": _tensorflow_function,
    **ARRAYS,
    **ATTENTION,
    **CONVOLUTIONS,
    **DENSE,
    **IMAGES,
    **MERGES,
    **NORMALIZATIONS,
    **RECURRENT,
}
"""The functions that convert layers, by the name of the class, including older names of classes."""
