"""Hostile files of TensorFlow: each is refused by an error that names it, with work in proportion to its size."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converters.protobuf_messages import tensorflow_message
from converters.tensorflow_writer import (
    Graph,
    Type,
    block,
    save_bundle,
    save_model,
    save_web,
    save_web_graph,
    set_attribute,
    set_shape,
    table,
)
from tiers import with_full

import mpscnn
from mpscnn.converters import read_network
from mpscnn.converters.formats import readers as formats
from mpscnn.converters.opening import budget
from mpscnn.converters.opening.varints import encode as varint
from mpscnn.converters.reading.graph.builder import Builder
from mpscnn.converters.reading.tensorflow import file as graph_file
from mpscnn.converters.reading.tensorflow.value_resolution import ValueResolver
from mpscnn.errors import UnsupportedError, WeightsError

KERNEL = np.random.default_rng(5).normal(0, 0.4, (3, 3, 3, 5)).astype(np.float32)
HUGE = 2**62
STORED = b"stored/kernel"


def read(path: Path) -> mpscnn.Network:
    """Read a model as `mpscnn.load` does, which asks for all of its files first."""
    formats.model_files(path)
    return read_network([path])


def refused(path: Path, kind: type[mpscnn.Error], text: str | None) -> None:
    with pytest.raises(kind, match=text) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 1000


def calls(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> list[tuple[Any, ...]]:
    """Return a list that receives the arguments of each call of a function, which works as before."""
    made = []
    function = getattr(owner, name)

    def recorded(*arguments: Any) -> Any:
        made.append(arguments)
        return function(*arguments)

    monkeypatch.setattr(owner, name, recorded)
    return made


# ---- Bundles of variables ------------------------------------------------------------------------------------------


def saved(folder: Path) -> Path:
    graph = Graph()
    image = graph.placeholder(-1, 6, 7, 3)
    graph.node("VarHandleOp", name="kernel", shared_name="kernel")
    weights = graph.node("ReadVariableOp", "kernel")
    graph.node("Conv2D", image, weights, name="result", strides=[1, 1, 1, 1], padding="SAME")
    return save_model(folder / "model", graph, {"image": "image"}, {"result": "result"}, {"kernel": KERNEL})


def index_of(model: Path) -> Path:
    return model / "variables" / "variables.index"


def data_of(model: Path) -> Path:
    return model / "variables" / "variables.data-00000-of-00001"


def entry(shape: Sequence[int] = KERNEL.shape, **fields: int) -> bytes:
    made = tensorflow_message("BundleEntry")(**{"dtype": 1, "offset": 0, "size": KERNEL.nbytes} | fields)
    set_shape(made.shape, shape)
    return bytes(made.SerializeToString())


def header(shards: int = 1) -> tuple[bytes, bytes]:
    return b"", tensorflow_message("BundleHeader")(num_shards=shards).SerializeToString()


ENTRIES: dict[str, tuple[list[tuple[bytes, bytes]], type[mpscnn.Error], str]] = {
    "negative offset": ([(STORED, entry(offset=-5))], WeightsError, "540 bytes from byte -5 on"),
    "negative size": ([(STORED, entry(size=-1))], WeightsError, "-1 bytes from byte 0 on"),
    "offset after the file": ([(STORED, entry(offset=HUGE))], WeightsError, "ends before the end of"),
    "largest offset": ([(STORED, entry(offset=2**63 - 1))], WeightsError, "ends before the end of"),
    "huge size": ([(STORED, entry(size=HUGE))], WeightsError, f"has {HUGE} bytes for the shape"),
    "huge shape": ([(STORED, entry([HUGE, HUGE]))], WeightsError, "has 540 bytes for the shape"),
    "many axes": ([(STORED, entry([HUGE] * 20_000))], UnsupportedError, "a shape of 20000 axes"),
    "empty shape": ([(STORED, entry([0, HUGE, HUGE], size=0))], WeightsError, "contradicts itself"),
    "another file": ([(STORED, entry(shard_id=7))], WeightsError, "refers to file 7 of 1"),
    "negative file": ([(STORED, entry(shard_id=-1))], WeightsError, "refers to file -1 of 1"),
    "repeated name": ([(STORED, entry())] * 2, WeightsError, "repeated or not sorted"),
    "shared bytes": ([(STORED, entry()), (b"t", entry(offset=539))], WeightsError, "have the same bytes"),
    "integers": ([(STORED, entry(dtype=3))], WeightsError, "elements of different types"),
    "unknown type": ([(STORED, entry(dtype=99))], UnsupportedError, "elements of type 99"),
    "missing": ([(b"another", entry())], WeightsError, "'kernel' is not in"),
}


@pytest.mark.parametrize("name", ENTRIES)
def test_entries_of_an_index(name: str, tmp_path: Path) -> None:
    entries, kind, text = ENTRIES[name]
    model = saved(tmp_path)
    index_of(model).write_bytes(table([header(), *entries]))
    refused(model, kind, text)


def test_too_many_files_of_data(tmp_path: Path) -> None:
    model = saved(tmp_path)
    index_of(model).write_bytes(table([header(2**31 - 1), (STORED, entry())]))
    refused(model, WeightsError, "2147483647 files of numbers")


@pytest.mark.parametrize("place", [2**40, 2**63 - 10, 2**69])
def test_blocks_after_the_end_of_an_index(place: int, tmp_path: Path) -> None:
    index = save_bundle(tmp_path / "model.ckpt", {"weights": KERNEL})
    end = index.read_bytes()[-8:]
    places = varint(0) + varint(0) + varint(place) + varint(100)
    index.write_bytes(index.read_bytes()[:-48] + places.ljust(40, b"\0") + end)
    refused(index, WeightsError, "ends after the file")


def test_names_that_share_a_long_beginning(tmp_path: Path) -> None:
    """An entry of 12 bytes may repeat the name before it, which may be as long as the file."""
    length, made = 100_000, bytearray()
    value = header()[1]
    made += varint(0) + varint(0) + varint(len(value)) + value
    made += varint(0) + varint(length) + varint(0) + b"a" * length
    for number in range(1000):
        made += varint(length - 4) + varint(4) + varint(0) + b"b%03d" % number
    content = bytes(made) + struct.pack("<II", 0, 1) + b"\0" * 5
    handles = b""
    for inner in (block([]), block([(b"z", varint(0) + varint(len(content) - 5))])):
        handles += varint(len(content)) + varint(len(inner) - 5)
        content += inner
    index = tmp_path / "model.ckpt.index"
    index.write_bytes(content + handles.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57))
    refused(index, WeightsError, "bytes of names in the index")


@pytest.mark.parametrize("classes", [0, 2**40])
def test_a_checkpoint_of_impossible_classes(classes: int, tmp_path: Path) -> None:
    first, last = "MobilenetV1/Conv2d_0/weights", "MobilenetV1/Logits/Conv2d_1c_1x1/weights"
    index = save_bundle(tmp_path / "model.ckpt", {first: KERNEL})
    entries = [(first.encode(), entry()), (last.encode(), entry([1, 1, 1024, classes], size=0))]
    index.write_bytes(table([header(), *entries]))
    refused(index, WeightsError, f"{last}' has the shape")


def test_variables_that_are_not_numbers(tmp_path: Path) -> None:
    model = saved(tmp_path)
    data_of(model).write_bytes(np.full_like(KERNEL, np.nan).tobytes())
    refused(model, WeightsError, "must hold finite numbers")


def test_missing_variables(tmp_path: Path) -> None:
    model = saved(tmp_path)
    index_of(model).unlink()
    refused(model, WeightsError, "copy the whole folder of the model again")


@pytest.mark.parametrize("name", ["data", "index", "folder"])
@pytest.mark.parametrize("is_known", [False, True], ids=["new", "loaded before"])
def test_links_out_of_the_folder(
    name: str, is_known: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that was loaded before is in the cache, by the hash of its files."""
    monkeypatch.setenv("MPSCNN_CACHE", str(tmp_path / "cache"))
    model = saved(tmp_path)
    if is_known:
        mpscnn.load(model)
    link = {"data": data_of, "index": index_of, "folder": lambda one: index_of(one).parent}[name](model)
    link.rename(tmp_path / "secret")
    link.symlink_to(tmp_path / "secret")
    refused(model, WeightsError, "leads out of the model's folder")
    with pytest.raises(WeightsError, match="leads out of the model's folder"):
        mpscnn.load(model)


def test_links_into_a_download_cache(tmp_path: Path) -> None:
    """Download caches have all files in one folder, and folders of links to them."""
    model, cache = saved(tmp_path), tmp_path / "cache"
    cache.mkdir()
    for number, path in enumerate([path for path in model.rglob("*") if path.is_file()]):
        path.rename(cache / str(number))
        path.symlink_to(cache / str(number))
    assert len(read_network([model]).to_dict()["nodes"]) == 1


def graph_of(model: Path) -> Path:
    return model / "saved_model.pb"


@pytest.mark.parametrize("file", [data_of, index_of, graph_of], ids=["data", "index", "graph"])
@pytest.mark.parametrize("what", ["a pipe", "a folder"])
def test_a_pipe_or_folder_in_place_of_a_file(file: Callable[[Path], Path], what: str, tmp_path: Path) -> None:
    """The message names the file, and not the folder of the model."""
    model = saved(tmp_path)
    path = file(model)
    path.unlink()
    if what == "a pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    for read in (lambda: read_network([model]), lambda: mpscnn.load(model)):
        with pytest.raises(WeightsError, match=f"{path}: (is not a regular file|.*[Ii]s a directory)"):
            read()


# ---- Graphs --------------------------------------------------------------------------------------------------------


def function(
    graph: Graph,
    name: str,
    arguments: Sequence[str],
    result: str,
    nodes: Sequence[tuple[str, str, Sequence[str]]],
) -> Any:
    """Add a function with one result."""
    body = graph.message.library.function.add()
    body.signature.name = name
    for argument in arguments:
        body.signature.input_arg.add(name=argument)
    body.signature.output_arg.add(name="y")
    body.ret.add(key="y", value=result)
    for own, op, inputs in nodes:
        body.node_def.add(name=own, op=op, input=inputs)
    return body


def constant(graph: Graph, shape: Sequence[int], numbers: Sequence[float], name: str = "k") -> str:
    """Add a constant that states only its first numbers."""
    node = graph.message.node.add(name=name, op="Const")
    tensor = node.attr.add(key="value").value.tensor
    tensor.dtype = 1
    set_shape(tensor.tensor_shape, shape)
    tensor.float_val.extend(numbers)
    return name


def calls_in_calls(graph: Graph, image: str) -> str:
    for level in range(40):
        calls = [(own, f"f{level + 1}", ["x"]) for own in ("a", "b")]
        function(graph, f"f{level}", ["x"], "s:z:0", [*calls, ("s", "AddV2", ["a:y:0", "b:y:0"])])
    function(graph, "f40", ["x"], "x", [])
    return graph.node("f0", image)


def calls_itself(graph: Graph, image: str) -> str:
    function(graph, "f", ["x"], "c:y:0", [("c", "f", ["x"])])
    return graph.node("f", image)


def long_body(graph: Graph, image: str) -> str:
    function(graph, "f", ["x"], "x", [(f"n{number}", "Relu", ["x"]) for number in range(2000)])
    for _ in range(100):
        image = graph.node("f", image)
    return image


def short_body(graph: Graph, image: str) -> str:
    """Add a function of 30 operators that is called 300 times: in a file of 23 kB, 9,000 operators."""
    inner = [(f"n{number}", "Relu", [f"n{number - 1}:y:0" if number else "x"]) for number in range(30)]
    function(graph, "f", ["x"], "n29:y:0", inner)
    for _ in range(300):
        image = graph.node("f", image)
    return image


def many_arguments(graph: Graph, image: str) -> str:
    names = [f"a{number}" for number in range(1000)]
    function(graph, "g", names, "a0", [])
    function(graph, "f", ["x"], "c:y:0", [("c", "g", ["x"] * len(names))])
    for _ in range(100):
        image = graph.node("f", image)
    return image


def two_functions_of_a_name(graph: Graph, image: str) -> str:
    function(graph, "f", ["x"], "r:y:0", [("r", "Relu", ["x"])])
    function(graph, "f", ["x"], "r:y:0", [("r", "Neg", ["x"])])
    return graph.node("f", image)


def missing_function(graph: Graph, image: str) -> str:
    return graph.node("PartitionedCall", image)


def two_nodes_of_a_name(graph: Graph, image: str) -> str:
    graph.node("Relu", image, name="twice")
    return graph.node("Neg", image, name="twice")


def circle_of_conditions(graph: Graph, image: str) -> str:
    graph.node("LogicalNot", "second", name="first")
    graph.node("LogicalNot", "first", name="second")
    switch = graph.node("Switch", image, "first")
    return graph.node("Merge", switch, graph.node("Relu", f"{switch}:1"))


def circle_of_merges(graph: Graph, image: str) -> str:
    graph.node("Merge", "second", image, name="first")
    return graph.node("Merge", "first", "missing", name="second")


def conditions_in_conditions(graph: Graph, image: str) -> str:
    condition = graph.constant(np.asarray(True))
    for _ in range(2000):
        switch = graph.node("Switch", condition, condition)
        condition = graph.node("Merge", switch, graph.node("Identity", f"{switch}:1"))
    switch = graph.node("Switch", image, condition)
    return graph.node("Merge", switch, graph.node("Relu", f"{switch}:1"))


def doubled_constants(graph: Graph, image: str) -> str:
    doubled = graph.constant(np.ones(2048, np.float32))
    for _ in range(60):
        doubled = graph.node("ConcatV2", doubled, doubled, graph.constant(0))
    return graph.node("AddV2", image, doubled)


def packed_constants(graph: Graph, image: str) -> str:
    numbers = graph.constant(np.arange(1024))
    return graph.node("AddN", image, *[graph.node("Pack", *[numbers] * 1000) for _ in range(100)])


def gathered_constants(graph: Graph, image: str) -> str:
    numbers, places = (graph.constant(np.zeros(shape, np.int32)) for shape in ((1, 1024), (1024,)))
    gathered = [graph.node("GatherV2", numbers, places, graph.constant(0)) for _ in range(100)]
    return graph.node("AddN", image, *gathered)


def squared_sizes(graph: Graph, image: str) -> str:
    size = graph.node("Mul", graph.node("Shape", image), graph.constant([1, HUGE, 1, 1]))
    for _ in range(60):
        size = graph.node("Mul", size, size)
    return graph.node("Reshape", image, size)


def repeated_numbers(graph: Graph, image: str) -> str:
    constants = [constant(graph, [1 << 20], [1.0, 2.0], f"k{number}") for number in range(100)]
    return graph.node("AddN", image, *constants)


def huge_constant(graph: Graph, image: str) -> str:
    return graph.node("AddV2", image, constant(graph, [HUGE, HUGE], [1.0]))


def constant_of_many_axes(graph: Graph, image: str) -> str:
    return graph.node("AddV2", image, constant(graph, [HUGE] * 20_000, [1.0]))


def empty_constant(graph: Graph, image: str) -> str:
    return graph.node("AddV2", image, constant(graph, [0, HUGE, HUGE], []))


def too_many_numbers(graph: Graph, image: str) -> str:
    return graph.node("AddV2", image, constant(graph, [2], [1.0, 2.0, 3.0]))


def not_a_number(graph: Graph, image: str) -> str:
    return graph.node("AddV2", image, graph.constant(np.float32(np.nan)))


def many_results(graph: Graph, image: str) -> str:
    wide = graph.placeholder(-1, 2, 2, 1024, name="wide")
    parts = [graph.node("Split", graph.constant(3), wide, num_split=1024) for _ in range(20)]
    return graph.node("AddN", image, *parts)


def negative_results(graph: Graph, image: str) -> str:
    return graph.node("Split", graph.constant(3), image, num_split=-3)


def branch_numbers(graph: Graph, image: str) -> str:
    switch = graph.node("Switch", image, graph.constant(np.True_))
    merge = graph.node("Merge", switch, graph.node("Relu", f"{switch}:1"))
    return graph.node("AddN", image, f"{merge}:1")


GRAPHS: dict[Callable[[Graph, str], str], tuple[type[mpscnn.Error], str]] = {
    calls_in_calls: (UnsupportedError, "would become more than"),
    calls_itself: (UnsupportedError, "would become more than"),
    short_body: (UnsupportedError, "would become more than"),
    long_body: (UnsupportedError, "would become more than"),
    many_arguments: (UnsupportedError, "would become more than"),
    two_functions_of_a_name: (WeightsError, "two of its functions have the name 'f'"),
    missing_function: (WeightsError, "contradicts itself"),
    two_nodes_of_a_name: (WeightsError, "two of its operators have the name 'twice'"),
    circle_of_conditions: (WeightsError, "reads its own result"),
    circle_of_merges: (WeightsError, "'missing', which does not exist"),
    conditions_in_conditions: (UnsupportedError, "nested too deeply"),
    doubled_constants: (UnsupportedError, "constants that are computed from others"),
    packed_constants: (UnsupportedError, "constants that are computed from others"),
    gathered_constants: (UnsupportedError, "constants that are computed from others"),
    squared_sizes: (UnsupportedError, "a whole number of more than 64 bits"),
    repeated_numbers: (UnsupportedError, "constants that are computed from others"),
    huge_constant: (WeightsError, "constant 'k': damaged: a constant of the shape"),
    constant_of_many_axes: (UnsupportedError, "a shape of 20000 axes"),
    empty_constant: (WeightsError, "contradicts itself"),
    too_many_numbers: (WeightsError, "3 numbers for a constant"),
    not_a_number: (UnsupportedError, "empty or not finite"),
    many_results: (UnsupportedError, "would become more than"),
    branch_numbers: (UnsupportedError, "uses which branch 'Merge.*' takes"),
    negative_results: (WeightsError, "has -3 results"),
}


@pytest.mark.parametrize(
    "build",
    with_full([build for build in GRAPHS if build is not many_results], [many_results]),
    ids=lambda build: build.__name__,
)
def test_graphs(build: Callable[[Graph, str], str], tmp_path: Path) -> None:
    graph = Graph()
    graph.node("Relu", build(graph, graph.placeholder(-1, -1, 7, 3)), name="result")
    kind, text = GRAPHS[build]
    refused(graph.save(tmp_path / "graph.pb"), kind, text)


@pytest.mark.parametrize(
    ("shape", "kind", "text"),
    [
        ([HUGE] * 20_000, UnsupportedError, "a shape of 20000 axes"),
        ([1, HUGE, HUGE, 3], UnsupportedError, "input 'image': .* extents of 1 to 16777216"),
        ([1, 0, 0, 3], UnsupportedError, "input 'image': .* extents of 1 to 16777216"),
    ],
)
def test_inputs_of_impossible_shapes(
    shape: Sequence[int], kind: type[mpscnn.Error], text: str, tmp_path: Path
) -> None:
    graph = Graph()
    graph.node("Relu", graph.placeholder(*shape), name="result")
    refused(graph.save(tmp_path / "graph.pb"), kind, text)


def test_long_ways_to_one_value(tmp_path: Path) -> None:
    """All 500 consumers read one value through 2000 operators. The reader follows these operators only once."""
    graph = Graph()
    image = graph.placeholder(-1, 6, 7, 3)
    for _ in range(2000):
        image = graph.node("Identity", image)
    graph.node("AddN", *[graph.node("Relu", image) for _ in range(500)], name="result")
    assert len(read_network([graph.save(tmp_path / "graph.pb")]).to_dict()["outputs"]) == 1


def test_a_function_has_its_constants_once(tmp_path: Path) -> None:
    graph = Graph()
    image = graph.placeholder(-1, 64, 64, 16)
    body = function(graph, "f", ["x"], "r:z:0", [("r", "AddV2", ["x", "k:output:0"])])
    held = body.node_def.add(name="k", op="Const")
    set_attribute(held.attr.add(key="value").value, np.ones((64, 64, 16), np.float32))
    set_attribute(held.attr.add(key="dtype").value, Type("float32"))
    for _ in range(20):
        image = graph.node("f", image)
    path = graph.save(tmp_path / "graph.pb")
    x = np.zeros((1, 64, 64, 16), np.float32)
    np.testing.assert_array_equal(read_network([path]).compile(device="cpu").run(x), x + 20)


def test_a_chain_of_negations_is_followed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of 100 branches asks for its condition, after up to 100 negations of one constant."""
    graph, count = Graph(), 100
    image = graph.placeholder(-1, 6, 7, 3)
    condition = graph.constant(np.True_)
    for _ in range(count):
        condition = graph.node("LogicalNot", condition)
        switch = graph.node("Switch", image, condition)
        image = graph.node("Merge", graph.node("Relu", switch), graph.node("Tanh", f"{switch}:1"))
    graph.node("Relu", image, name="result")
    steps = calls(monkeypatch, ValueResolver, "source")
    layers = read_network([graph.save(tmp_path / "graph.pb")]).to_dict()["nodes"]
    assert len(layers) == count + 1
    assert len(steps) < 20 * count


def test_a_merge_of_many_branches_is_followed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, count = Graph(), 100
    image = graph.placeholder(-1, 6, 7, 3)
    dead = graph.node("Switch", image, graph.constant(np.True_))
    merge = graph.node("Merge", image, *[graph.node("Relu", dead) for _ in range(count)])
    graph.node("AddN", *[graph.node("Tanh", merge) for _ in range(count)], name="result")
    asked = calls(monkeypatch, ValueResolver, "_is_taken")
    read_network([graph.save(tmp_path / "graph.pb")])
    assert len(asked) == count + 1


def test_results_of_one_operator_are_named_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator of 405 bytes has 1,024 results. Its layers are visited once, and not once for each result."""
    graph = Graph()
    wide = graph.placeholder(-1, 2, 1024, name="wide")
    parts = graph.node("Unpack", wide, num=1024, axis=2)
    graph.node("Relu", f"{parts}:1023", name="result")
    ends = calls(monkeypatch, Builder, "end")
    read_network([graph.save(tmp_path / "graph.pb")])
    assert sorted(len(results) for _, results in ends)[-2:] == [1, 1024]


def test_the_size_of_the_files_is_asked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a checkpoint, the size is known only after its index is read."""
    monkeypatch.setattr(budget, "ELEMENTS_FREE", 0)
    monkeypatch.setattr(budget, "OPERATIONS_FREE", 0)
    asked = calls(monkeypatch, graph_file, "total_size")
    graph = Graph()
    image = graph.placeholder(-1, 6, 7, 3)
    for number in range(20):
        image = graph.node("AddV2", image, graph.constant(np.arange(1.0 + number)[-1:].repeat(3)))
    graph.node("Relu", image, name="result")
    read_network([graph.save(tmp_path / "graph.pb")])
    assert 1 <= len(asked) <= 3


# ---- TensorFlow.js -------------------------------------------------------------------------------------------------


def web(folder: Path) -> tuple[Path, dict[str, Any]]:
    graph = Graph()
    image = graph.placeholder(-1, 6, 7, 3)
    kernel = graph.constant(KERNEL, name="kernel")
    made = graph.node("Conv2D", image, kernel, strides=[1, 1, 1, 1], padding="SAME")
    graph.node("BiasAdd", made, graph.constant(np.ones(5), name="bias"), name="result")
    (folder / "model").mkdir()
    path = save_web_graph(folder / "model" / "model.json", graph)
    return path, json.loads(path.read_text())


def with_names(*names: Any) -> Mapping[str, Any]:
    return {"paths": list(names)}


SHARD = "group1-shard0.bin"
MANIFESTS: dict[str, tuple[Mapping[str, Any], type[mpscnn.Error], str]] = {
    "parent": (with_names("a/../../x"), WeightsError, "not a file in the model's folder"),
    "absolute": (with_names("/etc/hostname"), WeightsError, "not a file in the model's folder"),
    "drive": (with_names("C:/x"), WeightsError, "not a file in the model's folder"),
    "backslash": (with_names("..\\x"), WeightsError, "not a file in the model's folder"),
    "empty": (with_names(""), WeightsError, "not a file in the model's folder"),
    "folder": (with_names("."), WeightsError, "not a file in the model's folder"),
    "link": (with_names("link.bin"), WeightsError, "not a file in the model's folder"),
    "missing": (with_names("x.bin"), WeightsError, "x.bin: cannot be read"),
    "text": ({"paths": SHARD}, WeightsError, "are not a list"),
    "no list": ({"paths": None}, WeightsError, "are not a list"),
    "repeated file": (with_names(SHARD, f"./{SHARD}"), WeightsError, "twice"),
    "no files": (with_names(), WeightsError, "take 560 bytes, and their files \\(none\\) have 0"),
    "no weights": ({"weights": None}, WeightsError, "contradicts itself"),
    "one weight too few": ({"weights": []}, WeightsError, "does not have 'kernel'"),
}
WEIGHTS: dict[str, tuple[Mapping[str, Any], type[mpscnn.Error], str]] = {
    "name": ({"name": "bias"}, WeightsError, "lists the weight 'bias' twice"),
    "more elements": ({"shape": [3, 3, 3, 6]}, WeightsError, "take 668 bytes, and their files"),
    "fewer elements": ({"shape": [3, 3, 3, 4]}, WeightsError, "take 452 bytes, and their files"),
    "huge": ({"shape": [HUGE] * 3}, WeightsError, "more than 16 times"),
    "many axes": ({"shape": [HUGE] * 20_000}, WeightsError, "has the shape"),
    "negative": ({"shape": [3, 3, -3, -5]}, WeightsError, "has the shape"),
    "fraction": ({"shape": [3.5, 3, 3, 5]}, WeightsError, "has the shape"),
    "not a number": ({"shape": [float("nan"), 3, 3, 5]}, WeightsError, "has the shape"),
    "text as shape": ({"shape": "3335"}, WeightsError, "has the shape"),
    "texts": ({"dtype": "string"}, UnsupportedError, "numbers of type 'string'"),
    "no type": ({"dtype": {}}, WeightsError, "contradicts itself"),
    "integers": ({"dtype": "int32"}, WeightsError, "type int32, and the graph expects float32"),
    "scale": (
        {"quantization": {"dtype": "float32", "scale": float("nan"), "min": 0}},
        WeightsError,
        "has the number nan",
    ),
    "infinite results": (
        {"quantization": {"dtype": "float32", "scale": 1e308, "min": 1e308}},
        WeightsError,
        "must hold finite numbers",
    ),
    "list of settings": ({"quantization": [1]}, WeightsError, "contradicts itself"),
}


def changed(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    path, described = web(folder)
    change(described)
    path.write_text(json.dumps(described))
    return path


@pytest.mark.parametrize("name", MANIFESTS)
def test_lists_of_files(name: str, tmp_path: Path) -> None:
    replaced, kind, text = MANIFESTS[name]
    path = changed(tmp_path, lambda described: described["weightsManifest"][0].update(replaced))
    (tmp_path / "secret").write_bytes(bytes(560))
    (path.parent / "link.bin").symlink_to(tmp_path / "secret")
    refused(path, kind, text)


@pytest.mark.parametrize("name", WEIGHTS)
def test_descriptions_of_weights(name: str, tmp_path: Path) -> None:
    replaced, kind, text = WEIGHTS[name]

    def change(described: dict[str, Any]) -> None:
        weights = described["weightsManifest"][0]["weights"]
        next(one for one in weights if one["name"] == "kernel").update(replaced)

    refused(changed(tmp_path, change), kind, text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        (f'{{"a": {"9" * 5000}}}', "is not JSON"),
        ("\x00", "is not JSON"),
        ('{"modelTopology": {"node": [3]}}', "contradicts itself"),
        ('{"modelTopology": {"node": [], "library": [1]}}', "contradicts itself"),
        ('{"modelTopology": {"model_config": 3}}', "its model is"),
        ('{"modelTopology": {}, "weightsManifest": {"a": 1}}', "contradicts itself"),
        ('{"modelTopology": {}, "weightsManifest": 3}', "contradicts itself"),
    ],
)
def test_descriptions(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text(text)
    refused(path, (UnsupportedError if "nested" in reason else WeightsError), reason)


def test_calls_without_a_function_in_a_web_graph(tmp_path: Path) -> None:
    call = {"name": "call", "op": "PartitionedCall", "input": ["result"]}
    path = changed(tmp_path, lambda described: described["modelTopology"]["node"].append(call))
    refused(path, WeightsError, "contradicts itself")


def test_bytes_that_are_not_in_base64(tmp_path: Path) -> None:
    shape = {"dim": [{"size": "3"}]}
    value = {"tensor": {"dtype": "DT_FLOAT", "tensorShape": shape, "tensorContent": "AAAA!AAAAAAAAAAAA"}}
    constant = {"name": "k", "op": "Const", "attr": {"dtype": {"type": "DT_FLOAT"}, "value": value}}
    path = changed(tmp_path, lambda described: described["modelTopology"]["node"].append(constant))
    refused(path, WeightsError, "contradicts itself")


@pytest.mark.parametrize("change", [b"0000", None])
def test_files_of_another_size(change: bytes | None, tmp_path: Path) -> None:
    path, _ = web(tmp_path)
    shard = path.parent / SHARD
    content = shard.read_bytes()
    shard.write_bytes(content + change if change else content[:-1])
    refused(path, WeightsError, "download all files of the model again")


def test_layers_that_share_a_weight(tmp_path: Path) -> None:
    """A layer in a model may read a weight whose name lacks the model's name, so many layers may share one weight."""
    image = {"class_name": "InputLayer", "config": {"name": "image", "batch_input_shape": [None, 8, 8, 64]}}
    settings = {"filters": 64, "kernel_size": [3, 3], "padding": "same", "use_bias": False, "name": "conv"}
    layers: list[Any] = [image]
    for number in range(40):
        inner = {"name": f"m{number}", "layers": [{"class_name": "Conv2D", "config": settings}]}
        layers.append({"class_name": "Sequential", "config": inner})
    model = {"class_name": "Sequential", "config": {"name": "large", "layers": layers}}
    described = {"format": "layers-model", "modelTopology": {"model_config": model}}
    path = save_web(tmp_path / "model.json", described, {"conv/kernel": np.ones((3, 3, 64, 64), np.float32)})
    refused(path, WeightsError, "more than 16 times")


# ---- Many layers ---------------------------------------------------------------------------------------------------


def frozen(folder: Path, graph: Graph) -> Path:
    path = folder / "frozen.pb"
    path.write_bytes(graph.message.SerializeToString())
    return path


@pytest.mark.parametrize("kind", ["Expm1", "Cosh"])
def test_layers_of_many_operators_are_counted(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chain of 1000 such layers would take seconds to read. With a lower limit, the test reads fewer of them."""
    monkeypatch.setattr(budget, "OPERATIONS_FREE", 1 << 27)

    def chain(count: int) -> Path:
        graph = Graph()
        x = graph.placeholder(-1, 4)
        for _ in range(count):
            x = graph.node(kind, x, T=Type("float32"))
        return frozen(tmp_path, graph)

    read(chain(20))
    refused(chain(200), UnsupportedError, "operators of many layers, would take")


def test_a_layer_of_many_operands_says_how_many(tmp_path: Path) -> None:
    graph = Graph()
    x = graph.placeholder(-1, 4)
    graph.node("AddN", *[x] * 1025, name="sum", T=Type("float32"), N=1025)
    refused(
        frozen(tmp_path, graph),
        WeightsError,
        "layer 'sum' .AddN. reads 1025 blobs and computes 1; at most 1024",
    )


# ---- Every cut -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", with_full([61], [1]))
def test_every_cut_is_refused(step: int, tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    model, description = saved(tmp_path), web(tmp_path / "web")[0]
    for path, file in [
        *((model, file) for file in (model / "saved_model.pb", index_of(model), data_of(model))),
        *((description, file) for file in (description, description.parent / SHARD)),
    ]:
        whole = file.read_bytes()
        for length in {*range(0, len(whole), step), len(whole) - 1}:
            file.write_bytes(whole[:length])
            refused(path, mpscnn.Error, None)
        file.write_bytes(whole)
    read_network([model])
    read_network([description])
