"""Compare the gradient nodes of graphs with finite differences, and train graphs."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from kernels.test_nodes import CASES, WITHOUT_KERNEL, floats
from numpy.typing import NDArray

import mpscnn
from mpscnn import kernels, nodes
from mpscnn.kernels import ConvolutionDescriptor, NeuronDescriptor

Array = NDArray[Any]
SHAPE = (7, 9, 8)
DIFFERENTIABLE = [name for name in nodes.names() if getattr(nodes, name).gradient_class is not None]
STEP = 1e-2


def encoded(
    graph: nodes.MPSNNGraph, arrays: list[Array], labels: list[kernels.LossLabels] | None = None
) -> list[Array]:
    images = [mpscnn.Image.from_numpy(array.astype(np.float32)) for array in arrays]
    with mpscnn.CommandQueue("cpu").command_buffer() as commands:
        results = graph.encode(commands, images, labels or [])
    return [np.asarray(result.numpy(), np.float64) for result in results]


def check_gradients(node: Any, inputs: list[Array]) -> None:
    """Compare the gradient of each source along a random direction with a difference of the weighted sum."""
    gradient = nodes.MPSNNImageNode((1, 1, 1), label="gradient")  # its size is not used
    filters = node.gradient_filters(gradient)

    def run(arrays: list[Array], incoming: Array) -> list[Array]:
        # Each graph begins with the first seed of dropouts.
        graph = nodes.MPSNNGraph([node.result_image, *(one.result_image for one in filters)])
        known = {"gradient": incoming, **{f"x{i}": array for i, array in enumerate(arrays)}}
        return encoded(graph, [known[image.label] for image in graph.source_images])

    size = encoded_size(node, inputs)
    incoming = floats(*size)
    found = run(inputs, incoming)[1:]
    assert len(found) == len(inputs)
    for place, result in enumerate(found):
        direction = floats(*inputs[place].shape)
        assert result.shape == direction.shape
        sums = []
        for sign in (1, -1):
            moved = [array + (sign * STEP * direction if i == place else 0) for i, array in enumerate(inputs)]
            sums.append(float((run(moved, incoming)[0] * incoming).sum()))
        expected = (sums[0] - sums[1]) / (2 * STEP)
        scale = float(np.sqrt((result**2).sum()) * np.sqrt((direction**2).sum()))
        assert abs(float((result * direction).sum()) - expected) < 2e-3 * scale + 2e-3, type(node).__name__


def encoded_size(node: Any, inputs: list[Array]) -> tuple[int, ...]:
    """Return the shape of a node's result."""
    images = [mpscnn.Image.from_numpy(array.astype(np.float32)) for array in inputs]
    if node.kernel is None:
        channels = sum(array.shape[2] for array in inputs)
        joins = type(node).__name__ == "MPSNNConcatenationNode"
        return (*inputs[0].shape[:2], channels) if joins else (1, 1, channels)
    size = node.kernel.destination_image_descriptor(*images)
    return size.height, size.width, size.feature_channels


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients_are_those_of_differences(name: str) -> None:
    """Walk the nodes with the arguments of the tests of forward nodes."""
    kind = getattr(nodes, name)
    for arguments, properties in [([], {})] if name in WITHOUT_KERNEL else CASES.get(name, [((), {})])[:2]:
        if "fused_neuron_descriptor" in properties:
            continue
        count = kind.source_count or 2
        inputs = [values(name) for _ in range(count)]
        if properties.get("secondary_stride_x") == 0:  # one pixel for all
            inputs[1] = inputs[1][:1, :1]
        images = [nodes.MPSNNImageNode(x.shape, label=f"x{i}") for i, x in enumerate(inputs)]
        sources = [images] if kind.source_count is None else images
        # The limits of results have no gradient in Apple's classes either.
        others = {key: value for key, value in properties.items() if key != "maximum_value"}
        check_gradients(kind(*sources, *arguments, **others), inputs)


def values(name: str) -> Array:
    """Return numbers above 1; for maxima, numbers that lie far from each other."""
    if "PoolingMax" in name:
        count = int(np.prod(SHAPE))
        return 0.1 * np.random.default_rng(3).permutation(count).reshape(SHAPE)
    return 3.3 + np.clip(floats(*SHAPE), -2, 2)


def classifier(seed: int = 0) -> tuple[Any, list[Any]]:
    """Return the last node before the loss, and the nodes with weights."""
    random = np.random.default_rng(seed)
    image = nodes.MPSNNImageNode((8, 8, 4), label="x")
    relu = NeuronDescriptor("relu")
    first = nodes.MPSCNNConvolutionNode(
        image, ConvolutionDescriptor(3, 3, 4, 8), 0.2 * random.normal(size=(8, 3, 3, 4))
    )
    normalized = nodes.MPSCNNBatchNormalizationNode(first.result_image, number_of_feature_channels=8)
    active = nodes.MPSCNNNeuronReLUNode(normalized.result_image)
    left = nodes.MPSCNNConvolutionNode(
        active.result_image,
        ConvolutionDescriptor(1, 1, 8, 8, fused_neuron_descriptor=relu),
        0.3 * random.normal(size=(8, 1, 1, 8)),
    )
    joined = nodes.MPSNNAdditionNode(left.result_image, active.result_image)  # two readers of `active`
    pool = nodes.MPSCNNPoolingMaxNode(joined.result_image, 2, 2, stride_x=2, stride_y=2)
    dropped = nodes.MPSCNNDropoutNode(pool.result_image, 0.9, 3)
    dense = nodes.MPSCNNFullyConnectedNode(
        dropped.result_image, ConvolutionDescriptor(4, 4, 8, 3), 0.1 * random.normal(size=(3, 4, 4, 8))
    )
    return dense, [first, normalized, left, dense]


def batch(
    random: np.random.Generator, prototypes: Array, count: int = 16
) -> tuple[Array, kernels.LossLabels]:
    classes = random.integers(0, 3, count)
    images = prototypes[classes] + random.normal(size=(count, 8, 8, 4))
    targets = np.eye(3, dtype=np.float32)[classes][:, None, None]
    return images, kernels.LossLabels(kernels.LossDataDescriptor(targets))


DESCRIPTOR = kernels.LossDescriptor("softmax_cross_entropy", "mean", reduce_across_batch=True, weight=1 / 16)


def test_a_graph_trains_a_classifier() -> None:
    """All weights change, the loss falls, and a graph of the same nodes is the trained network."""
    random = np.random.default_rng(1)
    prototypes = random.normal(size=(3, 8, 8, 4))
    dense, weighted = classifier()
    before = [dict(node.kernel.__getstate__()["weights"]) for node in weighted]
    loss = nodes.MPSCNNLossNode(dense.result_image, DESCRIPTOR)
    seen: list[str] = []
    last = loss.training_graph(
        node_handler=lambda made, node, source, gradient: seen.append(type(made).__name__)
    )
    assert [type(node).__name__ for node in last] == ["MPSCNNConvolutionGradientNode"]
    assert seen[:2] == ["MPSCNNFullyConnectedGradientNode", "MPSCNNDropoutGradientNode"]
    graph = nodes.MPSNNGraph(
        [node.result_image for node in last],
        optimizer=kernels.OptimizerAdam(1e-2),
        result_image_is_needed=False,
    )
    assert graph.source_states == [loss.input_labels]
    losses = []
    for _ in range(20):
        images, labels = batch(random, prototypes)
        assert encoded(graph, [images], [labels]) == []
        losses.append(float(labels.loss[0, 0, 0, 0]))
    assert np.mean(losses[-3:]) < 0.3 * losses[0]
    for node, old in zip(weighted, before, strict=True):
        new = node.kernel.__getstate__()["weights"]
        assert all(not np.array_equal(new[role], old[role]) for role in old if role in new)
    pooled = dense.sources[0].producer
    assert pooled is not None
    network = nodes.MPSNNGraph(nodes.MPSCNNSoftMaxNode(dense.result_image).result_image).network
    results = network.compile(device="cpu", precision="float32").session().run(prototypes.astype(np.float32))
    assert np.asarray(results).reshape(3, 3).argmax(1).tolist() == [0, 1, 2]
    with pytest.raises(mpscnn.UnsupportedError, match=r"MPSNNGraph\(node.result_image\)"):
        graph.network  # noqa: B018


def test_gradients_of_weights_without_an_optimizer() -> None:
    random = np.random.default_rng(2)
    image = nodes.MPSNNImageNode((5, 5, 4), label="x")
    weights = random.normal(size=(3, 3, 3, 4)).astype(np.float32)
    node = nodes.MPSCNNConvolutionNode(image, ConvolutionDescriptor(3, 3, 4, 3), weights)
    labels = nodes.MPSNNImageNode((5, 5, 3), label="labels")
    loss = nodes.MPSNNForwardLossNode(
        node.result_image, labels, kernels.LossDescriptor("mean_squared_error", "sum")
    )
    start = nodes.MPSNNInitialGradientNode(loss.result_image)
    last = loss.training_graph(start.result_image)
    graph = nodes.MPSNNGraph([loss.result_image, last[0].result_image])
    arrays = {"x": random.normal(size=(5, 5, 4)), "labels": random.normal(size=(5, 5, 3))}
    given = [arrays[one.label] for one in graph.source_images]
    encoded(graph, given)
    found = graph.gradient_state(node).gradient_for_weights
    direction = random.normal(size=weights.shape)

    def total(sign: int) -> float:
        node.kernel.reload_weights_and_biases(
            kernels.ConvolutionWeightsAndBiasesState((weights + sign * STEP * direction).astype(np.float32))
        )
        return float(encoded(graph, given)[0].sum())

    expected = (total(1) - total(-1)) / (2 * STEP)
    np.testing.assert_allclose(float((found * direction).sum()), expected, rtol=2e-3)


def test_a_step_waits_for_the_step_before() -> None:
    dense, _ = classifier()
    loss = nodes.MPSCNNLossNode(dense.result_image, DESCRIPTOR)
    graph = nodes.MPSNNGraph(
        [node.result_image for node in loss.training_graph()], optimizer=kernels.OptimizerAdam(1e-2)
    )
    images, labels = batch(np.random.default_rng(0), np.zeros((3, 8, 8, 4)))
    commands = mpscnn.CommandQueue("cpu").command_buffer()
    graph.encode(commands, mpscnn.Image.from_numpy(images.astype(np.float32)), labels)
    with pytest.raises(mpscnn.StateError, match="not completed; wait for it"):
        dense.kernel  # noqa: B018
    commands.commit()
    commands.wait()
    assert dense.kernel is not None


def test_mistakes_are_explained() -> None:
    image = nodes.MPSNNImageNode((4, 4, 4), label="x")
    least = nodes.MPSNNReductionRowMinNode(image)
    with pytest.raises(mpscnn.UnsupportedError, match="MPSNNReductionRowMinNode: has no gradient node"):
        least.gradient_filter(image)
    sums = nodes.MPSNNAdditionNode(image, image)
    with pytest.raises(mpscnn.ParameterError, match="has 2 sources"):
        sums.gradient_filter(image)
    with pytest.raises(mpscnn.ParameterError, match="needs a state of MPSCNNSoftMaxNode"):
        nodes.MPSCNNSoftMaxGradientNode(image, image, sums.result_state)
    with pytest.raises(mpscnn.ParameterError, match="optimizer is for training graphs"):
        nodes.MPSNNGraph(sums.result_image, optimizer=kernels.OptimizerAdam(1e-3))
    loss = nodes.MPSCNNLossNode(sums.result_image, DESCRIPTOR)
    graph = nodes.MPSNNGraph([node.result_image for node in loss.training_graph()])
    with pytest.raises(mpscnn.ParameterError, match="the graph has 1 labels, got 0"):
        encoded(graph, [np.zeros((4, 4, 4))])
    with pytest.raises(mpscnn.ParameterError, match=r"optimizer must be one of mpscnn\.kernels"):
        nodes.MPSNNGraph(loss.training_graph()[0].result_image, optimizer="adam")  # type: ignore[arg-type]


def test_names_of_gradient_nodes_are_apples(shared: Any) -> None:
    apple = json.loads((shared / "mps" / "mps_api.json").read_text("utf-8"))["classes"]
    assert {*nodes.gradient_names(), "MPSNNLabelsNode", "MPSNNGradientStateNode"} <= set(apple)
