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


def load() -> Emulation:
    """Of this process; skips where mpscnn is not linked with it."""
    backends = mpscnn.build_config()["backends"]
    if "metal" not in backends:
        pytest.skip(
            f"this build of mpscnn has the engines {backends}; nox -s metal builds one with Metal's emulation"
        )
    try:
        # The name of a library that is loaded already; nothing is loaded for it.
        return Emulation(ctypes.CDLL("libmetal_emulation.so"))
    except OSError:
        pytest.skip("mpscnn runs on a real GPU here, which cannot be made to fail or tell what it holds")


@contextlib.contextmanager
def watched(emulation: Emulation) -> Iterator[Emulation]:
    """Fails when what happens inside broke a rule or left an object behind."""
    emulation.reset()
    yield emulation
    gc.collect()
    alive = emulation.live_objects()
    violations = emulation.violations()
    emulation.reset()
    assert not violations
    assert alive == ""
