"""List the functions that convert TensorFlow Lite's operators, one for each kind.

They raise UnsupportedError and WeightsError with only a reason. The caller adds the names of file and layer.
"""

from __future__ import annotations

from mpscnn.converters.tflite.arithmetic import ARITHMETIC
from mpscnn.converters.tflite.array_ops import ARRAY_OPS
from mpscnn.converters.tflite.convolutions import CONVOLUTIONS
from mpscnn.converters.tflite.detection import DETECTION
from mpscnn.converters.tflite.indexing import INDEXING
from mpscnn.converters.tflite.logic import LOGIC
from mpscnn.converters.tflite.matrices import MATRICES
from mpscnn.converters.tflite.mediapipe import MEDIAPIPE
from mpscnn.converters.tflite.operation import Handler
from mpscnn.converters.tflite.recurrent import RECURRENT
from mpscnn.converters.tflite.reductions import REDUCTIONS
from mpscnn.converters.tflite.shapes import SHAPES
from mpscnn.converters.tflite.slicing import PARTS

OPERATORS: dict[str, Handler] = {
    **ARITHMETIC,
    **ARRAY_OPS,
    **CONVOLUTIONS,
    **DETECTION,
    **INDEXING,
    **LOGIC,
    **MATRICES,
    **MEDIAPIPE,
    **PARTS,
    **RECURRENT,
    **REDUCTIONS,
    **SHAPES,
}
"""The functions that convert operators, by TensorFlow Lite's name of the operator."""
