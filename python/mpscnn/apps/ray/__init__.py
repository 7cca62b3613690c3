"""Run a model on many photos on many machines with Ray Data: `mpscnn.ray.map`."""

from __future__ import annotations

from mpscnn.apps.ray.mapping import map  # noqa: A004 - as Ray's datasets call it

__all__ = ["map"]
