"""Graphs of nodes with Apple's names, like MPSNNGraph. They become a `mpscnn.Network`.

    from mpscnn import nodes

    image = nodes.MPSNNImageNode((28, 28, 1), label="image")
    hidden = nodes.MPSCNNConvolutionNode(image, descriptor, weights, bias).result_image
    pooled = nodes.MPSCNNPoolingMaxNode(hidden, 2, 2, stride_x=2, stride_y=2).result_image
    network = nodes.MPSNNGraph(nodes.MPSCNNSoftMaxNode(pooled).result_image).network

A filter node takes a source image and the arguments of the raw kernel with that name (`mpscnn.kernels`). It also has
this kernel's properties, with names in snake_case. `names()` lists the nodes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpscnn import kernels
from mpscnn._private.hints import twin_of
from mpscnn._private.names import did_you_mean
from mpscnn._private.other_names import explain_unknown_names
from mpscnn.kernels.apple_names import elsewhere_hint
from mpscnn.nodes.filter_node import FilterNode, GradientNode, MPSNNGradientStateNode, MPSNNImageNode
from mpscnn.nodes.graph import MPSNNGraph
from mpscnn.nodes.losses import (
    MPSCNNLossNode,
    MPSCNNYOLOLossNode,
    MPSNNForwardLossNode,
    MPSNNInitialGradientNode,
    MPSNNLabelsNode,
    MPSNNLossGradientNode,
)
from mpscnn.nodes.table import GRADIENT_NODES, NODES

__all__ = [
    "FilterNode",
    "GradientNode",
    "MPSCNNLossNode",
    "MPSCNNYOLOLossNode",
    "MPSNNForwardLossNode",
    "MPSNNGradientStateNode",
    "MPSNNGraph",
    "MPSNNImageNode",
    "MPSNNInitialGradientNode",
    "MPSNNLabelsNode",
    "MPSNNLossGradientNode",
    "gradient_names",
    "names",
]


def names() -> list[str]:
    """Return the names of the filter nodes' classes."""
    return sorted(NODES)


def gradient_names() -> list[str]:
    """Return the names of the classes of losses and gradients, with which a graph trains."""
    losses = (
        MPSCNNLossNode,
        MPSCNNYOLOLossNode,
        MPSNNForwardLossNode,
        MPSNNInitialGradientNode,
        MPSNNLossGradientNode,
    )
    return sorted([*GRADIENT_NODES, *(one.__name__ for one in losses)])


if TYPE_CHECKING:  # the classes of `NODES`, which are made when `table` is imported
    MPSCNNBatchNormalizationNode: type[FilterNode]
    MPSCNNBinaryConvolutionNode: type[FilterNode]
    MPSCNNBinaryFullyConnectedNode: type[FilterNode]
    MPSCNNConvolutionNode: type[FilterNode]
    MPSCNNConvolutionTransposeNode: type[FilterNode]
    MPSCNNCrossChannelNormalizationNode: type[FilterNode]
    MPSCNNDilatedPoolingMaxNode: type[FilterNode]
    MPSCNNDropoutNode: type[FilterNode]
    MPSCNNFullyConnectedNode: type[FilterNode]
    MPSCNNGroupNormalizationNode: type[FilterNode]
    MPSCNNInstanceNormalizationNode: type[FilterNode]
    MPSCNNLocalContrastNormalizationNode: type[FilterNode]
    MPSCNNLogSoftMaxNode: type[FilterNode]
    MPSCNNNeuronAbsoluteNode: type[FilterNode]
    MPSCNNNeuronELUNode: type[FilterNode]
    MPSCNNNeuronExponentialNode: type[FilterNode]
    MPSCNNNeuronGeLUNode: type[FilterNode]
    MPSCNNNeuronHardSigmoidNode: type[FilterNode]
    MPSCNNNeuronLinearNode: type[FilterNode]
    MPSCNNNeuronLogarithmNode: type[FilterNode]
    MPSCNNNeuronPReLUNode: type[FilterNode]
    MPSCNNNeuronPowerNode: type[FilterNode]
    MPSCNNNeuronReLUNNode: type[FilterNode]
    MPSCNNNeuronReLUNode: type[FilterNode]
    MPSCNNNeuronSigmoidNode: type[FilterNode]
    MPSCNNNeuronSoftPlusNode: type[FilterNode]
    MPSCNNNeuronSoftSignNode: type[FilterNode]
    MPSCNNNeuronTanHNode: type[FilterNode]
    MPSCNNPoolingAverageNode: type[FilterNode]
    MPSCNNPoolingL2NormNode: type[FilterNode]
    MPSCNNPoolingMaxNode: type[FilterNode]
    MPSCNNSoftMaxNode: type[FilterNode]
    MPSCNNSpatialNormalizationNode: type[FilterNode]
    MPSCNNUpsamplingBilinearNode: type[FilterNode]
    MPSCNNUpsamplingNearestNode: type[FilterNode]
    MPSNNAdditionNode: type[FilterNode]
    MPSNNBilinearScaleNode: type[FilterNode]
    MPSNNComparisonNode: type[FilterNode]
    MPSNNConcatenationNode: type[FilterNode]
    MPSNNDivisionNode: type[FilterNode]
    MPSNNGramMatrixCalculationNode: type[FilterNode]
    MPSNNLanczosScaleNode: type[FilterNode]
    MPSNNMultiplicationNode: type[FilterNode]
    MPSNNPadNode: type[FilterNode]
    MPSNNReductionColumnMaxNode: type[FilterNode]
    MPSNNReductionColumnMeanNode: type[FilterNode]
    MPSNNReductionColumnMinNode: type[FilterNode]
    MPSNNReductionColumnSumNode: type[FilterNode]
    MPSNNReductionFeatureChannelsArgumentMaxNode: type[FilterNode]
    MPSNNReductionFeatureChannelsArgumentMinNode: type[FilterNode]
    MPSNNReductionFeatureChannelsMaxNode: type[FilterNode]
    MPSNNReductionFeatureChannelsMeanNode: type[FilterNode]
    MPSNNReductionFeatureChannelsMinNode: type[FilterNode]
    MPSNNReductionFeatureChannelsSumNode: type[FilterNode]
    MPSNNReductionRowMaxNode: type[FilterNode]
    MPSNNReductionRowMeanNode: type[FilterNode]
    MPSNNReductionRowMinNode: type[FilterNode]
    MPSNNReductionRowSumNode: type[FilterNode]
    MPSNNReductionSpatialMeanNode: type[FilterNode]
    MPSNNReshapeNode: type[FilterNode]
    MPSNNSubtractionNode: type[FilterNode]
    # the classes of `GRADIENT_NODES`
    MPSCNNBatchNormalizationGradientNode: type[GradientNode]
    MPSCNNConvolutionGradientNode: type[GradientNode]
    MPSCNNConvolutionTransposeGradientNode: type[GradientNode]
    MPSCNNCrossChannelNormalizationGradientNode: type[GradientNode]
    MPSCNNDilatedPoolingMaxGradientNode: type[GradientNode]
    MPSCNNDropoutGradientNode: type[GradientNode]
    MPSCNNFullyConnectedGradientNode: type[GradientNode]
    MPSCNNGroupNormalizationGradientNode: type[GradientNode]
    MPSCNNInstanceNormalizationGradientNode: type[GradientNode]
    MPSCNNLocalContrastNormalizationGradientNode: type[GradientNode]
    MPSCNNLogSoftMaxGradientNode: type[GradientNode]
    MPSCNNNeuronGradientNode: type[GradientNode]
    MPSCNNPoolingAverageGradientNode: type[GradientNode]
    MPSCNNPoolingL2NormGradientNode: type[GradientNode]
    MPSCNNPoolingMaxGradientNode: type[GradientNode]
    MPSCNNSoftMaxGradientNode: type[GradientNode]
    MPSCNNSpatialNormalizationGradientNode: type[GradientNode]
    MPSCNNUpsamplingBilinearGradientNode: type[GradientNode]
    MPSCNNUpsamplingNearestGradientNode: type[GradientNode]
    MPSNNAdditionGradientNode: type[GradientNode]
    MPSNNConcatenationGradientNode: type[GradientNode]
    MPSNNGramMatrixCalculationGradientNode: type[GradientNode]
    MPSNNMultiplicationGradientNode: type[GradientNode]
    MPSNNPadGradientNode: type[GradientNode]
    MPSNNReductionSpatialMeanGradientNode: type[GradientNode]
    MPSNNReshapeGradientNode: type[GradientNode]
    MPSNNSubtractionGradientNode: type[GradientNode]


def _hint(name: str) -> str:
    """Return what the error about an unknown class adds: the words of the table of hints, or similar names."""
    text = twin_of(__name__, name)
    if text:
        return f"; {text}"
    known = dict.fromkeys([*names(), *gradient_names(), *__all__])
    return elsewhere_hint(name, kernels.__all__) or did_you_mean(name, known)


_MADE = {**NODES, **GRADIENT_NODES}
explain_unknown_names(__name__, make=_MADE.__getitem__, made=_MADE, hint=_hint)
