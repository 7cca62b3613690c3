"""List the supported operators of TensorFlow, and the reasons why others are not supported."""

from __future__ import annotations

from mpscnn.converters.reading.tensorflow import array_ops, elementwise, linear_and_reductions, windows
from mpscnn.converters.values.rows import Row

ROWS: dict[str, Row] = {
    **windows.ROWS,
    **linear_and_reductions.ROWS,
    **elementwise.ROWS,
    **array_ops.ROWS,
}

_REASONS = {
    "belongs to training with 8-bit integers: convert the network to TensorFlow Lite, which is read": """
        FakeQuantWithMinMaxVars FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVarsPerChannel QuantizeAndDequantizeV2
        QuantizeAndDequantizeV4""",
    "loops are not supported": "While StatelessWhile LoopCond NextIteration Exit Enter",
    "chooses boxes, which is not supported: stop at the outputs before it (--outputs, `outputs=` in Python)": """
        NonMaxSuppression NonMaxSuppressionV2 NonMaxSuppressionV3 NonMaxSuppressionV4 NonMaxSuppressionV5
        CombinedNonMaxSuppression""",
    "cuts boxes out of images, so that its results are not those of each image: stop before it (--outputs, `outputs=` "
    "in Python)": "CropAndResize",
    "lists of tensors belong to loops, which are not supported: stop at the outputs before them (--outputs, `outputs=` "
    "in Python)": """
        TensorArrayV3 TensorListFromTensor TensorListGetItem TensorListReserve TensorListSetItem TensorListStack""",
    "decodes files, which is done outside of the network: stop before it, or choose another signature": """
        DecodeJpeg DecodePng DecodeImage DecodeBmp ParseExample ParseExampleV2 ReadFile""",
    "random numbers are not supported": "RandomUniform RandomStandardNormal TruncatedNormal RandomUniformInt",
}
REFUSED = {kind: reason for reason, kinds in _REASONS.items() for kind in kinds.split()}
"""The reason why an operator is not supported, by TensorFlow's name."""
