"""Tell people that a device is checked before its first use, which may take minutes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from mpscnn._private.progress_line import TextLine, draw_bar, is_watched

#: Seconds of a check without a word.
_PATIENCE = 2.0
#: The library reports at least twice a second, so a longer pause is the end of a check.
_PAUSE = 5.0


class CheckFollower:
    """Reports the checks of devices on stderr, with a progress bar in terminals and notebooks."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._device = ""
        self._begun = self._heard = -_PAUSE
        self._line: TextLine | None = None

    def __call__(self, device: str, done: int, cases: int) -> None:
        """Take the number of cases that are done.

        0 of 0 means that another thread or process checks the device. A network of the user is one case.
        """
        now = self._clock()
        if device != self._device or now - self._heard >= _PAUSE:
            self._finish()
            self._device, self._begun = device, now
        self._heard = now
        if done == cases > 0:
            self._finish()
        elif now - self._begun >= _PATIENCE and sys.stderr is not None:
            self._tell(done, cases, now - self._begun)

    def _tell(self, done: int, cases: int, seconds: float) -> None:
        if self._line is None:
            self._line = TextLine()
            print(_explain(self._device, done, cases, seconds), file=sys.stderr, flush=True)
        elif cases > 1 and is_watched(sys.stderr):
            self._line.write(f"{draw_bar(done, cases)} {done} of {cases} cases")

    def _finish(self) -> None:
        if self._line is not None:
            self._line.end()
        self._line, self._device = None, ""


def _explain(device: str, done: int, cases: int, seconds: float) -> str:
    if not cases:
        state = "another thread or process does this now"
    elif cases == 1 and " on Core ML on " in device:
        state = "Core ML compiles it for its compute units, which may take minutes"
    elif cases == 1:
        state = "it runs once on both engines, which may take a minute"
    elif done:
        state = f"{done} of {cases} cases are done, which takes about {seconds * (cases - done) / done:.0f} s more"
    else:
        state = f"{cases} cases, which may take minutes"
    return (
        f"mpscnn checks the results of {device!r} before its first use: {state}. "
        'With MPSCNN_DEVICE=cpu in the environment, device="auto" means the CPU, without this check.'
    )


follow_check: Callable[[str, int, int], None] = CheckFollower()
