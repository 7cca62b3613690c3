"""Choose the fastest precision whose error is small enough: `mpscnn.load(model, within=0.001)`.

The cache keeps what was measured, in a file for each network and each set of options, processor and version.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mpscnn import samples
from mpscnn._private.arguments import is_finite_number
from mpscnn._private.cache_folder import cache_directory
from mpscnn._private.files import read_content
from mpscnn.comparison.precision_table import compare_precisions, compared_options, fastest
from mpscnn.comparison.trace import Array
from mpscnn.errors import Error, ParameterError, UnsupportedError
from mpscnn.graph.network import Network
from mpscnn.graph.structure import leaves_size_free
from mpscnn.photo_sources import photo_as_input
from mpscnn.registry.cache import hold_lock, replace_file
from mpscnn.runtime.library import build_config, devices
from mpscnn.runtime.options import CompileOptions

_RUNS = 10
_MAX_BYTES = 1 << 16
_RANDOM_INPUTS = 3


@dataclass(frozen=True)
class Measured:
    """The error and the time of a network that is compiled with some options.

    Args:
        options: the arguments of `Network.compile` that give this precision.
        error: `PrecisionFigures.error`.
        milliseconds: `PrecisionFigures.milliseconds`.
    """

    options: Mapping[str, Any]
    error: float
    milliseconds: float


def fastest_options(
    network: Network, options: CompileOptions, threads: int | None, within: float
) -> dict[str, Any]:
    """Return the arguments of `Network.compile` for the fastest precision whose error is at most `within`.

    The precisions are measured when a network is first seen, on the sample photos of the package if the network says
    how photos become its input, and on random numbers otherwise.

    Args:
        network: a network with one input of a known size.
        options: the other options of the program. Precision, weights and accumulate_dtype are "auto".
        threads: the number of threads of a run; None: all that this process may use.
        within: the greatest L2 norm of the results' difference from float32, divided by the norm of the float32
            results.

    Raises:
        ParameterError: `within` is no finite number of at least 0, or the options state a precision.
        UnsupportedError: the network has several inputs, or leaves the size of its input free.
    """
    fastest([], within)
    for name in ("precision", "weights", "accumulate_dtype"):
        if (value := getattr(options, name)) != "auto":
            raise ParameterError(f"within= chooses the precision, so {name} must be 'auto', got {value!r}")
    if len(network.inputs) != 1 or leaves_size_free(network.input.shape):
        raise UnsupportedError(
            f"within=: network {network.name!r} has several inputs or an input of free size, so its precisions cannot "
            "be measured without your inputs: mpscnn.compare_precisions(network, inputs) measures them; "
            "then give precision="
        )
    path = _record_path(network, options, threads)
    rows = _read(path, options.device)
    if not rows:
        rows = _measured(network, options, threads)
        _write(path, rows)
    return dict(fastest(rows, within).options)


def _measured(network: Network, options: CompileOptions, threads: int | None) -> list[Measured]:
    """Measure all precisions of the device on inputs that are made here."""
    table = compare_precisions(network, _inputs(network), device=options.device, threads=threads, runs=_RUNS)
    return [Measured(row.options, row.error, row.milliseconds) for row in table.rows]


def _inputs(network: Network) -> list[Array]:
    shape = network.input.shape
    try:
        return [photo_as_input("within", network, shape, samples.photo(name)) for name in samples.names()]
    except Error:  # its inputs are no photos
        numbers = np.random.default_rng(0)
        extents = tuple(extent for extent in (1, *shape[1:]) if extent is not None)
        return [numbers.uniform(-1.0, 1.0, extents).astype(np.float32) for _ in range(_RANDOM_INPUTS)]


def _record_path(network: Network, options: CompileOptions, threads: int | None) -> Path | None:
    """Return the file of what was measured, or None if there is no cache folder."""
    digest = hashlib.sha256()
    for part in (network.graph.to_json(), options.to_dict(), threads, devices(), build_config()):
        digest.update(json.dumps(part, default=str).encode())
    for name, array in network.weights.items():
        digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
    try:
        return cache_directory() / "precisions" / f"{digest.hexdigest()[:32]}.json"
    except Error:
        return None


def _read(path: Path | None, device: str) -> list[Measured]:
    """Return what a file says. A file that is missing or damaged says nothing."""
    if path is None:
        return []
    try:
        rows = json.loads(read_content(path, Error, _MAX_BYTES))
        read = [Measured(row["options"], row["error"], row["milliseconds"]) for row in rows]
    except (Error, TypeError, KeyError, ValueError, RecursionError):
        return []
    known = compared_options(device, None, "auto").values()
    numbers = (value for row in read for value in (row.error, row.milliseconds))
    if not all(row.options in known for row in read) or not all(map(is_finite_number, numbers)):
        return []
    return read if any(row.error == 0.0 for row in read) else []


def _write(path: Path | None, rows: list[Measured]) -> None:
    """Keep what was measured. A cache that cannot be written only costs another measurement."""
    if path is None:
        return
    content = [{"options": row.options, "error": row.error, "milliseconds": row.milliseconds} for row in rows]
    try:
        with hold_lock(path), replace_file(path) as temporary:
            temporary.write_text(json.dumps(content) + "\n", "utf-8")
    except Error:
        return
