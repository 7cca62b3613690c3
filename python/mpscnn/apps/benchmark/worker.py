"""Run one engine in its own process, so that its threads and its peak memory are measured alone.

Run as a script, not as a module of the package, so that the process of another engine does not hold mpscnn.
Reads one JSON request per line from stdin and answers each with one line:
    {"engine", "path", "input", "threads", ...}  load the network, run it once -> {"note"}
    {"runs": n}                                  -> {"milliseconds": [n numbers]}
    {"output": directory}                        write the outputs as 0.npy, 1.npy ... -> {"count"}
    {"finish": true}                             -> {"peak_bytes"}
A failure is answered with {"error": text}.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mpscnn.apps.benchmark.engines import Engine


#: By name; a script's neighbours are not found through the package.
ENGINES = import_module(f"{__package__}.engines" if __package__ else "engines").ENGINES


def serve(requests: IO[str], replies: IO[str]) -> None:
    """Answers requests until there are no more."""
    engine: Engine | None = None
    for line in requests:
        try:
            request = json.loads(line)
            if "engine" in request:
                engine = ENGINES[request["engine"]](request, np.load(request["input"]))
                engine.run()
                reply: dict[str, Any] = {"note": engine.note}
            elif engine is None:
                reply = {"error": "no engine is loaded"}
            else:
                reply = _answer(engine, request)
        except Exception as error:  # an engine may fail with anything; the parent reports it
            # mpscnn's messages say by themselves what is wrong.
            is_ours = type(error).__module__.startswith("mpscnn.")
            reply = {"error": str(error) if is_ours else f"{type(error).__name__}: {error}"}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def _answer(engine: Engine, request: dict[str, Any]) -> dict[str, Any]:
    if "runs" in request:
        return {"milliseconds": _timed(engine, request["runs"])}
    if "output" in request:
        outputs = engine.outputs()
        for index, array in enumerate(outputs):
            np.save(Path(request["output"]) / f"{index}.npy", array)
        return {"count": len(outputs)}
    return {"peak_bytes": peak_bytes()}


def _timed(engine: Engine, runs: int) -> list[float]:
    engine.run()  # not measured: after the other engines' turns the caches hold nothing of this one
    times = []
    for _ in range(runs):
        started = time.perf_counter_ns()
        engine.run()
        times.append((time.perf_counter_ns() - started) / 1e6)
    return times


def peak_bytes() -> int:
    """Return the peak of this process's resident memory in bytes."""
    try:
        # getrusage would count what the parent had before this process became its own program.
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    import resource

    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage if sys.platform == "darwin" else usage * 1024


def _private_stdout() -> IO[str]:
    """Keep the pipe to the parent for replies: engines print to stdout what they like."""
    pipe = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(pipe, "w", encoding="utf-8")


if __name__ == "__main__":
    serve(sys.stdin, _private_stdout())
