"""Compare the ranges of QuantizeLinear and DequantizeLinear with onnxruntime. Floats stay within the ranges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from converters.onnx_files import model, node, random_inputs, read, run_here, run_there

pytest.importorskip("onnxruntime", reason="needs onnxruntime")

INPUT = {"x": [1, 4, 6, 6]}
WEIGHTS: dict[str, Any] = {
    "w": np.random.default_rng(0).uniform(-1, 1, (4, 4, 3, 3)).astype(np.float32),
    "d": np.random.default_rng(1).uniform(-1, 1, (4, 1, 3, 3)).astype(np.float32),
    "m": np.random.default_rng(2).uniform(-1, 1, (6, 5)).astype(np.float32),
    "low": np.float32(-0.7),
    "high": np.float32(0.8),
    "sides": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
    "roi": np.zeros(0, np.float32),
    "scales": np.array([1, 1, 2, 2], np.float32),
}
#: Operators on `a` and `b`, which are two quantisations of the input.
OPERATORS: dict[str, tuple[str, list[str], dict[str, Any]]] = {
    "Add": ("Add", ["a", "b"], {}),
    "AveragePool": ("AveragePool", ["a"], {"kernel_shape": [2, 2]}),
    "Clip": ("Clip", ["a", "low", "high"], {}),
    "Concat": ("Concat", ["a", "b"], {"axis": 1}),
    "Conv": ("Conv", ["a", "w"], {}),
    "ConvTranspose": ("ConvTranspose", ["a", "w"], {}),
    "Depthwise": ("Conv", ["a", "d"], {"group": 4}),
    "GlobalAveragePool": ("GlobalAveragePool", ["a"], {}),
    "HardSwish": ("HardSwish", ["a"], {}),
    "LeakyRelu": ("LeakyRelu", ["a"], {"alpha": 0.25}),
    "MatMul": ("MatMul", ["a", "m"], {}),
    "MaxPool": ("MaxPool", ["a"], {"kernel_shape": [2, 2]}),
    "Mul": ("Mul", ["a", "b"], {}),
    "Pad": ("Pad", ["a", "sides"], {}),
    "ReduceMean": ("ReduceMean", ["a"], {"axes": [2, 3]}),
    "Relu": ("Relu", ["a"], {}),
    "Resize": ("Resize", ["a", "roi", "scales"], {"mode": "linear"}),
    "Sigmoid": ("Sigmoid", ["a"], {}),
    "Softmax": ("Softmax", ["a"], {"axis": 1}),
    "Sub": ("Sub", ["a", "b"], {}),
    "Tanh": ("Tanh", ["a"], {}),
    "Transpose": ("Transpose", ["a"], {"perm": [0, 2, 3, 1]}),
}


def pair(source: str, result: str, grid: str) -> list[Any]:
    scale, zero = f"{grid}_scale", f"{grid}_zero"
    return [
        node("QuantizeLinear", [source, scale, zero], f"{result}_q"),
        node("DequantizeLinear", [f"{result}_q", scale, zero], result),
    ]


@pytest.mark.parametrize("followed", [None, "Relu"])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", OPERATORS)
def test_results_are_those_of_onnxruntime_to_one_step(kind: str, seed: int, followed: str | None) -> None:
    """Random ranges cut on one side, on both sides, or not at all."""
    draw = np.random.default_rng(seed)
    dtype = [np.uint8, np.int8][seed % 2]
    constants = dict(WEIGHTS)
    for grid, steps in (("a", (0.01, 0.03)), ("b", (0.01, 0.03)), ("y", (0.002, 0.02))):
        constants[f"{grid}_scale"] = np.float32(draw.uniform(*steps))
        limits = np.iinfo(dtype)
        constants[f"{grid}_zero"] = dtype(draw.integers(limits.min, limits.max + 1))
    operator, read_by_it, attributes = OPERATORS[kind]
    nodes = [*pair("x", "a", "a"), *pair("x", "b", "b")]
    nodes.append(node(operator, read_by_it, "r", **attributes))
    if followed:
        nodes.append(node(followed, ["r"], "f"))
    nodes += pair("f" if followed else "r", "y", "y")
    made = model(nodes, INPUT, constants, opset=14)
    network, feeds = read(made), random_inputs(made)
    (found,) = run_here(network, list(feeds.values()))
    (wanted,) = run_there(made, feeds)
    if wanted.ndim == 4 and kind != "Transpose":
        wanted = wanted.transpose(0, 2, 3, 1)
    step = float(constants["y_scale"])
    low, high = ((limit - int(constants["y_zero"])) * step for limit in (limits.min, limits.max))
    assert low - 1e-6 <= found.min()
    assert found.max() <= high + 1e-6
    # onnxruntime rounds the inputs, by up to half a step. Here they are not rounded.
    assert found.shape == wanted.shape
    spread = {"Conv": 36, "ConvTranspose": 36, "Depthwise": 9, "MatMul": 6, "Mul": 4}.get(kind, 2)
    rounding = 0.5 * spread * max(float(constants["a_scale"]), float(constants["b_scale"]))
    assert np.abs(found - wanted).max() <= 1.01 * step + rounding
