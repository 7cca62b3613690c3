"""Test the rules that all gradient kernels with states share, on the kernels of `mpscnn verify`."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from kernels import index_rule
from kernels.index_rule import normal
from numpy.typing import NDArray

import mpscnn
from mpscnn import kernels
from mpscnn.apps.verify.kernel_cases import kernel_cases
from mpscnn.apps.verify.kernel_runs import make

pytestmark = pytest.mark.usefixtures("operations_of_training")
Image = mpscnn.Image
#: Each kernel with a forward kernel whose state it reads.
RECIPES = {f"{case.subject}, {case.name}": case.recipe for case in kernel_cases() if "forward" in case.recipe}
WEIGHTED = [name for name in RECIPES if name.startswith(("Convolution", "FullyConnected"))]


class Pair:
    """A kernel and its gradient kernel, a source, and a state for both."""

    def __init__(self, name: str) -> None:
        recipe = RECIPES[name]
        self.forward, self.back = make(recipe["forward"]), make(recipe)
        self.of_gradient, of_source = recipe["sources"]
        self.x = normal(0, of_source)
        self.source = Image.from_numpy(self.x)
        self.state = self.forward.result_state(self.source)


def sums_of(state: Any) -> list[NDArray[Any]]:
    """Return the gradients of weights that a state has."""
    names = (f"gradient_for_{name}" for name in ("weights", "biases", "gamma", "beta"))
    return [getattr(state, name) for name in names if hasattr(type(state), name)]


@pytest.mark.parametrize("name", RECIPES)
def test_an_encode_reads_a_temporary_gradient_once(name: str) -> None:
    pair = Pair(name)
    pair.forward.destination_image_allocator = kernels.allocate_temporary_image
    with index_rule.QUEUE.command_buffer() as commands:
        result = pair.forward.encode(commands, pair.source, destination_state=pair.state)
        result.read_count = 2
        pair.back.encode(commands, result, pair.source, pair.state)
        assert result.read_count == 1
        pair.back.encode(commands, result, pair.source, pair.state)
        with pytest.raises(mpscnn.StateError):
            pair.back.encode(commands, result, pair.source, pair.state)


@pytest.mark.parametrize("name", RECIPES)
def test_images_of_a_batch_have_the_gradients_of_one_image_with_all(name: str) -> None:
    """Images that share a state add to its gradients of weights."""
    pair = Pair(name)
    gradient = normal(1, pair.of_gradient)
    parts = [slice(i, i + 1) for i in range(len(pair.x))]
    sources, given = ([Image.from_numpy(array[part]) for part in parts] for array in (pair.x, gradient))
    shared = pair.forward.result_state(sources[0])
    is_shared = name in WEIGHTED
    states = [shared] * len(parts) if is_shared else [pair.forward.result_state(one) for one in sources]
    with index_rule.QUEUE.command_buffer() as commands:
        whole = pair.forward.encode(commands, pair.source, destination_state=pair.state)
        back = pair.back.encode(commands, Image.from_numpy(gradient), pair.source, pair.state)
        results = pair.forward.encode_batch(commands, sources, destination_states=states)
        got = pair.back.encode_batch(commands, given, sources, states)
    for together, listed in ((whole, results), (back, got)):
        np.testing.assert_allclose(np.concatenate([one.read() for one in listed]), together.read(), atol=1e-4)
    added = [sum(sums) for sums in zip(*(sums_of(state) for state in {*states}), strict=True)]
    for found, expected in zip(added, sums_of(pair.state), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("name", WEIGHTED)
def test_the_gradients_of_data_and_weights_alone(name: str) -> None:
    """An optimiser takes the state with the gradients of weights."""
    pair = Pair(name)
    given = Image.from_numpy(normal(1, pair.of_gradient))
    data, weights = (pair.forward.result_state(pair.source) for _ in range(2))
    optimizer = kernels.OptimizerStochasticGradientDescent(kernels.OptimizerDescriptor(0.5))
    before = pair.forward.export_weights_and_biases()
    with index_rule.QUEUE.command_buffer() as commands:
        for state in (pair.state, data, weights):
            pair.forward.encode(commands, pair.source, destination_state=state)
        expected = pair.back.encode(commands, given, pair.source, pair.state)
        got = pair.back.encode_data(commands, given, pair.source, data)
        pair.back.encode_weights(commands, given, pair.source, weights)
        updated = optimizer.update(commands, weights, before, kernels.OptimizerMoments())
    np.testing.assert_array_equal(got.read(), expected.read())
    np.testing.assert_array_equal(weights.gradient_for_weights, pair.state.gradient_for_weights)
    with pytest.raises(mpscnn.StateError, match="has no gradients"):
        _ = data.gradient_for_weights
    step = 0.5 * weights.gradient_for_weights.reshape(before.weights.shape)
    np.testing.assert_allclose(updated.weights, before.weights - step, rtol=1e-5, atol=1e-5)
    pair.forward.reload_weights_and_biases(updated)


@pytest.mark.parametrize("name", RECIPES)
def test_states_that_do_not_fit_are_refused(name: str) -> None:
    pair = Pair(name)
    kind = type(pair.forward).__name__
    given = Image.from_numpy(normal(1, pair.of_gradient))
    commands = index_rule.QUEUE.command_buffer()
    with pytest.raises(mpscnn.StateError, match=f"holds nothing; encode the {kind} with it first"):
        pair.back.encode(commands, given, pair.source, pair.state)
    pair.forward.encode(commands, pair.source, destination_state=pair.state)
    narrow = Image.from_numpy(normal(1, (*pair.of_gradient[:3], 1)))
    with pytest.raises(mpscnn.ShapeError):
        pair.back.encode(commands, narrow, pair.source, pair.state)
    others = [one for one in map(Pair, RECIPES) if type(one.forward) is not type(pair.forward)]
    for other in others:
        other.forward.encode(commands, other.source, destination_state=other.state)
    for state in (*(other.state for other in others), 3):
        with pytest.raises(
            mpscnn.ParameterError, match=r"(expected an? \w+State|needs a state of an? \w+), got"
        ):
            pair.back.encode(commands, given, pair.source, state)
    for copying in (copy.copy, pickle.dumps):
        with pytest.raises(TypeError, match="cannot be copied or pickled"):
            copying(pair.state)
