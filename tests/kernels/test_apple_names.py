"""Test that errors for names in Apple's spelling state mpscnn's names."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest

import mpscnn
from mpscnn import kernels
from mpscnn.kernels import apple_names


@pytest.mark.parametrize(
    ("apple", "own"),
    [
        ("edgeMode", "edge_mode"),
        ("clipRect", "clip_rect"),
        ("strideInPixelsX", "stride_x"),
        ("strideInPixelsY", "stride_y"),
        ("kernelWidth", "kernel_width"),
        ("destinationFeatureChannelOffset", "destination_feature_channel_offset"),
    ],
)
def test_properties(apple: str, own: str) -> None:
    message = f"unknown property '{apple}'; it is '{own}' here"
    with pytest.raises(mpscnn.ParameterError, match=message):
        kernels.PoolingMax(2, 2, **{apple: 1})
    pool = kernels.PoolingMax(2, 2)
    with pytest.raises(mpscnn.ParameterError, match=message):
        setattr(pool, apple, 1)
    with pytest.raises(AttributeError, match=f"no attribute '{apple}'; it is '{own}' here"):
        getattr(pool, apple)


@pytest.mark.parametrize(
    ("kind", "apple", "message"),
    [
        (
            kernels.OptimizerStochasticGradientDescent,
            "useNestrovMomentum",
            "it is 'use_nesterov_momentum' here",
        ),
        (
            kernels.OptimizerStochasticGradientDescent,
            "use_nestrov_momentum",
            "it is 'use_nesterov_momentum' here",
        ),
        (
            kernels.OptimizerStochasticGradientDescent,
            "useNesterovMomentum",
            "it is 'use_nesterov_momentum' here",
        ),
        (kernels.LossGradient, "computeLabelGradients", "it is 'compute_label_gradients' here"),
        (kernels.PoolingGradient, "sourceSize", "it is 'source_size' here"),
        (kernels.ConvolutionGradient, "serializeWeightsAndBiases", "Apple's does nothing any more"),
        (
            kernels.ConvolutionGradient,
            "gradientOption",
            "it is which of encode, encode_data and encode_weights",
        ),
    ],
)
def test_properties_of_training(kind: type, apple: str, message: str) -> None:
    arguments: dict[type, tuple[object, ...]] = {
        kernels.LossGradient: (kernels.LossDescriptor("huber"),),
        kernels.PoolingGradient: (2, 2),
        kernels.ConvolutionGradient: (kernels.ConvolutionDescriptor(1, 1, 1, 1), [1.0]),
    }
    made = kernels.PoolingMaxGradient if kind is kernels.PoolingGradient else kind
    kernel = made(*arguments.get(kind, ()))
    with pytest.raises(mpscnn.ParameterError, match=f"unknown property '{apple}'; {message}"):
        setattr(kernel, apple, True)


def test_descriptors() -> None:
    """An unknown property of a descriptor is an error; it must not silently become a new attribute."""
    message = "ConvolutionDescriptor: unknown property 'strideInPixelsX'; it is 'stride_x' here"
    with pytest.raises(mpscnn.ParameterError, match=message):
        kernels.ConvolutionDescriptor(3, 3, 1, 1, strideInPixelsX=2)  # type: ignore[call-arg]
    for kind in (kernels.ConvolutionDescriptor, kernels.DepthWiseConvolutionDescriptor):
        descriptor = kind(3, 3, 1, 1)
        with pytest.raises(mpscnn.ParameterError, match=message):
            descriptor.strideInPixelsX = 2  # type: ignore[union-attr]
        descriptor.stride_x = 2
        assert (copy.deepcopy(descriptor).stride_x, pickle.loads(pickle.dumps(descriptor, 2)).stride_x) == (
            2,
            2,
        )
    with pytest.raises(
        mpscnn.ParameterError, match="NeuronDescriptor: unknown property 'neuronType'; it is 'neuron_type'"
    ):
        kernels.NeuronDescriptor(neuronType="relu")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("apple", "place"),
    [
        ("MPSImage", "'Image' here"),
        ("MTLCommandQueue", "'CommandQueue' here"),
        ("MPSNNGraph", r"mpscnn\.nodes\.MPSNNGraph"),
        ("MPSCNNConvolution", r"mpscnn\.kernels\.Convolution"),
        ("MetalKernel", r"mpscnn\.kernels\.MetalKernel"),
    ],
)
def test_classes_that_are_looked_for_in_the_package(apple: str, place: str) -> None:
    with pytest.raises(AttributeError, match=f"no attribute '{apple}'; it is {place}$"):
        getattr(mpscnn, apple)
    assert not hasattr(mpscnn, "nonsense")


def test_properties_of_nodes() -> None:
    image = mpscnn.nodes.MPSNNImageNode((8, 8, 3))
    pool = mpscnn.nodes.MPSCNNPoolingMaxNode(image, 2, 2)
    with pytest.raises(
        AttributeError, match=r"'MPSCNNPoolingMaxNode'.* 'resultImage'; it is 'result_image' here"
    ):
        pool.resultImage  # noqa: B018


def test_other_mistakes() -> None:
    with pytest.raises(mpscnn.ParameterError, match="unknown property 'edge_mod'; did you mean 'edge_mode'"):
        kernels.PoolingMax(2, 2, edge_mod="clamp")  # type: ignore[call-arg]
    with pytest.raises(mpscnn.ParameterError, match=r"unknown property 'zyx'$"):
        kernels.PoolingMax(2, 2, zyx=1)  # type: ignore[call-arg]
    assert not hasattr(kernels.PoolingMax(2, 2), "_nothing")


@pytest.mark.parametrize(
    ("apple", "own"),
    [
        ("MPSCNNConvolution", "Convolution"),
        ("CNNPoolingMax", "PoolingMax"),
        ("MPSNNResizeBilinear", "ResizeBilinear"),
    ],
)
def test_classes(apple: str, own: str) -> None:
    assert hasattr(kernels, own)
    with pytest.raises(AttributeError, match=f"no attribute '{apple}'; it is '{own}' here"):
        getattr(kernels, apple)


def camel_case(own: str) -> str:
    first, *rest = own.split("_")
    return first + "".join(word.capitalize() for word in rest)


def test_every_property_in_apples_spelling() -> None:
    """For each property in camel case, the error states the property's name in mpscnn."""
    for name in kernels.__all__:
        known = [own for own in dir(getattr(kernels, name)) if not own.startswith("_")]
        for own in known:
            apple = camel_case(own)
            if apple != own:
                assert apple_names.property_hint(apple, known) == f"; it is {own!r} here"


APPLES = {
    "commands": ["commandBuffer"],
    "source": ["sourceImage"],
    "sources": ["sourceImages"],
    "primary": ["primaryImage", "primaryImages"],
    "secondary": ["secondaryImage", "secondaryImages"],
    "destination": ["destinationImage", "destinationGradient"],
    "destinations": ["destinationImages", "destinationGradients"],
}


def test_arguments_of_encode_in_apples_spelling() -> None:
    """For each method that encodes, the error states the argument's name in mpscnn."""
    walked = set()
    for name in kernels.__all__:
        kind = getattr(kernels, name)
        if not (isinstance(kind, type) and issubclass(kind, kernels.Kernel)):
            continue
        for method in [method for method in dir(kind) if method.startswith("encode")]:
            parameters = inspect.signature(getattr(kind, method)).parameters.values()
            own, *known = [one.name for one in parameters if one.kind is not one.VAR_POSITIONAL]
            assert own == "self"
            for argument in known:
                for apple in APPLES.get(argument, [camel_case(argument)]):
                    if apple == argument:
                        continue
                    walked.add(argument)
                    with pytest.raises(
                        TypeError, match=f"{method}.. has no argument '{apple}'; it is '{argument}' here"
                    ):
                        getattr(kind, method)(None, **{apple: None})
    assert walked > {*APPLES, "source_gradient", "destination_state"}


def test_arguments_of_encode_of_nodes() -> None:
    node = mpscnn.nodes.MPSCNNNeuronReLUNode(mpscnn.nodes.MPSNNImageNode((8, 8, 3)))
    with pytest.raises(TypeError, match="no argument 'sourceImage'; it is 'source' here"):
        node.encode(None, sourceImage=None)


def test_copies_still_work() -> None:
    pool = kernels.PoolingMax(2, 2, stride_x=2)
    assert copy.deepcopy(pool).stride_x == pickle.loads(pickle.dumps(pool)).stride_x == 2
