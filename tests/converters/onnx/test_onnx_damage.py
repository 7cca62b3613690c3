"""Damaged and hostile ONNX files give an error with the reason, in time and memory in proportion to their size."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.onnx_files import model, node, nodes_of, onnx, operations, read, run_here, weights
from systems import peak_bytes

from mpscnn.converters import read_network
from mpscnn.errors import Error, UnsupportedError, WeightsError

IMAGE = {"x": [1, 3, 6, 6]}


def small() -> Any:
    return model([node("Conv", ["x", "w"], "c"), node("Relu", ["c"])], IMAGE, {"w": weights(2, 3, 3, 3)})


def saved(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    return path


def test_every_truncation_is_an_error(tmp_path: Path) -> None:
    content = small().SerializeToString()
    for length in range(0, len(content), 7):
        with pytest.raises(Error, match=r"model\.onnx"):
            read_network([saved(tmp_path, content[:length])])


@pytest.mark.parametrize("content", [b"\0", b"PK\x03\x04", b"TFL2" * 10, b"{}"])
def test_other_files_are_no_onnx_files(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(WeightsError, match="is not an ONNX file"):
        read_network([saved(tmp_path, content)])


def test_a_missing_file() -> None:
    with pytest.raises(WeightsError, match="cannot be read"):
        read_network(["nowhere/model.onnx"])


# ---- Small files that ask for much memory --------------------------------------------------------------------------


def claims() -> dict[str, Any]:
    """Return models of less than a kilobyte that ask for gigabytes."""
    huge = np.array([100_000, 100_000])
    one = np.zeros(1, np.float32)
    doubling = [node("Concat", [f"d{i}"] * 8, f"d{i + 1}", axis=0) for i in range(12)]
    return {
        "ConstantOfShape": ([node("ConstantOfShape", ["s"], "k")], {"s": huge}),
        "Expand": ([node("Expand", ["o", "s"], "k")], {"s": huge, "o": one}),
        "Range": ([node("Range", ["a", "b", "c"], "k")], {"a": 0, "b": 10**10, "c": 1}),
        "Tile": ([node("Tile", ["o", "s"], "k")], {"s": np.array([10**10]), "o": one}),
        "outer product": (
            [node("Add", ["r", "q"], "k")],
            {"r": np.zeros((30_000, 1), np.float32), "q": np.zeros((1, 30_000), np.float32)},
        ),
        "doubling": ([*doubling, node("Identity", ["d12"], "k")], {"d0": np.zeros(64, np.float32)}),
    }


@pytest.mark.parametrize("kind", claims())
def test_constants_cannot_claim_more_memory_than_the_file_justifies(kind: str) -> None:
    nodes, constants = claims()[kind]
    made = model([*nodes, node("Reshape", ["x", "k"])], IMAGE, constants)
    before = peak_bytes()
    with pytest.raises(UnsupportedError, match="times the file's size in bytes"):
        read(made)
    assert peak_bytes() - before < 1 << 30  # the models ask for tens of gigabytes


def test_a_tensor_with_dimensions_that_its_data_do_not_have() -> None:
    made = small()
    made.graph.initializer[0].dims[0] = 2**40
    with pytest.raises(WeightsError, match="tensor 'w'"):
        read(made)


def test_functions_that_call_each_other_are_counted_before_they_are_written_out() -> None:
    functions = []
    for level in range(40):
        inner = [node(f"f{level - 1}", [x], y, domain="own") for x, y in (("a", "t"), ("t", "b"))]
        body = inner if level else [node("Tanh", ["a"], "b")]
        opsets = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("own", 1)]
        functions.append(onnx.helper.make_function("own", f"f{level}", ["a"], ["b"], body, opsets))
    made = model([node("Relu", ["x"])], IMAGE)
    made.graph.node[0].op_type, made.graph.node[0].domain = "f39", "own"
    made.opset_import.append(onnx.helper.make_opsetid("own", 1))
    made.functions.extend(functions)
    with pytest.raises(UnsupportedError, match="its functions make"):
        read(made)
    del made.functions[3:]
    made.graph.node[0].op_type = "f2"
    assert operations(read(made)) == ["neuron"] * 4
    made.functions[0].node[0].op_type, made.functions[0].node[0].domain = "f2", "own"
    with pytest.raises(WeightsError, match="calls itself"):
        read(made)


@pytest.mark.parametrize("kind", ["Acosh", "Asinh", "Atanh", "Cosh", "Shrink", "Sinh"])
def test_operators_that_stand_for_many_others_are_counted(kind: str) -> None:
    names = ["x", *map(str, range(1_500))]
    made = model([node(kind, [x], y) for x, y in pairwise(names)], IMAGE)
    with pytest.raises(UnsupportedError, match="its composed operators stand for more than"):
        read(made)


@pytest.mark.parametrize("name", ["", "f{}"], ids=["one name", "many names"])
def test_functions_that_nothing_calls_are_not_read(name: str) -> None:
    made = small()
    for place in range(10_001):
        made.functions.add(name=name.format(place), domain="own")
    assert operations(read(made)) == operations(read(small()))


# ---- Data outside of the file --------------------------------------------------------------------------------------


def with_external(tmp_path: Path, change: Callable[[dict[str, str]], None] = lambda entries: None) -> Path:
    """Write a model whose weights are in the file weights.bin."""
    made = small()
    tensor = made.graph.initializer[0]
    content = tensor.raw_data
    (tmp_path / "weights.bin").write_bytes(b"\0" * 16 + content)
    entries = {"location": "weights.bin", "offset": "16", "length": str(len(content))}
    change(entries)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in entries.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return saved(tmp_path, made)


@pytest.mark.parametrize(
    "location",
    ["../weights.bin", "/etc/passwd", "a/../../weights.bin", "C:\\weights.bin", "", "link.bin", "gone.bin"],
)
def test_weights_outside_of_the_folder_are_not_read(tmp_path: Path, location: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "weights.bin").write_bytes(b"\0" * 1000)
    (folder / "link.bin").symlink_to(tmp_path / "weights.bin")
    path = with_external(folder, lambda entries: entries.update(location=location))
    with pytest.raises(WeightsError, match="tensor 'w'"):
        read_network([path])


def in_cache(tmp_path: Path, location: str) -> Path:
    """Write a model as in Hugging Face's cache, where names are links to files with other names in one folder."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "main" / "onnx"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    made = with_external(blobs, lambda entries: entries.update(location=location))
    made.rename(blobs / "aa")
    (blobs / "weights.bin").rename(blobs / "bb")
    (snapshot / "model.onnx").symlink_to("../../../blobs/aa")
    return snapshot / "model.onnx"


@pytest.mark.parametrize(
    "location",
    ["model.onnx_data", "../onnx/model.onnx_data", "../../../blobs/bb", "../../main/../../blobs/bb", "up/bb"],
)
def test_links_to_files_of_the_folder_that_the_model_lies_in(tmp_path: Path, location: str) -> None:
    path = in_cache(tmp_path, location)
    (path.parent / "model.onnx_data").symlink_to("../../../blobs/bb")
    (path.parent / "up").symlink_to("../../../blobs")
    x = np.ones((1, 3, 6, 6), np.float32)
    np.testing.assert_array_equal(run_here(read_network([path]), [x])[0], run_here(read(small()), [x])[0])


@pytest.mark.parametrize(
    "location",
    [
        "data",
        "inner/data",
        "../onnx/data",
        "../../outside",
        "../../../blobs/../snapshots/outside",
        "../../../blobs/leads out",
        "../../../blobs",
        "../../../blobs/none/../bb",
    ],
)
def test_links_of_a_model_that_is_a_link_may_not_lead_elsewhere(tmp_path: Path, location: str) -> None:
    path = in_cache(tmp_path, location)
    outside = tmp_path / "snapshots" / "outside"
    outside.write_bytes((tmp_path / "blobs" / "bb").read_bytes())
    (path.parent / "inner").symlink_to("../..")
    for place in (path.parent / "data", path.parent / "inner" / "data", tmp_path / "blobs" / "leads out"):
        place.symlink_to(outside)
    with pytest.raises(WeightsError, match="tensor 'w'"):
        read_network([path])


@pytest.mark.parametrize(
    "entries",
    [{"offset": "17"}, {"offset": "-1"}, {"length": "8"}, {"length": "9" * 30}, {"offset": "x"}],
    ids=str,
)
def test_places_outside_of_the_weights_file(tmp_path: Path, entries: dict[str, str]) -> None:
    with pytest.raises(WeightsError, match="tensor 'w'"):
        read_network([with_external(tmp_path, lambda given: given.update(entries))])


def test_a_changed_weights_file_is_converted_again(tmp_path: Path) -> None:
    from mpscnn.converters.formats.readers import model_files

    path = with_external(tmp_path)
    assert model_files(path) == [path, tmp_path / "weights.bin"]


# ---- Unsupported content -------------------------------------------------------------------------------------------


def test_all_nodes_that_cannot_be_converted_are_named_at_once() -> None:
    made = model(
        nodes_of("""
            a = Det(x); b = Relu(a)
            m, i = MaxPool<kernel_shape=[2, 2], storage_order=1>(x); j = Identity(i)
            s = NonMaxSuppression(b, m); t = NonMaxSuppression(s, m)
        """),
        IMAGE,
        outputs=("m", "j", "t"),
    )
    with pytest.raises(UnsupportedError) as caught:
        read(made)
    text = str(caught.value)
    assert "4 layers cannot be converted" in text
    for part in ("'a' (Det)", "'m' (MaxPool): positions", "'s', 't' (NonMax"):
        assert part in text


def test_control_flow_is_refused_by_name() -> None:
    branch = onnx.helper.make_graph([node("Relu", ["x"], "r")], "branch", [], [onnx.ValueInfoProto(name="r")])
    made = model(
        [node("If", ["flag"], then_branch=branch, else_branch=branch)], IMAGE, {"flag": np.array(True)}
    )
    with pytest.raises(UnsupportedError, match=r"'y' \(If\): control flow"):
        read(made)


@pytest.mark.parametrize(
    ("kind", "said"), [("DOUBLE", "of double"), ("COMPLEX64", "of "), ("STRING", "text")]
)
def test_inputs_of_other_numbers_are_refused(kind: str, said: str) -> None:
    made = model([node("Identity", ["x"])], IMAGE, types={"x": getattr(onnx.TensorProto, kind)})
    with pytest.raises(UnsupportedError, match=f"input 'x' is {said}"):
        read(made)


def test_casts_of_computed_numbers_to_others_are_refused() -> None:
    for kind in ("UINT8", "INT16"):
        made = model([node("Cast", ["x"], to=getattr(onnx.TensorProto, kind))], IMAGE)
        with pytest.raises(UnsupportedError, match=f"makes {kind.lower()}"):
            read(made)


def test_a_graph_that_contradicts_itself() -> None:
    made = small()
    made.graph.node[1].input[0] = "nothing"
    with pytest.raises(WeightsError, match="needs 'nothing'"):
        read(made)
    made = small()
    made.graph.node[1].output[0] = "c"
    with pytest.raises(WeightsError, match="'c' is computed more than once"):
        read(made)
    made = small()
    made.graph.output[0].name = "z"
    with pytest.raises(WeightsError, match="its output 'z' is computed by no node"):
        read(made)


def test_a_file_must_state_the_opset_of_its_operators() -> None:
    made = small()
    made.opset_import[0].domain = "other"
    with pytest.raises(UnsupportedError, match="states no opset"):
        read(made)


@pytest.mark.parametrize("rank", [7, 5_000])
def test_an_input_of_many_axes_says_how_many(rank: int, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(model([node("Relu", ["x"])], {"x": (1,) * rank}, {}), path)
    with pytest.raises(UnsupportedError, match=f"input 'x' has {rank} axes; supported are 6"):
        read_network([path])
