"""Control the emulation of Metal, if mpscnn is linked with it."""

from __future__ import annotations

import contextlib
import ctypes
import gc
from collections.abc import Iterator

import pytest

import mpscnn

#: The switch "worker_delay_ms" of a device that works until the test sets the switch to 0.
HELD = 1_000_000
#: The text of errors that the switches "exceptions" and "throw_failures" cause.
RAISED = "a framework threw NSInvalidArgumentException: the emulation was told to raise an exception"


class Emulation:
    """The functions of tests/metal_emulation/metal/metal_emulation.h."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        library.metal_emulation_violation.restype = ctypes.c_char_p
        library.metal_emulation_live_object_names.restype = ctypes.c_char_p
        library.metal_emulation_get.argtypes = [ctypes.c_char_p]
        library.metal_emulation_get.restype = ctypes.c_long
        library.metal_emulation_set.argtypes = [ctypes.c_char_p, ctypes.c_long]

    def set(self, switch: str, value: int) -> None:
        """Set a switch that makes the emulation fail or behave differently. The header lists all switches."""
        assert self._library.metal_emulation_set(switch.encode(), value) == 0, f"no switch {switch}"

    def get(self, switch: str) -> int:
        """Return a switch's value. Some switches count events since the last reset."""
        return int(self._library.metal_emulation_get(switch.encode()))

    def violations(self) -> list[str]:
        """Return the rules of Metal and MPS that were broken since the last reset."""
        count = self._library.metal_emulation_violation_count()
        return [self._library.metal_emulation_violation(i).decode() for i in range(count)]

    def live_objects(self) -> str:
        """Wait for all work, and return the remaining objects of Metal and MPS, such as "MTLBuffer 2, MPSImage 1"."""
        self._library.metal_emulation_wait_idle()
        return str(self._library.metal_emulation_live_object_names().decode())

    def reset(self) -> None:
        """Forget violations, and reset all switches."""
        self._library.metal_emulation_reset()


def is_emulated() -> bool:
    """Return True if mpscnn is linked with the emulation."""
    try:
        ctypes.CDLL("libmetal_emulation.so")  # found only if it is already loaded
    except OSError:
        return False
    return True


def find() -> Emulation | None:
    """Return the emulation, or None on a real GPU. Skips the test if there is no GPU, or only an unused virtual one."""
    try:
        # The name only finds a library that is already loaded.
        return Emulation(ctypes.CDLL("libmetal_emulation.so"))
    except OSError:
        require_gpu()
        return None


def require_gpu() -> None:
    """Skip the test if there is no usable GPU. Other reasons, such as wrong results of a real GPU, are failures."""
    device = next(entry for entry in mpscnn.devices() if entry["name"] == "metal")
    if not device["available"]:
        pytest.skip(device["reason"])
    try:
        mpscnn.CommandQueue("metal")
    except mpscnn.DeviceError as error:
        if "Paravirtual" not in device["description"] or "is not used" not in str(error):
            raise
        pytest.skip(str(error))


def load() -> Emulation:
    """Return the emulation. Skips the test if mpscnn is not linked with it."""
    emulation = find()
    if emulation is None:
        pytest.skip("mpscnn runs on a real GPU here, which cannot be made to fail or tell what it holds")
    return emulation


@contextlib.contextmanager
def watched(emulation: Emulation | None) -> Iterator[None]:
    """Fail if the code in the `with` block broke a rule or left an object. On a real GPU nothing is checked."""
    if emulation is None:
        yield
        return
    emulation.reset()
    yield
    emulation.set("worker_delay_ms", 0)
    gc.collect()
    alive = emulation.live_objects()
    violations = emulation.violations()
    emulation.reset()
    assert not violations
    assert alive == ""
