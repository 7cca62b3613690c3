"""Measure the matrix products of the engine's kernels on arrays on an NVIDIA GPU, and print tables in Markdown.

    python benchmarks/shader_products.py

The first table has the registers and the occupancy of each kernel. The others compare the times of MobileNetV1's
pointwise layers with those of cuDNN and cuBLAS in float32 without tensor cores, for one photo and for eight. All of
them are launched in turns, like those of shader_arrays.py, and results are compared with PyTorch's in float64.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import cupy
import torch
from shader_arrays import (
    BATCH,
    PRODUCT_BYTES,
    PRODUCT_THREADS,
    TILE,
    Kernels,
    begin,
    graph_of,
    largest_error,
    numbers,
    params,
    sets_of,
    times_in_turns,
    unwritten,
)
from torch.nn import functional

FILES = (
    "array_product",
    "array_small_product",
    "array_simdgroup_product",
    "array_small_simdgroup_product",
    "array_small_simdgroup_halves",
)
#: Extent, inputs, outputs and number of MobileNetV1's pointwise layers at 224 x 224.
POINTWISE = (
    (112, 32, 64, 1),
    (56, 64, 128, 1),
    (56, 128, 128, 1),
    (28, 128, 256, 1),
    (28, 256, 256, 1),
    (14, 256, 512, 1),
    (14, 512, 512, 5),
    (7, 512, 1024, 1),
    (7, 1024, 1024, 1),
)
SMALL_THREADS, SMALL_TILE, SMALL_DEPTHS, SMALL_BYTES = 256, 32, 64, 4 * 32 * (32 + 4) * 4
#: The engine takes the kernel for small layers if there are fewer tiles of 64 x 64, and at least so many depths.
FEW_TILES, MANY_DEPTHS = 64, 64


class Product(NamedTuple):
    """A kernel of matrix products: rows and columns of its tiles, and threads and bytes of a threadgroup."""

    kernel: str
    tile: int
    threads: int
    shared: int
    packed: bool


LARGE = Product("array_pointwise_product", TILE, PRODUCT_THREADS, PRODUCT_BYTES, packed=False)
SMALL = Product("array_small_pointwise_product", SMALL_TILE, SMALL_THREADS, SMALL_BYTES, packed=True)


def packed_weights(weight: torch.Tensor) -> torch.Tensor:
    """Return weights [output][depth] in the order of array_small_product.h."""
    outputs, depths = (
        -(-weight.shape[0] // SMALL_TILE) * SMALL_TILE,
        -(-weight.shape[1] // SMALL_DEPTHS) * SMALL_DEPTHS,
    )
    full = torch.zeros(outputs, depths, device=weight.device)
    full[: weight.shape[0], : weight.shape[1]] = weight
    return full.view(outputs // 8, 8, depths // 8, 8).permute(0, 2, 3, 1).contiguous()


class PointwiseLayer:
    """The buffers of a pointwise convolution: several sets, which launches use one after the other."""

    def __init__(self, batch: int, extent: int, inputs: int, outputs: int) -> None:
        self.pixels, self.outputs = batch * extent**2, outputs
        self.image, self.inputs = (batch, extent, extent), inputs
        self.sets = sets_of(4 * (self.pixels * (inputs + outputs) + inputs * outputs))
        self.x = [numbers(self.pixels, inputs) for _ in range(self.sets)]
        self.weight = [numbers(outputs, inputs) / inputs**0.5 for _ in range(self.sets)]
        self.packed = [packed_weights(w) for w in self.weight]
        self.bias = numbers(outputs)
        self.results = [unwritten(self.pixels, outputs) for _ in range(self.sets)]
        window = (1, 1, 1, 1, 1, 1, 0, 0)
        # The groups' inputs and outputs, weights, part, has_bias and has_addend, and the activation.
        rest = (inputs, outputs, 0, 0, 1, 0, 0.0, 0.0, 0.0)
        self.layout = params(
            "2I4I4I8i4I2i3f", 0, 0, *self.image, inputs, *self.image, outputs, *window, *rest
        )

    def launch(self, kernels: Kernels, product: Product, i: int) -> None:
        """Launch an own kernel for set i."""
        weights = self.packed if product.packed else self.weight
        arrays = self.layout, self.x[i], weights[i], self.bias, self.bias, self.results[i]
        threads = self.tiles(product) * product.threads
        kernels.launch(product.kernel, threads, product.threads, *arrays, shared=product.shared)

    def tiles(self, product: Product) -> int:
        """Return the number of tiles of a kernel."""
        return -(-self.pixels // product.tile) * -(-self.outputs // product.tile)

    def error(self) -> float:
        """Return the largest error of set 0 in eps."""
        exact = self.x[0].double() @ self.weight[0].double().T + self.bias.double()
        magnitude = self.x[0].double().abs() @ self.weight[0].double().abs().T + self.bias.double().abs()
        return largest_error(self.results[0], exact, magnitude)


def product_times(kernels: Kernels, layer: PointwiseLayer) -> tuple[list[float], float]:
    """Return the seconds of LARGE, SMALL, cuDNN and cuBLAS, measured in turns, and the largest error of own kernels."""
    images = [
        x.view(*layer.image, layer.inputs).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
        for x in layer.x
    ]
    shape = (layer.outputs, layer.inputs, 1, 1)
    kernel = [w.view(*shape).contiguous(memory_format=torch.channels_last) for w in layer.weight]
    transposed = [w.T.contiguous() for w in layer.weight]
    kept: list[Any] = [None] * layer.sets

    def convolve(i: int) -> None:
        kept[i] = functional.conv2d(images[i], kernel[i], layer.bias)

    def multiply(i: int) -> None:
        kept[i] = torch.addmm(layer.bias, layer.x[i], transposed[i])

    errors = []
    for product in (LARGE, SMALL):
        layer.results[0].fill_(float("nan"))
        layer.launch(kernels, product, 0)
        torch.cuda.synchronize()
        errors.append(layer.error())
    own = [lambda i, product=product: layer.launch(kernels, product, i) for product in (LARGE, SMALL)]
    graphs = [graph_of(launch, layer.sets) for launch in (*own, convolve, multiply)]
    return [seconds / layer.sets for seconds in times_in_turns(graphs)], max(errors)


def print_products(kernels: Kernels, batch: int) -> None:
    """Print the table of pointwise layers for one batch."""
    print(f"Batch {batch}:\n")
    print(
        "| layer | 64 x 64 | 32 x 32 | cuDNN | cuBLAS | tiles of 64 x 64 | faster library / chosen | error, eps |"
    )
    print("|---|---|---|---|---|---|---|---|")
    sums = [0.0] * 6
    for extent, inputs, outputs, count in POINTWISE:
        layer = PointwiseLayer(batch, extent, inputs, outputs)
        tiles = layer.tiles(LARGE)
        seconds, error = product_times(kernels, layer)
        small = tiles < FEW_TILES and inputs >= MANY_DEPTHS
        seconds += [seconds[int(small)], min(seconds[2:4])]
        sums = [total + count * one for total, one in zip(sums, seconds, strict=True)]
        name = f"{extent} x {extent} x {inputs} to {outputs}{', five times' if count > 1 else ''}"
        print(
            f"| {name} | {_times(seconds)} | {tiles} | {seconds[5] / seconds[4]:.0%} | {error:.2f} |",
            flush=True,
        )
    print(f"| all 13 | {_times(sums)} | | {sums[5] / sums[4]:.0%} | |\n")


def _times(seconds: Sequence[float]) -> str:
    return " | ".join(f"{one * 1e6:.1f}" for one in seconds[:4])


def print_resources(kernels: Kernels) -> None:
    """Print registers, threads, bytes of threadgroup memory and occupancy of the kernels of products."""
    print("| kernel | registers | threads | bytes of threadgroup memory | threadgroups on a multiprocessor |")
    print("|---|---|---|---|---|")
    for product, name in itertools.product((LARGE, SMALL), ("pointwise_product", "product")):
        for variant in ("", "_of_halves", "_in_simdgroups", "_of_halves_in_simdgroups"):
            kernel = f"{product.kernel.removesuffix('pointwise_product')}{name}{variant}"
            function = kernels.function(kernel)
            groups = cupy.cuda.driver.occupancyMaxActiveBlocksPerMultiprocessor(
                function.kernel.ptr, product.threads, product.shared
            )
            print(f"| {kernel} | {function.num_regs} | {product.threads} | {product.shared} | {groups} |")
    print(flush=True)


def main() -> None:
    """Print all tables."""
    begin(__doc__)
    print()
    kernels = Kernels(FILES)
    print_resources(kernels)
    for batch in (1, BATCH):
        print_products(kernels, batch)


if __name__ == "__main__":
    main()
