"""Run one engine in its own process, so that its threads and its peak memory are measured separately.

The file runs as a script and not as a module, so that processes of other engines do not load mpscnn. It reads one
JSON request a line from stdin, and writes one line for each:
    {"engine", "adapters", "path", "input", ...}  load the network, run it once -> {"note"}
    {"runs": n}                                   -> {"milliseconds": [n numbers]}
    {"output": directory}                         write the outputs as 0.npy, 1.npy ... -> {"count"}
    {"finish": true}                              -> {"peak_bytes"}
A failure gives {"error": text}.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mpscnn.apps.benchmark.engines import Engine


def serve(requests: IO[str], replies: IO[str]) -> None:
    """Handle requests until stdin ends."""
    engine: Engine | None = None
    for line in requests:
        try:
            request = json.loads(line)
            if "engine" in request:
                engine = engines(request["adapters"])[request["engine"]](request, np.load(request["input"]))
                engine.run()
                reply: dict[str, Any] = {"note": engine.note}
            elif engine is None:
                reply = {"error": "no engine is loaded"}
            else:
                reply = _answer(engine, request)
        except Exception as error:  # engines may raise anything; the parent process reports it
            # Messages of mpscnn's own errors are clear without the class's name.
            is_ours = type(error).__module__.startswith("mpscnn.")
            reply = {"error": str(error) if is_ours else f"{type(error).__name__}: {error}"}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def engines(file: str) -> dict[str, Callable[..., Engine]]:
    """Return the classes of engines, by name, in the dictionary ENGINES of a Python file."""
    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: dict[str, Callable[..., Engine]] = module.ENGINES
    return found


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
    engine.run()  # not timed: it loads the caches, which the other engines have overwritten
    times = []
    for _ in range(runs):
        started = time.perf_counter_ns()
        engine.run()
        times.append((time.perf_counter_ns() - started) / 1e6)
    return times


def peak_bytes() -> int:
    """Return the peak of this process's resident memory in bytes."""
    try:
        # getrusage would include memory from before exec, when this process was a copy of its parent.
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    import resource

    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage if sys.platform == "darwin" else usage * 1024


def _private_stdout() -> IO[str]:
    """Return a stream for replies, and redirect stdout to stderr, because engines print to stdout."""
    pipe = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(pipe, "w", encoding="utf-8")


if __name__ == "__main__":
    warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
    serve(sys.stdin, _private_stdout())
