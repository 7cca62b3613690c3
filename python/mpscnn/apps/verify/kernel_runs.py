"""Run the cases of raw kernels. Images, states, labels and moments are generated from the recipe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn import kernels
from mpscnn.apps.verify.layers import Arrays
from mpscnn.apps.verify.recipes import pseudo_random
from mpscnn.runtime.commands import CommandBuffer, CommandQueue
from mpscnn.runtime.feature_image import Image

Change = Callable[[Any], Any]


def run_kernel(recipe: dict[str, Any], device: str, change: Change = np.asarray) -> Arrays:
    """Run a case and return its results by name. `change` is applied to every array: sources and weights."""
    images = [
        Image.from_numpy(change(source_values(200 + i, shape, i in recipe.get("positive", ()))))
        for i, shape in enumerate(recipe["sources"])
    ]
    run = _Run(recipe, change, images)
    with CommandQueue(device).command_buffer() as commands:
        results = getattr(run, recipe.get("run", "plain"))(commands)
    return {name: value() if callable(value) else value.numpy() for name, value in results.items()}


def source_values(seed: int, shape: Sequence[int], positive: bool) -> NDArray[np.float32]:
    """Return the values of an image of a case. The first image has seed 200."""
    values = pseudo_random(seed, tuple(shape))
    return np.abs(values) if positive else values


def make(value: Any, change: Change = np.asarray) -> Any:
    """Make a kernel, or an argument of one, from JSON. Objects of JSON stand for kernels, arrays and descriptors."""
    if not isinstance(value, dict):
        return value
    if "noise" in value:
        array = pseudo_random(value.get("seed", 0), tuple(value["noise"]))
        return change(np.abs(array) + np.float32(0.5) if value.get("positive") else array)
    arguments = [make(argument, change) for argument in value.get("arguments", [])]
    named = {name: make(argument, change) for name, argument in value.get("named", {}).items()}
    return getattr(kernels, value["kernel"])(*arguments, **named)


class _Run:
    """Ways to encode a kernel. The item "run" of a recipe names one of these methods.

    Each method returns its results by name: images, or functions that read them.
    """

    def __init__(self, recipe: dict[str, Any], change: Change, images: list[Image]) -> None:
        self._kernel = make(recipe, change)
        self._forward = make(recipe.get("forward"), change)
        self._images = images
        self._results = recipe.get("results", ())

    def plain(self, commands: CommandBuffer) -> dict[str, Any]:
        """Run a kernel on images."""
        return {"result": self._kernel.encode(commands, *self._images)}

    def statistics(self, commands: CommandBuffer) -> dict[str, Any]:
        """Let a kernel write statistics to a state, and run a batch normalization that reads the state."""
        (source,) = self._images
        user = kernels.BatchNormalization(number_of_feature_channels=source.feature_channels)
        state = user.result_state()
        self._kernel.encode(commands, source, state)
        return {"result": user.encode(commands, source, batch_normalization_state=state)}

    def gradient(self, commands: CommandBuffer) -> dict[str, Any]:
        """Run the forward kernel with a state. Then run its gradient kernel on a gradient, the source and the state."""
        gradient, source = self._images
        state = self._forward.result_state(source)
        self._forward.encode(commands, source, destination_state=state)
        results: dict[str, Any] = {"result": self._kernel.encode(commands, gradient, source, state)}
        for name in ("weights", "biases", "gamma", "beta"):
            if hasattr(type(state), f"gradient_for_{name}"):
                results[name] = lambda name=name: getattr(state, f"gradient_for_{name}")
        return results

    def batch_gradient(self, commands: CommandBuffer) -> dict[str, Any]:
        """Run the gradient kernels of a batch normalization that uses the batch's statistics.

        The results are the gradients of the image, gamma and beta.
        """
        gradient, source = self._images
        channels = source.feature_channels
        forward = kernels.BatchNormalization(number_of_feature_channels=channels)
        state = forward.result_state()
        kernels.BatchNormalizationStatistics().encode(commands, source, state)
        forward.encode(commands, source, batch_normalization_state=state)
        kernels.BatchNormalizationStatisticsGradient(channels).encode(commands, gradient, source, state)
        back = kernels.BatchNormalizationGradient(channels)
        return {
            "result": back.encode(commands, gradient, source, state),
            "gamma": lambda: state.gradient_for_gamma,
            "beta": lambda: state.gradient_for_beta,
        }

    def loss(self, commands: CommandBuffer) -> dict[str, Any]:
        """Run a loss on a prediction and labels."""
        prediction, labels = self._images
        given = kernels.LossLabels(labels)
        return {"result": self._kernel.encode(commands, prediction, given), "loss": lambda: given.loss}

    def optimizer(self, commands: CommandBuffer) -> dict[str, Any]:
        """Run an optimizer on a gradient, values and moments. Return the new values and each new moment."""
        results: dict[str, Any] = {}
        for result in self._results:
            self._kernel.result = result
            results[result] = self._kernel.encode(commands, *self._images)
        return results
