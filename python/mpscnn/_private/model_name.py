"""Distinguish names of models from paths of files, for `mpscnn.load` and the modules it uses."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from typing import Any

#: The model that `load` takes if no name is given. It is part of the package.
DEFAULT_MODEL = "cifar10_mobilenet_v2"

#: The suffix of model files. Weights of other frameworks also come in files with this suffix.
MODEL_SUFFIX = ".safetensors"

# The largest header of a safetensors file in bytes. Readers of the format refuse longer ones.
_MAX_HEADER = 100_000_000


def is_path(text: str) -> bool:
    """Return True if `text` means a file rather than a registry name.

    A path has a directory separator or a suffix that starts with a letter ("x.safetensors"; the dots of
    "mobilenet_v1_0.75_192" are part of a name).
    """
    return "/" in text or os.sep in text or re.search(r"\.[A-Za-z]\w*$", text) is not None


def holds_network(path: str | os.PathLike[str]) -> bool:
    """Return True if a safetensors file holds a network of mpscnn, and not only weights of another framework.

    The file's header shows this. Return True also for a file that cannot be read, so that loading reports why.
    """
    if not os.path.isfile(path):  # noqa: PTH113 - reading a pipe may block for ever
        return True
    try:
        with open(path, "rb") as stream:  # noqa: PTH123 (pathlib takes longer than the rest)
            length = int.from_bytes(stream.read(8), "little")
            return length <= _MAX_HEADER and b'"mpscnn.' in stream.read(length)
    except (OSError, ValueError):
        return True


def read_weights(model: str | os.PathLike[str]) -> Mapping[str, Any]:
    """Return the weights of a model file or a registry name. Raises the same errors as `mpscnn.load`."""
    # Functions that build networks cannot import `mpscnn.model`, which is above them.
    weights: Mapping[str, Any] = sys.modules["mpscnn"].load(model).network.weights
    return weights
