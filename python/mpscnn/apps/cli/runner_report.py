"""Format the output of `mpscnn benchmark --runner`."""

from __future__ import annotations

from typing import Any

import numpy as np

from mpscnn._private.summary import text_table
from mpscnn.apps.benchmark import RunnerMeasurement, Subject
from mpscnn.apps.cli.output import sentences, table_width

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
