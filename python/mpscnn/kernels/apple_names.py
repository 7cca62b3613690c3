"""Answers to names in Apple's spelling: `strideInPixelsX` is `stride_x`, `MPSCNNConvolution` is `Convolution`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mpscnn._private.names import did_you_mean

__all__ = ["class_hint", "property_hint"]


def property_hint(name: str, known: Sequence[str]) -> str:
    """What a complaint about an unknown property ends with: ours for Apple's name, else those most like it."""
    snake_case = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    for own in (snake_case, snake_case.replace("_in_pixels", "")):
        if own in known:
            return f"; it is {own!r} here"
    return did_you_mean(name, known)


def class_hint(name: str, known: Sequence[str]) -> str:
    """The same for an unknown class."""
    own = re.sub(r"^(MPS)?(CNN|NN)?", "", name)
    return f"; it is {own!r} here" if own in known else did_you_mean(name, known)
