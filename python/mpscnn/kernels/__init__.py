"""Raw kernels with the names, properties and rules of Apple's MPSCNN classes.

    queue = mpscnn.CommandQueue()
    pool = mpscnn.kernels.PoolingMax(2, 2, stride_x=2, stride_y=2, edge_mode="clamp")
    with queue.command_buffer() as commands:
        result = pool.encode(commands, mpscnn.Image.from_numpy(array))
    result.numpy()

Classes have Apple's names without prefix, properties its names in snake_case ("strideInPixelsX" is `stride_x`).
"""

from __future__ import annotations

from mpscnn.kernels.arithmetic import (
    Add,
    Arithmetic,
    Divide,
    Multiply,
    Subtract,
)
from mpscnn.kernels.batch_normalization import (
    BatchNormalization,
    BatchNormalizationState,
    BatchNormalizationStatistics,
    NormalizationMeanAndVarianceState,
)
from mpscnn.kernels.binary_convolution import BinaryConvolution, BinaryFullyConnected
from mpscnn.kernels.convolution import (
    Convolution,
    ConvolutionDescriptor,
    ConvolutionTranspose,
    ConvolutionWeightsAndBiasesState,
    DepthWiseConvolutionDescriptor,
    FullyConnected,
    ImageSizeEncodingState,
    SubPixelConvolutionDescriptor,
)
from mpscnn.kernels.dropout import (
    Dropout,
    DropoutGradientState,
)
from mpscnn.kernels.kernel import (
    BinaryKernel,
    Kernel,
    UnaryKernel,
    allocate_image,
    allocate_temporary_image,
)
from mpscnn.kernels.metal_kernel import MetalKernel, MetalParameter
from mpscnn.kernels.neuron import (
    Neuron,
    NeuronAbsolute,
    NeuronDescriptor,
    NeuronELU,
    NeuronExponential,
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
    GroupNormalization,
    InstanceNormalization,
    LocalContrastNormalization,
    NormalizationGammaAndBetaState,
    SpatialNormalization,
)
from mpscnn.kernels.pooling import (
    DilatedPoolingMax,
    Pooling,
    PoolingAverage,
    PoolingL2Norm,
    PoolingMax,
)
from mpscnn.kernels.reduction import (
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
from mpscnn.kernels.reshape import Pad, Reshape, Slice
from mpscnn.kernels.resize import (
    ResizeBilinear,
    Upsampling,
    UpsamplingBilinear,
    UpsamplingNearest,
)
from mpscnn.kernels.softmax import (
    LogSoftMax,
    SoftMax,
)

__all__ = [
    "Add",
    "Arithmetic",
    "BatchNormalization",
    "BatchNormalizationState",
    "BatchNormalizationStatistics",
    "BinaryConvolution",
    "BinaryFullyConnected",
    "BinaryKernel",
    "Convolution",
    "ConvolutionDescriptor",
    "ConvolutionTranspose",
    "ConvolutionWeightsAndBiasesState",
    "CrossChannelNormalization",
    "DepthWiseConvolutionDescriptor",
    "DilatedPoolingMax",
    "Divide",
    "Dropout",
    "DropoutGradientState",
    "FullyConnected",
    "GroupNormalization",
    "ImageSizeEncodingState",
    "InstanceNormalization",
    "Kernel",
    "LocalContrastNormalization",
    "LogSoftMax",
    "MetalKernel",
    "MetalParameter",
    "Multiply",
    "Neuron",
    "NeuronAbsolute",
    "NeuronDescriptor",
    "NeuronELU",
    "NeuronExponential",
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
    "Pad",
    "Pooling",
    "PoolingAverage",
    "PoolingL2Norm",
    "PoolingMax",
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
    "ResizeBilinear",
    "Slice",
    "SoftMax",
    "SpatialNormalization",
    "SubPixelConvolutionDescriptor",
    "Subtract",
    "UnaryKernel",
    "Upsampling",
    "UpsamplingBilinear",
    "UpsamplingNearest",
    "allocate_image",
    "allocate_temporary_image",
]
