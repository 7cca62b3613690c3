"""Find the kernels that were measured to be faster for a network on a GPU, for `metal_kernels="auto"`.

`mpscnn benchmark --device metal --metal-kernels auto` measures them. There is one file for each network and precision,
with an entry for each GPU and version of the system.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpscnn import _core
from mpscnn._private.cache_folder import cache_directory
from mpscnn._private.files import is_file
from mpscnn.errors import Error

if TYPE_CHECKING:
    from mpscnn._private.literals import KernelsOfMetal
    from mpscnn.runtime.options import CompileOptions

_MAX_BYTES = 1 << 16


def record_path(graph: _core.Graph, outputs: Sequence[str], options: CompileOptions) -> Path:
    """Return the file with the measurements of a network, compiled for these outputs with these options.

    The name depends on the layers and their attributes, on the number formats and on mpscnn's version, but not on
    weights.
    """
    precision = "float32" if options.precision == "auto" else options.precision
    weights = precision if options.weights == "auto" else options.weights
    sums = "float32" if options.accumulate_dtype == "auto" else options.accumulate_dtype
    parts = (_core.version(), precision, weights, sums, *outputs, graph.to_json())
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return cache_directory() / "metal_kernels" / f"{digest[:32]}.json"


def system() -> str:
    """Return the operating system's version with its build. Drivers of GPUs are a part of the system."""
    return os.uname().version


def read_record(path: Path) -> dict[str, dict[str, Any]]:
    """Return the entries of a file by the names of GPUs. A file that is missing or damaged has none."""
    try:
        if not is_file(path):  # reading a pipe might never end
            return {}
        with path.open("rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
        entries = json.loads(content) if len(content) <= _MAX_BYTES else {}
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(entries, dict):
        return {}
    return {name: entry for name, entry in entries.items() if isinstance(entry, dict)}


def faster_kernels(
    graph: _core.Graph, outputs: Sequence[str], options: CompileOptions
) -> dict[str, KernelsOfMetal]:
    """Return the kernels that were faster for a network, by the names of GPUs.

    Measurements of other versions of the system do not count.
    """
    try:
        entries = read_record(record_path(graph, outputs, options))
    except Error:  # there is no cache folder
        return {}
    return {
        name: entry["kernels"]
        for name, entry in entries.items()
        if entry.get("system") == system() and entry.get("kernels") in ("mps", "own")
    }
