"""Information about the core and its devices, and its preprocessing of photos."""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mpscnn import _core
from mpscnn._private.arguments import IntPair, input_size, whole_number
from mpscnn._private.literals import ChannelOrderName, PrecisionName
from mpscnn._private.settings import as_json
from mpscnn.errors import ParameterError

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray


def build_config() -> dict[str, Any]:
    """Return how the core was built: version, compiler, flags, backends, instruction sets and the one in use."""
    config: dict[str, Any] = json.loads(_core.build_config())
    return config


def devices() -> list[dict[str, Any]]:
    """Devices of this machine, the CPU first.

    Each has `name` (for `device=`) and `available`; where it is available `description` and `precisions`, with
    `no_bfloat16`, the reason, where "bfloat16" is not among these, or `bfloat16_sums`, the order of its sums
    (docs/precision.md); else `reason`. The CPU has `processors`: how many `processors` this process may run on
    (affinity), the physical `cores` among them, the `quota` of its control groups (1.5: the time of one
    and a half processors; None without a limit), and the `threads` that "auto" means. The Metal device "metal" is the
    system's default; others are named by their registry id ("metal:0x100000abc"), and `device="metal:Apple M2"` takes
    one by its description. They also have registry_id, default, unified_memory, headless, low_power, removable,
    families ("apple7", "mac2", ...: all that it supports), recommended_working_set_bytes and max_buffer_bytes.
    """
    found: list[dict[str, Any]] = json.loads(_core.devices())
    return found


def precisions_of(device: str) -> list[PrecisionName]:
    """Return the precisions of a device, as `devices` lists them. The name is one for `Network.compile`."""
    kind = "cpu" if device == "auto" else device.partition(":")[0]
    listed = next((entry for entry in devices() if entry["name"].partition(":")[0] == kind), {})
    return list(listed.get("precisions", ())) or ["float32", "float16"]


def slow_precision(precision: str, device: str) -> str | None:
    """Return why a precision is slower than float32 on a device; None where it is not."""
    if precision != "bfloat16" or device.partition(":")[0] not in ("auto", "cpu"):
        return None
    if devices()[0].get("bfloat16_sums") != "blocks":
        return None
    return "bfloat16 takes longer than float32 on this processor, which has no instructions for such products"


def empty(shape: int | Sequence[int], dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Return an array of zeros in its own memory pages. A GPU reads and writes it without a copy.

    For inputs and `out` of `Session.run` and `Session.submit`, whole or cut along the batch; views with gaps are copied
    as any other array is. On the CPU it is an array as any other.

    Args:
        shape: extents.
        dtype: any type without Python objects; networks take float32 and float16.

    Raises:
        ParameterError: a negative extent or a type with Python objects. MemoryError: there is not enough memory.
    """
    extents = (shape,) if isinstance(shape, int) else tuple(operator.index(extent) for extent in shape)
    kind = np.dtype(dtype)
    if any(extent < 0 for extent in extents):
        raise ParameterError(f"empty: extents must be 0 or more, got {extents}")
    if kind.hasobject:
        raise ParameterError(f"empty: dtype must be without Python objects, got {kind}")
    if math.prod(extents) * kind.itemsize > np.iinfo(np.int64).max:
        raise ParameterError(f"empty: {extents} of {kind} is more than a machine can address")
    return _core.pages(extents, kind)


def operations(*, training: bool = False) -> list[dict[str, Any]]:
    """Return all operations of graphs and model files: name, summary, number of inputs, parameters.

    Args:
        training: instead those that compute gradients, losses and new weights.
    """
    listed: list[dict[str, Any]] = json.loads(_core.operations())
    return [entry for entry in listed if entry["training"] == training]


def preprocess(
    photo: Any,
    size: IntPair,
    settings: str | Mapping[str, Any] = "tensorflow",
    *,
    channels: int = 3,
    channel_order: ChannelOrderName | None = None,
) -> NDArray[np.float32]:
    """Return a photo as a network's input: (1, height, width, channels) float32.

    Args:
        photo: path, bytes, Pillow image or array, see `mpscnn.photo.open_photo`.
        size: (height, width) of the result, or one number for both.
        settings: "tensorflow" (-1 to 1), "caffe", "torch", "unit" (0 to 1), "none" (0 to 255), "mnist" (a
            digit, as MNIST's; one channel), or a mapping as in docs/preprocessing.md.
        channels: of the result: 3, or 1 for gray.
        channel_order: of a photo that is an array, such as "bgr": as for `open_photo`.

    Raises:
        ImageError: the photo cannot be read. ParameterError: a size or settings that are not allowed; with "mnist" also
            a photo without a digit. ShapeError: 2 channels.
    """
    from mpscnn.vision.photo import open_photo

    height, width = input_size("size", size)
    text = as_json("preprocess", settings)
    opened = open_photo(photo, channel_order=channel_order)
    output = np.empty((1, height, width, whole_number("channels", channels, 1, 3)), np.float32)
    _core.preprocess(opened.core, text, output[0])
    return output
