"""Train networks: data, optimisers, learning rates and the trainer (docs/training.md)."""

from __future__ import annotations

from mpscnn.training import batches, optimizers, schedules

__all__ = ["batches", "optimizers", "schedules"]


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
