"""Raw kernels with the names, properties and rules of Apple's MPSCNN classes.

    queue = mpscnn.CommandQueue()
    pool = mpscnn.kernels.PoolingMax(2, 2, stride_x=2, stride_y=2, edge_mode="clamp")
    with queue.command_buffer() as commands:
        result = pool.encode(commands, mpscnn.Image.from_numpy(array))
    result.numpy()

Classes have Apple's names without prefix, properties its names in snake_case ("strideInPixelsX" is `stride_x`).
"""

from __future__ import annotations

from typing import NoReturn

from mpscnn.kernels.apple_names import class_hint
from mpscnn.kernels.arithmetic import (
    Add,
    Arithmetic,
    ArithmeticGradientState,
    Compare,
    Divide,
    Multiply,
    Subtract,
)
from mpscnn.kernels.arithmetic_gradient import (
    AddGradient,
    ArithmeticGradient,
    MultiplyGradient,
    SubtractGradient,
)
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
from mpscnn.kernels.binary_convolution import (
    BinaryConvolution,
    BinaryFullyConnected,
)
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
from mpscnn.kernels.dropout import (
    Dropout,
    DropoutGradient,
    DropoutGradientState,
)
from mpscnn.kernels.gradient import (
    GradientKernel,
)
from mpscnn.kernels.image import (
    ImageBilinearScale,
    ImageConversion,
    ImageLanczosScale,
    ImageScale,
    ScaleTransform,
)
from mpscnn.kernels.kernel import (
    BinaryKernel,
    Kernel,
    UnaryKernel,
    allocate_image,
    allocate_temporary_image,
)
from mpscnn.kernels.loss import (
    ForwardLoss,
    InitialGradient,
    Loss,
    LossDataDescriptor,
    LossDescriptor,
    LossGradient,
    LossLabels,
)
from mpscnn.kernels.metal_kernel import (
    MetalKernel,
    MetalParameter,
)
from mpscnn.kernels.neuron import (
    Neuron,
    NeuronAbsolute,
    NeuronDescriptor,
    NeuronELU,
    NeuronExponential,
    NeuronGradient,
    NeuronHardSigmoid,
    NeuronLinear,
    NeuronLogarithm,
    NeuronPower,
    NeuronPReLU,
    NeuronReLU,
    NeuronReLUN,
    NeuronSigmoid,
    NeuronSoftPlus,
    NeuronSoftSign,
    NeuronTanH,
)
from mpscnn.kernels.normalization import (
    CrossChannelNormalization,
    CrossChannelNormalizationGradient,
    GroupNormalization,
    GroupNormalizationGradient,
    GroupNormalizationGradientState,
    InstanceNormalization,
    InstanceNormalizationGradient,
    InstanceNormalizationGradientState,
    LocalContrastNormalization,
    LocalContrastNormalizationGradient,
    NormalizationGammaAndBetaState,
    SpatialNormalization,
    SpatialNormalizationGradient,
)
from mpscnn.kernels.optimizer import (
    Optimizer,
    OptimizerAdam,
    OptimizerDescriptor,
    OptimizerMoments,
    OptimizerRMSProp,
    OptimizerStochasticGradientDescent,
)
from mpscnn.kernels.pooling import (
    DilatedPoolingMax,
    DilatedPoolingMaxGradient,
    Pooling,
    PoolingAverage,
    PoolingAverageGradient,
    PoolingGradient,
    PoolingL2Norm,
    PoolingL2NormGradient,
    PoolingMax,
    PoolingMaxGradient,
)
from mpscnn.kernels.reduction import (
    GramMatrixCalculation,
    GramMatrixCalculationGradient,
    ReduceBinary,
    ReduceColumnMax,
    ReduceColumnMean,
    ReduceColumnMin,
    ReduceColumnSum,
    ReduceFeatureChannelsAndWeightsMean,
    ReduceFeatureChannelsAndWeightsSum,
    ReduceFeatureChannelsArgumentMax,
    ReduceFeatureChannelsArgumentMin,
    ReduceFeatureChannelsMax,
    ReduceFeatureChannelsMean,
    ReduceFeatureChannelsMin,
    ReduceFeatureChannelsSum,
    ReduceRowMax,
    ReduceRowMean,
    ReduceRowMin,
    ReduceRowSum,
    ReduceUnary,
)
from mpscnn.kernels.reshape import (
    Pad,
    PadGradient,
    Reshape,
    ReshapeGradient,
    Slice,
)
from mpscnn.kernels.resize import (
    ResizeBilinear,
    Upsampling,
    UpsamplingBilinear,
    UpsamplingBilinearGradient,
    UpsamplingGradient,
    UpsamplingNearest,
    UpsamplingNearestGradient,
)
from mpscnn.kernels.softmax import (
    LogSoftMax,
    LogSoftMaxGradient,
    SoftMax,
    SoftMaxGradient,
)
from mpscnn.kernels.states import (
    BinaryGradientState,
    GradientState,
    MultiaryGradientState,
)
from mpscnn.kernels.yolo_loss import (
    YOLOLoss,
    YOLOLossDescriptor,
)

__all__ = [
    "Add",
    "AddGradient",
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
    "Compare",
    "Convolution",
    "ConvolutionDescriptor",
    "ConvolutionGradient",
    "ConvolutionGradientState",
    "ConvolutionTranspose",
    "ConvolutionTransposeGradient",
    "ConvolutionTransposeGradientState",
    "ConvolutionWeightsAndBiasesState",
    "CrossChannelNormalization",
    "CrossChannelNormalizationGradient",
    "DepthWiseConvolutionDescriptor",
    "DilatedPoolingMax",
    "DilatedPoolingMaxGradient",
    "Divide",
    "Dropout",
    "DropoutGradient",
    "DropoutGradientState",
    "ForwardLoss",
    "FullyConnected",
    "FullyConnectedGradient",
    "GradientKernel",
    "GradientState",
    "GramMatrixCalculation",
    "GramMatrixCalculationGradient",
    "GroupNormalization",
    "GroupNormalizationGradient",
    "GroupNormalizationGradientState",
    "ImageBilinearScale",
    "ImageConversion",
    "ImageLanczosScale",
    "ImageScale",
    "ImageSizeEncodingState",
    "InitialGradient",
    "InstanceNormalization",
    "InstanceNormalizationGradient",
    "InstanceNormalizationGradientState",
    "Kernel",
    "LocalContrastNormalization",
    "LocalContrastNormalizationGradient",
    "LogSoftMax",
    "LogSoftMaxGradient",
    "Loss",
    "LossDataDescriptor",
    "LossDescriptor",
    "LossGradient",
    "LossLabels",
    "MetalKernel",
    "MetalParameter",
    "MultiaryGradientState",
    "Multiply",
    "MultiplyGradient",
    "Neuron",
    "NeuronAbsolute",
    "NeuronDescriptor",
    "NeuronELU",
    "NeuronExponential",
    "NeuronGradient",
    "NeuronHardSigmoid",
    "NeuronLinear",
    "NeuronLogarithm",
    "NeuronPReLU",
    "NeuronPower",
    "NeuronReLU",
    "NeuronReLUN",
    "NeuronSigmoid",
    "NeuronSoftPlus",
    "NeuronSoftSign",
    "NeuronTanH",
    "NormalizationGammaAndBetaState",
    "NormalizationMeanAndVarianceState",
    "Optimizer",
    "OptimizerAdam",
    "OptimizerDescriptor",
    "OptimizerMoments",
    "OptimizerRMSProp",
    "OptimizerStochasticGradientDescent",
    "Pad",
    "PadGradient",
    "Pooling",
    "PoolingAverage",
    "PoolingAverageGradient",
    "PoolingGradient",
    "PoolingL2Norm",
    "PoolingL2NormGradient",
    "PoolingMax",
    "PoolingMaxGradient",
    "ReduceBinary",
    "ReduceColumnMax",
    "ReduceColumnMean",
    "ReduceColumnMin",
    "ReduceColumnSum",
    "ReduceFeatureChannelsAndWeightsMean",
    "ReduceFeatureChannelsAndWeightsSum",
    "ReduceFeatureChannelsArgumentMax",
    "ReduceFeatureChannelsArgumentMin",
    "ReduceFeatureChannelsMax",
    "ReduceFeatureChannelsMean",
    "ReduceFeatureChannelsMin",
    "ReduceFeatureChannelsSum",
    "ReduceRowMax",
    "ReduceRowMean",
    "ReduceRowMin",
    "ReduceRowSum",
    "ReduceUnary",
    "Reshape",
    "ReshapeGradient",
    "ResizeBilinear",
    "ScaleTransform",
    "Slice",
    "SoftMax",
    "SoftMaxGradient",
    "SpatialNormalization",
    "SpatialNormalizationGradient",
    "SubPixelConvolutionDescriptor",
    "Subtract",
    "SubtractGradient",
    "UnaryKernel",
    "Upsampling",
    "UpsamplingBilinear",
    "UpsamplingBilinearGradient",
    "UpsamplingGradient",
    "UpsamplingNearest",
    "UpsamplingNearestGradient",
    "YOLOLoss",
    "YOLOLossDescriptor",
    "allocate_image",
    "allocate_temporary_image",
]


def __getattr__(name: str) -> NoReturn:
    """Only called for what is not there."""
    raise AttributeError(f"module 'mpscnn.kernels' has no attribute {name!r}{class_hint(name, __all__)}")
