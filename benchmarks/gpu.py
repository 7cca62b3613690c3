"""Time networks on this machine's cores in mpscnn and on its NVIDIA GPU in torch, in one interleaved run.

    python benchmarks/gpu.py [--networks TEXT] [--threads 1,2,4,8,16] [--batches 1,8,64] [--rounds N] [--steps N]

The cores run float32, bfloat16 and int8 with each number of threads. The GPU runs float32 (its TF32 units are off),
float16 eagerly and as a CUDA graph; a run begins and ends with images and results in the memory of the host, as on the
cores. Both have the same random weights, and a result that differs from mpscnn's in float32 by more than BOUNDS is an
error. Times are the minimum (median) milliseconds of a run. Efficiency is the time of one thread over the product of
threads and time. `--steps N` prints the N steps that lose most from one thread to the largest number of threads.

Without a GPU the table holds the cores alone.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from compare import compile_options
from harness import input_shape, quantized, table_head, table_row
from numpy.typing import NDArray
from peer_files.torch_writer import torch_module

import mpscnn
from mpscnn import models
from mpscnn.runtime.library import available_processors

NETWORKS: dict[str, Callable[[], mpscnn.Network]] = {
    "MobileNetV1": lambda: models.mobilenet_v1(output="logits"),
    "MobileNetV2": lambda: models.mobilenet_v2(output="logits"),
}

#: The largest allowed difference from the float32 results, relative to their largest magnitude.
BOUNDS = {"float32": 1e-4, "float16": 0.02, "bfloat16": 0.25, "int8": 1.0}

#: A subject is run for about this many seconds in a round, and at least three times.
ROUND_SECONDS = 0.15

#: The pause in seconds before a subject's turn, in which the threads of the previous subject go to sleep.
PAUSE = 0.02


@dataclass
class Timed:
    """One way to compute a network: what it is, a call that returns the result, and the milliseconds of its runs."""

    name: str
    threads: int
    precision: str
    run: Callable[[], NDArray[np.float32]]
    times: list[float] = field(default_factory=list)

    @property
    def minimum(self) -> float:
        return min(self.times)

    @property
    def median(self) -> float:
        return statistics.median(self.times)

    def take_a_turn(self) -> None:
        """Run for ROUND_SECONDS after a first run that is not timed."""
        time.sleep(PAUSE)
        self.run()
        begun = time.perf_counter()
        count = 0
        while count < 3 or time.perf_counter() - begun < ROUND_SECONDS:
            start = time.perf_counter_ns()
            self.run()
            self.times.append((time.perf_counter_ns() - start) / 1e6)
            count += 1


def on_cores(network: mpscnn.Network, x: NDArray[np.float32], threads: Iterable[int]) -> list[Timed]:
    """Return the sessions of mpscnn in each precision and with each number of threads."""
    subjects = []
    integers = quantized(network)
    for precision in ("float32", "bfloat16", "int8"):
        source = integers if precision == "int8" else network
        program = source.compile(**compile_options(precision))
        for count in threads:
            session = program.session(threads=count)
            out = session.run(x)

            def run(session: mpscnn.Session = session, out: NDArray[np.float32] = out) -> NDArray[np.float32]:
                session.run(x, out=out)
                return out

            subjects.append(Timed("mpscnn", count, precision, run))
    return subjects


def on_gpu(network: mpscnn.Network, x: NDArray[np.float32]) -> list[Timed]:
    """Return torch on the GPU in float32 and float16, eagerly and as a CUDA graph."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    host = torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
    host = host.contiguous(memory_format=torch.channels_last).pin_memory()
    subjects = []
    for precision, dtype in (("float32", torch.float32), ("float16", torch.float16)):
        placed = torch_module(network, x.shape).to("cuda", dtype)
        subjects += [
            Timed("torch, eager", 0, precision, eager_run(placed, host, dtype)),
            Timed("torch, CUDA graph", 0, precision, graph_run(placed, host, dtype)),
        ]
    return subjects


def eager_run(
    module: Callable[[torch.Tensor], tuple[torch.Tensor, ...]], host: torch.Tensor, dtype: torch.dtype
) -> Callable[[], NDArray[np.float32]]:
    """Return a call that takes images to the GPU, runs every layer by itself, and brings the result back."""

    def run() -> NDArray[np.float32]:
        with torch.inference_mode():
            result: NDArray[np.float32] = module(host.to("cuda", dtype))[0].float().cpu().numpy()
        return result

    return run


def graph_run(
    module: Callable[[torch.Tensor], tuple[torch.Tensor, ...]], host: torch.Tensor, dtype: torch.dtype
) -> Callable[[], NDArray[np.float32]]:
    """Return a call that runs all layers by one launch of a CUDA graph, with both transfers."""
    with torch.inference_mode():
        images = host.to("cuda", dtype)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):  # cuDNN chooses its kernels, which a capture does not allow
                module(images)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            result = module(images)[0].float()

    def run() -> NDArray[np.float32]:
        with torch.inference_mode():
            images.copy_(host, non_blocking=True)
            graph.replay()
            array: NDArray[np.float32] = result.cpu().numpy()
        return array

    return run


def check(subjects: Iterable[Timed]) -> None:
    """Exit if a subject's result differs from the first subject's, which is mpscnn's in float32."""
    reference: NDArray[np.float32] | None = None
    for subject in subjects:
        result = np.array(subject.run()).reshape(-1)
        if reference is None:
            reference = result
        error = float(np.abs(result - reference).max() / np.abs(reference).max())
        if not error <= BOUNDS[subject.precision]:
            raise SystemExit(f"{subject.name}, {subject.precision}: the result differs by {error:.2g}")


def print_losses(network: mpscnn.Network, x: NDArray[np.float32], threads: int, count: int) -> None:
    """Print the steps in which `threads` threads lose the most: their time minus one thread's time / `threads`."""
    program = network.compile(device="cpu", precision="float32")
    alone, together = (
        {", ".join((*step.layers, *step.part_of)): step.minimum for step in profile.steps}
        for profile in (program.session(threads=n).profile(x, runs=50) for n in (1, threads))
    )
    lost = {name: together[name] - alone[name] / threads for name in together if name in alone}
    all_lost = sum(together.values()) - sum(alone.values()) / threads
    print(f"\n{all_lost:.3f} ms are lost with {threads} threads; the steps that lose most:")
    for name in sorted(lost, key=lost.__getitem__, reverse=True)[:count]:
        print(f"    {lost[name]:.4f} ms of {together[name]:.4f}, alone {alone[name]:.4f}: {name}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare this machine's cores with its GPU.")
    parser.add_argument("--networks", default="", help="networks whose name contains this text")
    parser.add_argument("--threads", default="1,2,4,8,16", help="numbers of threads (default: %(default)s)")
    parser.add_argument("--batches", default="1,8,64", help="images in a run (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each subject (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=0, help="steps to list that lose most")
    arguments = parser.parse_args()
    cores = available_processors()
    threads = [count for count in map(int, arguments.threads.split(",")) if count <= cores]
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    print(
        f"{platform.processor() or platform.machine()}, {cores} cores, {gpu}; mpscnn {mpscnn.__version__} "
        f"({mpscnn.build_config()['instruction_set']}), torch {torch.__version__}; {arguments.rounds} rounds"
    )
    for name, make in NETWORKS.items():
        if arguments.networks not in name:
            continue
        network = make()
        network.initialize_weights()
        for batch in map(int, arguments.batches.split(",")):
            x = np.random.default_rng(0).uniform(-1, 1, input_shape(network, batch)).astype(np.float32)
            subjects = on_cores(network, x, threads)
            if torch.cuda.is_available():
                subjects += on_gpu(network, x)
            check(subjects)
            for _ in range(arguments.rounds):
                for subject in subjects:
                    subject.take_a_turn()
            print_table(f"{name}, batch {batch}", batch, subjects)
            if arguments.steps:
                print_losses(network, x, max(threads), arguments.steps)


def print_table(title: str, batch: int, subjects: list[Timed]) -> None:
    """Print the times, the efficiency of threads, and what a thousand images take."""
    one_thread = {subject.precision: subject.minimum for subject in subjects if subject.threads == 1}
    print("\n" + table_head(title, "precision", "threads", "ms a run", "efficiency", "1,000 images, s"))
    for subject in subjects:
        efficiency = ""
        if subject.threads and subject.precision in one_thread:
            efficiency = f"{100 * one_thread[subject.precision] / subject.threads / subject.minimum:.0f}%"
        cells = (
            subject.name,
            subject.precision,
            subject.threads or "",
            f"{subject.minimum:.3f} ({subject.median:.3f})",
            efficiency,
            f"{subject.median / batch:.3f}",
        )
        print(table_row(cells), flush=True)


if __name__ == "__main__":
    main()
