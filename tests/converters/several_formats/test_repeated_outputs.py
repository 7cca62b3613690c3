"""A file may put out one value several times. Each of its outputs becomes an output of the network, with its name."""

from __future__ import annotations

import numpy as np
import pytest

from mpscnn.converters.opening.read_options import ReadOptions
from mpscnn.converters.reading import vocabulary as ops
from mpscnn.converters.reading.graph.builder import Builder
from mpscnn.converters.reading.graph.walk import Walk
from mpscnn.errors import UnsupportedError


def _walk() -> Walk:
    builder = Builder("file", {"x": (None, 4)}, name="network", size=lambda: 100)
    walk = Walk(builder, "file")
    walk.layer("Relu", "y", ["x"], ["y"], lambda: [ops.relu(builder, builder.tensor("x"))], None)
    return walk


def test_a_value_that_is_put_out_again_is_an_output_of_its_own() -> None:
    network = _walk().network_with_names({"y": "y", "again": "y", "third": "y"}, ReadOptions("network"))
    assert [one.name for one in network.outputs] == ["y", "again", "third"]
    x = np.array([[-1.0, 2.0, -3.0, 4.0]], np.float32)
    results = network.compile(device="cpu").run(x)
    for result in results.values():
        np.testing.assert_array_equal(result, np.maximum(x, 0.0))


def test_very_many_copies_are_refused() -> None:
    outputs = {f"y{number}": "y" for number in range(2000)}
    with pytest.raises(UnsupportedError, match="names outputs again; supported are 1024"):
        _walk().network_with_names(outputs, ReadOptions("network"))
