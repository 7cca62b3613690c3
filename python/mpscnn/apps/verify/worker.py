"""Run cases on a device in a separate process: `mpscnn.apps.verify.worker DEVICE FOLDER`.

The process reads a JSON list of [index, recipe] from stdin. For each case it writes the line {"begin": index} to
stdout, and then one of these:
    {"done": index, "seconds"}      the results are in FOLDER/<index>.npz; "note" is the verdict of the self-check
    {"refused": index, "reason"}    the device's engine does not support the case
    {"failed": index, "reason"}
If a "begin" has no second line, that case ended the process. While the self-check runs, it writes
{"progress": [done, cases]} at least once a second.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from mpscnn.apps.verify.case import run, run_self_check
from mpscnn.errors import UnsupportedError


class Heartbeat:
    """Replies with the progress of the self-check, once a second."""

    def __init__(self, reply: Callable[..., None]) -> None:
        self._reply = reply
        self._due = 0.0

    def __call__(self, done: int, cases: int) -> None:
        """Take the numbers of cases that are done, and of all cases."""
        if (now := time.monotonic()) >= self._due:
            self._due = now + 1.0
            self._reply(progress=[done, cases])


def serve(device: str, folder: Path, cases: list[Any], replies: IO[str]) -> None:
    """Run all cases in order."""

    def reply(**message: Any) -> None:
        replies.write(json.dumps(message) + "\n")
        replies.flush()

    for index, recipe in cases:
        reply(begin=index)
        started = time.perf_counter()
        note = ""
        try:
            if recipe.get("self_check"):
                note, results = run_self_check(device, Heartbeat(reply)), {}
            else:
                results = run(recipe, device)
        except UnsupportedError as error:
            reply(refused=index, reason=str(error))
        except Exception as error:  # the parent process reports any exception
            reply(failed=index, reason=f"{type(error).__name__}: {error}")
        else:
            np.savez(folder / f"{index}.npz", *results.values())
            reply(done=index, seconds=time.perf_counter() - started, names=list(results), note=note)


if __name__ == "__main__":
    # Redirect what frameworks print to stderr, so that the pipe has only replies.
    pipe = os.dup(1)
    os.dup2(2, 1)
    serve(sys.argv[1], Path(sys.argv[2]), json.load(sys.stdin), os.fdopen(pipe, "w", encoding="utf-8"))
