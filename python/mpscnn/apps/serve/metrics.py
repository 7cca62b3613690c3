"""Measure the service's requests, queue and memory, and report them to Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from mpscnn.apps.serve.limits import MemoryBudget, RequestQueue

__all__ = ["CONTENT_TYPE_LATEST", "Metrics"]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_REASONS = ("queue", "deadline", "gone", "bytes")


class Metrics:
    """The metrics of one service, in a separate Prometheus registry."""

    def __init__(
        self, queue: RequestQueue, bodies: MemoryBudget, tensors: MemoryBudget, photos: MemoryBudget
    ) -> None:
        registry = CollectorRegistry()
        self._registry = registry
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
        waiting = Gauge("mpscnn_queue_length", "Requests that wait.", registry=registry)
        waiting.set_function(lambda: queue.waiting)
        inside = Gauge("mpscnn_computing", "Requests that are computed.", registry=registry)
        inside.set_function(lambda: queue.computing)
        held = Gauge(
            "mpscnn_body_bytes",
            "Bytes of bodies whose photos are not decoded or whose tensors are not computed yet.",
            registry=registry,
        )
        held.set_function(lambda: bodies.used)
        arrays = Gauge(
            "mpscnn_tensor_bytes",
            "Bytes of tensors that are computed, and of answers that clients have not read yet.",
            registry=registry,
        )
        arrays.set_function(lambda: tensors.used)
        pixels = Gauge(
            "mpscnn_photo_pixels",
            "Pixels of decoded photos; photos of 16 bits for each colour, and those that are drawn on, count twice.",
            registry=registry,
        )
        pixels.set_function(lambda: photos.used)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        content: bytes = generate_latest(self._registry)
        return content
