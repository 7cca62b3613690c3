"""Decide which tensors of a quantised network are integers in the file, and convert between integers and floats."""

from __future__ import annotations

from typing import Any

import numpy as np

from mpscnn.converters.values.integer_limits import Grid
from mpscnn.converters.writing.tflite.builder import Builder, Value
from mpscnn.graph.network import Network


class Integers:
    """The integers of a network's tensors.

    Args:
        builder: the graph.
        network: the network.
        keeps: whether the file keeps integers. With False all tensors are floats.
    """

    def __init__(self, builder: Builder, network: Network, *, keeps: bool) -> None:
        structure = network.to_dict()
        entries = [*structure["inputs"], *structure["nodes"]] if keeps else []
        self._builder = builder
        self._grids = {
            entry["name"]: _grid(entry["quantization"]) for entry in entries if "quantization" in entry
        }
        #: Layers in float32, and inputs that they read.
        self._floats = {node["name"] for node in structure["nodes"] if node.get("keep_float32")}
        self._floats |= {
            name for node in structure["nodes"] if node["name"] in self._floats for name in node["inputs"]
        }
        self._kept = {node["name"] for node in structure["nodes"] if node.get("keep_float32")}
        self._inputs = {entry["name"] for entry in structure["inputs"]}
        self._made: dict[tuple[int, Grid | None], Value] = {}

    def stated(self, name: str) -> Grid | None:
        """Return the integers that the network states for an input or layer."""
        return self._grids.get(name)

    def grid(self, name: str) -> Grid | None:
        """Return the integers of an input or of a layer's result in the file; None if it is floats there."""
        is_float = name in self._kept or (name in self._inputs and name in self._floats)
        return None if is_float else self._grids.get(name)

    def read(self, value: Value, name: str, *, as_integers: bool) -> Value:
        """Return a value that a layer reads: as integers, if they are stated and wanted, otherwise as floats."""
        grid = self._grids.get(name) if as_integers else None
        return self.converted(value, grid, name)

    def converted(self, value: Value, grid: Grid | None, name: str) -> Value:
        """Return a value as floats, or with these integers."""
        if value.grid == grid:
            return value
        key = value.number, grid
        if key not in self._made:
            kind = "dequantize" if grid is None else "quantize"
            dtype = "float32" if grid is None else grid.dtype.name
            result = self._builder.tensor(f"{name}/{kind}", value.shape, dtype, grid)
            self._builder.add(kind.upper(), [value], [result])
            self._made[key] = result
        return self._made[key]


def _grid(stated: dict[str, Any]) -> Grid:
    return Grid(float(np.float32(stated["scale"])), int(stated["zero_point"]), np.dtype(stated["type"]))
