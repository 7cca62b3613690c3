"""Test that the names in the articles on MPSCNN work, or that the error about each leads to the name in mpscnn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mpscnn as package
from mpscnn import kernels as raw_kernels

# Type checkers would refuse the names of other libraries.
mpscnn: Any = package
kernels: Any = raw_kernels

DESCRIPTOR = kernels.ConvolutionDescriptor(3, 3, 4, 2)
WEIGHTS = np.ones((2, 3, 3, 4), np.float32)

#: A program's words for each name of the articles, and a part of the error that says what to write.
LED: dict[str, tuple[Callable[[], Any], str]] = {
    "neuronFilter": (
        lambda: kernels.ConvolutionDescriptor(3, 3, 4, 2, neuronFilter=kernels.NeuronReLU()),
        "it is 'fused_neuron_descriptor' here",
    ),
    "neuron_filter": (
        lambda: setattr(DESCRIPTOR, "neuron_filter", kernels.NeuronReLU()),
        "it is 'fused_neuron_descriptor' here",
    ),
    "flags": (
        lambda: kernels.Convolution(DESCRIPTOR, WEIGHTS, flags=0),
        "leave it out",
    ),
    "kernel_weights=": (
        lambda: kernels.Convolution(DESCRIPTOR, kernel_weights=WEIGHTS, bias_terms=np.zeros(2)),
        "it is 'weights' here",
    ),
    "kernelWeights:": (
        lambda: kernels.FullyConnected(convolutionDescriptor=DESCRIPTOR, kernelWeights=WEIGHTS),
        "it is 'descriptor' here",
    ),
    "biasTerms:": (
        lambda: kernels.Convolution(DESCRIPTOR, WEIGHTS, biasTerms=np.zeros(2)),
        "it is 'bias_terms' here",
    ),
    "device:": (
        lambda: kernels.PoolingMax(device="cpu", kernel_width=2, kernel_height=2),
        "mpscnn.CommandQueue(device)",
    ),
    "prefetchStorageWithCommandBuffer:": (
        lambda: mpscnn.TemporaryImage.prefetchStorageWithCommandBuffer,
        "TemporaryImage(commands, descriptor)",
    ),
    "prefetch_storage": (
        lambda: mpscnn.TemporaryImage.prefetch_storage,
        "TemporaryImage(commands, descriptor)",
    ),
    "temporaryImageWithCommandBuffer:": (
        lambda: mpscnn.TemporaryImage.temporaryImageWithCommandBuffer,
        "TemporaryImage(commands, descriptor)",
    ),
    "texture": (lambda: mpscnn.Image(2, 2, 4).texture, "image.numpy()"),
    "replaceRegion:": (lambda: mpscnn.Image(2, 2, 4).replaceRegion, "image.write(array, x="),
    "getBytes:": (lambda: mpscnn.Image(2, 2, 4).getBytes, "image.read(...)"),
    "ImageEdgeMode": (lambda: mpscnn.ImageEdgeMode, "edge_mode='clamp'"),
    "MPSImageEdgeModeClamp": (lambda: kernels.MPSImageEdgeModeClamp, "edge_mode='clamp'"),
    "edgeMode = MPSImageEdgeModeClamp": (
        lambda: kernels.PoolingMax(2, 2, edge_mode="MPSImageEdgeModeClamp"),
        "must be one of zero, clamp",
    ),
    "MPSOffset": (lambda: mpscnn.MPSOffset, "kernel.offset = (1, 1, 0)"),
    "MTLRegionMake2D": (lambda: mpscnn.MTLRegionMake2D, "clip_rect = (x, y, width, height)"),
    "MPSImageFeatureChannelFormatFloat16": (
        lambda: mpscnn.MPSImageFeatureChannelFormatFloat16,
        "format='float16'",
    ),
    "vDSP_conv": (lambda: mpscnn.vDSP_conv, "mpscnn.convolve1d"),
    "vImageConvert_Planar16FtoPlanarF": (
        lambda: mpscnn.vImageConvert_Planar16FtoPlanarF,
        "image.numpy()",
    ),
    "groups = inputFeatureChannels": (
        lambda: kernels.Convolution(kernels.ConvolutionDescriptor(3, 3, 6, 6, groups=6), np.ones((6, 3, 3))),
        "give a DepthWiseConvolutionDescriptor",
    ),
    "ConvolutionDataSource": (
        lambda: kernels.ConvolutionDataSource,
        "Convolution(descriptor, weights, bias_terms)",
    ),
    "MPSCNNConvolutionDataSource": (
        lambda: mpscnn.nodes.MPSCNNConvolutionDataSource,
        "Convolution(descriptor, weights, bias_terms)",
    ),
    "ParameterLoader": (lambda: mpscnn.ParameterLoader, "net.load_weights"),
    "PreprocessorImageNet": (lambda: mpscnn.PreprocessorImageNet, "preprocess='tensorflow'"),
    "orientation: .up": (
        lambda: mpscnn.load().predict(mpscnn.samples.photo("cat"), orientation=".up"),
        "mpscnn.open_photo(photo, orientation='right')",
    ),
    "MobileNetV2Classifier": (lambda: mpscnn.MobileNetV2Classifier, "mpscnn.load('mobilenet_v2')"),
    "MobileNetV1FeatureExtractor": (lambda: mpscnn.MobileNetV1FeatureExtractor, "mobilenet_v1_features"),
    "DeepLabv3": (lambda: mpscnn.DeepLabv3, "deeplab_v3"),
    "runner.predict": (lambda: mpscnn.Runner(mpscnn.load()).predict, "submit(photo)"),
    "MPSCNNConvolution(device, ...)": (
        lambda: kernels.Convolution("cpu", DESCRIPTOR, WEIGHTS),
        "mpscnn.CommandQueue(device)",
    ),
    "MPSCNNPoolingMax(2, 2, 2, 2)": (
        lambda: kernels.PoolingMax(2, 2, 2, 2),
        "it takes kernel_width, kernel_height by position, and stride_x=, stride_y= by name",
    ),
    "cnnConvolutionDescriptorWithKernelWidth:": (
        lambda: kernels.ConvolutionDescriptor.cnnConvolutionDescriptorWithKernelWidth,
        "call the class: ConvolutionDescriptor(kernel_width, kernel_height,",
    ),
    "imageDescriptorWithChannelFormat:": (
        lambda: mpscnn.ImageDescriptor.imageDescriptorWithChannelFormat,
        "call the class: ImageDescriptor(width, height, feature_channels, ...)",
    ),
    "alloc": (lambda: kernels.PoolingMax.alloc(), "call the class: PoolingMax(kernel_width, kernel_height"),
    "channelMultiplier": (
        lambda: kernels.DepthWiseConvolutionDescriptor(3, 3, 4, 4).channelMultiplier,
        "it is 'channel_multiplier' here",
    ),
    "channelMultiplier of a plain descriptor": (
        lambda: kernels.ConvolutionDescriptor(3, 3, 4, 4, channelMultiplier=2),
        "DepthWiseConvolutionDescriptor has it",
    ),
    "MPSCNNDepthwiseConvolution": (
        lambda: kernels.MPSCNNDepthwiseConvolution,
        "with a DepthWiseConvolutionDescriptor",
    ),
    "PointwiseConvolution": (lambda: mpscnn.PointwiseConvolution, "net.conv2d(x, channels, 1)"),
    "MTLTexture": (lambda: mpscnn.MTLTexture, "image.numpy()"),
    "MTLRegionMake3D": (lambda: mpscnn.MTLRegionMake3D, "clip_rect = (x, y, width, height)"),
    "makeComputeCommandEncoder": (
        lambda: mpscnn.CommandQueue("cpu").command_buffer().makeComputeCommandEncoder,
        "mpscnn.kernels.MetalKernel(source, ...)",
    ),
    "CVPixelBuffer": (lambda: mpscnn.CVPixelBuffer, "a photo is a path, bytes, a Pillow image or an array"),
    "VGGNet16": (lambda: mpscnn.models.VGGNet16, "did you mean 'vgg16'?"),
    "SqueezeNet": (lambda: mpscnn.models.SqueezeNet, "did you mean 'squeezenet1_"),
    "extractLayers:": (
        lambda: mpscnn.models.mobilenet_v1_features(extractLayers=["pointwise11"]),
        "did you mean 'extract_layers'?",
    ),
    "MPSNNDefaultPadding": (lambda: kernels.MPSNNDefaultPadding, "it is mpscnn.DefaultPadding here"),
    "nodes.MPSCNNConvolution": (lambda: mpscnn.nodes.MPSCNNConvolution, "it is mpscnn.kernels.Convolution"),
    "nodes.MPSImage": (lambda: mpscnn.nodes.MPSImage, "it is mpscnn.Image here"),
    "filterSize:": (
        lambda: mpscnn.nodes.MPSCNNPoolingMaxNode(mpscnn.nodes.MPSNNImageNode((4, 4, 4)), filterSize=2),
        "it is 'kernel_width' and 'kernel_height' here",
    ),
    "exportFromGraph": (
        lambda: mpscnn.nodes.MPSNNImageNode((4, 4, 4)).exportFromGraph,
        "it is 'export_from_graph' here",
    ),
    "lossDescriptor:": (
        lambda: mpscnn.nodes.MPSCNNLossNode(mpscnn.nodes.MPSNNImageNode((1, 1, 4)), lossDescriptor=None),
        "did you mean 'loss_descriptor'?",
    ),
    "MPSLSTMDescriptor": (lambda: kernels.MPSLSTMDescriptor, "net.lstm(x, units).steps"),
    "MPSMatrixMultiplication": (lambda: mpscnn.MPSMatrixMultiplication, "net.matmul(a, b)"),
    "Runner(commandQueue:)": (lambda: mpscnn.Runner(mpscnn.load(), command_queue=1), "device='cpu'"),
}


@pytest.mark.parametrize("name", LED)
def test_names_lead_to_mpscnns(name: str) -> None:
    use, hint = LED[name]
    with pytest.raises((mpscnn.Error, AttributeError, TypeError)) as raised:
        use()
    assert hint in str(raised.value)


def test_names_that_work() -> None:
    """The names of the articles on a command buffer, images, descriptors and neurons that are objects."""
    queue = mpscnn.CommandQueue("cpu")
    commands = queue.makeCommandBuffer()
    relu = kernels.NeuronReLU(a=0.25)
    descriptor = kernels.ConvolutionDescriptor(1, 1, 1, 4, fused_neuron_descriptor=relu)
    assert descriptor.fused_neuron_descriptor == kernels.NeuronDescriptor("relu", a=0.25)
    convolution = kernels.Convolution(descriptor, [1.0, 2.0, -1.0, -2.0], bias_terms=np.zeros(4))
    source = mpscnn.Image(mpscnn.ImageDescriptor(2, 2, 1, format="float16"))
    source.write(np.ones((2, 2, 1), np.float16))
    between = mpscnn.TemporaryImage(commands, mpscnn.ImageDescriptor(2, 2, 4))
    result = mpscnn.Image(mpscnn.ImageDescriptor(2, 2, 4))
    convolution.encode(commands, source, between)
    kernels.NeuronAbsolute().encode(commands, between, result)
    commands.commit()
    commands.waitUntilCompleted()
    assert result.numpy()[0, 0].tolist() == [1.0, 2.0, 0.25, 0.5]
    assert mpscnn.Runner(mpscnn.load(), inflight_buffers=2).inflight == 2


def test_slopes_of_a_neuron_object() -> None:
    descriptor = kernels.ConvolutionDescriptor(1, 1, 1, 2)
    descriptor.fused_neuron_descriptor = kernels.NeuronPReLU([0.5, 2.0])
    with mpscnn.CommandQueue("cpu").command_buffer() as commands:
        image = mpscnn.Image.from_numpy(-np.ones((1, 1, 1), np.float32))
        result = kernels.Convolution(descriptor, [1.0, 1.0]).encode(commands, image)
    assert result.numpy().ravel().tolist() == [-0.5, -2.0]


@pytest.mark.parametrize("number", range(1, 9))
def test_orientations_have_apples_names(number: int) -> None:
    names = ["up", "upMirrored", "down", "downMirrored", "leftMirrored", "right", "rightMirrored", "left"]
    photo = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
    expected = np.asarray(mpscnn.open_photo(photo, orientation=number))
    for name in (names[number - 1], f".{names[number - 1]}"):
        assert np.array_equal(np.asarray(mpscnn.open_photo(photo, orientation=name)), expected)


def test_wrong_orientations_and_descriptors_are_refused() -> None:
    with pytest.raises(mpscnn.ParameterError, match=r"one of 'up', 'upMirrored'.* got 'diagonal'"):
        mpscnn.open_photo(np.zeros((2, 2, 3), np.uint8), orientation="diagonal")
    with pytest.raises(mpscnn.ParameterError, match="give it alone"):
        mpscnn.Image(mpscnn.ImageDescriptor(2, 2, 4), 3)
    with pytest.raises(mpscnn.ParameterError, match="width, height and feature_channels"):
        mpscnn.Image(2, 2)
