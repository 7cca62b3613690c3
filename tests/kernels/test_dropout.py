"""Test dropout and its mask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from kernels.index_rule import QUEUE, Call, calls, normal
from ops.single_layer import seeds
from reference.dropout import mask

import mpscnn
from mpscnn import kernels

strides = st.tuples(*[st.integers(0, 1)] * 3)


@given(calls(), strides, st.sampled_from([0.25, 0.7]), seeds)
def test_the_mask_is_that_of_what_is_written(
    call: Call, stride: tuple[int, int, int], keep: float, seed: int
) -> None:
    images, rows, columns = call.written()
    x = normal(seed, call.source) + np.float32(10)
    kernel = kernels.Dropout(keep, seed=seed, mask_stride_in_pixels=stride, **call.common())
    state = kernel.result_state()
    before = np.full(call.destination, 99, np.float32)
    with QUEUE.command_buffer() as commands:
        destination = mpscnn.Image.from_numpy(before)
        kernel.encode(commands, mpscnn.Image.from_numpy(x), destination, destination_state=state)
    channels = call.channels().stop - call.channels().start
    first = call.destination_channel
    result = destination.numpy().reshape(call.destination)
    written = result[images, rows, columns, first : first + channels]
    attributes = {"keep_probability": keep, "seed": seed}
    attributes |= {
        f"mask_stride_{axis}": one for axis, one in zip(("x", "y", "channels"), stride, strict=True)
    }
    np.testing.assert_array_equal(state.mask, mask(written.shape, attributes))
    kept = np.broadcast_to(state.mask, written.shape)
    assert not written[~kept].any()
    if call.edge_mode == "clamp":  # with "clamp" no zeros are read outside of the image
        assert written[kept].all()


def test_every_image_of_a_batch_has_a_state() -> None:
    x = normal(0, (2, 4, 5, 3))
    kernel = kernels.Dropout(0.5, seed=3)
    states = [kernel.result_state() for _ in x]
    with QUEUE.command_buffer() as commands:
        images = [mpscnn.Image.from_numpy(one) for one in x]
        results = kernel.encode_batch(commands, images, destination_states=states)
    expected = mask((1, 4, 5, 3), {"keep_probability": 0.5, "seed": 3})
    for one, result, state in zip(x, results, states, strict=True):
        np.testing.assert_array_equal(state.mask, expected)
        np.testing.assert_array_equal(result.numpy(), np.where(expected[0], 2 * one, 0))
    with pytest.raises(mpscnn.ShapeError, match="one state for each of the 2 images, got 1"):
        kernel.encode_batch(QUEUE.command_buffer(), images, destination_states=states[:1])


def test_encoding_again_replaces_the_mask() -> None:
    x = mpscnn.Image.from_numpy(normal(0, (4, 5, 3)))
    state = kernels.Dropout(0.5).result_state()
    for seed in (1, 2):
        with QUEUE.command_buffer() as commands:
            kernels.Dropout(0.5, seed=seed).encode(commands, x, destination_state=state)
        expected = mask((1, 4, 5, 3), {"keep_probability": 0.5, "seed": seed})
        np.testing.assert_array_equal(state.mask, expected)


def test_there_is_no_mask_before_the_kernel_has_run() -> None:
    x = mpscnn.Image.from_numpy(normal(0, (4, 5, 3)))
    kernel = kernels.Dropout(0.5)
    state = kernel.result_state()
    with pytest.raises(mpscnn.StateError, match="has no mask; encode a Dropout with it first"):
        state.mask.any()
    commands = QUEUE.command_buffer()
    kernel.encode(commands, x, destination_state=state)
    with pytest.raises(mpscnn.StateError, match="the status of its command buffer is not_enqueued"):
        state.mask.any()
    commands.commit()
    commands.wait()
    assert state.mask.shape == (1, 4, 5, 3)


@pytest.mark.parametrize(
    "call",
    [
        lambda kernel, commands, x: kernel.encode(commands, x, destination_state=1),
        lambda kernel, commands, x: kernel.encode_batch(commands, [x], destination_states=[None]),
    ],
)
def test_states_of_another_class_are_refused(call: Callable[..., Any]) -> None:
    x = mpscnn.Image.from_numpy(normal(0, (4, 5, 3)))
    with pytest.raises(mpscnn.ParameterError, match="expected a DropoutGradientState, got"):
        call(kernels.Dropout(0.5), QUEUE.command_buffer(), x)
