"""Suggest names for Apple's spelling: `strideInPixelsX` is `stride_x`, `MPSCNNConvolution` is `Convolution`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from mpscnn._private.hints import twin_of
from mpscnn._private.names import did_you_mean
from mpscnn._private.other_arguments import argument_names

__all__ = ["class_hint", "elsewhere_hint", "property_hint", "with_argument_hints"]


#: Apple's names that differ from mpscnn's by more than the spelling, with hints.
_OTHERS = {
    "use_nestrov_momentum": "it is 'use_nesterov_momentum' here",
    "encode_to_command_buffer": "it is encode(commands, source, destination) here",
    "gradient_option": "it is which of encode, encode_data and encode_weights is called",
    "command_buffer": "it is 'commands' here",
    "convolution_descriptor": "it is 'descriptor' here",
    "kernel_weights": "it is 'weights' here",
    "filter_size": "it is 'kernel_width' and 'kernel_height' here",
    "stride": "it is 'stride_x' and 'stride_y' here",
    "channel_multiplier": "DepthWiseConvolutionDescriptor has it: the outputs divided by the inputs",
    "data_source": "weights are arrays here, such as gamma= and beta= of normalizations",
    "neuron_filter": "it is 'fused_neuron_descriptor' here",
    "neuron": "it is 'fused_neuron_descriptor' here",
    "flags": "Apple's only value of it is none, so leave it out",
    "device": "the command queue decides where a kernel runs: mpscnn.CommandQueue(device)",
    "serialize_weights_and_biases": "Apple's does nothing any more; copies and pickles have the weights",
}
#: Apple's classes that kernels read and write. They are in `mpscnn` itself.
_OF_PACKAGE = (
    "CommandBuffer",
    "CommandQueue",
    "DefaultPadding",
    "Image",
    "ImageDescriptor",
    "PaddingMethod",
    "TemporaryImage",
)


def property_hint(name: str, known: Sequence[str]) -> str:
    """Return a hint for an error about an unknown property or argument: mpscnn's name for Apple's, or similar names.

    Apple's `sourceImage` is `source` where only images are meant, and `primaryImages` is `primary`.
    """
    snake_case = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    plural = re.sub(r"_(image|gradient)(?=s?$)", "", snake_case)
    singular = re.sub(r"_(images|gradients)$", "", snake_case)
    for own in (snake_case, snake_case.replace("_in_pixels", ""), plural, singular):
        if own in known:
            return f"; it is {own!r} here"
    if snake_case in _OTHERS:
        return f"; {_OTHERS[snake_case]}"
    return did_you_mean(name, known)


def _without_prefix(name: str) -> str:
    return re.sub(r"^(MPS|MTL)?(CNN|NN)?", "", name)


def elsewhere_hint(name: str, kernels: Sequence[str]) -> str:
    """Return a hint for Apple's name of a kernel or of a class of the package that is no node; "" for others."""
    own = _without_prefix(name)
    if own in _OF_PACKAGE:
        return f"; it is mpscnn.{own} here"
    return f"; it is mpscnn.kernels.{own}" if own in kernels else ""


def class_hint(name: str, known: Sequence[str]) -> str:
    """Return a hint for an error about an unknown class: mpscnn's name for Apple's class, or similar names."""
    own = _without_prefix(name)
    if own in known:
        return f"; it is {own!r} here"
    if own == "Graph":
        return "; mpscnn.nodes has Apple's graphs: mpscnn.nodes.MPSNNGraph"
    if own in _OF_PACKAGE:
        return f"; it is mpscnn.{own} here"
    text = twin_of("mpscnn.kernels", name)
    return f"; {text}" if text else did_you_mean(name, known)


def with_argument_hints(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method whose error about an unknown argument has a hint: mpscnn's name for Apple's argument."""
    known = argument_names(method) - {"self"}

    @wraps(method)
    def call(*arguments: Any, **options: Any) -> Any:
        if not options.keys() <= known:
            name = next(name for name in options if name not in known)
            raise TypeError(
                f"{method.__name__}() has no argument {name!r}{property_hint(name, sorted(known))}"
            )
        return method(*arguments, **options)

    return call
