"""What `mpscnn.load` makes of the text that it is given."""

from __future__ import annotations

import os
import re

__all__ = ["DEFAULT_MODEL", "is_path"]

#: The registry name of the model that is taken where none is named; it comes with the package.
DEFAULT_MODEL = "cifar10_mobilenet_v2"


def is_path(text: str) -> bool:
    """Whether `text` means a file rather than a registry name.

    A path has a directory separator or a suffix that starts with a letter ("x.safetensors"; the dots of
    "mobilenet_v1_0.75_192" are part of a name).
    """
    return "/" in text or os.sep in text or re.search(r"\.[A-Za-z]\w*$", text) is not None
