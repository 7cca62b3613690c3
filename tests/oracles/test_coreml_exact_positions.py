"""Write a network that computes positions beyond 2048 as a Core ML program of float16."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpscnn import Network

coremltools = pytest.importorskip("coremltools", reason="coremltools is not installed")

COUNT = 5000
FLOAT32 = coremltools.proto.MIL_pb2.FLOAT32


def test_layers_of_positions_stay_float32(tmp_path: Path) -> None:
    net = Network(input={"x": (COUNT,), "part": (2,)})
    places = net.activation(net.inputs[1], {"kind": "linear", "a": float(COUNT)}, name="scaled")
    places = net.activation(places, "floor", name="whole")
    net.output(net.take_along_axis(net.inputs[0], places, name="taken"))
    net.save(tmp_path / "one.mlpackage", dtype="float16")
    assert not any(node.get("keep_float32") for node in net.to_dict()["nodes"])
    program = coremltools.utils.load_spec(str(tmp_path / "one.mlpackage")).mlProgram
    (block,) = program.functions["main"].block_specializations.values()
    types = {one.type: one.outputs[0].type.tensorType.dataType for one in block.operations if one.outputs}
    assert types["floor"] == FLOAT32
    assert types["mul"] == FLOAT32
    assert types["gather_along_axis"] != FLOAT32
