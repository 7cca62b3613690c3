"""Test kernels of training: batch normalizations and losses, and the rules of gradient kernels and states."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from kernels import index_rule
from kernels.index_rule import normal
from reference import loss as reference_loss

import mpscnn
from mpscnn import kernels
from mpscnn.kernels import ConvolutionDescriptor, LossDescriptor, NeuronDescriptor

pytestmark = pytest.mark.usefixtures("operations_of_training")
Image = mpscnn.Image
GAMMA, BETA = normal(3, (8,)), normal(4, (8,))


def normalized(x: Any) -> Any:
    deviation = np.sqrt(x.var((0, 1, 2)) + 0.125)
    return (x - x.mean((0, 1, 2))) / deviation


@pytest.mark.parametrize("neuron", [None, NeuronDescriptor("elu", 1.0)])
@pytest.mark.parametrize("parts", [1, 3])
def test_batch_normalization(neuron: NeuronDescriptor | None, parts: int) -> None:
    """Gradients flow through the batch's statistics. A list of images is one batch, like an image with several."""
    x, gradient = normal(0, (3, 2, 3, 8)) + 3, normal(1, (3, 2, 3, 8))
    batch = [Image.from_numpy(part) for part in np.split(x, parts)]
    given = [Image.from_numpy(part) for part in np.split(gradient, parts)]
    state = kernels.BatchNormalization(
        gamma=GAMMA, beta=BETA, epsilon=0.125, fused_neuron_descriptor=neuron
    ).result_state()
    sums = kernels.BatchNormalizationStatisticsGradient(8, fused_neuron_descriptor=neuron)
    back = kernels.BatchNormalizationGradient(8, fused_neuron_descriptor=neuron)
    statistics = kernels.BatchNormalizationStatistics()
    with index_rule.QUEUE.command_buffer() as commands:
        if parts == 1:
            statistics.encode(commands, batch[0], state)
            sums.encode(commands, given[0], batch[0], state)
            got = [back.encode(commands, given[0], batch[0], state)]
        else:
            statistics.encode_batch(commands, batch, state)
            sums.encode_batch(commands, given, batch, state)
            got = back.encode_batch(commands, given, batch, state)
    x, gradient = x.astype(np.float64), gradient.astype(np.float64)
    before = normalized(x) * GAMMA + BETA
    own = gradient if neuron is None else gradient * np.where(before > 0, 1.0, np.exp(np.minimum(before, 0)))
    axes = (0, 1, 2)
    np.testing.assert_allclose(state.gradient_for_beta, own.sum(axes), atol=2e-5)
    np.testing.assert_allclose(state.gradient_for_gamma, (own * normalized(x)).sum(axes), atol=2e-5)
    expected = (own - own.mean(axes) - normalized(x) * (own * normalized(x)).mean(axes)) * GAMMA
    expected /= np.sqrt(x.var(axes) + 0.125)
    np.testing.assert_allclose(np.concatenate([image.read() for image in got]), expected, atol=2e-5)


def test_the_order_of_a_batch_normalization() -> None:
    image = Image.from_numpy(normal(0, (2, 2, 8)))
    state = kernels.BatchNormalization(gamma=GAMMA).result_state()
    commands = index_rule.QUEUE.command_buffer()
    sums, back = kernels.BatchNormalizationStatisticsGradient(8), kernels.BatchNormalizationGradient(8)
    with pytest.raises(mpscnn.StateError, match="has no statistics"):
        sums.encode(commands, image, image, state)
    with pytest.raises(mpscnn.StateError, match="encode BatchNormalizationStatisticsGradient first"):
        back.encode(commands, image, image, state)
    kernels.BatchNormalizationStatistics().encode(commands, image, state)
    sums.encode(commands, image, image, state)
    with pytest.raises(mpscnn.StateError, match="its command buffer is not_enqueued"):
        _ = state.gradient_for_gamma
    with pytest.raises(mpscnn.ParameterError, match="expected a BatchNormalizationState, got int"):
        back.encode(commands, image, image, 3)  # type: ignore[arg-type]
    with pytest.raises(mpscnn.ShapeError, match="one length above 0, got 2 and 1"):
        sums.encode_batch(commands, [image, image], [image], state)
    small = Image.from_numpy(normal(0, (2, 2, 4)))
    with pytest.raises(mpscnn.ShapeError, match="must have 8 feature channels, got 4"):
        sums.encode(commands, small, image, state)
    with pytest.raises(mpscnn.ParameterError, match="needs a batch normalization state"):
        back._kernel.encode(commands._commands, [image._image] * 3, Image(2, 2, 8)._image)
    state.reset()
    with pytest.raises(mpscnn.StateError, match="has no gradients"):
        _ = state.gradient_for_beta


LOSSES: list[str] = next(
    parameter["allowed"]
    for operation in mpscnn.operations(training=True)
    if operation["name"] == "loss"
    for parameter in operation["parameters"]
    if parameter["name"] == "kind"
)
SYMMETRIC = ["mean_absolute_error", "mean_squared_error", "huber", "cosine_distance"]


def example(kind: str, *, images: int = 3) -> tuple[Any, Any, Any]:
    """Return a prediction, labels and weights for which a loss is defined."""
    y, t = normal(0, (images, 2, 3, 5)), np.abs(normal(1, (images, 2, 3, 5))) + 0.1
    if kind in ("categorical_cross_entropy", "log"):
        y = 1 / (1 + np.exp(-y))
    if kind in ("hinge", "log", "kullback_leibler"):
        t = np.clip(t, 0.1, 0.9)
    weights = np.where(normal(2, y.shape) > 0, np.float32(2), np.float32(0))
    return y.astype(np.float32), t.astype(np.float32), weights


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("across", [False, True])
def test_a_loss_of_a_batch(reduction: str, across: bool) -> None:
    """For a list of images, the first labels object gets the loss of all, as for one image with all of them."""
    y, t, _ = example("mean_squared_error")
    descriptor = LossDescriptor("mean_squared_error", reduction, reduce_across_batch=across)
    kernel = kernels.Loss(descriptor)
    together = kernels.LossLabels(Image.from_numpy(t))
    apart = [kernels.LossLabels(Image.from_numpy(one)) for one in t]
    with index_rule.QUEUE.command_buffer() as commands:
        whole = kernel.encode(commands, Image.from_numpy(y), together)
        parts = kernel.encode_batch(commands, [Image.from_numpy(one) for one in y], apart)
    np.testing.assert_array_equal(whole.read(), np.concatenate([part.read() for part in parts]))
    losses = np.concatenate([labels.loss for labels in apart])
    if across and reduction != "none":
        assert (losses[1:] == 0).all()
        losses = losses[:1]
    np.testing.assert_allclose(losses, together.loss, rtol=1e-6)


@pytest.mark.parametrize("kind", ["mean_squared_error", "softmax_cross_entropy"])
def test_each_image_of_a_batch_counts_its_weights(kind: str) -> None:
    """As in MPSCNNLoss, each class of a pixel has a weight. An image whose weights are all 0 has a loss of 0."""
    y, t, weights = example(kind)
    weights[1] = 0
    weights[2, 0, 0] = [0, 0, 0, 2, 0]
    labels = [
        kernels.LossLabels(Image.from_numpy(one), Image.from_numpy(own))
        for one, own in zip(t, weights, strict=True)
    ]
    kernel = kernels.Loss(LossDescriptor(kind, "sum_by_nonzero_weights"))
    with index_rule.QUEUE.command_buffer() as commands:
        gradients = kernel.encode_batch(commands, [Image.from_numpy(one) for one in y], labels)
    attributes = {"kind": kind, "reduction": "sum_by_nonzero_weights", "reduce_across_batch": False}
    attributes |= {"counts_pixels": False, "divides": False, "number_of_classes": 5}
    expected = reference_loss.loss(y, t, weights.astype(np.float64), attributes)
    assert expected[1, 0] == 0
    losses = np.concatenate([one.loss for one in labels])
    np.testing.assert_allclose(losses.reshape(3, 1), expected, rtol=1e-5)
    expected = reference_loss.loss_gradient(y, t, weights, attributes)
    got = np.concatenate([gradient.read() for gradient in gradients])
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("kind", LOSSES)
def test_a_loss_in_passes(kind: str, across: bool) -> None:
    """ForwardLoss, InitialGradient and LossGradient give what Loss gives. tests/operations/test_loss.py has both."""
    given = example(kind)
    y, t, weights = (Image.from_numpy(array) for array in given)
    fields: dict[str, Any] = {"weight": 1.5, "label_smoothing": 0.125, "number_of_classes": 5, "delta": 0.5}
    descriptor = LossDescriptor(kind, "sum", reduce_across_batch=across, **fields)
    labels = kernels.LossLabels(
        kernels.LossDataDescriptor(np.moveaxis(given[1], -1, -3), "chw"), kernels.LossDataDescriptor(given[2])
    )
    with index_rule.QUEUE.command_buffer() as commands:
        expected = kernels.Loss(descriptor).encode(commands, y, labels)
        loss = kernels.ForwardLoss(descriptor).encode(commands, y, t, weights)
        ones = kernels.InitialGradient().encode(commands, loss)
        twos = kernels.Add().encode(commands, ones, ones)
        got = kernels.LossGradient(descriptor).encode(commands, twos, y, t, weights)
    np.testing.assert_array_equal(loss.read(), labels.loss)
    assert (ones.read() == 1).all()
    np.testing.assert_allclose(got.read(), 2 * expected.read(), rtol=1e-6)


def test_the_gradient_of_each_element() -> None:
    y, t, weights = (Image.from_numpy(array) for array in example("huber"))
    unreduced = LossDescriptor("huber", "none", delta=0.5)
    with index_rule.QUEUE.command_buffer() as commands:
        got = kernels.LossGradient(unreduced).encode(commands, weights, y, t)
        plain = kernels.Loss(unreduced).encode(commands, y, kernels.LossLabels(t, weights))
    np.testing.assert_allclose(got.read(), plain.read(), rtol=1e-6)


@pytest.mark.parametrize("kind", SYMMETRIC)
def test_gradients_of_labels(kind: str) -> None:
    """Gradients of labels are equal to differences of the loss, times its weights and the incoming gradient."""
    y, t, weights = example(kind)
    attributes = {"kind": kind, "delta": 0.5}
    step = 1e-6
    more, less = (
        reference_loss.element_losses(y.astype(np.float64), t.astype(np.float64) + change, attributes)
        for change in (step, -step)
    )
    kernel = kernels.LossGradient(LossDescriptor(kind, "sum", weight=1.5, delta=0.5))
    assert not kernel.compute_label_gradients
    kernel.compute_label_gradients = True
    kernel = pickle.loads(pickle.dumps(kernel))
    images = [Image.from_numpy(array) for array in (np.full((3, 1, 1, 1), 2, np.float32), y, t, weights)]
    with index_rule.QUEUE.command_buffer() as commands:
        got = kernel.encode(commands, *images)
    expected = 2 * 1.5 * weights * (more - less) / (2 * step)
    np.testing.assert_allclose(got.read(), expected, rtol=1e-4, atol=1e-4)


def test_the_strides_of_loss_data() -> None:
    # The axes are (images, rows, columns, channels) or (images, channels, rows, columns).
    dense = np.zeros((2, 3, 4, 5), np.float32)
    for layout, given, row, image in (
        ("hwc", dense, 80, 240),
        ("hwc", dense[:, :, :2], 80, 240),
        ("hwc", dense[:, ::2], 160, 320),
        ("chw", dense, 20, 80),
        ("chw", dense[..., :3], 20, 80),
    ):
        data = kernels.LossDataDescriptor(given, layout)  # type: ignore[arg-type]
        assert (data.bytes_per_row, data.bytes_per_image) == (row, image)
        for name in ("bytes_per_row", "bytes_per_image"):
            with pytest.raises(mpscnn.UnsupportedError, match=f"{name} is what the array has"):
                setattr(data, name, 128)
        with pytest.raises(AttributeError):
            data.bytesPerRow = 128  # type: ignore[attr-defined]


def test_ones_whatever_the_source_holds() -> None:
    source = np.array([[[np.nan, np.inf, -np.inf, 0.0, 2.0]]], np.float32)
    assert (index_rule.encode(kernels.InitialGradient(), source) == 1).all()


def test_losses_that_do_not_go_together_are_refused() -> None:
    y, t = Image.from_numpy(normal(0, (2, 3, 5))), Image.from_numpy(normal(1, (2, 3, 4)))
    kernel = kernels.Loss(LossDescriptor("mean_squared_error", "mean"))
    commands = index_rule.QUEUE.command_buffer()
    with pytest.raises(mpscnn.ShapeError, match="labels must have the size of the prediction, 3 x 2 x 5"):
        kernel.encode(commands, y, kernels.LossLabels(t))
    with pytest.raises(mpscnn.ShapeError, match="weights must have the size of the prediction"):
        kernel.encode(commands, y, kernels.LossLabels(y, t))
    with pytest.raises(mpscnn.ShapeError, match="the source gradient must have one number"):
        kernels.LossGradient(LossDescriptor("huber")).encode(commands, t, y, y)
    with pytest.raises(mpscnn.ParameterError, match="expected a LossLabels, got Image"):
        kernel.encode(commands, y, y)  # type: ignore[arg-type]
    with pytest.raises(mpscnn.ParameterError, match="reduction must be sum for cosine_distance"):
        kernels.Loss(LossDescriptor("cosine_distance", "mean"))
    for kind in set(LOSSES) - set(SYMMETRIC):
        gradient = kernels.LossGradient(LossDescriptor(kind), compute_label_gradients=True)
        with pytest.raises(mpscnn.UnsupportedError, match=f"{kind} has no gradient of its labels"):
            gradient.encode(commands, y, y, y)
    with pytest.raises(mpscnn.ParameterError, match="compute_label_gradients must be True or False, got 1"):
        kernels.LossGradient(LossDescriptor("huber")).compute_label_gradients = 1  # type: ignore[assignment]
    with pytest.raises(mpscnn.ParameterError, match="layout must be 'hwc' or 'chw', got 'cwh'"):
        kernels.LossDataDescriptor(np.zeros((1, 1, 1)), "cwh")  # type: ignore[arg-type]
    with pytest.raises(mpscnn.ShapeError, match="expected 3 or 4 axes"):
        kernels.LossDataDescriptor(np.zeros(3))
    labels = kernels.LossLabels(y)
    with pytest.raises(mpscnn.StateError, match="have no loss; encode a Loss with them first"):
        _ = labels.loss_image
    across = kernels.Loss(LossDescriptor("huber", "sum_by_nonzero_weights", reduce_across_batch=True))
    with pytest.raises(mpscnn.UnsupportedError, match="needs one Image that holds all images"):
        across.encode_batch(commands, [y, y], [labels, kernels.LossLabels(y)])
    with pytest.raises(mpscnn.ShapeError, match="one length, got 2, 1 and 2"):
        kernel.encode_batch(commands, [y, y], [labels])
    kernel.encode(commands, y, labels)
    with pytest.raises(mpscnn.StateError, match="its command buffer is not_enqueued"):
        _ = labels.loss


def pooling() -> tuple[kernels.PoolingMax, kernels.PoolingMaxGradient, Image, kernels.GradientState]:
    forward, back = kernels.PoolingMax(2, 2, stride_x=2), kernels.PoolingMaxGradient(2, 2, stride_x=2)
    source = Image.from_numpy(normal(0, (4, 4, 4)))
    return forward, back, source, forward.result_state(source)


def test_states_that_do_not_fit_are_refused() -> None:
    forward, back, source, state = pooling()
    other = Image.from_numpy(normal(1, (5, 4, 4)))
    commands = index_rule.QUEUE.command_buffer()
    result = forward.encode(commands, source, destination_state=state)
    with pytest.raises(mpscnn.ShapeError, match=r"the source image must be 4 x 4 .* got 4 x 5"):
        back.encode(commands, result, other, state)
    with pytest.raises(
        mpscnn.ParameterError, match="needs a state of a PoolingAverage, got one of a PoolingMax"
    ):
        kernels.PoolingAverageGradient(2, 2).encode(commands, result, source, state)
    with pytest.raises(mpscnn.ParameterError, match="kernel_width is 3, the forward kernel has 2"):
        kernels.PoolingMaxGradient(3, 2, stride_x=2).encode(commands, result, source, state)
    with pytest.raises(mpscnn.ParameterError, match="expected a GradientState, got int"):
        back.encode(commands, result, source, 3)  # type: ignore[arg-type]
    with pytest.raises(mpscnn.ParameterError, match="expected a PoolingMax, got PoolingAverage"):
        kernels.PoolingAverage(2, 2).encode(commands, source, destination_state=state)
    with pytest.raises(mpscnn.ShapeError, match="one state for each of the 2 images, got 1"):
        forward.encode_batch(commands, [source, source], destination_states=[state])
    with pytest.raises(mpscnn.ShapeError, match="one state for each of the 1 images, got 2"):
        back.encode_batch(commands, [result], [source], [state, state])
    with pytest.raises(mpscnn.ShapeError, match="batches must have one length, got"):
        back.encode_batch(commands, [result, result], [source], [state])
    wrong = Image.from_numpy(normal(2, (7, 7, 2)))
    with pytest.raises(mpscnn.ShapeError, match="must have 4 feature channels behind its offset, got 2"):
        back.encode(commands, wrong, source, state)
    with pytest.raises(mpscnn.UnsupportedError, match="has no source region"):
        back.primary_source_region(2, 2)


def test_what_has_no_gradient_is_refused() -> None:
    """The error names the layer and the reason."""
    descriptor = ConvolutionDescriptor(1, 1, 4, 4)
    descriptor.set_batch_normalization_parameters_for_inference(np.zeros(4), np.ones(4))
    weights = np.ones((4, 1, 1, 4), np.float32)
    image = Image.from_numpy(normal(0, (2, 2, 4)))
    forward, back = kernels.Convolution(descriptor, weights), kernels.ConvolutionGradient(descriptor, weights)
    state = forward.result_state(image)
    commands = index_rule.QUEUE.command_buffer()
    forward.encode(commands, image, destination_state=state)
    with pytest.raises(mpscnn.UnsupportedError, match="statistics that are weights has no gradient"):
        back.encode(commands, image, image, state)
    add = kernels.Add(primary_offset=(1, 0, 0))
    of_sum = add.result_state(image, image)
    with pytest.raises(mpscnn.StateError, match="encode the Add with it first"):
        kernels.AddGradient().encode(commands, image, image, of_sum)
    add.encode(commands, image, image, Image(2, 2, 4), destination_state=of_sum)
    with pytest.raises(mpscnn.UnsupportedError, match="the forward kernel has offsets or a clip rectangle"):
        kernels.AddGradient().encode(commands, image, image, of_sum)
    with pytest.raises(mpscnn.ParameterError, match="needs a state of Multiply, got one of Add"):
        kernels.MultiplyGradient().encode(commands, image, image, of_sum)


def test_an_encode_reads_a_temporary_image_once() -> None:
    """An encode counts as one read of a temporary image, even if it runs several kernels."""
    descriptor, weights = ConvolutionDescriptor(1, 1, 4, 4), np.ones((4, 1, 1, 4), np.float32)
    forward, back = kernels.Convolution(descriptor, weights), kernels.ConvolutionGradient(descriptor, weights)
    source = Image.from_numpy(normal(0, (2, 2, 4)))
    state = forward.result_state(source)
    with index_rule.QUEUE.command_buffer() as commands:
        forward.destination_image_allocator = kernels.allocate_temporary_image
        result = forward.encode(commands, source, destination_state=state)
        loss = kernels.Loss(LossDescriptor("mean_squared_error"))
        loss.destination_image_allocator = kernels.allocate_temporary_image
        gradient = loss.encode(commands, result, kernels.LossLabels(source))
        assert result.read_count == 0
        gradient.read_count = 2
        back.encode_weights(commands, gradient, source, state)
        assert gradient.read_count == 1
        back.encode(commands, gradient, source, state)
        assert gradient.read_count == 0
        with pytest.raises(mpscnn.StateError):
            back.encode(commands, gradient, source, state)
