"""Many photos through one model on many machines, by Ray Data: `mpscnn.ray.map`."""

from __future__ import annotations

from mpscnn.apps.ray.mapping import map  # noqa: A004 - as Ray's datasets call it

__all__ = ["map"]
