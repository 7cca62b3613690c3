"""Test TensorFlow Lite files with several graphs, of which a signature chooses one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import call
from converters.tflite_writer import Operator, Subgraph, Tensor, constant, write_subgraphs

import mpscnn
from mpscnn import converters

FULLY_CONNECTED, RELU, MATRIX_DIAG = 9, 19, 113


def subgraph(name: str) -> Subgraph:
    return Subgraph(
        [Tensor(name, (1, 5)), Tensor(f"{name} result", (1, 5))], [Operator(RELU, [0], [1])], [0], [1]
    )


@pytest.mark.parametrize(
    ("signatures", "wanted", "expected"),
    [
        ({"classify": 0, "embed": 1}, None, "a"),
        ({"embed": 1, "classify": 0}, None, "a"),
        ({"classify": 0, "serving_default": 1}, None, "b"),
        ({"classify": 0, "embed": 1}, "embed", "b"),
    ],
)
def test_one_of_several_signatures(
    tmp_path: Path, signatures: dict[str, int], wanted: str | None, expected: str
) -> None:
    path = tmp_path / "file.tflite"
    path.write_bytes(write_subgraphs([subgraph("a"), subgraph("b")], signatures=signatures))
    network = converters.read_network([path], signature=wanted)
    assert network.inputs[0].name == expected
    with pytest.raises(
        mpscnn.ParameterError, match=r"it has no signature 'other'; its signatures: '"
    ) as refused:
        converters.read_network([path], signature="other")
    assert str(refused.value).startswith(str(path))
    with pytest.raises(
        mpscnn.ParameterError,
        match="a signature can be chosen for SavedModels, TensorFlow Lite files, Core ML's programs and ",
    ):
        converters.read_network([tmp_path / "file.onnx"], signature="embed")


@pytest.mark.parametrize("wanted", [None, "classify", "embed", "score"])
def test_the_numbers_of_a_signature(tmp_path: Path, wanted: str | None) -> None:
    """The graphs of the signatures differ in operators, weights and shapes."""
    random = np.random.default_rng(4)
    x = random.normal(size=(1, 5)).astype(np.float32)
    first, second = (random.normal(size=(units, 5)).astype(np.float32) for units in (3, 2))
    tensors = [Tensor("x", (1, 5)), constant("w", first), Tensor("y", (1, 3))]
    embedding = [Tensor("x", (1, 5)), constant("w", second), Tensor("y", (1, 2)), Tensor("z", (1, 2))]
    content = write_subgraphs(
        [
            Subgraph(tensors, [Operator(FULLY_CONNECTED, [0, 1], [2], 8)], [0], [2]),
            Subgraph(
                embedding, [Operator(FULLY_CONNECTED, [0, 1], [2], 8), Operator(RELU, [2], [3])], [0], [3]
            ),
            subgraph("x"),
        ],
        signatures={"classify": 0, "embed": 1, "score": 2},
    )
    path = tmp_path / "file.tflite"
    path.write_bytes(content)
    expected = {"classify": x @ first.T, "embed": np.maximum(x @ second.T, 0.0), "score": np.maximum(x, 0.0)}[
        wanted or "classify"
    ]
    found = converters.read_network([path], signature=wanted).compile().session().run(x)
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("signatures", "expected"), [({}, "a"), ({"serve": 1}, "b"), ({"x": 0, "y": 0}, "a")]
)
def test_the_subgraph_of_the_only_signature(
    tmp_path: Path, signatures: dict[str, int], expected: str
) -> None:
    path = tmp_path / "file.tflite"
    path.write_bytes(write_subgraphs([subgraph("a"), subgraph("b")], signatures=signatures))
    network = converters.read_network([path])
    assert network.input.name == expected


def test_the_report_is_about_the_chosen_signature(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = Subgraph(
        [Tensor("x", (1, 5)), Tensor("matrix", (1, 5))], [Operator(MATRIX_DIAG, [0], [1])], [0], [1]
    )
    path = tmp_path / "file.tflite"
    path.write_bytes(write_subgraphs([subgraph("a"), other], signatures={"classify": 0, "embed": 1}))
    for signature, count in (("classify", 0), ("embed", 1)):
        assert call("convert", str(path), "--report", "-", "--signature", signature) == 0
        assert f"# {count} layers cannot be converted" in capsys.readouterr().out
