"""Test that a graph of nodes becomes a network with the same results as the raw kernels of its nodes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mpscnn
from mpscnn import kernels, nodes
from mpscnn.errors import ParameterError, ShapeError, UnsupportedError
from mpscnn.kernels import ConvolutionDescriptor, DepthWiseConvolutionDescriptor, NeuronDescriptor

Array = NDArray[np.float32]
RANDOM = np.random.default_rng(5)


def floats(*shape: int) -> Array:
    return RANDOM.normal(size=shape).astype(np.float32)


def of_network(result: nodes.MPSNNImageNode, *inputs: Array) -> Array:
    graph = nodes.MPSNNGraph(result)
    session = graph.network.compile(device="cpu", precision="float32").session(threads=1)
    found = session.run([x[None] for x in inputs])
    assert isinstance(found, np.ndarray)
    return found[0]


def of_kernel(kernel: Any, *inputs: Array) -> Array:
    images = [mpscnn.Image.from_numpy(x) for x in inputs]
    with mpscnn.CommandQueue("cpu").command_buffer() as commands:
        result = kernel.encode(commands, *images)
    found: Array = result.numpy()
    return found


def compare(name: str, *arguments: Any, shape: tuple[int, int, int] = (7, 9, 8), **properties: Any) -> None:
    """Compare a graph of one node with the node's raw kernel in a command buffer."""
    kind = getattr(nodes, name)
    inputs = [floats(*shape) + 3 for _ in range(kind.source_count)]
    images = [nodes.MPSNNImageNode(shape, label=f"x{i}") for i in range(len(inputs))]
    node = kind(*images, *arguments, **properties)
    expected = of_kernel(node.kernel, *inputs)
    found = of_network(node.result_image, *inputs)
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=2e-6, atol=2e-6)


CONVOLUTION = ConvolutionDescriptor(3, 2, 8, 4, 2, 1, fused_neuron_descriptor=NeuronDescriptor("relu", 0.1))
WITH_NORMALIZATION = ConvolutionDescriptor(3, 3, 8, 4, fused_neuron_descriptor=NeuronDescriptor("tanh", 1, 1))
WITH_NORMALIZATION.set_batch_normalization_parameters_for_inference(
    floats(4), floats(4) ** 2, floats(4), floats(4), 1e-3
)
BINARY = ConvolutionDescriptor(3, 2, 8, 4, 2, 1, fused_neuron_descriptor=NeuronDescriptor("relu", 0.1))
TRANSPOSED = ConvolutionDescriptor(
    3, 3, 8, 4, 2, 2, dilation_rate_x=2, fused_neuron_descriptor=NeuronDescriptor("prelu", data=floats(4))
)
SLOPES = ConvolutionDescriptor(1, 1, 8, 4, fused_neuron_descriptor=NeuronDescriptor("prelu", data=floats(4)))

CASES: dict[str, list[tuple[tuple[Any, ...], dict[str, Any]]]] = {
    "MPSCNNConvolutionNode": [
        ((CONVOLUTION, floats(4, 2, 3, 8), floats(4)), {}),
        ((CONVOLUTION, floats(4, 2, 3, 8)), {"padding_policy": mpscnn.DefaultPadding(0x0)}),
        ((CONVOLUTION, floats(4, 2, 3, 8)), {"padding_policy": mpscnn.DefaultPadding(0x20)}),
        ((CONVOLUTION, floats(4, 2, 3, 8)), {"padding_policy": mpscnn.DefaultPadding(0x1C)}),
        ((WITH_NORMALIZATION, floats(4, 3, 3, 8), floats(4)), {}),
        ((SLOPES, floats(4, 1, 1, 8)), {}),
        ((DepthWiseConvolutionDescriptor(3, 3, 8, 8, dilation_rate_x=2), floats(8, 3, 3)), {}),
    ],
    "MPSCNNFullyConnectedNode": [((ConvolutionDescriptor(9, 7, 8, 5), floats(5, 7, 9, 8), floats(5)), {})],
    "MPSCNNNeuronPReLUNode": [((floats(8),), {})],
    "MPSCNNNeuronReLUNode": [((), {}), ((0.5,), {})],
    "MPSCNNNeuronReLUNNode": [((0.25, 4.0), {})],
    "MPSCNNPoolingAverageNode": [
        ((3, 2), {"stride_x": 2}),
        ((3, 3), {"edge_mode": "zero"}),
        ((3, 3), {"stride_y": 2, "padding_policy": mpscnn.DefaultPadding(0x8020)}),
    ],
    "MPSCNNPoolingMaxNode": [((2, 2), {"stride_x": 2, "stride_y": 2}), ((3, 3), {"edge_mode": "zero"})],
    "MPSCNNPoolingL2NormNode": [((3, 3), {})],
    "MPSCNNDilatedPoolingMaxNode": [((2, 3, 2, 1), {})],
    "MPSNNReductionFeatureChannelsSumNode": [((), {"weight": 0.5})],
    "MPSCNNCrossChannelNormalizationNode": [((3,), {"alpha": 0.5, "beta": 0.75, "delta": 2.0})],
    "MPSCNNSpatialNormalizationNode": [((3, 3), {}), ((4, 4), {"edge_mode": "clamp"})],
    "MPSCNNLocalContrastNormalizationNode": [((3, 3), {"p0": 0.5, "pm": 0.1, "ps": 2.0})],
    "MPSCNNBatchNormalizationNode": [
        ((floats(8), floats(8) ** 2, floats(8), floats(8)), {"epsilon": 1e-3}),
        (
            (floats(8), floats(8) ** 2),
            {"epsilon": 1e-3, "fused_neuron_descriptor": NeuronDescriptor("sigmoid")},
        ),
    ],
    "MPSCNNGroupNormalizationNode": [((2, floats(8), floats(8)), {"epsilon": 1e-3})],
    "MPSCNNInstanceNormalizationNode": [((floats(8),), {"epsilon": 1e-3})],
    "MPSNNAdditionNode": [((), {"primary_scale": 2.0, "bias": -1.0, "maximum_value": 5.0})],
    "MPSNNMultiplicationNode": [((), {"secondary_stride_x": 0, "secondary_stride_y": 0})],
    "MPSNNReshapeNode": [((8, 9, 7), {})],
    "MPSNNPadNode": [
        (((1, 2, 0), (3, 0, 4)), {"edge_mode": "constant", "fill_value": 2.5}),
        (((1, 2, 0), (3, 1, 0)), {"edge_mode": "mirror"}),
        (((1, 2, 0), (0, 0, 0)), {}),
    ],
    "MPSCNNUpsamplingNearestNode": [((2, 3), {})],
    "MPSCNNUpsamplingBilinearNode": [((2, 3), {}), ((2, 2), {"align_corners": True})],
    "MPSNNBilinearScaleNode": [((13, 5), {}), ((5, 3), {"edge_mode": "zero"})],
    "MPSNNLanczosScaleNode": [
        ((13, 5), {}),
        ((4, 3), {"edge_mode": "zero"}),
        ((), {"scale_transform": kernels.ScaleTransform(1.5, 0.5, -3, 1)}),
    ],
    "MPSCNNConvolutionTransposeNode": [
        ((ConvolutionDescriptor(3, 2, 8, 4, 2, 3), floats(4, 2, 3, 8), floats(4)), {}),
        (
            (ConvolutionDescriptor(4, 3, 8, 4, 2, 2), floats(4, 3, 4, 8)),
            {"kernel_offset_x": 1, "kernel_offset_y": -1},
        ),
        ((TRANSPOSED, floats(4, 3, 3, 8)), {}),
    ],
    "MPSCNNBinaryConvolutionNode": [
        ((BINARY, floats(4, 2, 3, 8)), {"type": kind, "use_beta_scaling": beta, **terms})
        for kind in ("binary_weights", "xnor", "and")
        for beta, terms in (
            (False, {}),
            (
                True,
                {
                    "output_bias_terms": floats(4),
                    "output_scale_terms": floats(4),
                    "input_bias_terms": floats(8) - 3,
                    "input_scale_terms": floats(8),
                },
            ),
        )
    ],
    "MPSCNNBinaryFullyConnectedNode": [
        (
            (ConvolutionDescriptor(9, 7, 8, 5), floats(5, 7, 9, 8)),
            {"type": "xnor", "output_bias_terms": floats(5)},
        )
    ],
    "MPSNNComparisonNode": [
        ((kind,), {"secondary_scale": 1.5, "maximum_value": 0.5})
        for kind in ("equal", "not_equal", "less", "less_or_equal", "greater", "greater_or_equal")
    ],
    "MPSNNGramMatrixCalculationNode": [((0.25,), {})],
    "MPSCNNDropoutNode": [((0.5, 7), {}), ((0.5, 7), {"mask_stride_in_pixels": (0, 1, 1)})],
}
WITHOUT_KERNEL = ("MPSNNConcatenationNode", "MPSNNReductionSpatialMeanNode")


@pytest.mark.parametrize("name", [name for name in nodes.names() if name not in WITHOUT_KERNEL])
def test_a_node_becomes_the_layer_of_its_kernel(name: str) -> None:
    for arguments, properties in CASES.get(name, [((), {})]):
        compare(name, *arguments, **properties)


def test_nodes_without_kernels() -> None:
    a, b = floats(4, 5, 3), floats(4, 5, 6)
    images = [nodes.MPSNNImageNode(x.shape, label=label) for x, label in ((a, "a"), (b, "b"))]
    joined = nodes.MPSNNConcatenationNode(images).result_image
    np.testing.assert_array_equal(of_network(joined, a, b), np.concatenate([a, b], axis=2))
    mean = nodes.MPSNNReductionSpatialMeanNode(joined).result_image
    expected = np.concatenate([a, b], axis=2).astype(np.float64).mean((0, 1))
    np.testing.assert_allclose(of_network(mean, a, b).reshape(-1), expected, rtol=1e-5, atol=1e-6)


def test_names_are_apples(shared: Any) -> None:
    apple = json.loads((shared / "mps" / "mps_api.json").read_text("utf-8"))["classes"]
    assert set(nodes.names()) <= set(apple)


def classifier() -> tuple[nodes.MPSNNImageNode, nodes.MPSNNImageNode]:
    image = nodes.MPSNNImageNode((12, 12, 4))
    descriptor = ConvolutionDescriptor(3, 3, 4, 8, fused_neuron_descriptor=NeuronDescriptor("relu"))
    x = nodes.MPSCNNConvolutionNode(image, descriptor, floats(8, 3, 3, 4), label="conv").result_image
    middle = nodes.MPSCNNPoolingMaxNode(x, 2, 2, stride_x=2, stride_y=2).result_image
    dense = nodes.MPSCNNFullyConnectedNode(middle, ConvolutionDescriptor(6, 6, 8, 3), floats(3, 6, 6, 8))
    return middle, nodes.MPSCNNSoftMaxNode(dense.result_image, label="softmax").result_image


def test_type_checkers_know_all_nodes() -> None:
    declared = re.findall(r"^    (\w+): type\[FilterNode\]$", Path(nodes.__file__).read_text(), re.MULTILINE)
    assert declared == nodes.names()


@pytest.mark.parametrize("count", [1, 2])
def test_a_graph_for_inference_is_encoded_between_kernels(count: int) -> None:
    """`MPSNNGraph.encode` and `Session.encode` take one image, or a list of the images of all inputs."""
    images = [nodes.MPSNNImageNode((2, 3, 4), label=f"x{i}") for i in range(count)]
    last = (nodes.MPSCNNNeuronAbsoluteNode if count == 1 else nodes.MPSNNAdditionNode)(*images)
    graph = nodes.MPSNNGraph(last.result_image)
    arrays = [-np.ones((2, 3, 4), np.float32), 3 * np.ones((2, 3, 4), np.float32)][:count]
    sources = [mpscnn.Image.from_numpy(array) for array in arrays]
    session = graph.network.compile(device="cpu").session()
    with mpscnn.CommandQueue("cpu").command_buffer() as commands:
        found: list[Any] = graph.encode(commands, sources)
        found.append(session.encode(commands, sources))
        if count == 1:
            found += graph.encode(commands, sources[0])
    for result in found:
        np.testing.assert_array_equal(result.numpy(), np.full((2, 3, 4), count, np.float32))


def test_a_graph_is_saved_and_loaded_as_any_network(tmp_path: Any) -> None:
    _, result = classifier()
    network = nodes.MPSNNGraph(result, name="classifier").network
    assert network.layer_names()[:2] == ["image", "conv"]
    network.save(tmp_path / "file.safetensors", dtype="float32")
    x = floats(2, 12, 12, 4)
    expected = network.compile(device="cpu").session(threads=1).run(x)
    assert isinstance(expected, np.ndarray)
    np.testing.assert_allclose(expected.sum(1), 1, rtol=1e-6)
    with mpscnn.load(tmp_path / "file.safetensors", device="cpu").session() as session:
        np.testing.assert_array_equal(session.run(x), expected)


def test_exported_images_are_outputs() -> None:
    middle, result = classifier()
    middle.export_from_graph = True
    network = nodes.MPSNNGraph(result).network
    assert [output.shape for output in network.outputs] == [(None, 3), (None, 6, 6, 8)]


def test_a_long_chain_is_no_recursion() -> None:
    image = nodes.MPSNNImageNode((2, 2, 4))
    for _ in range(2000):
        image = nodes.MPSCNNNeuronAbsoluteNode(image).result_image
    assert len(nodes.MPSNNGraph(image).network.layer_names()) == 2001


def test_properties_in_apples_spelling_are_answered_with_ours() -> None:
    image = nodes.MPSNNImageNode((12, 12, 4))
    node = nodes.MPSCNNPoolingMaxNode(image, 2, 2)
    with pytest.raises(ParameterError, match=r"strideInPixelsX.*it is 'stride_x' here"):
        node.strideInPixelsX = 2
    with pytest.raises(ParameterError, match=r"strideInPixelsX.*it is 'stride_x' here"):
        nodes.MPSCNNPoolingMaxNode(image, 2, 2, strideInPixelsX=2)
    with pytest.raises(ParameterError, match=r"paddingPolicy.*it is 'padding_policy' here"):
        node.paddingPolicy = mpscnn.DefaultPadding(0)
    with pytest.raises(ParameterError, match=r"exportFromGraph.*it is 'export_from_graph' here"):
        image.exportFromGraph = True
    node.edge_mode = "zero"
    assert node.kernel.edge_mode == node.edge_mode == "zero"
    with pytest.raises(AttributeError, match=r"MPSCNNPoolingMaxNode"):
        nodes.MPSCNNPolingMaxNode  # noqa: B018


def test_what_no_graph_can_be_made_of() -> None:
    image = nodes.MPSNNImageNode((12, 12, 4))
    with pytest.raises(ShapeError, match="height, width, feature channels"):
        nodes.MPSNNImageNode((12, 12))
    with pytest.raises(ParameterError, match="is an input"):
        nodes.MPSNNGraph(image)
    with pytest.raises(ParameterError, match="expected 2 images"):
        nodes.MPSNNAdditionNode(image)
    with pytest.raises(ParameterError, match="a list of images"):
        nodes.MPSNNConcatenationNode([])
    other = nodes.MPSNNImageNode((12, 12, 4))
    with pytest.raises(ParameterError, match="different names"):
        nodes.MPSNNGraph(nodes.MPSNNAdditionNode(image, other).result_image)
    clipped = nodes.MPSCNNNeuronAbsoluteNode(image, clip_rect=(0, 0, 2, 2))
    with pytest.raises(UnsupportedError, match="MPSCNNNeuronAbsoluteNode: clip_rect must be"):
        nodes.MPSNNGraph(clipped.result_image)
    clamped = nodes.MPSCNNConvolutionNode(
        image, ConvolutionDescriptor(3, 3, 4, 8), floats(8, 3, 3, 4), edge_mode="clamp"
    )
    compared = nodes.MPSNNComparisonNode(image, image, threshold=0.5)
    with pytest.raises(
        UnsupportedError, match=r"threshold must be 0 in a graph, got 0\.5: Apple's node has none"
    ):
        nodes.MPSNNGraph(compared.result_image)
    with pytest.raises(UnsupportedError, match="MPSNNPadNode"):
        nodes.MPSNNGraph(clamped.result_image)
    assert kernels.Convolution.apple_class == "MPSCNNConvolution"
