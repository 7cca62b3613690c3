"""The emulation that this process runs on, if mpscnn is linked with it."""

from __future__ import annotations

import contextlib
import ctypes
import gc
from collections.abc import Iterator

import pytest

import mpscnn


class Emulation:
    """What tests/metal_emulation/metal/metal_emulation.h declares."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        library.metal_emulation_violation.restype = ctypes.c_char_p
        library.metal_emulation_live_object_names.restype = ctypes.c_char_p
        library.metal_emulation_get.argtypes = [ctypes.c_char_p]
        library.metal_emulation_get.restype = ctypes.c_long
        library.metal_emulation_set.argtypes = [ctypes.c_char_p, ctypes.c_long]

    def set(self, switch: str, value: int) -> None:
        """Makes the emulation fail or change in one of the ways that its header lists."""
        assert self._library.metal_emulation_set(switch.encode(), value) == 0, f"no switch {switch}"

    def get(self, switch: str) -> int:
        """A switch's value; some of them count what happened since the last reset."""
        return int(self._library.metal_emulation_get(switch.encode()))

    def violations(self) -> list[str]:
        """Rules of Metal and MPS that were broken since the last reset."""
        count = self._library.metal_emulation_violation_count()
        return [self._library.metal_emulation_violation(i).decode() for i in range(count)]

    def live_objects(self) -> str:
        """Objects of Metal and MPS that exist once all work is done: "MTLBuffer 2, MPSImage 1"."""
        self._library.metal_emulation_wait_idle()
        return str(self._library.metal_emulation_live_object_names().decode())

    def reset(self) -> None:
        """Forgets violations and puts all switches back."""
        self._library.metal_emulation_reset()


def is_emulated() -> bool:
    """Whether mpscnn is linked with the emulation."""
    try:
        ctypes.CDLL("libmetal_emulation.so")  # loaded already, or not found
    except OSError:
        return False
    return True


def find() -> Emulation | None:
    """Of this process; None on a real GPU. Skips where there is none, or a virtual one that is not used."""
    try:
        # The name of a library that is loaded already; nothing is loaded for it.
        return Emulation(ctypes.CDLL("libmetal_emulation.so"))
    except OSError:
        require_gpu()
        return None


def require_gpu() -> None:
    """Anything else that keeps a GPU from being used is a failure, wrong answers of a real one above all."""
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
    """Of this process; skips where mpscnn is not linked with it."""
    emulation = find()
    if emulation is None:
        pytest.skip("mpscnn runs on a real GPU here, which cannot be made to fail or tell what it holds")
    return emulation


@contextlib.contextmanager
def watched(emulation: Emulation | None) -> Iterator[None]:
    """Fails when what happens inside broke a rule or left an object behind; a real GPU does not say."""
    if emulation is None:
        yield
        return
    emulation.reset()
    yield
    gc.collect()
    alive = emulation.live_objects()
    violations = emulation.violations()
    emulation.reset()
    assert not violations
    assert alive == ""
