"""Tests of gradient states of kernels with one, two or more sources, and of normalizations."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from kernels import index_rule
from kernels.index_rule import normal
from reference.normalization import group_normalization

import mpscnn
from mpscnn import kernels

pytestmark = pytest.mark.usefixtures("operations_of_training")
Image = mpscnn.Image
GAMMA, BETA = normal(11, (8,)), normal(12, (8,))


@pytest.mark.parametrize("groups", [8, 2])
def test_states_of_normalizations(groups: int) -> None:
    """Each normalization has its own class of states, with gamma, beta and their gradients. Others are refused."""
    kinds: dict[int, tuple[Any, Any, str, type[Any]]] = {
        8: (
            kernels.InstanceNormalization(GAMMA, BETA, epsilon=0.125),
            kernels.InstanceNormalizationGradient(GAMMA, BETA),
            "instance_normalization",
            kernels.InstanceNormalizationGradientState,
        ),
        2: (
            kernels.GroupNormalization(2, GAMMA, BETA, epsilon=0.125),
            kernels.GroupNormalizationGradient(2, GAMMA, BETA),
            "group_normalization",
            kernels.GroupNormalizationGradientState,
        ),
    }
    forward, back, name, kind = kinds[groups]
    other = kinds[10 - groups][0]
    x, gradient = normal(0, (2, 3, 4, 8)), normal(1, (2, 3, 4, 8))
    source = Image.from_numpy(x)
    state = forward.result_state(source)
    assert type(state) is kind
    assert getattr(state, name) is forward
    with index_rule.QUEUE.command_buffer() as commands:
        forward.encode(commands, source, destination_state=state)
        back.encode(commands, Image.from_numpy(gradient), source, state)
    normalized = group_normalization(x.astype(np.float64), groups, 0.125, 1.0, 0.0)
    np.testing.assert_allclose(state.gradient_for_gamma, (gradient * normalized).sum((0, 1, 2)), atol=1e-5)
    np.testing.assert_allclose(state.gradient_for_beta, gradient.sum((0, 1, 2)), atol=1e-5)
    np.testing.assert_array_equal(state.gamma, GAMMA)
    np.testing.assert_array_equal(state.beta, BETA)
    optimizer = kernels.OptimizerStochasticGradientDescent(kernels.OptimizerDescriptor(0.5))
    with index_rule.QUEUE.command_buffer() as commands:
        before = kernels.NormalizationGammaAndBetaState(GAMMA, BETA)
        updated = optimizer.update(commands, state, before, kernels.OptimizerMoments())
    np.testing.assert_allclose(updated.gamma, GAMMA - 0.5 * state.gradient_for_gamma, atol=1e-5)
    commands = index_rule.QUEUE.command_buffer()
    with pytest.raises(mpscnn.ParameterError, match=f"expected a.? {kind.__name__}, got "):
        forward.encode(commands, source, destination_state=other.result_state(source))


def test_the_state_of_two_sources() -> None:
    source = Image.from_numpy(normal(0, (4, 4, 4)))
    kernel = kernels.Add(primary_offset=(1, 2, 0), secondary_offset=(0, 1, 0))
    state = kernel.result_state(source, source)
    assert isinstance(state, kernels.BinaryGradientState)
    commands = index_rule.QUEUE.command_buffer()
    with pytest.raises(mpscnn.StateError, match="holds nothing; encode the Add with it first"):
        _ = state.primary_offset
    kernel.encode(commands, source, source, Image(2, 2, 4), destination_state=state)
    assert (state.primary_offset, state.secondary_offset) == ((1, 2), (0, 1))


def test_the_state_of_a_kernel_of_ones_own() -> None:
    """A user's kernel that computes x * y + z of three images can use a state for the gradients of x and y."""
    x, y, z, gradient = (Image.from_numpy(normal(i, (2, 3, 4))) for i in range(4))
    multiply, add = kernels.Multiply(), kernels.Add()
    state = kernels.MultiaryGradientState(multiply)
    with pytest.raises(mpscnn.StateError, match="MultiaryGradientState: holds nothing; encode the Multiply"):
        _ = state.sources
    with pytest.raises(mpscnn.ParameterError, match="expected an Image, got int"):
        state.record([x, 3])  # type: ignore[list-item]
    with index_rule.QUEUE.command_buffer() as commands:
        result = add.encode(commands, multiply.encode(commands, x, y), z)
        state.record([x, y, z], scale=2.0)
        multiply.primary_scale = state.values["scale"]
        of_x, of_y = (multiply.encode(commands, gradient, other) for other in state.sources[1::-1])
    assert [image is own for image, own in zip(state.sources, (x, y, z), strict=True)] == [True] * 3
    np.testing.assert_allclose(result.read(), x.read() * y.read() + z.read(), atol=1e-6)
    np.testing.assert_allclose(of_x.read(), 2 * gradient.read() * y.read(), atol=1e-6)
    np.testing.assert_allclose(of_y.read(), 2 * gradient.read() * x.read(), atol=1e-6)
    with pytest.raises(TypeError, match="cannot be copied or pickled"):
        copy.copy(state)
