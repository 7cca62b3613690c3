"""Build the networks of one layer that the tests of single operations run."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import hypothesis.strategies as st
import numpy as np
from guarded_memory import guarded_array
from numpy.typing import NDArray
from reference import bfloat16

import mpscnn
from mpscnn import _core

#: Whether the device of these tests supports precision "bfloat16".
BFLOAT16 = os.environ.get("MPSCNN_DEVICE") == "cpu" and "bfloat16" in mpscnn.devices()[0]["precisions"]


def layer_network(
    operation: str,
    inputs: Sequence[NDArray[Any]],
    attributes: Mapping[str, Any],
    weights: Mapping[str, NDArray[Any]],
    activation: Mapping[str, Any] | None = None,
) -> mpscnn.Network:
    """Return a network of one operation on inputs of these shapes."""
    network = mpscnn.Network(input={f"input{i}": x.shape[1:] for i, x in enumerate(inputs)}, name="one layer")
    network.output(network.layer(operation, network.inputs, attributes, activation=activation, name="layer"))
    network.load_weights({f"layer.{role}": value for role, value in weights.items()}, layout="OHWI")
    return network


def run_layer(
    operation: str,
    inputs: list[NDArray[Any]],
    attributes: dict[str, Any],
    *,
    weights: dict[str, NDArray[Any]] | None = None,
    activation: dict[str, Any] | None = None,
    precision: str = "float32",
    device: str = "auto",
    threads: int = 1,
    apart: bool = False,
) -> NDArray[Any]:
    """Return the result of one operation on float32 inputs, including the batch.

    With `apart`, all arrays are parts of larger arrays, see `placed`.
    """
    network = layer_network(operation, inputs, attributes, weights or {}, activation)
    program = network.compile(device=device, precision=precision)
    result = _run(program, inputs, threads, apart)
    assert network.outputs[0].shape[1:] == result.shape[1:]
    return result


def run_training(
    operation: str,
    inputs: list[NDArray[Any]],
    attributes: dict[str, Any],
    *,
    threads: int = 1,
    apart: bool = False,
) -> NDArray[Any]:
    """Return the result of one operation of training. Its inputs are variables, so their batches may differ."""
    graph = _core.Graph("one layer")
    sources = [graph.add_variable(f"input{i}", x.shape) for i, x in enumerate(inputs)]
    layer = graph.add_node(operation, "layer", sources, json.dumps(attributes), "")
    graph.mark_output(layer)
    program = mpscnn.Network.from_graph(graph).compile(precision="float32")
    return _run(program, inputs, threads, apart)


def _run(program: mpscnn.Program, inputs: list[NDArray[Any]], threads: int, apart: bool) -> NDArray[Any]:
    session = program.session(threads=threads)
    (shape,) = program.output_shapes(*(x.shape for x in inputs))
    gap = 2 if apart else 0
    result = placed(np.full(shape, np.nan, np.float32), gap)
    session.run([placed(x, gap) for x in inputs], out=result)
    around = result.base
    if apart and isinstance(around, np.ndarray):
        unwritten = np.isnan(around).sum() - np.isnan(result).sum()
        assert unwritten == around.size - result.size, "wrote between rows"
    return result


def placed(x: NDArray[Any], gap: int) -> NDArray[np.float32]:
    """Return the numbers in memory after whose end nothing can be read or written.

    With a gap, there are so many NaNs before each image, row and pixel.
    """
    around = guarded_array([gap + extent for extent in x.shape], np.nan)
    inside = around[tuple(slice(gap, None) for _ in x.shape)]
    inside[...] = x
    return inside


def values(
    seed: int, shape: tuple[int, ...], *, precision: str = "float32", scale: float = 1.0
) -> NDArray[np.float32]:
    """Return normal random numbers that the precision can represent exactly."""
    return held(np.random.default_rng(seed).normal(0.0, scale, shape), precision)


def held(x: NDArray[Any], precision: str) -> NDArray[np.float32]:
    """Return the numbers rounded to a precision."""
    if precision == "bfloat16":
        return bfloat16.rounded(x)
    return x.astype(np.float16 if precision == "float16" else np.float32).astype(np.float32)


#: Magnitudes for which sums and distances from a mean overflow float32.
LARGEST = 1e38, 2e38, 3e38, float(np.finfo(np.float32).max)


def large_numbers(shape: tuple[int, ...], magnitude: float) -> NDArray[np.float32]:
    """Return five images of numbers up to `magnitude`.

    They have random signs, one positive number, a constant, halves of both signs, and random numbers.
    """
    random, one = np.random.default_rng(0), -np.ones(shape)
    one.flat[-1] = 1.0
    halves = np.where(np.arange(one.size) < one.size // 2, 1.0, -1.0).reshape(shape)
    units = random.choice([-1.0, 1.0], shape), one, np.ones(shape), halves, random.uniform(-1.0, 1.0, shape)
    return (magnitude * np.stack(units)).astype(np.float32)


def precisions() -> st.SearchStrategy[str]:
    """Draw a precision. With bfloat16 a single layer's result is not rounded, because no product follows it."""
    return st.sampled_from(["float32", "float16", *(["bfloat16"] if BFLOAT16 else [])])


seeds = st.integers(0, 2**32 - 1)


@st.composite
def windows(draw: st.DrawFn, height: int, width: int, *, max_kernel: int = 5) -> dict[str, Any]:
    """Draw attributes of a window that has at least one output for an image of this size."""

    def axis(size: int) -> tuple[int, int, int]:
        kernel = draw(st.integers(1, max_kernel))
        dilation = draw(st.integers(1, 3)) if kernel > 1 else 1
        return kernel, draw(st.integers(1, 3)), dilation

    (kernel_height, stride_y, dilation_y), (kernel_width, stride_x, dilation_x) = axis(height), axis(width)
    attributes: dict[str, Any] = {
        "kernel_height": kernel_height,
        "kernel_width": kernel_width,
        "stride_y": stride_y,
        "stride_x": stride_x,
        "dilation_y": dilation_y,
        "dilation_x": dilation_x,
    }
    reach_y, reach_x = (kernel_height - 1) * dilation_y + 1, (kernel_width - 1) * dilation_x + 1
    fits = reach_y <= height and reach_x <= width
    padding = draw(st.sampled_from(["same", "full", "explicit", *(["valid"] if fits else [])]))
    attributes["padding"] = padding
    if padding == "explicit":
        for before, after, reach, size in (
            ("pad_top", "pad_bottom", reach_y, height),
            ("pad_left", "pad_right", reach_x, width),
        ):
            attributes[before] = draw(st.integers(0, reach))
            needed = max(0, reach - size - attributes[before])
            attributes[after] = draw(st.integers(needed, needed + reach))
    if padding in ("explicit", "valid"):
        attributes["ceil_mode"] = draw(st.booleans())
    return attributes
