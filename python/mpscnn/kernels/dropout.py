"""Dropout."""

from __future__ import annotations

from typing import Any

from mpscnn.kernels.kernel import UnaryKernel
from mpscnn.kernels.properties import Integer, Number, Size


class Dropout(UnaryKernel):
    """Each element kept with a probability and divided by it, otherwise 0, as MPSCNNDropout.

    The same seed gives the same mask on every engine; it is the one of the network layer `dropout`. The mask belongs to
    the pixels and channels that are written: of ones the result is the mask, divided by `keep_probability`.
    """

    apple_class = "MPSCNNDropout"

    keep_probability = Number("Share of the elements that are kept, above 0, below 1.")
    seed = Integer("Of the random numbers.")
    mask_stride_in_pixels = Size(
        "(x, y, channels): 1, or 0 where the whole axis shares one element of the mask."
    )

    def __init__(self, keep_probability: float = 0.999, seed: int = 0, **properties: Any) -> None:
        super().__init__(keep_probability=keep_probability, seed=seed, **properties)
