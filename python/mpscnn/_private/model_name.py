"""Tell names of models from paths, for `mpscnn.load` and the modules that it uses."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["DEFAULT_MODEL", "MODEL_SUFFIX", "hand_in_weights", "holds_network", "is_path", "weights_of"]

#: The registry name of the model that is taken where none is named; it comes with the package.
DEFAULT_MODEL = "cifar10_mobilenet_v2"

#: The suffix of model files. Other frameworks keep weights in files of this format, too.
MODEL_SUFFIX = ".safetensors"

# The largest header of a safetensors file in bytes. Its readers refuse longer ones.
_MAX_HEADER = 100_000_000


def is_path(text: str) -> bool:
    """Return True if `text` means a file rather than a registry name.

    A path has a directory separator or a suffix that starts with a letter ("x.safetensors"; the dots of
    "mobilenet_v1_0.75_192" are part of a name).
    """
    return "/" in text or os.sep in text or re.search(r"\.[A-Za-z]\w*$", text) is not None


def holds_network(path: str | os.PathLike[str]) -> bool:
    """True if a safetensors file is a model file: its header has keys of ours. True for one that cannot be read."""
    if not os.path.isfile(path):  # noqa: PTH113 - reading a pipe may block for ever
        return True
    try:
        with open(path, "rb") as stream:  # noqa: PTH123 (pathlib takes longer than the rest)
            length = int.from_bytes(stream.read(8), "little")
            return length <= _MAX_HEADER and b'"mpscnn.' in stream.read(length)
    except (OSError, ValueError):
        return True


Weights = Callable[[str | os.PathLike[str]], Mapping[str, Any]]
_weights: list[Weights] = []


def hand_in_weights(weights: Weights) -> None:
    """Say how the weights of a file or registry name are found: `mpscnn.model` does, which models do not know."""
    _weights[:] = [weights]


def weights_of(model: str | os.PathLike[str]) -> Mapping[str, Any]:
    """Return the weights of a model file or of a registry name's model. Raises what `mpscnn.load` raises."""
    return _weights[0](model)
