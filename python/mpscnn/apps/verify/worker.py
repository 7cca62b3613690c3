"""Run cases on a device in a separate process: `mpscnn.apps.verify.worker DEVICE FOLDER`.

Reads a JSON list of [index, recipe] from stdin. For each it writes a line {"begin": index} to stdout, then {"done":
index, "seconds"} with the results in FOLDER/<index>.npz, {"refused": index, "reason"} for what the device's engine
does not have, or {"failed": index, "reason"}. A line that begins and does not end is what ended the process.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import IO, Any

import numpy as np

from mpscnn.apps.verify.case import run
from mpscnn.errors import UnsupportedError


def serve(device: str, folder: Path, cases: list[Any], replies: IO[str]) -> None:
    """Run all cases, in their order."""

    def reply(**message: Any) -> None:
        replies.write(json.dumps(message) + "\n")
        replies.flush()

    for index, recipe in cases:
        reply(begin=index)
        started = time.perf_counter()
        try:
            results = run(recipe, device)
        except UnsupportedError as error:
            reply(refused=index, reason=str(error))
        except Exception as error:  # whatever it is, the parent reports it
            reply(failed=index, reason=f"{type(error).__name__}: {error}")
        else:
            np.savez(folder / f"{index}.npz", *results.values())
            reply(done=index, seconds=time.perf_counter() - started, names=list(results))


if __name__ == "__main__":
    # Output of frameworks goes to stderr, so that the pipe holds only replies.
    pipe = os.dup(1)
    os.dup2(2, 1)
    serve(sys.argv[1], Path(sys.argv[2]), json.load(sys.stdin), os.fdopen(pipe, "w", encoding="utf-8"))
