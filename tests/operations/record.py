"""Define records that describe operations for the tests in generic.py."""

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
    """One use of an operation: float32 inputs including the batch, attributes, and weights by role."""

    inputs: Sequence[Array]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, Array] = field(default_factory=dict)
    activation: Mapping[str, Any] | None = None
    #: The precision in which samples in `Operation.known` run.
    precision: str = "float32"
    #: The expected result, if it is known without the reference.
    expected: Any = None
    #: The message of the error, if this use is refused.
    refusal: str | None = None
    marks: Marks = ()


@dataclass(frozen=True)
class Refusal:
    """A wrong use of an operation, given by attributes or a function of a network and its inputs, and the error."""

    use: Mapping[str, Any] | Callable[..., Any]
    message: str
    error: type[mpscnn.Error]
    #: The shapes of the inputs, without the batch (but with it for operations of training).
    shapes: Sequence[tuple[int | None, ...]]


def refusals(
    uses: Mapping[str, Any],
    shapes: Sequence[tuple[int | None, ...]] = ((4, 5, 3),),
    error: type[mpscnn.Error] = mpscnn.ParameterError,
) -> list[Refusal]:
    """Return records of wrong uses. Each key of `uses` is the expected message, for one use or a list of uses."""
    return [
        Refusal(use, message, error, shapes)
        for message, listed in uses.items()
        for use in (listed if isinstance(listed, list) else [listed])
    ]


@dataclass(frozen=True)
class Layers:
    """Several layers, or a method of networks, and a NumPy function with the same results."""

    shapes: Sequence[tuple[int | None, ...]]
    #: A function that gets the network and its inputs and returns the outputs.
    build: Callable[..., Any]
    #: A function that gets the input arrays and returns the results in the order of the outputs.
    expected: Callable[..., Any]
    #: The shapes of the input arrays; None: two images of `shapes`.
    sizes: Sequence[tuple[int, ...]] | None = None
    #: The input arrays; None: random numbers of `sizes`.
    inputs: Sequence[Array] | None = None
    weights: Mapping[str, Array] = field(default_factory=dict)
    precision: str = "float32"
    rtol: float = 0.0
    atol: float = 0.0
    marks: Marks = ()


@dataclass(frozen=True)
class RawKernel:
    """A raw kernel that computes an operation of whole images.

    tests/kernels tests kernels on parts of images, and kernels with states.
    """

    draws: SearchStrategy[Sample]
    #: A function that returns the kernel for a sample.
    make: Callable[[Sample], Any]
    #: A function that returns the kernel's sources.
    sources: Callable[[Sample], Sequence[Array]] = lambda sample: sample.inputs


@dataclass(frozen=True)
class Operation:
    """The record of one operation: all samples and references for its tests."""

    name: str
    #: A function that returns the result in float64 and an error bound. Without a bound (None) results must be equal.
    expect: Callable[[Sample], tuple[Array, Array | float | None]]
    #: Strategies for samples. They run in all precisions, with several numbers of threads, and with gaps between rows.
    draws: Mapping[str, SearchStrategy[Sample]]
    #: Samples with special values, and samples whose results are known.
    known: Mapping[str, Sample] = field(default_factory=dict)
    refused: Sequence[Refusal] = ()
    layers: Mapping[str, Layers | SearchStrategy[Layers]] = field(default_factory=dict)
    #: Samples that are large enough to be divided among threads.
    divided: Mapping[str, Sample] = field(default_factory=dict)
    #: A function that returns PyTorch's result. It gets the module torch, and the sample with NHWC float64 tensors.
    torch: Callable[[Any, Sample], Any] | None = None
    #: Strategies for the comparison with PyTorch, if PyTorch does not support all of `draws`.
    torch_draws: Mapping[str, SearchStrategy[Sample]] | None = None
    #: Strategies for the export to ONNX, if ONNX Runtime does not support all of `draws`.
    onnx_draws: Mapping[str, SearchStrategy[Sample]] | None = None
    #: Strategies for the gradients of a network, if not all of `draws` have those of `expect`.
    gradient_draws: Mapping[str, SearchStrategy[Sample]] | None = None
    #: Raw kernels that compute this operation, by name.
    kernels: Mapping[str, RawKernel] = field(default_factory=dict)
    training: bool = False


def autograd(gradient: Any, x: Any, function: Callable[[Any], Any]) -> Any:
    """Return PyTorch's gradient of a function with respect to its argument."""
    x = x.detach().requires_grad_()
    function(x).backward(gradient)
    return x.grad


def special(*numbers: float) -> list[Array]:
    """Return the inputs of a sample: one vector of these numbers, for one image."""
    return [np.array([numbers], np.float32)]
