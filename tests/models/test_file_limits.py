"""Reading a model file costs time in proportion to its size, and memory within the limits of docs/model_format.md.

The tests limit processor time to about ten times what is needed.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from patience import little_work

import mpscnn
from mpscnn import _core


def model_file(graph: dict[str, Any], metadata: dict[str, str] | None = None) -> bytes:
    """Return a model file without tensors."""
    entries = {"mpscnn.version": "1", "mpscnn.graph": json.dumps(graph), **(metadata or {})}
    header = json.dumps({"__metadata__": entries}).encode()
    return len(header).to_bytes(8, "little") + header


def node(name: str, inputs: list[str], operation: str = "neuron", **attributes: Any) -> dict[str, Any]:
    return {"name": name, "operation": operation, "inputs": inputs, "attributes": attributes}


def graph_of(
    nodes: list[dict[str, Any]], outputs: list[str], shape: tuple[int, ...] = (-1, 2, 2, 1), inputs: int = 1
) -> dict[str, Any]:
    """Return a graph with the inputs "in0", "in1", ..."""
    entries = [{"name": f"in{i}", "shape": list(shape)} for i in range(inputs)]
    return {"name": "limits", "inputs": entries, "nodes": nodes, "outputs": outputs}


SMALL = graph_of([node("a", ["in0"])], ["a"])


def parse(content: bytes) -> _core.Model:
    return _core.Model.parse(content, "x.safetensors")


@pytest.mark.parametrize(
    "metadata",
    [
        {f"key{i}": "" for i in range(120_000)},
        {"mpscnn.information": json.dumps({f"key{i}": "" for i in range(120_000)})},
        {"mpscnn.labels": json.dumps([f"label{i}" for i in range(120_000)])},
    ],
    ids=["metadata", "information", "labels"],
)
def test_many_keys_take_no_longer_than_few(metadata: dict[str, str]) -> None:
    content = model_file(SMALL, metadata)
    with little_work():
        parse(content).describe()


def test_as_many_layers_as_there_may_be() -> None:
    count = 10_000
    names = [f"layer{i}" for i in range(count)]
    wide = graph_of([node(name, ["in0"], kind="absolute") for name in names], names)
    deep = graph_of(
        [node(name, [before]) for name, before in zip(names, ["in0", *names], strict=False)], names[-1:]
    )
    for graph in (wide, deep):
        with little_work():
            program = _core.Program.compile(parse(model_file(graph)).graph(), device="cpu")
            shapes, _ = program.output_shapes([(1, 2, 2, 1)])
            outputs = [np.empty(shape, np.float32) for shape in shapes]
            session = _core.Session(program, threads=1)
            for _ in range(5):
                session.run([np.full((1, 2, 2, 1), 3.0, np.float32)], outputs)
            program.explain([(1, 2, 2, 1)], 1)
        assert all((output == 3.0).all() for output in outputs)


def test_inputs_that_are_outputs() -> None:
    count = 1_000
    names = [f"in{i}" for i in range(count)]
    program = _core.Program.compile(
        parse(model_file(graph_of([], names, inputs=count))).graph(), device="cpu"
    )
    inputs = [np.full((1, 2, 2, 1), i, np.float32) for i in range(count)]
    outputs = [np.empty((1, 2, 2, 1), np.float32) for _ in range(count)]
    session = _core.Session(program, threads=1)
    with little_work():
        for _ in range(20):
            session.run(inputs, outputs)
    np.testing.assert_array_equal(outputs, inputs)
    outputs[700] = outputs[20][:, ::-1]
    with pytest.raises(
        mpscnn.ParameterError, match=r"output 'in(20|700)': its memory overlaps another output's"
    ):
        session.run(inputs, outputs)
    outputs[700] = inputs[3]
    with pytest.raises(mpscnn.ParameterError, match="output 'in700': its memory overlaps an input's"):
        session.run(inputs, outputs)


BEYOND: dict[str, tuple[dict[str, Any], str]] = {
    "an input": (
        graph_of([node("a", ["in0"])], ["a"], (-1, 40_000, 40_000, 3)),
        r"input 'in0': the shape \(n, 40000, 40000, 3\) has 4800000000 elements for each image, at most 1073741824",
    ),
    "a result": (
        graph_of([node("a", ["in0"], "resize", scale_y=1000, scale_x=1000)], ["a"], (-1, 100, 100, 1)),
        "layer 'a': resize: the shape .* has 10000000000 elements for each image, at most 1073741824 are allowed",
    ),
    "inputs": (graph_of([], ["in0"], inputs=1_001), "at most 1000 inputs"),
    "layers": (graph_of([node(f"a{i}", ["in0"]) for i in range(10_001)], ["a0"]), "at most 10000 layers"),
    "inputs of layers": (
        graph_of([node(f"a{i}", ["in0"] * 1000, "concatenation") for i in range(101)], ["a0"]),
        "layer 'a100': the layers of a network have at most 100000 inputs together",
    ),
    "a name": (
        graph_of([node("a" * 1001, ["in0"])], ["in0"]),
        "the name has 1001 bytes, at most 1000 are allowed",
    ),
}


@pytest.mark.parametrize("what", BEYOND)
def test_what_is_beyond_a_limit_is_refused_at_load(what: str) -> None:
    graph, message = BEYOND[what]
    with pytest.raises(mpscnn.WeightsError, match=message) as refused:
        parse(model_file(graph))
    assert str(refused.value).startswith("x.safetensors: ")


def test_what_is_at_a_limit_is_read() -> None:
    parse(model_file(graph_of([node("a" * 1000, ["in0"])], ["in0"], (-1, 1 << 15, 1 << 15, 1))))
    parse(model_file(graph_of([node(f"a{i}", ["in0"] * 1000, "concatenation") for i in range(100)], ["a0"])))
