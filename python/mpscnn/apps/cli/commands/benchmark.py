"""The command `mpscnn benchmark`."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import typer

from mpscnn._private.summary import bytes_text, text_table
from mpscnn.apps.benchmark import (
    PEERS,
    KernelTimes,
    Measurement,
    Peer,
    RunnerMeasurement,
    Subject,
    measure,
    measure_metal_kernels,
    measure_runner,
)
from mpscnn.apps.cli.arguments import JsonOption, ModelArgument, split_names
from mpscnn.apps.cli.failures import FAILED
from mpscnn.apps.cli.option_groups import COMPILE, RUN, add_options
from mpscnn.apps.cli.output import report, sentences, show, show_json, table_width
from mpscnn.apps.cli.sizes import RandomWeightsOption, SizeOption, open_with_size
from mpscnn.errors import Error
from mpscnn.runtime.options import CompileOptions, RunOptions


@add_options(without=("check_finite",))
def benchmark(
    model: ModelArgument,
    size: SizeOption = None,
    program: CompileOptions = COMPILE,
    session: RunOptions = RUN,
    runs: Annotated[
        int,
        typer.Option(
            min=1, metavar="N", help="Time N runs of each engine, or with --runner at least N images."
        ),
    ] = 50,
    compare: Annotated[
        str,
        typer.Option(
            metavar="ENGINE,...", help=f"Measure other engines, too, interleaved: {', '.join(PEERS)}."
        ),
    ] = "",
    random_weights: RandomWeightsOption = False,
    runner: Annotated[
        bool,
        typer.Option(
            "--runner",
            help="Measure mpscnn.Runner, which computes several images in parallel, and compare it with one "
            "thread.",
        ),
    ] = False,
    inflight: Annotated[
        int | None,
        typer.Option(
            min=1, max=32, metavar="N", help="With --runner: keep N requests in flight. Default: 3."
        ),
    ] = None,
    max_batch: Annotated[
        int | None,
        typer.Option(
            min=1, max=1024, metavar="N", help="With --runner: put up to N images in a batch. Default: 1."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the speed of a network on this machine.

    It prints the times of one image, images per second and GFLOP/s at the median time, and the peak memory. --runner
    prints the images per second of a runner and of one thread, measured interleaved, and percentiles of the runner's
    latency.

    MODEL may also be a TensorFlow Lite file. Each engine runs in its own process, interleaved with the others, on
    the same random input. "difference" is the largest difference from mpscnn's outputs. onnxruntime and
    LiteRT are installed with the extra `bench` of mpscnn. If an engine is missing, the error names its packages.
    LiteRT is measured with TensorFlow Lite files only.

    With --metal-kernels auto it first measures on a GPU whether the kernels of MPS or mpscnn's own are faster, and
    records it: programs that are compiled with metal_kernels="auto" take these kernels.

    Example: mpscnn benchmark mobilenet_v2 --threads 2 --compare onnxruntime
    """
    peers = _peers(compare)
    if runner and peers:
        raise typer.BadParameter("the runner is compared with one thread only", param_hint="--compare")
    for option, value in (("--inflight", inflight), ("--max-batch", max_batch)):
        if value is not None and not runner:
            raise typer.BadParameter("it is for --runner", param_hint=option)
    subject = open_with_size(model, size, random_weights=random_weights)
    kernels = measure_metal_kernels(subject, program, runs=runs) if program.metal_kernels == "auto" else None
    if runner:
        measured = measure_runner(
            subject,
            inflight=inflight or 3,
            max_batch=max_batch or 1,
            runs=runs,
            **program.to_dict(),
            **session.to_dict(),
        )
        if as_json:
            show_json(runner_json(subject, measured) | _kernels_json(kernels))
        else:
            show(*_kernels_text(kernels), *runner_text(subject, measured))
        return
    possible = [peer for peer in peers if _possible(peer, program.precision)]
    results = measure(
        subject,
        peers=possible,
        failed=lambda _, error: report(error),
        threads=None if session.threads == "auto" else session.threads,
        runs=runs,
        **program.to_dict(),
    )
    if as_json:
        show_json(_as_json(subject, results) | _kernels_json(kernels))
    else:
        show(*_kernels_text(kernels), *_as_text(subject, results))
    if len(results) <= len(peers):
        raise typer.Exit(FAILED)


def _kernels_json(times: KernelTimes | None) -> dict[str, object]:
    if times is None:
        return {}
    measured = {
        name: {"min": min(of_kind), "median": float(np.median(of_kind))}
        for name, of_kind in (("mps", times.mps), ("own", times.own))
    }
    return {"metal_kernels": {"device": times.device, "faster": times.faster, "milliseconds": measured}}


def _kernels_text(times: KernelTimes | None) -> list[str]:
    if times is None:
        return []
    return sentences(
        f"{times.device}: {np.median(times.mps):.3f} ms with the kernels of MPS, {np.median(times.own):.3f} ms with "
        f'own kernels (medians). metal_kernels="auto" takes "{times.faster}" for this network from now on.'
    )


def _peers(text: str) -> list[Peer]:
    names = split_names(text)
    for name in names:
        if name not in PEERS or names.count(name) > 1:
            raise typer.BadParameter(
                f"expected each of {', '.join(PEERS)} at most once, got {text!r}", param_hint="--compare"
            )
    return [PEERS[name] for name in names]


def _possible(peer: Peer, precision: str) -> bool:
    try:
        peer.require(precision)
    except Error as error:
        report(error)
        return False
    return True


def _as_json(subject: Subject, results: list[Measurement]) -> dict[str, object]:
    return {
        "model": subject.name,
        "input": list(subject.input_shape),
        "flops": subject.flops,
        "engines": [
            {
                "engine": result.engine,
                "version": result.version,
                "note": result.note,
                "threads": result.threads,
                "runs": len(result.milliseconds),
                "milliseconds": {"min": result.minimum, "median": result.median, "p95": result.p95},
                "images_per_second": result.images_per_second,
                "gflops": result.gflops,
                "peak_bytes": result.peak_bytes,
                "difference": result.difference,
            }
            for result in results
        ],
    }


def _as_text(subject: Subject, results: list[Measurement]) -> list[str]:
    shape = " x ".join(map(str, subject.input_shape))
    first = results[0]
    title = (
        f"{subject.name}: input {shape}, {subject.flops / 1e9:.3f} GFLOP, "
        f"{first.threads} {'thread' if first.threads == 1 else 'threads'}, {len(first.milliseconds)} runs"
    )
    headers = (
        "engine",
        "version",
        "on",
        "min ms",
        "median ms",
        "p95 ms",
        "images/s",
        "GFLOP/s",
        "peak memory",
        "difference",
    )
    rows = [
        (
            result.engine,
            result.version,
            result.note,
            f"{result.minimum:.3f}",
            f"{result.median:.3f}",
            f"{result.p95:.3f}",
            f"{result.images_per_second:.1f}",
            f"{result.gflops:.1f}",
            bytes_text(result.peak_bytes),
            "" if result.difference is None else f"{result.difference:.1e}",
        )
        for result in results
    ]
    drop = ("version", "peak memory", "p95 ms", "GFLOP/s", "images/s", "on")
    table = text_table(headers, rows, right=range(3, 10), drop=drop, width=table_width())
    return [*sentences(title), *table.split("\n")]


PERCENTILES = (50, 90, 95, 99)


def runner_json(subject: Subject, measured: RunnerMeasurement) -> dict[str, Any]:
    """Return the measurement for JSON."""
    return {
        "model": subject.name,
        "input": list(subject.input_shape),
        "device": measured.device,
        "precision": measured.precision,
        "inflight": measured.inflight,
        "max_batch": measured.max_batch,
        "sessions": measured.sessions,
        "threads": measured.threads,
        "images_per_second": {
            "one_thread": float(np.median(measured.session_rates)),
            "runner": measured.images_per_second,
            "map": measured.map_images_per_second,
        },
        "speedup": measured.speedup,
        "map_speedup": measured.map_speedup,
        "latency_milliseconds": {
            **{f"p{percentile}": measured.latency(percentile) for percentile in PERCENTILES},
            "max": measured.latency(100),
        },
        "images": len(measured.latencies),
    }


def runner_text(subject: Subject, measured: RunnerMeasurement) -> list[str]:
    """Return the measurement as lines of text."""
    shape = " x ".join(map(str, subject.input_shape))
    images = len(measured.latencies)
    title = f"{subject.name}: input {shape}, {measured.device}, {measured.numbers}, {images} images each"
    runner = f"runner, {measured.inflight} in flight, {measured.sessions} x {measured.threads} threads"
    if measured.max_batch > 1:
        runner += f", batches of up to {measured.max_batch}"
    rows = [
        ("one thread", f"{np.median(measured.session_rates):.1f}", "1.00"),
        (runner, f"{measured.images_per_second:.1f}", f"{measured.speedup:.2f}"),
        ("by Runner.map", f"{measured.map_images_per_second:.1f}", f"{measured.map_speedup:.2f}"),
    ]
    table = text_table(("", "images/s", "ratio"), rows, right=(1, 2), width=table_width())
    latencies = [f"{percentile}%: {measured.latency(percentile):.2f}" for percentile in PERCENTILES]
    latency = f"latency in ms  {'  '.join(latencies)}  longest: {measured.latency(100):.2f}"
    return [*sentences(title), *table.split("\n"), *sentences(latency)]
