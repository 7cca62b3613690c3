"""Check and translate the names of devices that users give."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mpscnn._private.other_arguments import canonical_device, device_text
from mpscnn.errors import DeviceError, ParameterError

#: Devices of other frameworks that mpscnn cannot use.
_OTHERS = ("cuda", "rocm", "hip", "xpu", "tpu", "npu", "directml", "vulkan", "opencl")


@contextmanager
def named_device(device: object) -> Iterator[str]:
    """Yield mpscnn's name for a device. The device must be opened in the `with` block.

    Raises:
        ParameterError: the name is not text, or means a device of another framework. The message lists the devices of
            this machine.
        DeviceError: raised in the block. If the given name is an alias, its meaning is added to the message.
    """
    given = device_text(device)
    if given.lower().partition(":")[0] in _OTHERS:
        raise ParameterError(
            f"device {given!r} is not supported: mpscnn runs on 'cpu', 'metal' and 'coreml'; this machine has "
            f"{_present()}"
        )
    name = canonical_device(given)
    try:
        yield name
    except DeviceError as error:
        if name.lower() == given.lower():
            raise
        raise DeviceError(f"device {given!r} means {name!r}: {error}") from error


def _present() -> str:
    from mpscnn.runtime.library import devices

    return ", ".join(
        f"{found['name']!r} ({found['description']})" for found in devices() if found["available"]
    )
