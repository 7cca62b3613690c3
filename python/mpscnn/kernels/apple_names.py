"""Suggest names for Apple's spelling: `strideInPixelsX` is `stride_x`, `MPSCNNConvolution` is `Convolution`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mpscnn._private.names import did_you_mean

__all__ = ["class_hint", "property_hint"]


#: Apple's names that differ from mpscnn's by more than the spelling, with hints.
_OTHERS = {
    "use_nestrov_momentum": "it is 'use_nesterov_momentum' here",
    "encode_to_command_buffer": "it is encode(commands, source, destination) here",
    "gradient_option": "it is which of encode, encode_data and encode_weights is called",
    "serialize_weights_and_biases": "Apple's does nothing any more; copies and pickles have the weights",
}
#: Apple's classes that kernels read and write. They are in `mpscnn` itself.
_OF_PACKAGE = ("Image", "ImageDescriptor", "TemporaryImage")


def property_hint(name: str, known: Sequence[str]) -> str:
    """Return a hint for an error about an unknown property: mpscnn's name for Apple's property, or similar names."""
    snake_case = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    for own in (snake_case, snake_case.replace("_in_pixels", "")):
        if own in known:
            return f"; it is {own!r} here"
    if snake_case in _OTHERS:
        return f"; {_OTHERS[snake_case]}"
    return did_you_mean(name, known)


def class_hint(name: str, known: Sequence[str]) -> str:
    """Return a hint for an error about an unknown class: mpscnn's name for Apple's class, or similar names."""
    own = re.sub(r"^(MPS)?(CNN|NN)?", "", name)
    if own in known:
        return f"; it is {own!r} here"
    return f"; it is mpscnn.{own} here" if own in _OF_PACKAGE else did_you_mean(name, known)
