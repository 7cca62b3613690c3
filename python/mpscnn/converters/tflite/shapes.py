"""Convert TensorFlow Lite's operators that compute shapes. Their results are constants, or depend on free extents.

Frameworks export code such as `x.shape[0]` as SHAPE, STRIDED_SLICE, PACK, ...
"""

from __future__ import annotations

import numpy as np

from mpscnn.converters.constant import CHEAP, Constant, listed
from mpscnn.converters.constant_pair import Array
from mpscnn.converters.tflite.operation import Handler, Made, Operation


def _broadcast_args(o: Operation) -> Made:
    """Compute BROADCAST_ARGS: the shape to which two shapes are broadcast."""

    def broadcast(*shapes: Array) -> Array:
        extents = [listed(shape, "its shape") for shape in shapes]
        return first.run(shapes[0].size, CHEAP, lambda: np.array(np.broadcast_shapes(*extents), np.int64))

    first, second = (o.constant(place, "its shape") for place in (0, 1))
    return first.compute(broadcast, second)


def _range(o: Operation) -> Made:
    first, end, step = (o.constant(place, "its numbers") for place in range(3))
    return first.count_up_to(end, step)


SHAPES: dict[str, Handler] = {
    "BROADCAST_ARGS": _broadcast_args,
    "FILL": lambda o: o.constant(1, "its number").fill(o.constant(0, "its shape")),
    "RANGE": _range,
    "RANK": lambda o: Constant.of(np.array(o.value().rank, np.int64), o.budget),
    "SHAPE": lambda o: Constant.of_extents(o.value().trial_shapes(), o.budget),
}
