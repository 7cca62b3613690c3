"""One engine in a process of its own: its threads and its peak memory are nobody else's.

Run as a script, not as a module of the package, so that the process of another engine does not hold mpscnn.
Reads one JSON request per line from stdin and answers each with one line:
    {"engine", "path", "input", "threads", ...}  load the network, run it once -> {"version", "note"}
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
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

Arrays = list[NDArray[Any]]


class Engine(Protocol):
    """A loaded network with its input."""

    version: str
    note: str

    def run(self) -> None:
        """What is timed."""

    def outputs(self) -> Arrays:
        """Of the last run, images as (n, height, width, channels)."""


class Mpscnn:
    """This project's engine, on a model file."""

    def __init__(self, setup: dict[str, Any], x: NDArray[np.float32]) -> None:
        import mpscnn
        from mpscnn import _core

        network = mpscnn.Network.from_graph(_core.Model.load(setup["path"]).graph())
        program = network.compile(device=setup["device"], precision=setup["precision"])
        self.version = mpscnn.__version__
        self.note = f"{program.device_name}, {program.precision}"
        self._session = program.session(threads=setup["threads"])
        self._input = x
        self._outputs = {
            name: np.empty(shape, np.float32)
            for name, shape in zip(program.outputs, program.output_shapes(x.shape), strict=True)
        }

    def run(self) -> None:
        """See Engine."""
        out = self._outputs if len(self._outputs) > 1 else next(iter(self._outputs.values()))
        self._session.run(self._input, out=out)

    def outputs(self) -> Arrays:
        """See Engine."""
        return list(self._outputs.values())


class OnnxRuntime:
    """onnxruntime on an exported graph with images in its own order, NCHW."""

    def __init__(self, setup: dict[str, Any], x: NDArray[np.float32]) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = setup["threads"]
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            setup["path"], options, providers=["CPUExecutionProvider"]
        )
        self.version = onnxruntime.__version__
        self.note = "CPU, float32"
        ordered = np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if x.ndim == 4 else x
        self._feed = {self._session.get_inputs()[0].name: ordered}
        self._results: Arrays = []

    def run(self) -> None:
        """See Engine."""
        self._results = self._session.run(None, self._feed)

    def outputs(self) -> Arrays:
        """See Engine."""
        return [array.transpose(0, 2, 3, 1) if array.ndim == 4 else array for array in self._results]


class LiteRt:
    """LiteRT (TensorFlow Lite) on the original file; quantised files are computed in their integers."""

    def __init__(self, setup: dict[str, Any], x: NDArray[np.float32]) -> None:
        from importlib.metadata import version

        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_path=setup["path"], num_threads=setup["threads"])
        self._interpreter.allocate_tensors()
        (source,) = self._interpreter.get_input_details()
        self._results = self._interpreter.get_output_details()
        self.version = version("ai-edge-litert")
        self.note = f"CPU, {np.dtype(source['dtype']).name}"
        self._interpreter.set_tensor(source["index"], _quantized(x, source))

    def run(self) -> None:
        """See Engine."""
        self._interpreter.invoke()

    def outputs(self) -> Arrays:
        """See Engine."""
        return [_dequantized(self._interpreter.get_tensor(entry["index"]), entry) for entry in self._results]


def _quantized(x: NDArray[np.float32], tensor: dict[str, Any]) -> NDArray[Any]:
    dtype = np.dtype(tensor["dtype"])
    if dtype.kind == "f":
        return x
    scale, zero_point = tensor["quantization"]
    limits = np.iinfo(dtype)
    quantized: NDArray[Any] = np.clip(np.rint(x / scale) + zero_point, limits.min, limits.max).astype(dtype)
    return quantized


def _dequantized(values: NDArray[Any], tensor: dict[str, Any]) -> NDArray[Any]:
    if values.dtype.kind == "f":
        return values
    scale, zero_point = tensor["quantization"]
    floats: NDArray[Any] = (values.astype(np.float32) - zero_point) * np.float32(scale)
    return floats


ENGINES: dict[str, Callable[[dict[str, Any], NDArray[np.float32]], Engine]] = {
    "mpscnn": Mpscnn,
    "onnxruntime": OnnxRuntime,
    "litert": LiteRt,
}


def serve(requests: IO[str], replies: IO[str]) -> None:
    """Answers requests until there are no more."""
    engine: Engine | None = None
    for line in requests:
        try:
            request = json.loads(line)
            if "engine" in request:
                engine = ENGINES[request["engine"]](request, np.load(request["input"]))
                engine.run()
                reply: dict[str, Any] = {"version": engine.version, "note": engine.note}
            elif engine is None:
                reply = {"error": "no engine is loaded"}
            else:
                reply = _answer(engine, request)
        except Exception as error:  # an engine may fail with anything; the parent reports it
            reply = {"error": f"{type(error).__name__}: {error}"}
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
    return {"peak_bytes": _peak_bytes()}


def _timed(engine: Engine, runs: int) -> list[float]:
    engine.run()  # not measured: after the other engines' turns the caches hold nothing of this one
    times = []
    for _ in range(runs):
        started = time.perf_counter_ns()
        engine.run()
        times.append((time.perf_counter_ns() - started) / 1e6)
    return times


def _peak_bytes() -> int:
    """The most memory that this process ever had resident."""
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
    """Keeps the pipe to the parent for replies: engines print to stdout what they like."""
    pipe = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(pipe, "w", encoding="utf-8")


if __name__ == "__main__":
    serve(sys.stdin, _private_stdout())
