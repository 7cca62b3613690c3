"""Small Core ML files that would take gigabytes or many seconds are read or refused with little work."""

from __future__ import annotations

import contextlib
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.coreml_writer import Program, array, model, one_layer, saved, settings

from mpscnn import converters
from mpscnn.converters.reading.coreml import pipeline
from mpscnn.converters.reading.coreml.program.text import parse_program
from mpscnn.errors import Error, UnsupportedError

MANY = 1 << 24


def many_channels(kind: str) -> Any:
    made = Program({"x": (1, MANY, 1, 1)})
    made.add(kind, "y", x="x", epsilon=np.float32(1e-5))
    return made.message


def many_classes() -> Any:
    outputs = {"boxes": array((1, 4)), "scores": array((1, MANY))}
    message = model({"x": array((1, 4)), "z": array((1, MANY))}, outputs)
    part = message.pipeline.models.add(specificationVersion=5)
    part.CopyFrom(model({"x": array((1, 4)), "z": array((1, MANY))}, outputs))
    part.neuralNetwork.arrayInputShapeMapping = 1
    for reads, makes in (("x", "boxes"), ("z", "scores")):
        part.neuralNetwork.layers.add(name=makes, input=[reads], output=[makes]).activation.ReLU.SetInParent()
    held = message.pipeline.models.add(specificationVersion=5).nonMaximumSuppression
    held.coordinatesInputFeatureName, held.confidenceInputFeatureName = "boxes", "scores"
    held.pickTop.perClass = True
    return message


def copies_of_a_constant(kind: str) -> Any:
    """Return a program whose constant of 100,000 elements is decompressed 700 times. Each result takes 400 kB."""
    made = Program({"x": (1, 3, 4, 4)})
    made.add("relu", "y", x="%x")
    made.constant("numbers", np.zeros(100_000, np.int8))
    made.constant("scale", np.float32(1.0))
    made.constant("zero", np.int8(0))
    made.constant("axis", np.int32(0))
    operands = {
        "constexpr_cast": {"source_val": "%numbers"},
        "constexpr_affine_dequantize": {
            "quantized_data": "%numbers",
            "zero_point": "%zero",
            "scale": "%scale",
            "axis": "%axis",
        },
    }
    for number in range(700):
        made.add(kind, f"a{number}", **operands[kind])
    return made.message


MODELS: dict[str, Callable[[], Any]] = {
    "instance_norm": lambda: many_channels("instance_norm"),
    "classes of boxes": many_classes,
    "cumSum": lambda: one_layer("cumSum", settings(axis=1), [(1, 1 << 14)]),
    "constexpr_cast": lambda: copies_of_a_constant("constexpr_cast"),
    "constexpr_affine_dequantize": lambda: copies_of_a_constant("constexpr_affine_dequantize"),
    "lrn": lambda: one_layer("lrn", settings(alpha=1.0, beta=1.0, localSize=4, k=1.0), [(1, 1 << 14, 1, 1)]),
    "fillStatic": lambda: one_layer("fillStatic", settings(value=1.0, targetShape=[1, MANY]), [(1, 4)]),
}


@pytest.mark.parametrize("name", MODELS)
def test_small_models_take_little_memory(name: str, tmp_path: Path) -> None:
    path = saved(MODELS[name](), tmp_path / "small.mlmodel")
    small = saved(one_layer("softmax", None, [(1, 4, 1, 1)]), tmp_path / "other.mlmodel")
    with contextlib.suppress(Error):
        converters.read_network([small])  # imports modules and fills caches
    tracemalloc.start()
    try:
        with contextlib.suppress(Error):
            converters.read_network([path])
        assert tracemalloc.get_traced_memory()[1] < 200 << 20
    finally:
        tracemalloc.stop()


def test_elements_of_a_list_get_no_copies_of_a_long_shape() -> None:
    shape, values = ",".join("1" * 10_000), ",".join("1" * 10_000)
    text = f"program(1.0) {{ func main<ios15>() {{ string z = const()[val = list<tensor<fp32, [{shape}]>, 9>"
    with pytest.raises(UnsupportedError, match="a list of tensors"):
        parse_program(f"{text}([{values}])]; }} -> (z); }}")


class Part:
    """A model of a pipeline."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self.description = model({}, {}).description

    def has(self, kind: str) -> bool:
        return kind == self._kind


def test_the_parts_of_a_pipeline_are_walked_once() -> None:
    """All feature vectorizers before the network are left out, and none is searched for among the others."""
    count, calls = 1_000, 0
    parts = [*(Part(pipeline.VECTORIZER) for _ in range(count)), Part("neuralNetwork")]
    whole = type("Pipeline", (), {"models": parts})

    def count_calls(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"  # also each step of a generator

    sys.setprofile(count_calls)
    try:
        found = pipeline.pipeline_parts(whole, ["neuralNetwork"])
    finally:
        sys.setprofile(None)
    assert len(found.left_out) == count
    assert calls < 100 * count
