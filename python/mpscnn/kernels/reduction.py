"""Reduction kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpscnn.kernels.gradient import DifferentiableKernel, GradientKernel
from mpscnn.kernels.kernel import BinaryKernel, Kernel, UnaryKernel
from mpscnn.kernels.properties import ClipRect, Flag, Number

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mpscnn.kernels.named import (
        GradientProperties,
        ReduceBinaryProperties,
        ReduceSumProperties,
        ReduceUnaryProperties,
        UnaryProperties,
    )


class ReduceUnary(UnaryKernel):
    """Base of the reductions of one image, as MPSNNReduceUnary. `clip_rect_source` takes the place of `offset`."""

    apple_class = "MPSNNReduceUnary"

    clip_rect_source = ClipRect(
        "(x, y, z, width, height, depth): the part of the source that is reduced; z is ignored."
    )

    if TYPE_CHECKING:

        def __init__(self, **properties: Unpack[ReduceUnaryProperties]) -> None: ...


class ReduceBinary(BinaryKernel):
    """Base of the reductions of two images, as MPSNNReduceBinary."""

    apple_class = "MPSNNReduceBinary"

    primary_source_clip_rect = ClipRect("The part of the primary source that is reduced.")
    secondary_source_clip_rect = ClipRect("The part of the secondary source that holds its weights.")

    if TYPE_CHECKING:

        def __init__(self, **properties: Unpack[ReduceBinaryProperties]) -> None: ...


class GramMatrixCalculation(DifferentiableKernel):
    """Products of feature channels, summed over all pixels, as MPSNNGramMatrixCalculation.

    With C channels the result has C columns, one row and C channels: alpha * sum of x[f] * x[c] in column f, channel c.
    It is written whole, and `offset` must be (0, 0, z).
    """

    apple_class = "MPSNNGramMatrixCalculation"

    alpha = Number("Factor of the sums.")

    def __init__(self, alpha: float = 1.0, **properties: Unpack[UnaryProperties]) -> None:
        Kernel.__init__(self, alpha=alpha, **properties)


class GramMatrixCalculationGradient(GradientKernel):
    """alpha * sum over f of (g[f, c] + g[c, f]) * x[f] for each pixel, as MPSNNGramMatrixCalculationGradient.

    g[f, c] is the gradient of column f, channel c. It is read whole; all offsets must be 0.
    """

    apple_class = "MPSNNGramMatrixCalculationGradient"
    forward_class = GramMatrixCalculation

    alpha = Number("Factor of the forward kernel's sums.")

    def __init__(self, alpha: float = 1.0, **properties: Unpack[GradientProperties]) -> None:
        Kernel.__init__(self, alpha=alpha, **properties)


class ReduceRowMax(ReduceUnary):
    """Maximum of each row: the result is one pixel wide, as MPSNNReduceRowMax."""

    apple_class = "MPSNNReduceRowMax"


class ReduceRowMin(ReduceUnary):
    """Minimum of each row: the result is one pixel wide, as MPSNNReduceRowMin."""

    apple_class = "MPSNNReduceRowMin"


class ReduceRowSum(ReduceUnary):
    """Sum of each row: the result is one pixel wide, as MPSNNReduceRowSum."""

    apple_class = "MPSNNReduceRowSum"


class ReduceRowMean(ReduceUnary):
    """Mean of each row: the result is one pixel wide, as MPSNNReduceRowMean."""

    apple_class = "MPSNNReduceRowMean"


class ReduceColumnMax(ReduceUnary):
    """Maximum of each column: the result is one pixel high, as MPSNNReduceColumnMax."""

    apple_class = "MPSNNReduceColumnMax"


class ReduceColumnMin(ReduceUnary):
    """Minimum of each column: the result is one pixel high, as MPSNNReduceColumnMin."""

    apple_class = "MPSNNReduceColumnMin"


class ReduceColumnSum(ReduceUnary):
    """Sum of each column: the result is one pixel high, as MPSNNReduceColumnSum."""

    apple_class = "MPSNNReduceColumnSum"


class ReduceColumnMean(ReduceUnary):
    """Mean of each column: the result is one pixel high, as MPSNNReduceColumnMean."""

    apple_class = "MPSNNReduceColumnMean"


class ReduceFeatureChannelsMax(ReduceUnary):
    """Maximum of the feature channels of each pixel: the result has one channel, as MPSNNReduceFeatureChannelsMax."""

    apple_class = "MPSNNReduceFeatureChannelsMax"


class ReduceFeatureChannelsMin(ReduceUnary):
    """Minimum of the feature channels of each pixel: the result has one channel, as MPSNNReduceFeatureChannelsMin."""

    apple_class = "MPSNNReduceFeatureChannelsMin"


class ReduceFeatureChannelsSum(ReduceUnary):
    """Sum of the feature channels of each pixel: the result has one channel, as MPSNNReduceFeatureChannelsSum."""

    apple_class = "MPSNNReduceFeatureChannelsSum"

    weight = Number("Factor of every feature channel.")

    if TYPE_CHECKING:

        def __init__(self, **properties: Unpack[ReduceSumProperties]) -> None: ...


class ReduceFeatureChannelsMean(ReduceUnary):
    """Mean of the feature channels of each pixel: the result has one channel, as MPSNNReduceFeatureChannelsMean."""

    apple_class = "MPSNNReduceFeatureChannelsMean"


class ReduceFeatureChannelsArgumentMax(ReduceUnary):
    """The channel with the maximum, the first of equals, as MPSNNReduceFeatureChannelsArgumentMax."""

    apple_class = "MPSNNReduceFeatureChannelsArgumentMax"


class ReduceFeatureChannelsArgumentMin(ReduceUnary):
    """The channel with the minimum, the first of equals, as MPSNNReduceFeatureChannelsArgumentMin."""

    apple_class = "MPSNNReduceFeatureChannelsArgumentMin"


class ReduceFeatureChannelsAndWeightsSum(ReduceBinary):
    """Sum over the channels of primary times secondary, as MPSNNReduceFeatureChannelsAndWeightsSum.

    With `do_weighted_sum_by_non_zero_weights` divided by the number of weights that are not zero.
    """

    apple_class = "MPSNNReduceFeatureChannelsAndWeightsSum"

    do_weighted_sum_by_non_zero_weights = Flag(
        "Whether the sum is divided by the number of weights that are not zero."
    )

    def __init__(
        self, do_weighted_sum_by_non_zero_weights: bool = False, **properties: Unpack[ReduceBinaryProperties]
    ) -> None:
        Kernel.__init__(
            self, do_weighted_sum_by_non_zero_weights=do_weighted_sum_by_non_zero_weights, **properties
        )


class ReduceFeatureChannelsAndWeightsMean(ReduceBinary):
    """The same sum divided by the number of weights that are not zero, as MPSNNReduceFeatureChannelsAndWeightsMean."""

    apple_class = "MPSNNReduceFeatureChannelsAndWeightsMean"
