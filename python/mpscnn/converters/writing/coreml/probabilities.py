"""Add the probabilities of the classes after the network of a Core ML classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mpscnn._private.class_scores import score_count
from mpscnn.converters.writing.coreml.vectors import of_channels
from mpscnn.errors import UnsupportedError
from mpscnn.graph.network import Network


class Probabilities:
    """The part of a Core ML classifier that follows its network.

    Args:
        network: a network with one output.
        labels: the names of the classes. Two names for a single score make a binary classifier, whose score is the
            probability of the second class.
        origin: the name of the file to write, for messages.

    Raises UnsupportedError for a single logit, whose softmax is always 1.
    """

    def __init__(self, network: Network, labels: Sequence[str], origin: str) -> None:
        shape = network.outputs[0].shape
        count = score_count([shape])
        has_one_score = count == 1
        self._function = None if count is None else network.applied_function
        self._pixel = count if len(shape) > 2 else None
        self._is_binary = has_one_score and len(labels) == 2
        if has_one_score and self._function == "softmax":
            raise UnsupportedError(
                f"{origin}: a classifier has probabilities, and the softmax of a single number is always 1; say what "
                'the number is: `network.scores = "sigmoid"` for a logit, "as is" for any other number (--scores)'
            )

    @property
    def are_added(self) -> bool:
        """Whether anything follows the network."""
        return self._function is not None or self._is_binary or self._pixel is not None

    def added(self, mb: Any, value: Any, name: str) -> Any:
        """Add the operations that compute the probabilities from the network's output, and return their result.

        Args:
            mb: coremltools' builder of programs.
            value: the output.
            name: the name of the result.
        """
        if self._pixel is not None:
            named = {} if self._function or self._is_binary else {"name": name}
            value = mb.reshape(x=value, shape=(1, self._pixel), **named)
        if not self._is_binary:
            return self._applied(mb, value, name=name)
        second = self._applied(mb, value)
        return mb.concat(values=[mb.sub(x=np.float32(1.0), y=second), second], axis=-1, name=name)

    def _applied(self, mb: Any, value: Any, **named: str) -> Any:
        """Apply the function of the scores, if there is one."""
        if self._function is None:
            return value
        return of_channels(mb, value, self._function_of, **named)

    def _function_of(self, mb: Any, value: Any, axis: int, **named: str) -> Any:
        if self._function == "softmax":
            return mb.softmax(x=value, axis=axis, **named)
        return mb.sigmoid(x=value, **named)
