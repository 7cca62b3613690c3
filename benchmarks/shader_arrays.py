"""Measure the times of the engine's kernels on arrays on an NVIDIA GPU, and print two tables in Markdown.

    python benchmarks/shader_arrays.py

The first table compares kernels that are limited by memory with a plain copy of the same number of bytes, at a batch of
8. The second table compares kernels that compute a depthwise and a pointwise convolution together with two kernels, one
for each convolution. shader_products.py measures matrix products.

A time is the mean time of launches of a CUDA graph. They use one set of buffers after the other: as many sets as have
300 MB together, but at most 24. So only small layers find data in a cache. The results of the first table are compared
with PyTorch's in float64, and those of the second table with each other. The script needs nvcc, a C++ preprocessor,
PyTorch and CuPy, but no build of mpscnn.
"""

from __future__ import annotations

import statistics
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import cupy
import torch
from torch.nn import functional

PROJECT = Path(__file__).resolve().parent.parent
SHADERS = PROJECT / "shaders"
EMULATION = PROJECT / "tests" / "metal_emulation"
SHIM = EMULATION / "shading_language"
CUDA = EMULATION / "cuda"
sys.path.insert(0, str(CUDA))
from translate_cuda import translate_cuda  # noqa: E402 - it lies in the folder above

FILES = "array_product", "array_depthwise", "array_sum", "array_normalization", "array_pooling"
BATCH = 8
EPS = 2.0**-23
BUFFER_BYTES = 300e6
#: Extent, channels, stride and window of depthwise convolutions of MobileNetV1, and of one of MobileNetV3.
DEPTHWISE = (
    (112, 32, 1, 3),
    (112, 64, 2, 3),
    (56, 128, 1, 3),
    (56, 128, 2, 3),
    (28, 256, 1, 3),
    (28, 120, 1, 5),
)
#: Extent, channels, stride and outputs of depthwise and pointwise convolutions of MobileNetV1, then of MobileNetV2.
SEPARABLE = (
    (112, 32, 1, 64),
    (112, 64, 2, 128),
    (56, 128, 1, 128),
    (56, 128, 2, 256),
    (28, 256, 1, 256),
    (14, 512, 1, 512),
    (112, 32, 1, 16),
    (112, 96, 2, 24),
    (56, 144, 1, 24),
    (56, 144, 2, 32),
    (28, 192, 1, 32),
    (14, 384, 1, 64),
)
#: Extent, channels, stride and window of gradients of maximum poolings whose windows overlap.
POOLED = ((112, 64, 2, 3),)
#: Extent and channels of batch normalizations.
NORMALIZED = ((112, 32), (112, 64), (56, 128), (28, 256), (14, 512), (7, 1024))
PRODUCT_THREADS, TILE, PRODUCT_BYTES = 128, 64, 2 * 2 * 16 * (64 + 4) * 4
CHANNEL_THREADS = PARTS_THREADS = 256


# ---- Kernels and their launches ----


def compiled(name: str, folder: Path) -> cupy.RawModule:
    """Compile one file of shaders for this GPU."""
    command = ["c++", "-E", "-x", "c++", "-std=c++14", "-nostdinc", "-DMSL_REFLECT"]
    command += ["-D__METAL_VERSION__=230", "-D__METAL_MACOS__=1", f"-I{SHADERS}", "-isystem", str(SHIM)]
    source = [*command, str(SHADERS / f"{name}.metal")]
    text = subprocess.run(source, check=True, capture_output=True, text=True).stdout
    translated, code = folder / f"{name}.cu", folder / f"{name}.cubin"
    translated.write_text(translate_cuda(text), encoding="utf-8")
    options = ("-std=c++20", "-arch=native", f"-I{CUDA}", "-diag-suppress=177")
    subprocess.run(["nvcc", *options, "-cubin", str(translated), "-o", str(code)], check=True)
    return cupy.RawModule(path=str(code))


class Kernels:
    """The kernels of some files, without activations."""

    def __init__(self, files: Sequence[str] = FILES) -> None:
        self._files = files
        # CuPy reads a module's file when its first kernel is launched, so this object keeps the folder.
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        with ThreadPoolExecutor(len(files)) as pool:
            self._modules = list(pool.map(lambda name: compiled(name, folder), files))

    def launch(self, name: str, threads: int, group: int, *arguments: Any, shared: int = 0) -> None:
        """Launch a kernel on PyTorch's present stream. Arguments are tensors, in the order of the kernel's buffers."""
        function = self.function(name)
        pointers = [cupy.uint64(argument.data_ptr()) for argument in arguments]
        extents = cupy.uint32(threads), cupy.uint32(1), cupy.uint32(1)
        with cupy.cuda.ExternalStream(torch.cuda.current_stream().cuda_stream):
            function((-(-threads // group),), (group,), (*extents, *pointers), shared_mem=shared)

    def function(self, name: str) -> Any:
        """Return a kernel by its name."""
        for module in self._modules:
            try:
                return module.get_function(name)
            except cupy.cuda.driver.CUDADriverError:
                continue
        raise SystemExit(f"no file of {self._files} has a kernel {name}")


def params(layout: str, *values: float) -> torch.Tensor:
    """Return a struct of shaders/*_params.h in the GPU's memory."""
    return torch.frombuffer(bytearray(struct.pack(layout, *values)), dtype=torch.uint8).cuda()


def sets_of(moved: float) -> int:
    """Return how many sets of buffers a graph of launches uses."""
    return max(2, min(24, int(BUFFER_BYTES // moved) + 1))


def graph_of(launch: Callable[[int], object], sets: int) -> torch.cuda.CUDAGraph:
    """Return a graph of one launch for each set of buffers. The argument of `launch` is the number of the set."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for number in range(sets):
            launch(number)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        for number in range(sets):
            launch(number)
    return graph


def times_in_turns(graphs: Sequence[torch.cuda.CUDAGraph], rounds: int = 7) -> list[float]:
    """Return the median seconds of each graph. The graphs run in turns."""
    times: list[list[float]] = [[] for _ in graphs]
    for _ in range(rounds):
        for graph, own in zip(graphs, times, strict=True):
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            begin.record()
            graph.replay()
            end.record()
            torch.cuda.synchronize()
            own.append(begin.elapsed_time(end) * 1e-3)
    return [statistics.median(own) for own in times]


def time_of(launch: Callable[[int], object], sets: int) -> float:
    """Return the mean seconds of a launch; the argument of `launch` is the number of the set of buffers."""
    return times_in_turns([graph_of(launch, sets)])[0] / sets


def copy_time(moved: float) -> float:
    """Return the seconds of a plain copy that reads and writes `moved` bytes together."""
    sets, count = sets_of(moved), max(1, int(moved // 8))
    given = [torch.randn(count, device="cuda") for _ in range(sets)]
    copied = [torch.empty_like(x) for x in given]
    return time_of(lambda i: copied[i].copy_(given[i]), sets)


def numbers(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, device="cuda")


def unwritten(*shape: int) -> torch.Tensor:
    """Return memory whose numbers are NaN, so that a result that no thread writes shows."""
    return torch.full(shape, float("nan"), device="cuda")


def largest_error(result: torch.Tensor, exact: torch.Tensor, magnitude: torch.Tensor) -> float:
    """Return the largest error in eps of the sum of magnitudes; NaN if a result is NaN."""
    return ((result.double() - exact).abs() / magnitude / EPS).max().item()


# ---- Kernels limited by memory ----


class Measured(NamedTuple):
    """The measurement of a kernel: the bytes that it must read and write, its seconds, and its error in eps."""

    kernel: str
    shape: str
    moved: float
    seconds: float
    error: float


def print_measured(rows: Sequence[Measured]) -> None:
    """Print the table of kernels that are limited by memory."""
    print("| kernel | shape | MB | microseconds | GB/s | share of a copy | error, eps |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        share = copy_time(row.moved) / row.seconds
        print(
            f"| {row.kernel} | {row.shape} | {row.moved / 1e6:.1f} | {row.seconds * 1e6:.1f} "
            f"| {row.moved / row.seconds / 1e9:.0f} | {share:.0%} | {row.error:.2f} |",
            flush=True,
        )


def depthwise(kernels: Kernels, extent: int, channels: int, stride: int, window: int) -> Measured:
    """Measure a depthwise convolution of floats."""
    out = -(-extent // stride)
    pad = max((out - 1) * stride + window - extent, 0) // 2
    moved = 4.0 * BATCH * channels * (extent**2 + out**2)
    sets, name = sets_of(moved), f"array_depthwise_{window}x{window}_step{stride}"
    x = [numbers(BATCH, extent, extent, channels) for _ in range(sets)]
    results = [unwritten(BATCH, out, out, channels) for _ in range(sets)]
    weight, bias = numbers(window, window, channels), numbers(channels)
    threads = BATCH * out * -(-out // 4) * channels // 4
    extents = (BATCH, extent, extent, channels, BATCH, out, out, channels)
    taps = (window, window, stride, stride, 1, 1, pad, pad)
    layout = params("2I4I4I8ii3f", threads, 0, *extents, *taps, 1, 0.0, 0.0, 0.0)
    seconds = time_of(
        lambda i: kernels.launch(name, threads, 256, layout, x[i], weight, bias, results[i]), sets
    )

    def convolve(image: torch.Tensor, by: torch.Tensor, plus: torch.Tensor) -> torch.Tensor:
        image = functional.pad(image.permute(0, 3, 1, 2), (pad, window, pad, window))
        full = functional.conv2d(image, by.permute(2, 0, 1)[:, None], plus, stride=stride, groups=channels)
        return full[:, :, :out, :out].permute(0, 2, 3, 1)

    given = x[0].double(), weight.double(), bias.double()
    error = largest_error(results[0], convolve(*given), convolve(*(array.abs() for array in given)))
    return Measured(name, f"{extent} x {extent} x {channels} to {out} x {out}", moved, seconds, error)


def pooling_gradient(kernels: Kernels, extent: int, channels: int, stride: int, window: int) -> Measured:
    """Measure the gradient of a maximum pooling with padding "same"."""
    out = -(-extent // stride)
    pad = max((out - 1) * stride + window - extent, 0) // 2
    moved = 4.0 * BATCH * channels * 2 * (extent**2 + out**2)
    sets, name = sets_of(moved), "array_pooling_gradient"
    x = [numbers(BATCH, extent, extent, channels) for _ in range(sets)]
    given = [numbers(BATCH, out, out, channels) for _ in range(sets)]
    results = [unwritten(BATCH, extent, extent, channels) for _ in range(sets)]

    def pool(image: torch.Tensor) -> torch.Tensor:
        image = functional.pad(image.permute(0, 3, 1, 2), (pad, window, pad, window), value=float("-inf"))
        return functional.max_pool2d(image, window, stride)[:, :, :out, :out].permute(0, 2, 3, 1)

    pooled = [pool(image).contiguous() for image in x]
    threads = BATCH * extent**2 * channels // 4
    extents = (BATCH, extent, extent, channels, BATCH, out, out, channels)
    # The window, a maximum without taps outside the image, and the counted positions.
    taps = (window, window, stride, stride, 1, 1, pad, pad, 0, 2, 0, 0, extent, extent)
    layout = params("2I4I4I8i2i4i", threads, 0, *extents, *taps)
    seconds = time_of(
        lambda i: kernels.launch(name, threads, 256, layout, given[i], x[i], pooled[i], results[i]), sets
    )
    exact = x[0].double().requires_grad_()
    pool(exact).backward(given[0].double())
    assert exact.grad is not None
    error = largest_error(results[0], exact.grad, exact.grad.abs().clamp_min(1))
    return Measured(name, f"{extent} x {extent} x {channels}, {window}x{window}", moved, seconds, error)


class ChannelParts(NamedTuple):
    """The division of sums over pixels, as ChannelParts of array_program.mm makes it for channels in fours."""

    columns: int
    parts: int  # a NamedTuple cannot have a field named count
    threads: int

    @staticmethod
    def of(pixels: int, channels: int) -> ChannelParts:
        quads = channels // 4
        columns = min(4 if pixels <= 512 else 16, 1 << (quads - 1).bit_length())
        across, rows = -(-quads // columns), CHANNEL_THREADS // columns
        count = max(1, min(512 // across, pixels // (rows * 4)))
        return ChannelParts(columns, count, across * count * CHANNEL_THREADS)


def add_parts(kernels: Kernels, parts: torch.Tensor, result: torch.Tensor) -> Callable[[], None]:
    """Return a function that launches array_sum_parts, with the threads of add_parts of sum.mm."""
    count, results = parts.shape
    rows = min(
        PARTS_THREADS // min(4, 1 << (results - 1).bit_length()), 1 << (max(count // 4, 1).bit_length() - 1)
    )
    lanes = PARTS_THREADS // rows
    threads = -(-results // lanes) * PARTS_THREADS
    layout = params("2I3If", threads, 0, results, count, rows, 1.0)
    return lambda: kernels.launch(
        "array_sum_parts", threads, PARTS_THREADS, layout, parts, result, shared=4 * PARTS_THREADS
    )


def normalizations(kernels: Kernels, extent: int, channels: int) -> list[Measured]:
    """Measure the kernels of a batch normalization in training: sums, deviations, values and gradients."""
    pixels, shape = BATCH * extent**2, f"{extent} x {extent} x {channels}"
    array = 4.0 * pixels * channels
    sets, (columns, count, threads) = sets_of(array), ChannelParts.of(pixels, channels)
    all_threads = pixels * channels // 4
    x = [numbers(pixels, channels) + 0.5 for _ in range(sets)]
    gradient = [numbers(pixels, channels) for _ in range(sets)]
    results = [unwritten(pixels, channels) for _ in range(sets)]
    exact, given = x[0].double(), gradient[0].double()
    rows = []

    def sums(
        name: str, wanted: int, moved: float, launch: Callable[[int, torch.Tensor], None]
    ) -> torch.Tensor:
        parts = [unwritten(count, wanted * channels) for _ in range(sets)]
        total = unwritten(wanted * channels)
        add = [add_parts(kernels, part, total) for part in parts]

        def both(i: int) -> None:
            if count == 1:
                launch(i, total)
                return
            launch(i, parts[i])
            add[i]()

        title = name if count == 1 else f"{name} and array_sum_parts"
        rows.append(Measured(title, shape, moved, time_of(both, sets), 0.0))
        both(0)
        torch.cuda.synchronize()
        return total

    def checked(total: torch.Tensor, expected: torch.Tensor, magnitude: torch.Tensor) -> None:
        rows[-1] = rows[-1]._replace(error=largest_error(total, expected, magnitude))

    layout = params("2I5Iif", threads, 0, pixels, channels, count, 4, columns, 0, 1.0)

    def launch_groups(name: str, *arguments: torch.Tensor) -> None:
        kernels.launch(name, threads, CHANNEL_THREADS, *arguments, shared=2 * 16 * CHANNEL_THREADS)

    total = sums(
        "array_channel_sums", 1, array,
        lambda i, part: launch_groups("array_channel_sums", layout, x[i], part),
    )  # fmt: skip
    checked(total, exact.sum(0), exact.abs().sum(0))

    def channel_params(number: int) -> torch.Tensor:
        return params("2I5If2i3f", number, 0, pixels, channels, count, 4, columns, 1e-3, 1, 1, 0.0, 0.0, 0.0)

    few, every = channel_params(threads), channel_params(all_threads)
    means = (total / pixels).contiguous()
    total = sums(
        "array_channel_deviations", 2, array,
        lambda i, part: launch_groups("array_channel_deviations", few, x[i], means, part),
    )  # fmt: skip
    squares = (exact - means.double()) ** 2
    # The second sum is about zero, and only corrects the mean.
    checked(total[:channels], squares.sum(0), squares.sum(0))

    statistics_ = torch.cat([means, (squares.mean(0)).float()]).contiguous()
    gamma, beta = numbers(channels), numbers(channels)
    inverse = 1 / (statistics_[channels:].double() + 1e-3).sqrt()
    normalized = (exact - means.double()) * inverse
    steep = (exact.abs() + means.double().abs()) * inverse
    total = sums(
        "array_batch_sums", 2, 2 * array,
        lambda i, part: launch_groups("array_batch_sums", few, gradient[i], x[i], statistics_, part),
    )  # fmt: skip
    expected = torch.cat([given.sum(0), (given * normalized).sum(0)])
    checked(total, expected, torch.cat([given.abs().sum(0), (given.abs() * steep).sum(0)]))

    seconds = time_of(
        lambda i: kernels.launch(
            "array_batch_normalization", all_threads, 256, every, x[i], statistics_, gamma, beta, results[i]
        ),
        sets,
    )
    size = steep * gamma.double().abs() + beta.double().abs()
    error = largest_error(results[0], normalized * gamma.double() + beta.double(), size)
    rows.append(Measured("array_batch_normalization", shape, 2 * array, seconds, error))

    seconds = time_of(
        lambda i: kernels.launch(
            "array_batch_gradient",
            all_threads,
            256,
            every,
            gradient[i],
            x[i],
            statistics_,
            total,
            gamma,
            results[i],
        ),
        sets,
    )
    mean_of = total.double() / pixels
    rest = given - mean_of[:channels] - normalized * mean_of[channels:]
    size = (given.abs() + mean_of[:channels].abs() + steep * mean_of[channels:].abs()) * inverse
    error = largest_error(results[0], rest * inverse * gamma.double(), size * gamma.double().abs())
    rows.append(Measured("array_batch_gradient", shape, 3 * array, seconds, error))
    return rows


# ---- Depthwise and pointwise convolutions in one kernel ----


def print_separable(kernels: Kernels) -> None:
    """Print the table of pairs of convolutions."""
    print("\n| batch | layers | two kernels, microseconds | one kernel | change | difference |")
    print("|---|---|---|---|---|---|")
    for batch in (1, BATCH):
        for extent, channels, stride, outputs in SEPARABLE:
            two, one, difference = separable_times(kernels, batch, extent, channels, stride, outputs)
            print(
                f"| {batch} | {extent} x {extent} x {channels}{' by 2' if stride == 2 else ''} to {outputs} "
                f"| {two * 1e6:.1f} | {one * 1e6:.1f} | {one / two - 1:+.0%} | {difference:.1e} |",
                flush=True,
            )


def separable_times(
    kernels: Kernels, batch: int, extent: int, channels: int, stride: int, outputs: int
) -> tuple[float, float, float]:
    """Return the seconds of both kernels and of one kernel, and the largest difference of their results."""
    out = -(-extent // stride)
    pad = max((out - 1) * stride + 3 - extent, 0) // 2
    pixels = batch * out**2
    sets = sets_of(4.0 * (batch * extent**2 * channels + pixels * (channels + outputs)))
    x = [numbers(batch, extent, extent, channels) for _ in range(sets)]
    between = [unwritten(pixels, channels) for _ in range(sets)]
    results, expected = ([unwritten(pixels, outputs) for _ in range(sets)] for _ in range(2))
    taps, offsets = numbers(3, 3, channels), numbers(channels)
    weight, bias = numbers(outputs, channels) / channels**0.5, numbers(outputs)
    source, middle = (batch, extent, extent, channels), (batch, out, out, channels)
    window = (3, 3, stride, stride, 1, 1, pad, pad)
    threads = batch * out * -(-out // 4) * channels // 4
    depthwise = params("2I4I4I8ii3f", threads, 0, *source, *middle, *window, 1, 0.0, 0.0, 0.0)
    # The groups' inputs and outputs, weights, part, has_bias and has_addend, and the activation.
    rest = (1, 1, 1, 1, 1, 1, 0, 0, channels, outputs, 0, 0, 1, 0, 0.0, 0.0, 0.0)
    product = (0, 0, *middle, batch, out, out, outputs, *rest)
    pointwise = params("2I4I4I8i4I2i3f", *product)
    limits = 1, float("-inf"), float("inf")
    both = params("2I4I8ii2f" + "2I4I4I8i4I2i3f", 0, 0, *source, *window, *limits, *product)
    tiles = -(-pixels // TILE) * -(-outputs // TILE) * PRODUCT_THREADS

    def two(i: int) -> None:
        name = f"array_depthwise_3x3_step{stride}"
        kernels.launch(name, threads, 256, depthwise, x[i], taps, offsets, between[i])
        arrays = pointwise, between[i], weight, bias, weight, expected[i]
        kernels.launch("array_pointwise_product", tiles, PRODUCT_THREADS, *arrays, shared=PRODUCT_BYTES)

    def one(i: int) -> None:
        name = f"array_separable_product_step{stride}"
        arrays = both, x[i], weight, bias, weight, taps, offsets, results[i]
        kernels.launch(name, tiles, PRODUCT_THREADS, *arrays, shared=PRODUCT_BYTES)

    seconds = time_of(two, sets), time_of(one, sets)
    return *seconds, (results[0] - expected[0]).abs().max().item()


def begin(usage: str | None) -> None:
    """Refuse arguments, let PyTorch compute in float32 without tensor cores, and print the device and the versions."""
    if len(sys.argv) > 1:
        raise SystemExit(usage)
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(0)
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}, CUDA {torch.version.cuda}")


def main() -> None:
    """Print all tables."""
    begin(__doc__)
    moved = 2.0 * 2**30
    print(f"A copy of 1 GiB moves {moved / copy_time(moved) / 1e9:.0f} GB/s.\n")
    kernels = Kernels()
    rows = [depthwise(kernels, *case) for case in DEPTHWISE]
    rows += [pooling_gradient(kernels, *case) for case in POOLED]
    for extent, channels in NORMALIZED:
        rows += normalizations(kernels, extent, channels)
    print_measured(rows)
    print_separable(kernels)


if __name__ == "__main__":
    main()
