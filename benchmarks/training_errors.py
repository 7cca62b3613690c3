"""Measure the errors of sums in training against float64: weight gradients, batch statistics, gradients of batch norms.

Prints a table, a part of which is in docs/training.md: the largest error divided by the largest result, for mpscnn, for
torch, and for plain sums in float32 that add one pixel after the other.

    python benchmarks/training_errors.py
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mpscnn
from mpscnn import _core

RANDOM = np.random.default_rng(0)
EPSILON = 1e-3


def values(*shape: int, mean: float = 0.0) -> NDArray[np.float32]:
    """Return normal random numbers."""
    return (RANDOM.normal(size=shape) + mean).astype(np.float32)


def run(operation: str, inputs: list[NDArray[Any]], attributes: dict[str, Any]) -> NDArray[np.float32]:
    """Run one operation. Its inputs may have different batch sizes."""
    graph = _core.Graph("operation")
    sources = [graph.add_variable(f"x{i}", x.shape) for i, x in enumerate(inputs)]
    graph.mark_output(graph.add_node(operation, "layer", sources, json.dumps(attributes), ""))
    result = mpscnn.Network.from_graph(graph).compile(device="cpu", precision="float32").session().run(inputs)
    assert isinstance(result, np.ndarray)
    return result


def in_sequence(terms: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the sum over the first axis, added one term after the other in float32."""
    return np.add.accumulate(terms, axis=0, dtype=np.float32)[-1]


def error(result: NDArray[Any], exact: NDArray[Any]) -> float:
    """Return the largest error relative to the largest exact number."""
    return float(np.abs(np.asarray(result, np.float64) - exact).max() / np.abs(exact).max())


Sums = Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]
Row = tuple[str, float, float | None, float]


def weight_gradient(shape: tuple[int, int, int, int], outputs: int, kernel: int) -> Row:
    """Return the errors of weight gradients of a convolution with zero padding that keeps the size."""
    import torch

    batch, height, width, channels = shape
    x, gradient = values(*shape), values(batch, height, width, outputs)
    around = kernel // 2
    padded = np.pad(x, ((0, 0), (around, around), (around, around), (0, 0)))

    def by_taps(product: Sums) -> NDArray[Any]:
        result = np.zeros((outputs, kernel, kernel, channels))
        for row in range(kernel):
            for column in range(kernel):
                part = padded[:, row : row + height, column : column + width].reshape(-1, channels)
                result[:, row, column] = product(gradient.reshape(-1, outputs), part)
        return result

    exact = by_taps(lambda g, part: g.astype(np.float64).T @ part.astype(np.float64))
    # Only 4 x 4 weights of each tap are computed, because all would take long. The others are 0.
    plain = by_taps(
        lambda g, part: np.pad(
            in_sequence(g[:, :4, None] * part[:, None, :4]), ((0, outputs - 4), (0, channels - 4))
        )
    )
    attributes = {
        "output_channels": outputs,
        "kernel_height": kernel,
        "kernel_width": kernel,
        "padding": "same",
    }
    own = run("convolution_weight_gradient", [x, gradient], attributes)
    theirs = torch.nn.grad.conv2d_weight(
        torch.from_numpy(x).permute(0, 3, 1, 2),
        [outputs, channels, kernel, kernel],
        torch.from_numpy(gradient).permute(0, 3, 1, 2),
        padding=around,
    ).permute(0, 2, 3, 1)
    name = (
        f"weights, {kernel} x {kernel}, {channels} to {outputs} channels, {batch * height * width:,} pixels"
    )
    few = np.s_[:4, :, :, :4]
    return name, error(own, exact), error(theirs.numpy(), exact), error(plain[few], exact[few])


def batch_variance(mean: float) -> Row:
    """Return the errors of the variance of 300,000 pixels whose mean is this many deviations from zero."""
    import torch

    x = values(3, 250, 400, 8, mean=mean)
    flat = x.reshape(-1, 8)
    exact = flat.astype(np.float64).var(0)
    own = run("batch_statistics", [x], {})[0, 1, 0]
    theirs = torch.from_numpy(flat).var(0, unbiased=False).numpy()
    count = np.float32(len(flat))
    plain = in_sequence(flat * flat) / count - (in_sequence(flat) / count) ** 2
    return (
        f"variance of 300,000 pixels, mean {mean:g} deviations away",
        error(own, exact),
        error(theirs, exact),
        error(plain, exact),
    )


def normalization_sums(mean: float) -> Row:
    """Return the errors of the gradients of beta and gamma."""
    x, gradient = values(3, 250, 400, 8, mean=mean), values(3, 250, 400, 8)
    statistics = run("batch_statistics", [x], {})
    flat, g = x.reshape(-1, 8), gradient.reshape(-1, 8)
    wide = flat.astype(np.float64)
    normalized = (wide - wide.mean(0)) / np.sqrt(wide.var(0) + EPSILON)
    exact = np.stack([g.astype(np.float64).sum(0), (g * normalized).sum(0)])
    own = run("batch_normalization_sums", [gradient, x, statistics], {"epsilon": EPSILON})[0, :, 0]
    plain = np.stack([in_sequence(g), in_sequence(g * normalized.astype(np.float32))])
    return (
        f"beta and gamma of 300,000 pixels, mean {mean:g} deviations away",
        error(own, exact),
        None,
        error(plain, exact),
    )


def main() -> None:
    """Print the table."""
    rows = [
        weight_gradient((32, 48, 48, 16), 96, 1),
        weight_gradient((32, 12, 12, 64), 64, 3),
        weight_gradient((64, 14, 14, 32), 64, 5),
        *(batch_variance(mean) for mean in (0.0, 1.0, 100.0)),
        *(normalization_sums(mean) for mean in (0.0, 100.0)),
    ]
    print("| sum | mpscnn | torch | plain sums |\n| --- | --- | --- | --- |")
    for name, *errors in rows:
        print(f"| {name} | " + " | ".join("" if e is None else f"{e:.1e}" for e in errors) + " |")


if __name__ == "__main__":
    main()
