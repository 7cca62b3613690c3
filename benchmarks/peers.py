"""One operation in mpscnn, torch and onnxruntime: rows of the benchmarks, checked, timed and printed.

Next to them a plain copy that reads and writes as many bytes in all as the operation must: what memory allows.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np
import onnxruntime
import torch
from harness import Call, Times, measure, table_head, table_row
from numpy.typing import NDArray

import mpscnn
from mpscnn.converters.onnx_writer.export import to_onnx

Array = NDArray[Any]
Shape = tuple[int, ...]


def normal(shape: Shape) -> Array:
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


def positive(shape: Shape) -> Array:
    """For logarithms, and for divisors."""
    return np.random.default_rng(len(shape)).uniform(0.5, 4.0, shape).astype(np.float32)


def check_values(ours: Array, theirs: Array, what: str) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3, err_msg=what)


def check_zeros(ours: Array, theirs: Array, what: str) -> None:
    """For random zeros: as many on both sides, and none of the other values by chance."""
    np.testing.assert_allclose(np.mean(ours == 0), np.mean(theirs == 0), rtol=0.05, err_msg=what)


@dataclass(frozen=True)
class Row:
    """One operation on one image, (height, width, channels), or vector, (features,); or on several of them."""

    name: str
    shapes: Sequence[Shape]
    build: Callable[..., mpscnn.Tensor]
    """Adds the layer: (network, *inputs)."""
    torch: Callable[..., torch.Tensor] | None = None
    """The same, (*inputs, *parameters), with images (1, channels, height, width); None: torch does not have it."""
    parameters: Callable[[Mapping[str, Array]], Sequence[Array]] = lambda _: ()
    """The weights of the network that torch needs, too."""
    onnx: bool = True
    """False: onnxruntime does not have it."""
    values: Callable[[Shape], Array] = normal
    check: Callable[[Array, Array, str], None] = check_values
    """Refuses what a peer computes, (ours, its, what it is): a comparison of different computations is worthless."""
    read: int | None = None
    """Floats that must be read, where these are not all of the inputs."""


@dataclass(frozen=True)
class Subject:
    """Return the timed calls by engine. Each computes a row's result once."""

    calls: dict[str, Call]
    result: Array


def aligned(values: Array) -> Array:
    """A copy that begins at a cache line, as all of torch's and onnxruntime's own tensors do."""
    memory = np.empty(values.nbytes + 64, np.uint8)
    begin = -memory.ctypes.data % 64
    result = memory[begin : begin + values.nbytes].view(values.dtype).reshape(values.shape)
    result[...] = values
    return result


def planes(image: Array) -> Array:
    """A copy of an image, (n, channels, height, width), as onnxruntime and one of torch's orders want it."""
    return aligned(image.transpose(0, 3, 1, 2)) if image.ndim == 4 else image


def subject(row: Row, threads: int) -> Subject:
    network = mpscnn.Network(input={f"input{i}": shape for i, shape in enumerate(row.shapes)})
    network.output(row.build(network, *network.inputs))
    network.initialize_weights()
    inputs = [aligned(row.values((1, *shape))) for shape in row.shapes]
    session = network.compile(device="cpu", precision="float32").session(threads=threads)
    first = session.run(inputs)
    assert isinstance(first, np.ndarray)
    result = aligned(first)
    in_planes = [planes(x) for x in inputs]
    peers: dict[str, Call] = {}
    if row.torch is not None:
        parameters = [torch.from_numpy(values) for values in row.parameters(network.weights)]
        peers |= torch_calls(row.torch, inputs, in_planes, parameters)
    if row.onnx:
        peers["onnxruntime"] = onnxruntime_call(network, in_planes, threads)
    for name, call in peers.items():
        row.check(result, nhwc(call()), f"{row.name}, {name}")
    floats = sum(prod(shape) for shape in row.shapes) if row.read is None else row.read
    ours: dict[str, Call] = {"mpscnn": lambda: session.run(inputs, out=result)}
    return Subject(ours | peers | {"copy": copy_call((floats + result.size) // 2)}, result)


def torch_calls(
    function: Callable[..., torch.Tensor],
    inputs: Sequence[Array],
    in_planes: Sequence[Array],
    parameters: Sequence[torch.Tensor],
) -> dict[str, Call]:
    """In the order of memory that is faster: channels last is where mpscnn reads."""
    calls = {"torch": torch_call(function, *map(torch.from_numpy, in_planes), *parameters)}
    if any(x.ndim == 4 for x in inputs):
        images = [torch.from_numpy(x).permute(0, 3, 1, 2) for x in inputs]
        last = [x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x for x in parameters]
        calls["torch, channels last"] = torch_call(function, *images, *last)
        # One of them only: the minimum of twice as many times would be lower by chance. Planes must be clearly faster,
        # since channels last reads mpscnn's own inputs, and what several engines read is cached more often.
        times = measure(calls, 20)
        faster = 1.05 * times["torch"].median < times["torch, channels last"].median
        return {"torch": calls["torch" if faster else "torch, channels last"]}
    return calls


def torch_call(function: Callable[..., torch.Tensor], *tensors: torch.Tensor) -> Call:
    """With the result's memory given, as mpscnn's is, where the function takes it: allocating makes a difference."""
    result = function(*tensors)
    try:
        function(*tensors, out=result)
    except TypeError:
        return partial(function, *tensors)
    return partial(function, *tensors, out=result)


def onnxruntime_call(network: mpscnn.Network, in_planes: Sequence[Array], threads: int) -> Call:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    model = to_onnx(network, layout="nchw").SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feed = {port.name: x for port, x in zip(session.get_inputs(), in_planes, strict=True)}
    return lambda: session.run(None, feed)[0]


def copy_call(floats: int) -> Call:
    source, destination = (aligned(np.ones(floats, np.float32)) for _ in range(2))
    return lambda: np.copyto(destination, source)


def nhwc(theirs: object) -> Array:
    array = np.asarray(theirs)
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array


def cells(row: Row, result: Array, times: Mapping[str, Times]) -> tuple[str, ...]:
    """A row of the table below."""
    peers = {name: times[name] for name in ("torch", "onnxruntime") if name in times}
    ours = times["mpscnn"].minimum
    best = min((value.minimum for value in peers.values()), default=None)
    return (
        row.name,
        ", ".join("x".join(map(str, shape)) for shape in row.shapes),
        "x".join(map(str, result.shape[1:])),
        str(times["mpscnn"]),
        *(str(peers.get(name, "")) for name in ("torch", "onnxruntime")),
        "" if best is None else f"{best / ours:.2f}",
        *([f"{100 * times['copy'].minimum / ours:.0f}%"] if "copy" in times else []),
    )


HEAD = ("input", "result", "mpscnn", "torch", "onnxruntime", "mpscnn is faster")


def compare(description: str, groups: Mapping[str, Iterable[Row]], *, with_copy: bool) -> None:
    """The command line of a benchmark, and a table for each group of rows; `with_copy` where memory may decide."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--runs", type=int, default=50, help="timed runs of each engine (default: 50)")
    parser.add_argument("--threads", type=int, default=1, help="threads of every engine (default: 1)")
    parser.add_argument("--only", default="", help="rows whose group or name contains this text")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_grad_enabled(False)
    print(
        f"mpscnn {mpscnn.__version__}, torch {torch.__version__}, onnxruntime {onnxruntime.__version__}; float32, "
        f"{arguments.threads} thread(s), {arguments.runs} interleaved runs of each: minimum (median) microseconds."
    )
    head = (*HEAD, "of a copy's speed") if with_copy else HEAD
    for group, rows in groups.items():
        chosen = [row for row in rows if arguments.only in f"{group}: {row.name}"]
        if chosen:
            print(f"\n{table_head(group, *head)}", flush=True)
        for row in chosen:
            of = subject(row, arguments.threads)
            if not with_copy:
                del of.calls["copy"]
            print(
                table_row(cells(row, of.result, measure(of.calls, arguments.runs, arguments.threads))),
                flush=True,
            )
