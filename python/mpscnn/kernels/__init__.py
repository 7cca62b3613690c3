"""Run raw kernels with the names, properties and rules of Apple's MPSCNN classes.

    queue = mpscnn.CommandQueue()
    pool = mpscnn.kernels.PoolingMax(2, 2, stride_x=2, stride_y=2, edge_mode="clamp")
    with queue.command_buffer() as commands:
        result = pool.encode(commands, mpscnn.Image.from_numpy(array))
    result.numpy()

Classes have Apple's names without prefix, properties its names in snake_case ("strideInPixelsX" is `stride_x`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpscnn._private.other_names import explain_unknown_names
from mpscnn.kernels import classes
from mpscnn.kernels.apple_names import class_hint
from mpscnn.kernels.arithmetic import Arithmetic, ArithmeticGradientState
from mpscnn.kernels.arithmetic_gradient import ArithmeticGradient
from mpscnn.kernels.batch_normalization import (
    BatchNormalization,
    BatchNormalizationState,
    BatchNormalizationStatistics,
    NormalizationMeanAndVarianceState,
)
from mpscnn.kernels.batch_normalization_gradient import (
    BatchNormalizationGradient,
    BatchNormalizationStatisticsGradient,
)
from mpscnn.kernels.binary_convolution import BinaryConvolution, BinaryFullyConnected
from mpscnn.kernels.convolution import (
    Convolution,
    ConvolutionDescriptor,
    ConvolutionTranspose,
    DepthWiseConvolutionDescriptor,
    FullyConnected,
    SubPixelConvolutionDescriptor,
)
from mpscnn.kernels.convolution_gradient import (
    ConvolutionGradient,
    ConvolutionTransposeGradient,
    FullyConnectedGradient,
)
from mpscnn.kernels.convolution_states import (
    ConvolutionGradientState,
    ConvolutionTransposeGradientState,
    ConvolutionWeightsAndBiasesState,
    ImageSizeEncodingState,
)
from mpscnn.kernels.dropout import Dropout, DropoutGradientState
from mpscnn.kernels.families import Pooling, ReduceBinary, ReduceUnary, Upsampling, UpsamplingGradient
from mpscnn.kernels.gradient import GradientKernel
from mpscnn.kernels.image import ImageConversion, ImageScale
from mpscnn.kernels.kernel import BinaryKernel, Kernel, UnaryKernel, allocate_image, allocate_temporary_image
from mpscnn.kernels.loss import (
    ForwardLoss,
    InitialGradient,
    Loss,
    LossDataDescriptor,
    LossDescriptor,
    LossGradient,
    LossLabels,
)
from mpscnn.kernels.metal_kernel import MetalKernel, MetalParameter
from mpscnn.kernels.neuron import Neuron, NeuronGradient
from mpscnn.kernels.neuron_descriptor import NeuronDescriptor
from mpscnn.kernels.normalization import (
    GroupNormalization,
    GroupNormalizationGradient,
    GroupNormalizationGradientState,
    InstanceNormalization,
    InstanceNormalizationGradient,
    InstanceNormalizationGradientState,
    NormalizationGammaAndBetaState,
)
from mpscnn.kernels.optimizer import (
    Optimizer,
    OptimizerAdam,
    OptimizerDescriptor,
    OptimizerMoments,
    OptimizerRMSProp,
    OptimizerStochasticGradientDescent,
)
from mpscnn.kernels.pooling import PoolingGradient
from mpscnn.kernels.reshape import ReshapeGradient
from mpscnn.kernels.scale_transform import ScaleTransform
from mpscnn.kernels.states import BinaryGradientState, GradientState, MultiaryGradientState
from mpscnn.kernels.yolo_loss import YOLOLoss, YOLOLossDescriptor

if TYPE_CHECKING:
    from mpscnn.kernels.classes import *  # noqa: F403, whose names __all__ has

__all__ = [
    "Arithmetic",
    "ArithmeticGradient",
    "ArithmeticGradientState",
    "BatchNormalization",
    "BatchNormalizationGradient",
    "BatchNormalizationState",
    "BatchNormalizationStatistics",
    "BatchNormalizationStatisticsGradient",
    "BinaryConvolution",
    "BinaryFullyConnected",
    "BinaryGradientState",
    "BinaryKernel",
    "Convolution",
    "ConvolutionDescriptor",
    "ConvolutionGradient",
    "ConvolutionGradientState",
    "ConvolutionTranspose",
    "ConvolutionTransposeGradient",
    "ConvolutionTransposeGradientState",
    "ConvolutionWeightsAndBiasesState",
    "DepthWiseConvolutionDescriptor",
    "Dropout",
    "DropoutGradientState",
    "ForwardLoss",
    "FullyConnected",
    "FullyConnectedGradient",
    "GradientKernel",
    "GradientState",
    "GroupNormalization",
    "GroupNormalizationGradient",
    "GroupNormalizationGradientState",
    "ImageConversion",
    "ImageScale",
    "ImageSizeEncodingState",
    "InitialGradient",
    "InstanceNormalization",
    "InstanceNormalizationGradient",
    "InstanceNormalizationGradientState",
    "Kernel",
    "Loss",
    "LossDataDescriptor",
    "LossDescriptor",
    "LossGradient",
    "LossLabels",
    "MetalKernel",
    "MetalParameter",
    "MultiaryGradientState",
    "Neuron",
    "NeuronDescriptor",
    "NeuronGradient",
    "NormalizationGammaAndBetaState",
    "NormalizationMeanAndVarianceState",
    "Optimizer",
    "OptimizerAdam",
    "OptimizerDescriptor",
    "OptimizerMoments",
    "OptimizerRMSProp",
    "OptimizerStochasticGradientDescent",
    "Pooling",
    "PoolingGradient",
    "ReduceBinary",
    "ReduceUnary",
    "ReshapeGradient",
    "ScaleTransform",
    "SubPixelConvolutionDescriptor",
    "UnaryKernel",
    "Upsampling",
    "UpsamplingGradient",
    "YOLOLoss",
    "YOLOLossDescriptor",
    "allocate_image",
    "allocate_temporary_image",
]
__all__ += classes.__all__


explain_unknown_names(
    __name__,
    make=lambda name: getattr(classes, name),
    made=classes.__all__,
    hint=lambda name: class_hint(name, __all__),
)
