"""Training: data, optimisers, learning rates, and the trainer that takes them (docs/training.md)."""

from __future__ import annotations

from mpscnn.training import batches, optimizers, schedules

__all__ = ["batches", "optimizers", "schedules"]
