"""`fast_matmul`: large pointwise convolutions by seven products instead of eight."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import numpy as np
import pytest
from kernels_here import needs_fused_multiply_add
from numpy.typing import NDArray

import mpscnn

pytestmark = needs_fused_multiply_add


def pointwise(
    height: int,
    width: int,
    inputs: int,
    outputs: int,
    activation: str | None = "relu6",
    residual: bool = False,
) -> mpscnn.Network:
    network = mpscnn.Network(input=(height, width, inputs))
    y = network.conv2d(network.input, outputs, 1, name="conv", activation=activation)
    network.output(network.add(y, network.input, activation="relu") if residual else y)
    network.initialize_weights(1)
    return network


def pixels(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


def kernel(program: mpscnn.Program, x: NDArray[np.float32]) -> str:
    return program.session(threads=1).profile(x, runs=1).steps[0].kernel


def run(program: mpscnn.Program, x: NDArray[np.float32], threads: int = 1) -> NDArray[np.float32]:
    y = program.session(threads=threads).run(x)
    assert isinstance(y, np.ndarray)
    return y


@pytest.mark.parametrize(
    ("size", "activation", "residual"),
    [
        ((32, 16, 256, 256), "relu6", False),
        ((23, 23, 512, 320), "tanh", False),
        ((11, 47, 256, 384), None, False),
        ((19, 27, 320, 320), "relu", True),
        ((28, 28, 256, 256), "hard_sigmoid", True),
    ],
)
def test_errors_are_small_and_threads_do_not_show(
    size: tuple[int, int, int, int], activation: str | None, residual: bool
) -> None:
    network = pointwise(*size, activation=activation, residual=residual)
    x = pixels(3, *size[:3])
    plain = network.compile(device="cpu", precision="float32")
    fast = network.compile(device="cpu", precision="float32", fast_matmul=True)
    assert fast.fast_matmul
    assert not plain.fast_matmul
    assert "seven products" in kernel(fast, x[:1])
    assert "seven products" not in kernel(plain, x[:1])
    expected, found = run(plain, x), run(fast, x)
    # A sum of so many terms as large as these; the products are of sums of four weights and four inputs at most.
    magnitude = size[2] * np.abs(network.weights["conv.weight"]).mean() * np.abs(x).mean()
    assert np.abs(found - expected).max() <= 8 * np.finfo(np.float32).eps * magnitude
    for threads in (2, 3):
        assert np.array_equal(run(fast, x, threads), found)
    for image in range(len(x)):
        assert np.array_equal(run(fast, x[image : image + 1]), found[image : image + 1])


@pytest.mark.parametrize(
    "size", [(9, 9, 256, 256), (23, 23, 192, 256), (23, 23, 256, 192), (23, 23, 256, 257), (23, 23, 260, 256)]
)
def test_small_or_odd_layers_are_computed_as_ever(size: tuple[int, int, int, int]) -> None:
    network = pointwise(*size)
    program = network.compile(device="cpu", precision="float32", fast_matmul=True)
    x = pixels(1, *size[:3])
    assert "seven products" not in kernel(program, x)
    assert np.array_equal(run(program, x), run(network.compile(device="cpu", precision="float32"), x))


@pytest.mark.parametrize("extent", [1, 2, 3, 14])
def test_any_size_of_a_network_that_takes_any(extent: int) -> None:
    network = mpscnn.Network(input=(None, None, 256))
    network.output(network.conv2d(network.input, 256, 1, name="conv"))
    network.initialize_weights(1)
    x = pixels(1, extent, extent, 256)
    found = run(network.compile(device="cpu", precision="float32", fast_matmul=True), x)
    weights = network.weights["conv.weight"].astype(np.float64)[:, 0, 0, :]
    expected = x.astype(np.float64) @ weights.T + network.weights["conv.bias"]
    magnitude = 256 * np.abs(weights).mean() * np.abs(x).mean()
    assert np.abs(found - expected).max() <= 8 * np.finfo(np.float32).eps * magnitude


@pytest.mark.parametrize("precision", ["float16"])
def test_other_precisions_are_refused(precision: str) -> None:
    with pytest.raises(mpscnn.UnsupportedError, match="fast_matmul: it is of float32 precision"):
        pointwise(14, 14, 256, 256).compile(device="cpu", precision=precision, fast_matmul=True)


def test_explain_says_which_layers() -> None:
    program = pointwise(23, 23, 256, 256).compile(device="cpu", precision="float32", fast_matmul=True)
    step = program.explain(threads=1).steps[0]
    assert step.layers == ("conv",)
    assert "fast_matmul" in step.reason


@pytest.mark.parametrize(("instruction_set", "least_pixels"), [("avx2", 96), ("avx512", 512)])
def test_how_many_pixels_it_takes(instruction_set: str, least_pixels: int) -> None:
    program = (
        "import mpscnn\n"
        "for pixels in (95, 96, 511, 512):\n"
        "    n = mpscnn.Network(input=(pixels, 1, 256)); n.output(n.conv2d(n.input, 256, 1, name='conv'))\n"
        "    n.initialize_weights(); p = n.compile(device='cpu', precision='float32', fast_matmul=True)\n"
        "    print('fast_matmul' in p.explain(threads=1).steps[0].reason)\n"
    )
    environment = os.environ | {"MPSCNN_CPU": instruction_set}
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    if ran.returncode == 1 and "this processor lacks the instruction set" in ran.stderr:
        pytest.skip(ran.stderr.splitlines()[-1])
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == [str(pixels >= least_pixels) for pixels in (95, 96, 511, 512)]


def test_processors_without_fused_multiply_adds_refuse_it() -> None:
    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip(f"every {platform.machine()} processor has them")
    program = (
        "import mpscnn; n = mpscnn.Network(input=(4, 4, 3)); n.output(n.conv2d(n.input, 4, 1));"
        "n.initialize_weights(); n.compile(device='cpu', fast_matmul=True)"
    )
    environment = os.environ | {"MPSCNN_CPU": "baseline"}
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert ran.returncode == 1
    assert "UnsupportedError: fast_matmul: it is of the CPU engine on processors with fused" in ran.stderr
