"""Records of operations: what the tests of generic.py need to know of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from hypothesis.strategies import SearchStrategy
from numpy.typing import NDArray

import mpscnn

Array: TypeAlias = NDArray[Any]
Marks: TypeAlias = Sequence[Any]


@dataclass(frozen=True)
class Sample:
    """One use of an operation: float32 inputs with their batch, attributes, and weights by their roles."""

    inputs: Sequence[Array]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, Array] = field(default_factory=dict)
    activation: Mapping[str, Any] | None = None
    #: For samples that are known beforehand: the precision to run in.
    precision: str = "float32"
    #: A result that is known without the reference.
    expected: Any = None
    #: The message with which this use is refused.
    refusal: str | None = None
    marks: Marks = ()


@dataclass(frozen=True)
class Refusal:
    """A wrong use: attributes, or a call on a network and its inputs."""

    use: Mapping[str, Any] | Callable[..., Any]
    message: str
    error: type[mpscnn.MPSCNNError]
    #: Shapes of the inputs; without the batch, unless the operation is one of training.
    shapes: Sequence[tuple[int | None, ...]]


def refusals(
    uses: Mapping[str, Any],
    shapes: Sequence[tuple[int | None, ...]] = ((4, 5, 3),),
    error: type[mpscnn.MPSCNNError] = mpscnn.ParameterError,
) -> list[Refusal]:
    """Wrong uses, one or a list of them, by their messages."""
    return [
        Refusal(use, message, error, shapes)
        for message, listed in uses.items()
        for use in (listed if isinstance(listed, list) else [listed])
    ]


@dataclass(frozen=True)
class Layers:
    """Several layers, or a method of networks, and what numpy computes instead."""

    shapes: Sequence[tuple[int | None, ...]]
    #: Takes the network and its inputs; returns the outputs.
    build: Callable[..., Any]
    #: Takes the arrays; returns their results in the same order. Zero tolerances ask for the same numbers.
    expected: Callable[..., Any]
    #: Shapes of the arrays where they are not two images of `shapes`.
    sizes: Sequence[tuple[int, ...]] | None = None
    weights: Mapping[str, Array] = field(default_factory=dict)
    precision: str = "float32"
    rtol: float = 0.0
    atol: float = 0.0
    marks: Marks = ()


@dataclass(frozen=True)
class Operation:
    """All that is tested of one operation."""

    name: str
    #: The result in float64, and how far from it a result may be; None asks for the same numbers.
    expect: Callable[[Sample], tuple[Array, Array | float | None]]
    #: What hypothesis draws, run in all precisions, with several numbers of threads and with gaps between rows.
    draws: Mapping[str, SearchStrategy[Sample]]
    #: Special values, and answers that are known by hand.
    known: Mapping[str, Sample] = field(default_factory=dict)
    refused: Sequence[Refusal] = ()
    layers: Mapping[str, Layers | SearchStrategy[Layers]] = field(default_factory=dict)
    #: Uses that are large enough to be divided among threads.
    divided: Mapping[str, Sample] = field(default_factory=dict)
    #: PyTorch's result for a module torch and the sample with tensors of float64 as inputs; images stay (n, h, w, c).
    torch: Callable[[Any, Sample], Any] | None = None
    #: What is drawn for PyTorch where that has less than `draws`.
    torch_draws: Mapping[str, SearchStrategy[Sample]] | None = None
    #: Layers whose gradients are compared with those of `expected`, which takes and returns PyTorch's tensors here.
    gradients: Mapping[str, SearchStrategy[Layers]] = field(default_factory=dict)
    training: bool = False


def autograd(gradient: Any, x: Any, function: Callable[[Any], Any]) -> Any:
    """PyTorch's gradient of a function's argument."""
    x = x.detach().requires_grad_()
    function(x).backward(gradient)
    return x.grad


def special(*numbers: float) -> list[Array]:
    """One input: a vector of these numbers for one image."""
    return [np.array([numbers], np.float32)]
