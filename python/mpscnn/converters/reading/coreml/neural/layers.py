"""Convert the layers of Core ML's neural networks: one function for each kind, and the kinds that are refused."""

from __future__ import annotations

from typing import Any

from mpscnn.converters.reading.coreml.neural.array_ops import ARRAY_OPS
from mpscnn.converters.reading.coreml.neural.elementwise import ELEMENTWISE
from mpscnn.converters.reading.coreml.neural.indexing import INDEXING
from mpscnn.converters.reading.coreml.neural.linear_and_reductions import LINEAR_AND_REDUCTIONS
from mpscnn.converters.reading.coreml.neural.recurrent import RECURRENT
from mpscnn.converters.reading.coreml.neural.windows import WINDOWS
from mpscnn.converters.reading.coreml.schema import LAYERS
from mpscnn.converters.values.rows import Row

_REASONS = {
    "sequences of several lengths are not supported": "reverseSeq",
    "holds code of its author's app, which is not in the file": "custom",
    "control flow is not supported": "branch loop loopBreak loopContinue",
    "random numbers are not supported": "randomNormalLike randomNormalStatic randomNormalDynamic randomUniformLike "
    "randomUniformStatic randomUniformDynamic randomBernoulliLike randomBernoulliStatic randomBernoulliDynamic "
    "categoricalDistribution",
    "3-D layers are not supported": "pooling3d globalPooling3d convolution3d",
    "the shape of its result depends on what the network computes, which is not supported": "rangeDynamic "
    "sliceDynamic fillDynamic broadcastToDynamic reshapeDynamic whereNonZero sliceBySize getShape",
    "suppression of boxes within a network is not supported: write it as a part of a pipeline, after the network": (
        "NonMaximumSuppression"
    ),
    "mpscnn has no such layer": "cropResize matrixBandPart lowerTriangular upperTriangular slidingWindows rangeStatic "
    "fillLike broadcastToLike reshapeLike",
}
REFUSED = {kind: reason for reason, kinds in _REASONS.items() for kind in kinds.split()}
"""The reason why a kind of layer is not supported, by Core ML's name."""

ROWS: dict[str, Row] = {
    **ELEMENTWISE,
    **ARRAY_OPS,
    **INDEXING,
    **LINEAR_AND_REDUCTIONS,
    **RECURRENT,
    **WINDOWS,
}
"""The rows of layers, by kind: the name of the message's field with the parameters."""


def layer_kind(layer: Any) -> str | None:
    """Return the kind of a layer's message; None for a kind that is missing or unknown (from a newer Core ML)."""
    return next((name for name in layer.stated() if name in LAYERS), None)
