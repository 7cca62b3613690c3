"""A file is converted once: its network is built twice at most, and few steps ask the core for its structure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.onnx_files import model, nodes_of, onnx

import mpscnn
from mpscnn import _core

#: Structures: of the network as it was read, and of the one with activations in the layers before them.
EXPORTS = 2
#: Networks: as it was read, and with activations in the layers before them. The core copies it once for the program.
BUILDS = 2


def test_loading_builds_and_exports_a_network_few_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = model(
        nodes_of("a = Conv(x, w); b = Relu(a); y = GlobalAveragePool(b)"),
        {"x": ["n", 3, 8, 8]},
        {"w": np.ones((4, 3, 3, 3))},
    )
    onnx.save(made, tmp_path / "net.onnx")
    monkeypatch.setenv("MPSCNN_CACHE", str(tmp_path / "cache"))
    counts = {"from_json": 0, "__init__": 0}
    texts: list[str] = []
    export = _core.Graph.to_json

    def kept(graph: _core.Graph) -> str:
        texts.append(export(graph))
        return texts[-1]

    def count(name: str) -> None:
        own = getattr(_core.Graph, name)

        def counted(*arguments: Any) -> Any:
            counts[name] += 1
            return own(*arguments)

        monkeypatch.setattr(_core.Graph, name, staticmethod(counted) if name == "from_json" else counted)

    for name in counts:
        count(name)
    monkeypatch.setattr(_core.Graph, "to_json", kept)
    mpscnn.load(tmp_path / "net.onnx", device="cpu")
    assert len({id(text) for text in texts}) <= EXPORTS < len(texts), (
        "an unchanged graph returns the same text"
    )
    assert counts["from_json"] + counts["__init__"] <= BUILDS


def test_a_graph_returns_the_same_text_until_its_structure_changes() -> None:
    graph = _core.Graph("network")
    changes: dict[str, tuple[Any, ...]] = {
        "add_input": ("x", [-1, 4, 4, 3]),
        "add_variable": ("bias", [1, 2]),
        "add_node": ("convolution", "conv", [0], json.dumps({"output_channels": 2})),
        "use_variable": (2, "bias", 1),
        "mark_output": (2,),
        "keep_float32": (2, True),
        "set_learning": (2, False),
        "quantize": (2, "uint8", 0.5, 3),
    }
    texts = [graph.to_json()]
    for name, arguments in changes.items():
        getattr(graph, name)(*arguments)
        assert graph.to_json() is graph.to_json()
        texts.append(graph.to_json())
        assert json.loads(texts[-1]) != json.loads(texts[-2]), name
    graph.add_node("convolution", "next", [2], json.dumps({"output_channels": 2}))
    texts.append(graph.to_json())
    graph.set_weight("next", "weight", np.ones((2, 1, 1, 2), np.float32))
    assert graph.to_json() is texts[-1]
    assert graph.copy().to_json() == texts[-1]
    assert {name for name in dir(_core.Graph) if not name.startswith("_")} - {*changes} == {
        "copy", "describe", "from_json", "get_weight", "keep_positions", "scores", "set_weight", "shape",
        "share_weight", "to_json", "weights",
    }, "a new method that changes the structure is tried above"  # fmt: skip


def test_all_functions_take_and_return_the_graph_that_keeps_its_text() -> None:
    owners = [_core, *(one for one in vars(_core).values() if isinstance(one, type))]
    functions = [one for owner in owners for one in vars(owner).values() if callable(one)]
    assert not [one for one in functions if "api::Graph" in (one.__doc__ or "")]
