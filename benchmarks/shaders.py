"""Measure the engine's shaders and plain copies on an NVIDIA GPU at MobileNet's shapes, and print a Markdown table.

    python benchmarks/shaders.py [CASE...]

It needs the package of `nox -s cuda` in PYTHONPATH, nvcc, and ncu with access to the GPU's counters. ncu empties the
caches before each launch. A shader's bytes are those that it reads from the GPU's memory and those that it stores.
Its share is the time of a plain copy that moves as many bytes, divided by its own time. Issue slots are the share of
the cycles in which a processor issues an instruction. If MEASURE_PROFILE names a file, ncu's report is kept there.
"""

from __future__ import annotations

import csv
import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

import mpscnn

METRICS = {
    "time": "gpu__time_duration.sum",
    "read": "dram__bytes_read.sum",
    "written": "lts__t_sectors_srcunit_tex_op_write.sum",
    "issued": "smsp__issue_active.avg.pct_of_peak_sustained_active",
    "multiplications": "smsp__sass_thread_inst_executed_op_ffma_pred_on.sum",
}
SECTOR = 32
BATCH = 8
COPY = """
extern "C" __global__ void plain_copy(const float4 *from, float4 *to, unsigned long long count) {
    const unsigned long long step = (unsigned long long)gridDim.x * blockDim.x;
    for (unsigned long long i = (unsigned long long)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step)
        to[i] = from[i];
}
"""
#: Bytes that copies read. Small ones fit in a cache, and large ones do not.
COPIED = [1 << power for power in range(16, 31)]


class Launch(NamedTuple):
    """ncu's measurements of one launch."""

    kernel: str
    seconds: float
    read: float
    written: float
    issued: float
    multiplications: float

    @property
    def moved(self) -> float:
        """Return the bytes read and written."""
        return self.read + self.written


# ---- Networks to measure ----


def layer(
    shape: tuple[int, int, int], build: Callable[[mpscnn.Network], mpscnn.Tensor]
) -> Callable[[], None]:
    """Return a function that runs a network of one layer on images, in float16."""

    def run() -> None:
        net = mpscnn.Network(input=shape)
        # The layers around it make it read and write images of halves, as within a network.
        net.output(net.activation(build(net), "relu"))
        net.initialize_weights(seed=1)
        x = np.random.default_rng(0).normal(0, 1, (BATCH, *shape)).astype(np.float32)
        net.compile(device="metal", precision="float16").session().run(x)

    return run


def training() -> None:
    """Run a step of training on MobileNetV1's first layers at 224 x 224."""
    net = mpscnn.Network(input=(224, 224, 3))
    x = net.input
    for filters, size in ((32, 3), (64, 1)):
        x = net.conv2d(x, filters, size, strides=2 if size == 3 else 1, padding="same")
        x = net.activation(net.batch_norm(x), "relu6")
        if size == 3:
            x = net.depthwise_conv2d(x, 3, padding="same", activation="relu6")
    x = net.max_pool2d(x, 2)
    x = net.dropout(net.global_average_pool2d(x), 0.2)
    net.output(net.softmax(net.dense(x, 1000)))
    net.initialize_weights(seed=1)
    generator = np.random.default_rng(0)
    images = generator.normal(0, 1, (BATCH, 224, 224, 3)).astype(np.float32)
    trainer = mpscnn.Trainer(net, optimizer=mpscnn.Adam(1e-3), device="metal", seed=1)
    trainer.step(images, generator.integers(0, 1000, BATCH))


def products() -> None:
    """Run a step of training on each 1x1 layer of MobileNetV1."""
    for extent, inputs, outputs in POINTWISE:
        net = mpscnn.Network(input=(extent, extent, inputs))
        net.output(net.conv2d(net.input, outputs, 1, use_bias=True))
        net.initialize_weights(seed=1)
        x = np.random.default_rng(0).normal(0, 1, (BATCH, extent, extent, inputs)).astype(np.float32)
        trainer = mpscnn.Trainer(net, loss="mean_squared_error", device="metal")
        trainer.step(x, np.zeros((BATCH, extent, extent, outputs), np.float32))


#: Extent, inputs and outputs of MobileNetV1's 1x1 layers at 224 x 224.
POINTWISE = (
    (112, 32, 64),
    (56, 64, 128),
    (56, 128, 128),
    (28, 128, 256),
    (28, 256, 256),
    (14, 256, 512),
    (14, 512, 512),
    (7, 512, 1024),
    (7, 1024, 1024),
)

CASES: dict[str, Callable[[], None]] = {
    "depthwise 3x3, 112x112x32": layer(
        (112, 112, 32), lambda n: n.depthwise_conv2d(n.input, 3, padding="same", activation="relu6")
    ),
    "depthwise 3x3 by 2, 112x112x64": layer(
        (112, 112, 64),
        lambda n: n.depthwise_conv2d(n.input, 3, strides=2, padding="same", activation="relu6"),
    ),
    "depthwise 5x5, 28x28x120": layer(
        (28, 28, 120), lambda n: n.depthwise_conv2d(n.input, 5, padding="same", activation="hard_swish")
    ),
    "pointwise, 56x56x64 to 128": layer(
        (56, 56, 64), lambda n: n.conv2d(n.input, 128, 1, activation="hard_swish")
    ),
    "grouped 3x3, 56x56x66 to 66": layer(
        (56, 56, 66), lambda n: n.conv2d(n.input, 66, 3, groups=3, padding="same")
    ),
    "activation, 112x112x64": layer((112, 112, 64), lambda n: n.activation(n.input, "hard_swish")),
    "sum, 112x112x64": layer((112, 112, 64), lambda n: n.add(n.input, n.activation(n.input, "absolute"))),
    "concatenation, 56x56x64 and 64": layer(
        (56, 56, 64), lambda n: n.concat([n.input, n.activation(n.input, "absolute")])
    ),
    "resize to 112x112x64": layer((56, 56, 64), lambda n: n.upsample(n.input, 2, method="bilinear")),
    "padding, 112x112x64": layer((112, 112, 64), lambda n: n.pad(n.input, 1)),
    "mean of pixels, 56x56x128": layer((56, 56, 128), lambda n: n.reduce_mean(n.input, axis=(1, 2))),
    "layer normalization, 56x56x128": layer((56, 56, 128), lambda n: n.layer_norm(n.input)),
    "a step of training, 224x224x3": training,
    "products of training": products,
}


# ---- The work under ncu ----


def copies() -> None:
    """Launch a plain copy for each number of bytes."""
    nvcc = shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc"
    with tempfile.TemporaryDirectory() as folder:
        source, code = Path(folder, "copy.cu"), Path(folder, "copy.cubin")
        source.write_text(COPY, encoding="utf-8")
        subprocess.run([nvcc, "-arch=native", "-cubin", str(source), "-o", str(code)], check=True)
        text = code.read_bytes()
    driver = ctypes.CDLL("libcuda.so.1")

    def call(name: str, *arguments: object) -> None:
        if result := getattr(driver, name)(*arguments):
            raise SystemExit(f"{name}: error {result} of the driver")

    device, context, module, function = (
        ctypes.c_int(),
        ctypes.c_void_p(),
        ctypes.c_void_p(),
        ctypes.c_void_p(),
    )
    call("cuInit", 0)
    call("cuDeviceGet", ctypes.byref(device), 0)
    call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
    call("cuCtxSetCurrent", context)
    call("cuModuleLoadData", ctypes.byref(module), text)
    call("cuModuleGetFunction", ctypes.byref(function), module, b"plain_copy")
    memory = [ctypes.c_uint64(), ctypes.c_uint64()]
    for pointer in memory:
        call("cuMemAlloc_v2", ctypes.byref(pointer), ctypes.c_size_t(COPIED[-1]))
        call("cuMemsetD8_v2", pointer, ctypes.c_ubyte(85), ctypes.c_size_t(COPIED[-1]))
    for bytes_read in COPIED:
        count = ctypes.c_uint64(bytes_read // 16)
        values = (*memory, count)
        pointers = (ctypes.c_void_p * 3)(
            *(ctypes.cast(ctypes.byref(value), ctypes.c_void_p) for value in values)
        )
        blocks = min(-(-bytes_read // 16 // 256), 132 * 8)
        call("cuLaunchKernel", function, blocks, 1, 1, 256, 1, 1, 0, None, pointers, None)
    call("cuCtxSynchronize")
    for pointer in memory:
        call("cuMemFree_v2", pointer)


def work(cases: list[str], marks: Path) -> None:
    """Run the copies and then the cases. Write to `marks` how many launches there were before each case."""
    launches = Path(os.environ["METAL_EMULATION_CUDA_TIMES"])
    copies()
    with marks.open("w", encoding="utf-8") as out:
        for case in cases:
            before = len(launches.read_text().splitlines()) if launches.exists() else 0
            out.write(f"{before}\t{case}\n")
            out.flush()
            CASES[case]()


def measure(cases: list[str]) -> tuple[list[Launch], dict[str, list[Launch]]]:
    """Return the launches of the copies, and those of each case."""
    with tempfile.TemporaryDirectory() as folder:
        marks, launches = Path(folder, "marks"), Path(folder, "launches")
        profile = os.environ.get("MEASURE_PROFILE") or str(Path(folder, "profile.csv"))
        environment = {
            **os.environ,
            "METAL_EMULATION_CUDA_TIMES": str(launches),
            "MPSCNN_SKIP_SELF_CHECK": "1",
        }
        command = ["ncu", "--csv", "--page", "raw", "--print-units", "base", "--clock-control", "none"]
        command += ["--target-processes", "application-only", "--log-file", profile]
        command += [
            "--metrics",
            ",".join(METRICS.values()),
            sys.executable,
            __file__,
            "--work",
            str(marks),
            *cases,
        ]
        subprocess.run(command, check=True, env=environment)
        every = read_profile(Path(profile))
        starts = [line.split("\t") for line in marks.read_text(encoding="utf-8").splitlines()]
    shaders = every[len(COPIED) :]
    ends = [int(start) for start, _ in starts[1:]] + [len(shaders)]
    named = {case: shaders[int(start) : end] for (start, case), end in zip(starts, ends, strict=True)}
    return every[: len(COPIED)], named


def read_profile(path: Path) -> list[Launch]:
    """Return the launches in ncu's CSV; a row of units follows the header."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith('"')]
    rows = list(csv.DictReader(lines))[1:]

    def number(row: dict[str, str], what: str) -> float:
        return float(row[METRICS[what]].replace(",", ""))

    return [
        Launch(
            row["Kernel Name"].split("(")[0],
            number(row, "time") * 1e-9,
            number(row, "read"),
            number(row, "written") * SECTOR,
            number(row, "issued") / 100,
            number(row, "multiplications"),
        )
        for row in rows
    ]


# ---- The table ----


def table(baseline: list[Launch], cases: dict[str, list[Launch]]) -> str:
    """Return the table, with one row for each shader of a case."""
    moved = [2.0 * bytes_read for bytes_read in COPIED]
    seconds = [launch.seconds for launch in baseline]
    peak = moved[-1] / seconds[-1]
    lines = [
        f"A copy of {COPIED[-1] >> 20} MiB moves {peak / 1e9:.0f} GB/s.",
        "",
        "| case | shader | MB read | MB written | microseconds | GB/s | share of a copy | issue slots | TFLOP/s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for case, launches in cases.items():
        for kernel in dict.fromkeys(launch.kernel for launch in launches):
            # The same shader may run for several layers. The table has the launch that moves the most bytes.
            one = max((launch for launch in launches if launch.kernel == kernel), key=lambda of: of.moved)
            share = np.interp(one.moved, moved, seconds) / one.seconds
            lines.append(
                f"| {case} | {kernel} | {one.read / 1e6:.2f} | {one.written / 1e6:.2f} | {one.seconds * 1e6:.1f} "
                f"| {one.moved / one.seconds / 1e9:.0f} | {share:.0%} "
                f"| {one.issued:.0%} | {2e-12 * one.multiplications / one.seconds:.2f} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Measure all cases, or those whose names contain one of the arguments."""
    if sys.argv[1:2] == ["--work"]:
        work(sys.argv[3:], Path(sys.argv[2]))
        return
    wanted = [case for case in CASES if not sys.argv[1:] or any(part in case for part in sys.argv[1:])]
    print(table(*measure(wanted)))


if __name__ == "__main__":
    main()
