"""Raw kernels with the names, properties and rules of Apple's MPSCNN classes.

    queue = mpscnn.CommandQueue()
    pool = mpscnn.kernels.PoolingMax(2, 2, stride_x=2, stride_y=2, edge_mode="clamp")
    with queue.command_buffer() as commands:
        result = pool.encode(commands, mpscnn.Image.from_numpy(array))
    result.numpy()

Classes have Apple's names without prefix, properties its names in snake_case ("strideInPixelsX" is `stride_x`).
"""

from __future__ import annotations

from mpscnn.kernels.convolution import (
    Convolution,
    ConvolutionDescriptor,
    ConvolutionWeightsAndBiasesState,
    DepthWiseConvolutionDescriptor,
    FullyConnected,
)
from mpscnn.kernels.kernel import (
    BinaryKernel,
    Kernel,
    UnaryKernel,
    allocate_image,
    allocate_temporary_image,
)
from mpscnn.kernels.neuron import Neuron, NeuronDescriptor
from mpscnn.kernels.pooling import DilatedPoolingMax, Pooling, PoolingAverage, PoolingMax
from mpscnn.kernels.softmax import SoftMax

__all__ = [
    "BinaryKernel",
    "Convolution",
    "ConvolutionDescriptor",
    "ConvolutionWeightsAndBiasesState",
    "DepthWiseConvolutionDescriptor",
    "DilatedPoolingMax",
    "FullyConnected",
    "Kernel",
    "Neuron",
    "NeuronDescriptor",
    "Pooling",
    "PoolingAverage",
    "PoolingMax",
    "SoftMax",
    "UnaryKernel",
    "allocate_image",
    "allocate_temporary_image",
]
