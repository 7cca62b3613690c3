"""List the supported operators of TensorFlow, and the reasons why others are not supported."""

from __future__ import annotations

from mpscnn.converters.tensorflow import array_ops, elementwise, linear_and_reductions, windows
from mpscnn.converters.tensorflow.operation import Handler

HANDLERS: dict[str, Handler] = {
    **windows.HANDLERS,
    **linear_and_reductions.HANDLERS,
    **elementwise.HANDLERS,
    **array_ops.HANDLERS,
}

_QUANTISED = "belongs to training with 8-bit integers: convert the network to TensorFlow Lite, which is read"
_LOOP = "loops are not supported"
_DETECTOR = (
    "chooses boxes, which is not supported: stop at the outputs before it (--outputs, `outputs=` in Python)"
)
_CROPS = (
    "cuts boxes out of images, so that its results are not those of each image: stop before it (--outputs, `outputs=` "
    "in Python)"
)
_LISTS = (
    "lists of tensors belong to loops, which are not supported: stop at the outputs before them (--outputs, `outputs=` "
    "in Python)"
)
_PHOTOS = "decodes files, which is done outside of the network: stop before it, or choose another signature"
_RANDOM = "random numbers are not supported"

REFUSED: dict[str, str] = {
    **dict.fromkeys(
        (
            "FakeQuantWithMinMaxVars",
            "FakeQuantWithMinMaxArgs",
            "FakeQuantWithMinMaxVarsPerChannel",
            "QuantizeAndDequantizeV2",
            "QuantizeAndDequantizeV4",
        ),
        _QUANTISED,
    ),
    **dict.fromkeys(("While", "StatelessWhile", "LoopCond", "NextIteration", "Exit", "Enter"), _LOOP),
    **dict.fromkeys(
        (
            "NonMaxSuppression",
            "NonMaxSuppressionV2",
            "NonMaxSuppressionV3",
            "NonMaxSuppressionV4",
            "NonMaxSuppressionV5",
            "CombinedNonMaxSuppression",
        ),
        _DETECTOR,
    ),
    "CropAndResize": _CROPS,
    **dict.fromkeys(
        (
            "TensorArrayV3",
            "TensorListFromTensor",
            "TensorListGetItem",
            "TensorListReserve",
            "TensorListSetItem",
            "TensorListStack",
        ),
        _LISTS,
    ),
    **dict.fromkeys(
        ("DecodeJpeg", "DecodePng", "DecodeImage", "DecodeBmp", "ParseExample", "ParseExampleV2", "ReadFile"),
        _PHOTOS,
    ),
    **dict.fromkeys(
        ("RandomUniform", "RandomStandardNormal", "TruncatedNormal", "RandomUniformInt"), _RANDOM
    ),
}
