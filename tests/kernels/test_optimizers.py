"""Tests of optimisers, and of training a network of raw kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from kernels import index_rule
from kernels.index_rule import normal
from reference import optimizer as reference_optimizer

import mpscnn
from mpscnn import kernels
from mpscnn.kernels import ConvolutionDescriptor, LossDescriptor, NeuronDescriptor

pytestmark = pytest.mark.usefixtures("operations_of_training")
Image = mpscnn.Image


def steps(optimizer: kernels.Optimizer, count: int) -> tuple[Any, list[Any], Any]:
    """Run some steps. Returns the new weights, the gradients of the steps, and the old weights."""
    values = normal(0, (2, 3, 3, 5))
    gradients = [normal(10 + i, values.shape) for i in range(count)]
    moments, image = kernels.OptimizerMoments(), Image.from_numpy(values)
    with index_rule.QUEUE.command_buffer() as commands:
        for gradient in gradients:
            image = optimizer.step(commands, Image.from_numpy(gradient), image, moments)
    return image.read(), gradients, values


PREPARED = {
    "gradient_rescale": 0.5,
    "apply_gradient_clipping": True,
    "gradient_clip_min": -0.75,
    "gradient_clip_max": 0.5,
    "regularization_scale": 0.125,
}


def prepared(gradient: Any, values: Any, kind: str) -> Any:
    attributes = {"clip": True, "minimum": -0.75, "maximum": 0.5, "rescale": 0.5}
    attributes |= {"regularization": kind, "regularization_scale": 0.125}
    return reference_optimizer.optimizer_gradient(gradient, values, None, attributes)


@pytest.mark.parametrize("kind", ["none", "l1", "l2"])
@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.75, False), (0.75, True)])
def test_stochastic_gradient_descent(momentum: float, nesterov: bool, kind: str) -> None:
    descriptor = kernels.OptimizerDescriptor(0.25, regularization_type=kind, **PREPARED)
    got, gradients, values = steps(
        kernels.OptimizerStochasticGradientDescent(descriptor, momentum, nesterov), 3
    )
    expected, moment = values.astype(np.float64), np.zeros(values.shape)
    for given in gradients:
        gradient = prepared(given, expected, kind)
        moment = momentum * moment + gradient * (1.0 if nesterov else 0.25)
        expected = expected - (0.25 * (gradient + momentum * moment) if nesterov else moment)
    np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["none", "l2"])
def test_rms_prop(kind: str) -> None:
    descriptor = kernels.OptimizerDescriptor(0.25, regularization_type=kind, **PREPARED)
    got, gradients, values = steps(kernels.OptimizerRMSProp(descriptor, decay=0.5, epsilon=0.125), 3)
    expected, squares = values.astype(np.float64), np.zeros(values.shape)
    for given in gradients:
        gradient = prepared(given, expected, kind)
        squares = 0.5 * squares + 0.5 * gradient**2
        expected = expected - 0.25 * gradient / (np.sqrt(squares) + 0.125)
    np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize("largest", [False, True])
@pytest.mark.parametrize("before", [0, 4])
def test_adam(largest: bool, before: int) -> None:
    """Adam counts the steps of each weight. `time_step` is the number of steps before the first one."""
    optimizer = kernels.OptimizerAdam(
        0.25, beta1=0.5, beta2=0.75, epsilon=0.125, use_maximum_velocity=largest, time_step=before
    )
    got, gradients, values = steps(optimizer, 3)
    assert optimizer.time_step == before
    expected = values.astype(np.float64)
    first, second, maximum = (np.zeros(values.shape) for _ in range(3))
    for i, gradient in enumerate(gradients):
        time = before + i + 1
        rate = 0.25 * np.sqrt(1 - 0.75**time) / (1 - 0.5**time)
        first, second = 0.5 * first + 0.5 * gradient, 0.75 * second + 0.25 * gradient.astype(np.float64) ** 2
        maximum = np.maximum(maximum, second) if largest else second
        expected = expected - rate * first / (np.sqrt(maximum) + 0.125)
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_optimisers_out_of_range_are_named() -> None:
    sgd = kernels.OptimizerStochasticGradientDescent
    for kernel, message in (
        (lambda: kernels.OptimizerAdam(beta1=1.0), "beta1 must be below 1, got 1"),
        (lambda: kernels.OptimizerAdam(beta2=1.0), "beta2 must be below 1, got 1"),
        (
            lambda: sgd(kernels.OptimizerDescriptor(gradient_clip_min=2.0)),
            "gradient_clip_min must be at most",
        ),
        (lambda: sgd("fast"), "expected an OptimizerDescriptor, got str"),
    ):
        with pytest.raises(mpscnn.ParameterError, match=message):
            kernel()
    kernel = sgd(0.5)
    with pytest.raises(mpscnn.ParameterError, match="has no result velocity"):
        kernel.result = "velocity"
    kernel.set_learning_rate(0.25)
    assert kernel.learning_rate == 0.25
    image, small = Image(2, 2, 3), Image(2, 2, 2)
    commands = index_rule.QUEUE.command_buffer()
    with pytest.raises(mpscnn.ShapeError, match="source 0 must have the size of the values, 2 x 2 x 3"):
        kernel.encode(commands, small, image)
    with pytest.raises(mpscnn.ParameterError, match="got 1 moments behind the gradient and the values"):
        kernel.encode(commands, small, image, image)
    with pytest.raises(mpscnn.ParameterError, match="takes 4 to 5 source images, got 2"):
        kernels.OptimizerAdam().encode(commands, image, image)


def fit(optimizer: kernels.Optimizer) -> list[float]:
    """Train a small network of kernels to classify images into two classes, and return the losses."""
    random = np.random.default_rng(0)
    classes = random.integers(0, 2, 16)
    x = random.normal(0, 1, (16, 4, 4, 4)).astype(np.float32) + classes[:, None, None, None]
    source, labels = (
        Image.from_numpy(x),
        Image.from_numpy(np.eye(2, dtype=np.float32)[classes][:, None, None]),
    )
    sizes = ConvolutionDescriptor(3, 3, 4, 8), ConvolutionDescriptor(4, 4, 8, 2)
    first = kernels.ConvolutionWeightsAndBiasesState(random.normal(0, 0.2, (8, 3, 3, 4)), np.zeros(8))
    last = kernels.ConvolutionWeightsAndBiasesState(random.normal(0, 0.2, (2, 4, 4, 8)), np.zeros(2))
    convolution = (
        kernels.Convolution(sizes[0], first.weights),
        kernels.ConvolutionGradient(sizes[0], first.weights),
    )
    normalization = kernels.BatchNormalization(
        number_of_feature_channels=8, fused_neuron_descriptor=NeuronDescriptor("relu")
    )
    relu = NeuronDescriptor("relu")
    sums = kernels.BatchNormalizationStatisticsGradient(8, fused_neuron_descriptor=relu)
    back = kernels.BatchNormalizationGradient(8, fused_neuron_descriptor=relu)
    scale = kernels.NormalizationGammaAndBetaState(np.ones(8), np.zeros(8))
    dense = (
        kernels.FullyConnected(sizes[1], last.weights),
        kernels.FullyConnectedGradient(sizes[1], last.weights),
    )
    loss = kernels.Loss(
        LossDescriptor("softmax_cross_entropy", "mean", reduce_across_batch=True, weight=1 / 16)
    )
    moments = [kernels.OptimizerMoments() for _ in range(3)]
    losses = []
    for _ in range(8):
        of_first, of_last = convolution[0].result_state(source), dense[0].result_state(source)
        batch, targets = normalization.result_state(), kernels.LossLabels(labels)
        with index_rule.QUEUE.command_buffer() as commands:
            hidden = convolution[0].encode(commands, source, destination_state=of_first)
            kernels.BatchNormalizationStatistics().encode(commands, hidden, batch)
            active = normalization.encode(commands, hidden, batch_normalization_state=batch)
            result = dense[0].encode(commands, active, destination_state=of_last)
            gradient = loss.encode(commands, result, targets)
            gradient = dense[1].encode(commands, gradient, active, of_last)
            sums.encode(commands, gradient, hidden, batch)
            gradient = back.encode(commands, gradient, hidden, batch)
            convolution[1].encode_weights(commands, gradient, source, of_first)
            first = optimizer.update(commands, of_first, first, moments[0])
            scale = optimizer.update(commands, batch, scale, moments[1])
            last = optimizer.update(commands, of_last, last, moments[2])
            with pytest.raises(mpscnn.StateError, match="not there yet"):
                _ = last.weights
        for kernel in convolution:
            kernel.reload_weights_and_biases(first)
        for kernel in dense:
            kernel.reload_weights_and_biases(last)
        normalization.reload_gamma_and_beta(scale)
        losses.append(float(targets.loss[0, 0, 0, 0]))
    assert first.weights.shape == (8, 3, 3, 4)
    assert first.biases is not None
    assert first.biases.shape == (8,)
    return losses


@pytest.mark.parametrize(
    "make",
    [
        lambda: kernels.OptimizerStochasticGradientDescent(0.5, 0.5),
        lambda: kernels.OptimizerRMSProp(0.02),
        lambda: kernels.OptimizerAdam(0.05),
    ],
    ids=["sgd", "rmsprop", "adam"],
)
def test_kernels_learn(make: Callable[[], kernels.Optimizer]) -> None:
    losses = fit(make())
    assert losses[-1] < losses[0] / 4


def test_updates_that_do_not_fit_are_refused() -> None:
    descriptor, weights = ConvolutionDescriptor(1, 1, 4, 4), np.ones((4, 1, 1, 4), np.float32)
    image = Image.from_numpy(normal(0, (2, 2, 4)))
    forward, back = kernels.Convolution(descriptor, weights), kernels.ConvolutionGradient(descriptor, weights)
    state, optimizer = forward.result_state(image), kernels.OptimizerAdam()
    moments = kernels.OptimizerMoments()
    own = kernels.ConvolutionWeightsAndBiasesState(weights)
    commands = index_rule.QUEUE.command_buffer()
    with pytest.raises(mpscnn.StateError, match="has no gradients; encode a gradient kernel first"):
        optimizer.update(commands, state, own, moments)
    forward.encode(commands, image, destination_state=state)
    back.encode(commands, image, image, state)
    with pytest.raises(mpscnn.ParameterError, match="expected a ConvolutionWeightsAndBiasesState, got Norm"):
        optimizer.update(commands, state, kernels.NormalizationGammaAndBetaState(None), moments)
    with pytest.raises(mpscnn.ShapeError, match=r"weights must have 16 elements, got \(4, 1, 1, 2\)"):
        optimizer.update(commands, state, kernels.ConvolutionWeightsAndBiasesState(weights[..., :2]), moments)
    with pytest.raises(mpscnn.ParameterError, match="expected a gradient state, got int"):
        optimizer.update(commands, 3, kernels.NormalizationGammaAndBetaState(None), moments)  # type: ignore[arg-type]
    with pytest.raises(mpscnn.StateError, match="the gradient of weights is not there yet"):
        _ = state.gradient_for_weights
