"""Report on the C++ core and the devices, and preprocess photos."""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mpscnn import _core
from mpscnn._private.arguments import IntPair, input_size, whole_number
from mpscnn._private.expected_names import takes_expected_arguments
from mpscnn._private.literals import ChannelOrderName, PrecisionName
from mpscnn._private.settings import as_json
from mpscnn.errors import ParameterError

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray


def build_config() -> dict[str, Any]:
    """Return how the core was built: version, compiler, flags, backends and instruction sets."""
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
    """
    found: list[dict[str, Any]] = json.loads(_core.devices())
    return found


def precisions_of(device: str) -> list[PrecisionName]:
    """Return the precisions of a device from the list of `devices`."""
    kind = "cpu" if device == "auto" else device.partition(":")[0]
    listed = next((entry for entry in devices() if entry["name"].partition(":")[0] == kind), {})
    return list(listed.get("precisions", ())) or ["float32", "float16"]


def slow_precision(precision: str, device: str) -> str | None:
    """Return why a precision is slower than float32 on a device; None if it is not."""
    if precision != "bfloat16" or device.partition(":")[0] not in ("auto", "cpu"):
        return None
    if devices()[0].get("bfloat16_sums") != "blocks":
        return None
    return "bfloat16 takes longer than float32 on this processor, which has no instructions for such products"


def empty(shape: int | Sequence[int], dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Return an array of zeros in its own memory pages. A GPU reads and writes it without a copy.

    Use it for inputs and `out` of `Session.run` and `Session.submit`, whole or sliced along the batch. Programs that
    compute on arrays (for training, or with `metal_kernels="own"`) copy views with gaps. On the CPU it is an ordinary
    array.

    Args:
        shape: the extents.
        dtype: any type without Python objects; networks accept float32 and float16.

    Raises:
        ParameterError: a negative extent or a type with Python objects.
        MemoryError: there is not enough memory.
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
    """Return all operations of networks and model files: name, summary, number of inputs, parameters.

    Args:
        training: return the operations that compute gradients, losses and new weights instead.
    """
    listed: list[dict[str, Any]] = json.loads(_core.operations())
    return [entry for entry in listed if entry["training"] == training]


@takes_expected_arguments
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
        settings: "tensorflow" (-1 to 1), "caffe", "torch", "unit" (0 to 1), "none" (0 to 255), "mnist" (finds a digit
            and centres it as in MNIST; one channel), or a mapping as in docs/preprocessing.md.
        channels: the number of channels of the result: 3, or 1 for gray.
        channel_order: the order of channels of a photo that is an array, such as "bgr", as for `open_photo`.

    Raises:
        ImageError: the photo cannot be read.
        ParameterError: the size or the settings are not allowed, or "mnist" finds no digit.
        ShapeError: `channels` is 2.
    """
    from mpscnn.vision.photo import open_photo

    height, width = input_size("size", size)
    text = as_json("preprocess", settings)
    opened = open_photo(photo, channel_order=channel_order)
    output = np.empty((1, height, width, whole_number("channels", channels, 1, 3)), np.float32)
    _core.preprocess(opened.core, text, output[0])
    return output
