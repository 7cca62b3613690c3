"""Test batch normalization, the statistics of batches, and the state between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from kernels.index_rule import QUEUE, Gate, encode, normal
from ops.single_layer import run_layer, seeds
from reference.normalization import batch_normalization, batch_statistics
from tolerance import (
    assert_close,
    combined_statistics_bound,
    linear_bound,
    normalized_bound,
)

import mpscnn
from mpscnn import CommandStatus, kernels


def new_statistics() -> kernels.BatchNormalizationStatistics:
    return kernels.BatchNormalizationStatistics()


@given(seeds, st.booleans())
def test_batch_normalization(seed: int, with_neuron: bool) -> None:
    x = normal(seed, (2, 3, 4, 6))
    mean, gamma, beta = (normal(seed + i, (6,)) for i in (1, 2, 3))
    variance = normal(seed + 4, (6,)) ** 2 + 0.1
    neuron = kernels.NeuronDescriptor("relu", 0.5) if with_neuron else None
    kernel = kernels.BatchNormalization(
        mean, variance, gamma, beta, fused_neuron_descriptor=neuron, epsilon=0.25
    )
    scale = gamma / np.sqrt(variance.astype(np.float64) + 0.25)
    y = (x.astype(np.float64) - mean) * scale + beta
    reference = np.where(y >= 0, y, 0.5 * y) if with_neuron else y
    bound = linear_bound((np.abs(x) + np.abs(mean)) * np.abs(scale) + np.abs(beta))
    assert_close(encode(kernel, x), reference, bound)


def test_parameters_that_do_not_fit_are_refused() -> None:
    with pytest.raises(mpscnn.ParameterError, match="epsilon must be above 0"):
        kernels.BatchNormalization([0.0], [1.0], epsilon=0.0)
    with pytest.raises(mpscnn.WeightsError, match="BatchNormalization, variance: element 0 is -1"):
        kernels.BatchNormalization([0.0], [-1.0])
    with pytest.raises(mpscnn.ShapeError, match="the source must have 3 feature channels"):
        encode(kernels.BatchNormalization(np.zeros(3), np.ones(3)), normal(0, (2, 2, 2)))


def image(seed: int, *shape: int) -> mpscnn.Image:
    return mpscnn.Image.from_numpy(normal(seed, shape))


def statistics_of(*batches: Any, offset: float = 0.0) -> kernels.BatchNormalizationState:
    """Return a state with the statistics of arrays."""
    state = kernels.BatchNormalization(number_of_feature_channels=batches[0].shape[-1]).result_state()
    with QUEUE.command_buffer() as commands:
        for batch in batches:
            new_statistics().encode(commands, mpscnn.Image.from_numpy(batch + np.float32(offset)), state)
    return state


batches = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 7), st.integers(1, 7)), min_size=1, max_size=4)


@given(batches, st.integers(1, 9), st.sampled_from([0.0, 1000.0]), seeds)
def test_batches_count_by_their_elements(
    shapes: list[tuple[int, int, int]], channels: int, offset: float, seed: int
) -> None:
    xs = [normal(seed + i, (*shape, channels)) + np.float32(offset) for i, shape in enumerate(shapes)]
    state = statistics_of(*xs)
    every = np.concatenate([x.reshape(1, -1, channels) for x in xs], axis=1)
    reference = batch_statistics(every)
    result = np.stack([state.mean, state.variance])[None, :, None]
    assert_close(result, reference, combined_statistics_bound(reference))


def test_the_statistics_of_one_batch_are_those_of_the_layer() -> None:
    x = normal(0, (3, 5, 6, 7))
    state = statistics_of(x)
    layer = run_layer("batch_statistics", [x], {}, device="cpu")
    np.testing.assert_array_equal([state.mean, state.variance], layer[0, :, 0])


@given(st.integers(1, 3), st.integers(1, 9), st.booleans(), seeds)
def test_normalization_with_a_state(images: int, channels: int, with_neuron: bool, seed: int) -> None:
    x = normal(seed, (images, 4, 5, channels))
    gamma, beta = normal(seed + 1, (channels,)), normal(seed + 2, (channels,))
    neuron = kernels.NeuronDescriptor("relu", 0.5) if with_neuron else None
    kernel = kernels.BatchNormalization(gamma=gamma, beta=beta, fused_neuron_descriptor=neuron, epsilon=0.5)
    state = kernel.result_state()
    with QUEUE.command_buffer() as commands:
        source = mpscnn.Image.from_numpy(x)
        new_statistics().encode(commands, source, state)
        result = kernel.encode(commands, source, batch_normalization_state=state)
    mean, variance = batch_statistics(x)[0, :, 0]
    y = batch_normalization(x, 0.5, mean, variance, gamma, beta)
    reference = np.where(y >= 0, y, 0.5 * y) if with_neuron else y
    bound = normalized_bound(x, mean, variance, 0.5, gamma, beta)
    bound = bound + linear_bound(np.abs(mean * gamma) / np.sqrt(variance + 0.5))
    assert_close(result.numpy().reshape(x.shape), reference, bound)
    assert state.batch_normalization is kernel
    np.testing.assert_array_equal(state.gamma, gamma)
    np.testing.assert_array_equal(state.beta, beta)


def test_batches_of_images_and_parts_of_them() -> None:
    x = normal(0, (4, 5, 6, 12))
    kernel = kernels.BatchNormalization(number_of_feature_channels=3, source_feature_channel_offset=4)
    state, parts = kernel.result_state(), kernel.result_state()
    some = kernels.BatchNormalizationStatistics(
        source_feature_channel_offset=4, source_feature_channel_max_count=3
    )
    with QUEUE.command_buffer() as commands:
        images = [mpscnn.Image.from_numpy(one) for one in x]
        some.encode_batch(commands, images, state)
        results = kernel.encode_batch(commands, images, batch_normalization_state=state)
        some.clip_rect = (0, 0, 0, 6, 5, 2)
        some.offset = (0, 0, 1)
        some.encode(commands, mpscnn.Image.from_numpy(x), parts)
    reference = batch_statistics(x[..., 4:7])
    assert_close(
        np.stack([state.mean, state.variance])[None, :, None], reference, combined_statistics_bound(reference)
    )
    exact = np.stack([state.mean, state.variance])[:, None, None]
    each = np.broadcast_to(exact[None, :, 0], (4, 2, 1, 3)).copy()
    plain = run_layer("batch_normalization", [x[..., 4:7], each], {"epsilon": kernel.epsilon}, device="cpu")
    for result, one in zip(results, plain, strict=True):
        np.testing.assert_array_equal(result.numpy(), one)
    reference = batch_statistics(x[1:3, ..., 4:7])
    assert_close(
        np.stack([parts.mean, parts.variance])[None, :, None], reference, combined_statistics_bound(reference)
    )


def test_reset_is_for_what_is_encoded_later() -> None:
    first, second = normal(0, (1, 4, 4, 3)), normal(1, (1, 4, 4, 3))
    kernel = kernels.BatchNormalization(number_of_feature_channels=3, epsilon=1.0)
    state = kernel.result_state()
    results = []
    with QUEUE.command_buffer() as commands:
        for x in (first, second):
            source = mpscnn.Image.from_numpy(x)
            new_statistics().encode(commands, source, state)
            results.append(kernel.encode(commands, source, batch_normalization_state=state))
            state.reset()
    for x, result in zip((first, second), results, strict=True):
        alone = run_layer("batch_statistics", [x], {}, device="cpu")
        expected = run_layer("batch_normalization", [x, alone], {"epsilon": 1.0}, device="cpu")
        np.testing.assert_array_equal(result.numpy()[None], expected)
    with pytest.raises(mpscnn.StateError, match="has no statistics; encode"):
        state.mean.sum()


def test_nan_spoils_its_channel_only() -> None:
    x = normal(0, (1, 3, 3, 4))
    x[0, 1, 1, 2] = np.nan
    state = statistics_of(normal(1, (1, 3, 3, 4)), x)
    np.testing.assert_array_equal(np.isnan([state.mean, state.variance]), [[False, False, True, False]] * 2)


def test_states_before_there_are_statistics() -> None:
    kernel = kernels.BatchNormalization(number_of_feature_channels=4)
    state, source = kernel.result_state(), image(0, 3, 3, 4)
    for read in (lambda: state.mean, lambda: state.variance):
        with pytest.raises(mpscnn.StateError, match="has no statistics; encode BatchNormalizationStatistics"):
            read()
    commands = QUEUE.command_buffer()
    with pytest.raises(mpscnn.StateError, match="BatchNormalization: the batch normalization state has no"):
        kernel.encode(commands, source, batch_normalization_state=state)
    new_statistics().encode(commands, source, state)
    with pytest.raises(mpscnn.StateError, match=r"the command buffer that .* was encoded into has not run"):
        state.mean.sum()


def test_statistics_that_never_ran_are_an_error_of_the_buffer_that_needs_them() -> None:
    kernel = kernels.BatchNormalization(number_of_feature_channels=4)
    state, source = kernel.result_state(), image(0, 3, 3, 4)
    new_statistics().encode(QUEUE.command_buffer(), source, state)  # never committed
    commands = QUEUE.command_buffer()
    kernel.encode(commands, source, batch_normalization_state=state)
    commands.commit()
    with pytest.raises(mpscnn.StateError, match=r"has no statistics: the command buffer .* has not run"):
        commands.wait()
    assert commands.status == CommandStatus.ERROR


def test_a_state_in_use_cannot_be_read() -> None:
    queue = mpscnn.CommandQueue("cpu", threads=1)
    state = kernels.BatchNormalization(number_of_feature_channels=4).result_state()
    gate = Gate(queue)
    commands = queue.command_buffer()
    new_statistics().encode(commands, image(0, 3, 3, 4), state)
    commands.commit()
    with pytest.raises(mpscnn.StateError, match="in use by a command buffer that has not completed"):
        state.mean.sum()
    gate.opened.set()
    commands.wait()
    assert state.mean.shape == state.variance.shape == (4,)


def test_a_state_belongs_to_the_queue_that_uses_it_first() -> None:
    kernel = kernels.BatchNormalization(number_of_feature_channels=4)
    state, source = kernel.result_state(), image(0, 3, 3, 4)
    own, other = mpscnn.CommandQueue("cpu", threads=1), mpscnn.CommandQueue("cpu", threads=1)
    with own.command_buffer() as commands:
        new_statistics().encode(commands, source, state)
    with pytest.raises(mpscnn.StateError, match=r"Statistics: .* state belongs to another command queue"):
        new_statistics().encode(other.command_buffer(), source, state)
    with pytest.raises(mpscnn.StateError, match=r"BatchNormalization: .* belongs to another command queue"):
        kernel.encode(other.command_buffer(), source, batch_normalization_state=state)
    del own, commands
    with other.command_buffer() as commands:  # possible because the first queue does not exist any more
        new_statistics().encode(commands, source, state)


def test_a_kernel_and_its_state_may_go_once_they_are_encoded() -> None:
    x = normal(0, (1, 3, 3, 4))
    kernel = kernels.BatchNormalization(number_of_feature_channels=4, epsilon=1.0)
    state = kernel.result_state()
    commands = QUEUE.command_buffer()
    source = mpscnn.Image.from_numpy(x)
    new_statistics().encode(commands, source, state)
    result = kernel.encode(commands, source, batch_normalization_state=state)
    del kernel, state, source
    commands.commit()
    commands.wait()
    statistics = run_layer("batch_statistics", [x], {}, device="cpu")
    expected = run_layer("batch_normalization", [x, statistics], {"epsilon": 1.0}, device="cpu")
    np.testing.assert_array_equal(result.numpy()[None], expected)


def test_temporary_images_count_what_statistics_read() -> None:
    state = kernels.BatchNormalization(number_of_feature_channels=4).result_state()
    commands = QUEUE.command_buffer()
    copy = kernels.Slice(destination_image_allocator=kernels.allocate_temporary_image)
    between = copy.encode(commands, image(0, 3, 3, 4))
    new_statistics().encode(commands, between, state)
    with pytest.raises(mpscnn.StateError, match=r"source: temporary image .* has a read_count of 0"):
        new_statistics().encode(commands, between, state)


def test_channels_that_do_not_fit_the_state_are_refused() -> None:
    state = kernels.BatchNormalization(number_of_feature_channels=4).result_state()
    with pytest.raises(mpscnn.ShapeError, match=r"the .* state has 4 feature channels, the kernel 5"):
        new_statistics().encode(QUEUE.command_buffer(), image(0, 3, 3, 5), state)
    kernel = kernels.BatchNormalization(number_of_feature_channels=5)
    with pytest.raises(mpscnn.ShapeError, match=r"the .* state has 4 feature channels, the kernel 5"):
        kernel.encode(QUEUE.command_buffer(), image(0, 3, 3, 5), batch_normalization_state=state)


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"offset": (1, 0)}, "statistics are those of the whole source"),
        ({"clip_rect": (0, 0, 2, 3)}, "statistics are those of the whole source"),
        ({"destination_feature_channel_offset": 4}, "destination_feature_channel_offset must be 0"),
        ({"offset": (0, 0, 1)}, "offset.z must be an image of the source"),
        ({"source_feature_channel_offset": 2}, "source_feature_channel_offset must be a multiple of 4"),
    ],
)
def test_statistics_of_what_is_not_there_are_refused(properties: dict[str, Any], message: str) -> None:
    state = kernels.BatchNormalization(number_of_feature_channels=4).result_state()
    kernel = kernels.BatchNormalizationStatistics(**properties)
    with pytest.raises((mpscnn.ParameterError, mpscnn.ShapeError), match=message):
        kernel.encode(QUEUE.command_buffer(), image(0, 3, 3, 4), state)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda c, x: new_statistics().encode(c, x, None),
            "expected a BatchNormalizationState, got NoneType",
        ),
        (lambda c, x: new_statistics().encode(c, None, None), "expected an Image, got NoneType"),
        (lambda c, x: new_statistics().encode(None, x, None), "expected a CommandBuffer, got NoneType"),
        (
            lambda c, x: kernels.BatchNormalization([0], [1]).encode(c, x, batch_normalization_state=3),
            "expected a BatchNormalizationState, got int",
        ),
        (
            lambda c, x: kernels.BatchNormalizationState(new_statistics()),
            "expected a BatchNormalization, got",
        ),
        (
            lambda c, x: new_statistics().destination_image_descriptor(x),
            "writes a batch normalization state and no",
        ),
        (
            lambda c, x: kernels.SoftMax()._kernel.encode_with_state(
                c._commands, [x._image], mpscnn._core.BatchNormalizationState(1), x._image
            ),
            "SoftMax: takes no batch normalization state",
        ),
        (
            lambda c, x: kernels.SoftMax()._kernel.encode_statistics(
                c._commands, x._image, mpscnn._core.BatchNormalizationState(1)
            ),
            "SoftMax: writes no batch normalization state",
        ),
        (lambda c, x: mpscnn._core.BatchNormalizationState(0), "feature_channels must be 1 to .*, got 0"),
    ],
)
def test_arguments_are_checked(call: Callable[[Any, Any], object], message: str) -> None:
    with pytest.raises(mpscnn.ParameterError, match=message):
        call(QUEUE.command_buffer(), image(0, 2, 2, 1))


def test_a_batch_has_one_size() -> None:
    state = kernels.BatchNormalization(number_of_feature_channels=4).result_state()
    with pytest.raises(mpscnn.ShapeError, match="must have one size and format"):
        new_statistics().encode_batch(QUEUE.command_buffer(), [image(0, 2, 2, 4), image(0, 2, 3, 4)], state)


def test_without_a_state_mean_and_variance_are_needed() -> None:
    with pytest.raises(mpscnn.WeightsError, match=r"BatchNormalization: mean \(2,\) is missing"):
        encode(kernels.BatchNormalization(gamma=[1.0, 2.0]), normal(0, (2, 2, 2)))
    with pytest.raises(mpscnn.WeightsError, match=r"BatchNormalization: variance \(2,\) is missing"):
        encode(kernels.BatchNormalization([1.0, 2.0]), normal(0, (2, 2, 2)))


def test_a_committed_buffer_takes_no_statistics() -> None:
    state = kernels.BatchNormalization(number_of_feature_channels=4).result_state()
    with QUEUE.command_buffer() as commands:
        pass
    with pytest.raises(mpscnn.StateError, match="has been committed already"):
        new_statistics().encode(commands, image(0, 2, 2, 4), state)


def test_parameters_are_reloaded_for_what_is_encoded_later() -> None:
    x = normal(0, (1, 2, 2, 3))
    kernel = kernels.BatchNormalization(np.zeros(3), np.ones(3), epsilon=1.0)
    state = statistics_of(x)
    results = []
    with QUEUE.command_buffer() as commands:
        source = mpscnn.Image.from_numpy(x)
        results.append(kernel.encode(commands, source))
        kernel.reload_mean_and_variance(kernels.NormalizationMeanAndVarianceState(state.mean, state.variance))
        kernel.reload_gamma_and_beta(kernels.NormalizationGammaAndBetaState(np.full(3, 2.0), np.ones(3)))
        results.append(kernel.encode(commands, source))
        kernel.reload_gamma_and_beta(kernels.NormalizationGammaAndBetaState(None))
        results.append(kernel.encode(commands, source))
    expected = [
        batch_normalization(x[0], 1.0, 0.0, 1.0, 1.0, 0.0),
        batch_normalization(x[0], 1.0, state.mean, state.variance, 2.0, 1.0),
        batch_normalization(x[0], 1.0, state.mean, state.variance, 1.0, 0.0),
    ]
    for result, reference in zip(results, expected, strict=True):
        assert_close(result.numpy(), reference, linear_bound(2 * (np.abs(x[0]) + np.abs(state.mean)) + 1))


@pytest.mark.parametrize(
    "make", [kernels.InstanceNormalization, lambda gamma: kernels.GroupNormalization(1, gamma)]
)
def test_gamma_and_beta_of_other_normalizations_are_reloaded(make: Callable[[Any], Any]) -> None:
    x = normal(0, (1, 3, 3, 2))
    kernel = make([1.0, 1.0])
    before = encode(kernel, x)
    kernel.reload_gamma_and_beta(kernels.NormalizationGammaAndBetaState(np.array([2.0, 4.0]), np.ones(2)))
    assert_close(
        encode(kernel, x), before.astype(np.float64) * [2, 4] + 1, linear_bound(4 * np.abs(before) + 1)
    )


def test_a_refused_reload_changes_nothing() -> None:
    kernel = kernels.BatchNormalization(np.zeros(2), np.ones(2))
    x = normal(0, (2, 2, 2))
    before = encode(kernel, x)
    bad = np.array([1.0, np.nan])
    with pytest.raises(mpscnn.WeightsError, match="BatchNormalization, beta: element 1 is nan"):
        kernel.reload_gamma_and_beta(kernels.NormalizationGammaAndBetaState(np.full(2, 5.0), bad))
    with pytest.raises(mpscnn.WeightsError, match="BatchNormalization, variance: element 0 is -1"):
        kernel.reload_mean_and_variance(
            kernels.NormalizationMeanAndVarianceState(np.ones(2), np.array([-1.0, 1.0]))
        )
    with pytest.raises(mpscnn.WeightsError, match=r"mean must have the shape \(2,\), got \(3,\)"):
        kernel.reload_mean_and_variance(kernels.NormalizationMeanAndVarianceState(np.ones(3), np.ones(2)))
    with pytest.raises(mpscnn.ParameterError, match="expected a NormalizationGammaAndBetaState, got ndarray"):
        kernel.reload_gamma_and_beta(np.ones(2))  # type: ignore[arg-type]
    with pytest.raises(
        mpscnn.ParameterError, match="expected a NormalizationMeanAndVarianceState, got tuple"
    ):
        kernel.reload_mean_and_variance((0.0, 1.0))  # type: ignore[arg-type]
    np.testing.assert_array_equal(encode(kernel, x), before)
