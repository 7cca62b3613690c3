"""Test that the nodes of ONNX files may be in any order."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from converters.onnx_files import assert_like_onnxruntime, node, nodes_of, onnx, operations, read, run_here
from tiers import with_full

from mpscnn.converters.opening.wire.protobuf_view import ProtobufView
from mpscnn.converters.reading.onnx.node import Node
from mpscnn.converters.reading.onnx.topological_sort import sort_nodes
from mpscnn.errors import WeightsError


def unsorted(nodes: list[Any]) -> Any:
    """Return a model without inferred shapes, whose nodes may come before those that they need."""
    graph = onnx.helper.make_graph(
        nodes,
        "graph",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, (1, 4))],
        [onnx.ValueInfoProto(name="y")],
        [onnx.numpy_helper.from_array(np.full(4, 2.0, np.float32), "k")],
    )
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    made.ir_version = 8
    return made


@pytest.mark.parametrize("seed", with_full(range(8), range(8, 20)))
def test_any_order_gives_the_same_network(seed: int) -> None:
    generator = random.Random(seed)
    names, nodes = ["x", "k"], []
    for place in range(12):
        result = "y" if place == 11 else f"t{place}"
        kind = generator.choice(["Relu", "Neg", "Add", "Mul", "Max"])
        operands = [generator.choice(names) for _ in range(1 if kind in ("Relu", "Neg") else 2)]
        nodes.append(node(kind, ["x", *operands[1:]] if place == 11 else operands, result))
        names.append(result)
    wanted = assert_like_onnxruntime(unsorted(nodes))
    shuffled = [*nodes]
    generator.shuffle(shuffled)
    network = assert_like_onnxruntime(unsorted(shuffled))
    x = np.random.default_rng(seed).normal(size=(1, 4)).astype(np.float32)
    np.testing.assert_array_equal(run_here(network, [x])[0], run_here(wanted, [x])[0])
    assert sorted(operations(network)) == sorted(operations(wanted))


def test_an_order_that_can_be_computed_stays() -> None:
    nodes = [
        Node.from_message(ProtobufView(node("Relu", [before], after)), is_ours=False)
        for before, after in ("xa", "xb", "ac", "bd")
    ]
    assert sort_nodes(nodes, {"", "x"}, "model") == nodes
    assert sort_nodes(nodes[::-1], {"", "x"}, "model") == [nodes[1], nodes[3], nodes[0], nodes[2]]


def test_nodes_that_need_one_another_are_named() -> None:
    nodes = nodes_of("a = Relu(x); b = Add(a, d); c = Relu(b); d = Neg(c); y = Neg(d)")
    with pytest.raises(WeightsError, match="'b' needs its own result, by way of 'b' -> 'd' -> 'c'"):
        read(unsorted(nodes))


def test_a_node_that_needs_itself() -> None:
    with pytest.raises(WeightsError, match="'y' needs its own result, by way of 'y'"):
        read(unsorted([node("Add", ["x", "y"], "y")]))


def test_a_long_circle_is_cut_in_the_message() -> None:
    nodes = [node("Neg", [f"t{(place + 1) % 5_000}"], f"t{place}") for place in range(5_000)]
    with pytest.raises(WeightsError, match="and 4995 more") as caught:
        read(unsorted([*nodes, node("Add", ["x", "t0"], "y")]))
    assert len(str(caught.value)) < 500
