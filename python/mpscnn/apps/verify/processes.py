"""Run cases in separate processes, so that a crash or a hang becomes a failed case."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from mpscnn._private.child_python import inherited_environment, module_command
from mpscnn.apps.verify.case import Case
from mpscnn.apps.verify.layers import Arrays

#: Seconds in which a process must begin its first case, even on a busy machine.
_START_LIMIT = 60.0
#: Seconds in which a process must end after its output has ended, or after it was killed.
_END_LIMIT = 10.0

WORKER: tuple[str, ...] = module_command("mpscnn.apps.verify.worker")


@dataclass
class Outcome:
    """The outcome of one case."""

    results: Arrays = field(default_factory=dict)
    seconds: float = 0.0
    problem: str = ""
    """The reason why there are no results; "" if there are."""
    refused: bool = False
    """True if the device's engine does not support the case."""
    hung: bool = False
    """True if the process wrote nothing for the time limit."""
    note: str = ""
    """The verdict of the self-check."""


def run_cases(
    cases: Sequence[Case],
    device: str,
    environment: Mapping[str, str],
    time_limit: float,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Outcome]:
    """Return the outcome of each case. After a crash a new process runs the following cases; after a hang none does.

    A case hangs if its process writes nothing for `time_limit` seconds. `progress` is called with the state of the
    self-check.
    """
    outcomes: list[Outcome | None] = [None] * len(cases)
    with tempfile.TemporaryDirectory(prefix="mpscnn_verify_") as folder:
        while (first := _first_open(outcomes)) is not None:
            open_cases = [
                [i, case.recipe] for i, case in enumerate(cases) if i >= first and outcomes[i] is None
            ]
            process = _Process(device, Path(folder), open_cases, environment, progress)
            if not process.finish(outcomes, time_limit):
                for i, outcome in enumerate(outcomes):
                    outcomes[i] = outcome or Outcome(problem="not run, since the one before it hung")
    return [outcome for outcome in outcomes if outcome is not None]


def _first_open(outcomes: Sequence[Outcome | None]) -> int | None:
    return next((i for i, outcome in enumerate(outcomes) if outcome is None), None)


class _Process:
    def __init__(
        self,
        device: str,
        folder: Path,
        cases: list[Any],
        environment: Mapping[str, str],
        progress: Callable[[str], None],
    ) -> None:
        self._folder, self._progress = folder, progress
        self._first = cases[0][0]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - for as long as the process lives
        self._process = subprocess.Popen(
            [*WORKER, device, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=inherited_environment(environment),
            text=True,
            encoding="utf-8",
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=_read, args=(self._process.stdout, self._lines), daemon=True)
        self._reader.start()
        try:
            json.dump(cases, self._process.stdin)
            self._process.stdin.close()
        except BrokenPipeError:
            pass  # the process has already ended; `finish` reads its status

    def finish(self, outcomes: list[Outcome | None], time_limit: float) -> bool:
        """Record the outcomes when the process has ended. Return False if it took too long and was killed."""
        begun = self._first
        patience = max(time_limit, _START_LIMIT)
        try:
            while line := self._lines.get(timeout=patience):
                patience = time_limit
                reply = json.loads(line)
                begun = reply.get("begin", begun)
                self._take(reply, outcomes)
            status = self._process.wait(_END_LIMIT)
            if status != 0 or outcomes[begun] is None:
                outcomes[begun] = Outcome(problem=_describe_exit(status) + self._last_error_line())
        except (queue.Empty, subprocess.TimeoutExpired):
            outcomes[begun] = Outcome(problem=f"hung: no answer within {patience:g} s", hung=True)
            return False
        finally:
            self._close()
        return True

    def _take(self, reply: dict[str, Any], outcomes: list[Outcome | None]) -> None:
        if "done" in reply:
            index = reply["done"]
            with np.load(self._folder / f"{index}.npz") as stored:
                results = {name: stored[f"arr_{i}"] for i, name in enumerate(reply["names"])}
            outcomes[index] = Outcome(results, reply["seconds"], note=reply.get("note", ""))
        elif "refused" in reply:
            outcomes[reply["refused"]] = Outcome(problem=reply["reason"], refused=True)
        elif "failed" in reply:
            outcomes[reply["failed"]] = Outcome(problem=reply["reason"])
        elif "progress" in reply:
            done, cases = reply["progress"]
            self._progress(f"self-check: {done} of {cases} cases")

    def _close(self) -> None:
        self._errors.close()
        self._process.kill()  # has no effect on a process that has ended
        try:
            self._process.wait(_END_LIMIT)
        except subprocess.TimeoutExpired:
            return  # a driver keeps it, so its output does not end either
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _last_error_line(self) -> str:
        """Return the last line on stderr, such as a failed assertion or Python's message."""
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return f": {lines[-1][-300:]}" if lines else ""


def _read(stream: IO[str], lines: queue.SimpleQueue[str]) -> None:
    for line in stream:
        lines.put(line)
    lines.put("")


def _describe_exit(status: int) -> str:
    if status >= 0:
        return f"the process ended with status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"the process was ended by {name}"
