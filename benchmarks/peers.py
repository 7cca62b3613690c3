"""Check, time and print one operation in mpscnn, torch and onnxruntime: the rows of the benchmarks of operations.

Each row also has the time of a plain copy that reads and writes as many bytes as the operation must. It shows the
fastest time that the memory allows.
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
from mpscnn.converters.writing.onnx.export import to_onnx

Array = NDArray[Any]
Shape = tuple[int, ...]


def normal(shape: Shape) -> Array:
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


def positive(shape: Shape) -> Array:
    """Return positive random numbers, for logarithms and divisors."""
    return np.random.default_rng(len(shape)).uniform(0.5, 4.0, shape).astype(np.float32)


def check_values(ours: Array, theirs: Array, what: str) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3, err_msg=what)


def check_zeros(ours: Array, theirs: Array, what: str) -> None:
    """Compare only the share of zeros, for operations that set random elements to zero."""
    np.testing.assert_allclose(np.mean(ours == 0), np.mean(theirs == 0), rtol=0.05, err_msg=what)


@dataclass(frozen=True)
class Row:
    """One operation on one image, (height, width, channels), or vector, (features,); or on several of them."""

    name: str
    shapes: Sequence[Shape]
    build: Callable[..., mpscnn.Tensor]
    """A function (network, *inputs) that adds the layer."""
    torch: Callable[..., torch.Tensor] | None = None
    """The same operation in torch: (*inputs, *parameters), with NCHW images. None if torch does not have it."""
    parameters: Callable[[Mapping[str, Array]], Sequence[Array]] = lambda _: ()
    """A function that returns the network's weights that the torch function needs."""
    onnx: bool = True
    """Whether onnxruntime has the operation."""
    values: Callable[[Shape], Array] = normal
    check: Callable[[Array, Array, str], None] = check_values
    """A function (mpscnn's result, the peer's, a description) that raises an error if the results differ."""
    read: int | None = None
    """The number of floats that the operation must read; None: all inputs."""


@dataclass(frozen=True)
class Subject:
    """The timed calls for a row, by engine, and mpscnn's result. Each call computes the result once."""

    calls: dict[str, Call]
    result: Array


def aligned(values: Array) -> Array:
    """Return a copy that is aligned to a cache line, as all tensors of torch and onnxruntime are."""
    memory = np.empty(values.nbytes + 64, np.uint8)
    begin = -memory.ctypes.data % 64
    result = memory[begin : begin + values.nbytes].view(values.dtype).reshape(values.shape)
    result[...] = values
    return result


def planes(image: Array) -> Array:
    """Return a copy of an image as NCHW, the order of onnxruntime and torch's default order."""
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
    """Return torch's call, in the faster of its two memory orders, NCHW and channels last."""
    calls = {"torch": torch_call(function, *map(torch.from_numpy, in_planes), *parameters)}
    if any(x.ndim == 4 for x in inputs):
        images = [torch.from_numpy(x).permute(0, 3, 1, 2) for x in inputs]
        last = [x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x for x in parameters]
        calls["torch, channels last"] = torch_call(function, *images, *last)
        # Only one of the two is timed, because the minimum of twice as many times would be lower by chance. NCHW is
        # used only if it is clearly faster, because channels last reads the same memory as mpscnn, which is cached more
        # often.
        times = measure(calls, 20)
        faster = 1.05 * times["torch"].median < times["torch, channels last"].median
        return {"torch": calls["torch" if faster else "torch, channels last"]}
    return calls


def torch_call(function: Callable[..., torch.Tensor], *tensors: torch.Tensor) -> Call:
    """Return a call of a torch function that writes into preallocated memory, as mpscnn does, if it supports `out`."""
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
    """Return the cells of a row of the table."""
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
    """Run the command line of a benchmark: print a table for each group of rows.

    `with_copy` adds a plain copy as a comparison, for operations that may be limited by memory bandwidth.
    """
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
