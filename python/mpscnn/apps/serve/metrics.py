"""Measure the service's requests, queue and memory, and report them to Prometheus."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from mpscnn.apps.serve.limits import MemoryBudget, RequestQueue

__all__ = ["CONTENT_TYPE_LATEST", "Metrics", "forget_gauges", "share_metrics"]

#: The variable that names the folder of shared metrics to prometheus_client.
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_REASONS = ("queue", "deadline", "gone", "bytes")


class Metrics:
    """The metrics of one service, in a separate Prometheus registry."""

    def __init__(
        self, queue: RequestQueue, bodies: MemoryBudget, tensors: MemoryBudget, photos: MemoryBudget
    ) -> None:
        registry = self._registry = CollectorRegistry()
        self.requests = Counter(
            "mpscnn_requests",
            "Requests answered. The model is empty for routes without one.",
            ("route", "status", "model"),
            registry=registry,
        )
        self.seconds = Histogram(
            "mpscnn_request_seconds",
            "From a request's arrival to the end of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.computing = Histogram(
            "mpscnn_compute_seconds",
            "From a request's turn to its result: decoding, preprocessing and the network.",
            ("model",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.received = Counter("mpscnn_received_bytes", "Bytes of requests' bodies.", registry=registry)
        self.refused = Counter(
            "mpscnn_refused",
            f"Requests given up, by reason: {', '.join(_REASONS)}.",
            ("reason",),
            registry=registry,
        )
        for reason in _REASONS:
            self.refused.labels(reason)
        self._gauges: list[tuple[Gauge, Callable[[], float]]] = []

        def gauge(name: str, about: str, value: Callable[[], float]) -> None:
            made = Gauge(name, about, registry=registry, multiprocess_mode="livesum")
            made.set_function(value)
            self._gauges.append((made, value))

        gauge("mpscnn_queue_length", "Requests that wait.", lambda: queue.waiting)
        gauge("mpscnn_computing", "Requests that are computed.", lambda: queue.computing)
        gauge(
            "mpscnn_body_bytes",
            "Bytes of bodies whose photos are not decoded or whose tensors are not computed yet.",
            lambda: bodies.used,
        )
        gauge(
            "mpscnn_tensor_bytes",
            "Bytes of tensors that are computed, and of answers that clients have not read yet.",
            lambda: tensors.used,
        )
        gauge(
            "mpscnn_photo_pixels",
            "Pixels of decoded photos; photos of 16 bits for each colour, and those that are drawn on, count twice.",
            lambda: photos.used,
        )
        folder = os.environ.get(_FOLDER)
        if folder is not None:
            self._registry = CollectorRegistry()
            MultiProcessCollector(self._registry, folder)

    def note_gauges(self) -> None:
        """Write the present values of the gauges for the other processes, which cannot ask for them."""
        for gauge, value in self._gauges:
            gauge.set(value())

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        content: bytes = generate_latest(self._registry)
        return content


def share_metrics(folder: Path, place: int) -> None:
    """Let this process' later metrics be sums of all processes that share a folder.

    Args:
        folder: the folder, in which each process has files.
        place: the name of the files of this process. Counters continue those of an earlier process with this name.
    """
    os.environ[_FOLDER] = str(folder)
    values.ValueClass = values.MultiProcessValue(lambda: place)


def forget_gauges(folder: Path, place: int) -> None:
    """Remove the gauges of a process that has ended. Its counters stay."""
    mark_process_dead(place, folder)
