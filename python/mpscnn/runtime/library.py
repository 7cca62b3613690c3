"""Report on the C++ core and the devices."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mpscnn import _core
from mpscnn._private.arguments import whole_numbers
from mpscnn._private.literals import PrecisionName
from mpscnn._private.other_arguments import accept_foreign_arguments, canonical_device, device_text
from mpscnn.errors import ParameterError

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray


def build_config() -> dict[str, Any]:
    """Return how the core was built: version, compiler, flags, backends and instruction sets.

    `instruction_sets` are those of the build, and `instruction_set` is the one in use. It is None if the processor
    lacks all of them.
    """
    config: dict[str, Any] = json.loads(_core.build_config())
    return config


def devices() -> list[dict[str, Any]]:
    """Return the devices of this machine, the CPU first.

    Each device has `name` (for `device=`) and `available`. An unavailable one has the `reason`. An available one has
    `description` and `precisions`, and `bfloat16_sums`, the order of bfloat16's sums (docs/precision.md), or
    `no_bfloat16`, the reason why "bfloat16" is missing.

    The CPU has `processors`: the number of `processors` that this process may use (affinity), the physical `cores`
    among them, the `quota` of its container (1.5: the time of one and a half processors; None: no limit), and the
    `threads` that "auto" means.

    The Metal device "metal" is the system's default. Others are named by their registry id ("metal:0x100000abc"), and
    `device="metal:Apple M2"` selects one by its description. They also have registry_id, default, unified_memory,
    headless, low_power, removable, families (all supported ones: "apple7", "mac2", ...), recommended_working_set_bytes
    and max_buffer_bytes.

    The device "coreml" runs networks by Core ML. It has `compute_units`, the names that may follow "coreml:"
    (docs/coreml_device.md).
    """
    found: list[dict[str, Any]] = json.loads(_core.devices())
    return found


def get_device() -> str:
    """Return the name of the device that "auto" means for most networks: a GPU that passed its self-check, or "cpu"."""
    return "metal" if is_available("metal") else "cpu"


def is_available(device: str = "metal") -> bool:
    """Return True if a device with this name of `devices` works on this machine."""
    name = canonical_device(device_text(device))
    return any(entry["available"] and entry["name"] == name for entry in devices())


def precisions_of(device: str) -> list[PrecisionName]:
    """Return the precisions of a device from the list of `devices`."""
    kind = "cpu" if device == "auto" else device.partition(":")[0]
    listed = next((entry for entry in devices() if entry["name"].partition(":")[0] == kind), {})
    return list(listed.get("precisions", ())) or ["float32", "float16"]


@accept_foreign_arguments
def empty(shape: int | Sequence[int], dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Return an array of zeros in its own memory pages. A GPU reads and writes it without a copy.

    Use it for inputs and `out` of `Session.run` and `Session.submit`, whole or sliced along the batch. Programs that
    compute on arrays (for training, or with `metal_kernels="own"`) copy views with gaps. On the CPU it is an ordinary
    array.

    Args:
        shape: the extents.
        dtype: any type without Python objects; networks accept float32 and float16.

    Raises:
        ParameterError: extents that are not whole numbers, or are negative, or a type with Python objects.
        MemoryError: there is not enough memory.
    """
    extents = tuple(
        whole_numbers("empty: shape", shape if isinstance(shape, (Sequence, np.ndarray)) else [shape])
    )
    kind = np.dtype(dtype)
    if any(extent < 0 for extent in extents):
        raise ParameterError(f"empty: extents must be 0 or more, got {extents}")
    if kind.hasobject:
        raise ParameterError(f"empty: dtype must be without Python objects, got {kind}")
    if math.prod(extents) * kind.itemsize > np.iinfo(np.int64).max:
        raise ParameterError(f"empty: {extents} of {kind} is more than a machine can address")
    return _core.pages(extents, kind)


def operations(*, training: bool = False) -> list[dict[str, Any]]:
    """Return all operations of networks and model files: name, summary, number of inputs, parameters.

    Args:
        training: return the operations that compute gradients, losses and new weights instead.
    """
    listed: list[dict[str, Any]] = json.loads(_core.operations())
    return [entry for entry in listed if entry["training"] == training]


def available_processors() -> int:
    """Return the number of threads that "auto" means: the physical cores that this process may use.

    The limit of its control groups (Linux) is respected.
    """
    threads: int = json.loads(_core.processors())["threads"]
    return threads
