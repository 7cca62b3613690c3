"""Walk over the operators of formats with extreme operands: each small file is read or refused at little cost."""

from __future__ import annotations

import contextlib
import importlib
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from mpscnn import converters
from mpscnn.errors import Error
from mpscnn.training.checkpoint import read_checkpoint

pytest.importorskip("onnx", reason="needs onnx")
FUZZ = Path(__file__).parent
#: The largest allocations of the default tier: a few arrays of the largest size that a reader makes itself.
ALLOCATED = 450 << 20

CAFFE_WEIGHTS = {"extreme": [np.ones((4, 4, 3, 3)), np.ones(4)]}

Files = Iterator[tuple[str, bytes]]
#: Models of several files, by their paths.
Folders = Iterator[tuple[str, dict[str, bytes]]]


@pytest.fixture(autouse=True)
def _modules_of_this_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FUZZ.parent)
    monkeypatch.syspath_prepend(FUZZ)


def module(name: str) -> Any:
    return importlib.import_module(name)


def onnx_draws(seed: int, count: int) -> Files:
    yield from module("extreme_files").draws(seed, count)


def onnx_examples(_seed: int, _count: int) -> Files:
    yield from module("extreme_files").enlarged_examples()


def graphs(seed: int, count: int) -> Files:
    yield from module("extreme_graphs").draws(seed, count)


def neural_networks(seed: int, count: int) -> Files:
    table = module("converters.coreml.test_coreml_layers").TABLE
    one_layer = module("converters.coreml_writer").one_layer
    for name, case in table.items():
        yield from changed(name, one_layer(case.kind, case.fill, case.shapes, exact=case.exact), seed, count)


def programs(seed: int, count: int) -> Files:
    programs = module("converters.coreml.test_coreml_programs")
    for name, case in programs.TABLE.items():
        yield from changed(name, programs.made_of(case)[0].message, seed, count)


def tflite_operators(seed: int, count: int) -> Files:
    yield from module("extreme_layers").tflite_draws(seed, count)


def keras_layers(seed: int, count: int) -> Files:
    yield from module("extreme_layers").keras_draws(seed, count)


def caffe_layers(seed: int, count: int) -> Files:
    yield from module("extreme_layers").caffe_draws(seed, count)


def torch_files(seed: int, count: int) -> Files:
    yield from module("extreme_weights").torch_draws(seed, count)


def safetensors_files(seed: int, count: int) -> Files:
    yield from module("extreme_weights").safetensors_draws(seed, count)


def checkpoints(seed: int, count: int) -> Files:
    yield from module("extreme_weights").checkpoint_draws(seed, count)


def packages(seed: int, count: int) -> Folders:
    yield from folders("save_package", seed, count)


def compiled_models(seed: int, count: int) -> Folders:
    yield from folders("save_compiled", seed, count)


def saved_models(seed: int, count: int) -> Folders:
    yield from folders("save_saved_model", seed, count)


def web_models(seed: int, count: int) -> Folders:
    yield from folders("save_web_model", seed, count)


def folders(save: str, seed: int, count: int) -> Folders:
    write = getattr(module("converters.folder_models"), save)
    yield from module("extreme_folders").draws(write, seed, count)


def changed(name: str, message: Any, seed: int, count: int) -> Files:
    """Yield some of the extreme forms of an example."""
    found = list(module("extreme_messages").extreme_messages(message))
    for what, made in Random(f"{name}/{seed}").sample(found, min(count, len(found))):
        yield f"{name}, {what}", made.SerializeToString()


Draws = Callable[[int, int], Iterator[tuple[str, bytes | dict[str, bytes]]]]
#: The number of files in the full tier, of formats that are not drawn for each operator.
WITHOUT_OPERATORS = 400
#: The files of each format: their suffix, and the number of draws in the full tier, for each operator if it has some.
FORMATS: dict[Draws, tuple[str, int]] = {
    onnx_draws: (".onnx", 30),
    onnx_examples: (".onnx", 1),
    graphs: (".pb", 30),
    neural_networks: (".mlmodel", 10),
    programs: (".mlmodel", 10),
    tflite_operators: (".tflite", 30),
    keras_layers: (".h5", 30),
    caffe_layers: (".prototxt", 30),
    torch_files: (".pth", WITHOUT_OPERATORS),
    safetensors_files: (".safetensors", WITHOUT_OPERATORS),
    checkpoints: (".npz", WITHOUT_OPERATORS),
    packages: (".mlpackage", WITHOUT_OPERATORS),
    compiled_models: (".mlmodelc", WITHOUT_OPERATORS),
    saved_models: ("", WITHOUT_OPERATORS),
    web_models: ("/model.json", WITHOUT_OPERATORS),
}
#: The number of such files in the test of allocations.
FEW = 40


def write(path: Path, content: bytes | dict[str, bytes]) -> int:
    """Write the files of a model, and return their size."""
    files = {path: content} if isinstance(content, bytes) else {}
    if isinstance(content, dict):
        files = {path.parents[path.name == "model.json"] / name: one for name, one in content.items()}
    for place, one in files.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(one)
    return sum(map(len, files.values()))


def read(path: Path) -> object:
    if path.suffix in (".pth", ".safetensors"):
        return module("extreme_weights").read_weights(path)
    if path.suffix == ".npz":
        return read_checkpoint(path)
    if path.suffix == ".prototxt":
        weights = path.with_suffix(".caffemodel")
        weights.write_bytes(module("converters.caffe_writer").weights(CAFFE_WEIGHTS))
        return converters.read_network([path, weights])
    return converters.read_network([path])


def cost(path: Path) -> int:
    """Return the largest number of bytes that reading a file allocates at a time."""
    tracemalloc.start()
    try:
        with contextlib.suppress(Error):
            read(path)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("draws", [draws for draws in FORMATS if draws is not onnx_examples])
def test_extreme_files_allocate_little(draws: Draws, tmp_path: Path, full: bool) -> None:
    """Read a file for each operator, and some of weights. The default tier reads one of eight of them."""
    (suffix, number), count = FORMATS[draws], 0
    path = tmp_path / f"extreme{suffix}"
    drawn = FEW if number == WITHOUT_OPERATORS else 1
    for name, content in islice(draws(1, drawn), 0, None, 1 if full else 8):
        size = write(path, content)
        peak = cost(path)
        assert peak < ALLOCATED, f"{name}: {peak:,} bytes for files of {size:,}"
        count += 1
    assert count > 4


@pytest.mark.full
@pytest.mark.parametrize("draws", FORMATS)
def test_extreme_files_cost_little(draws: Draws, tmp_path: Path) -> None:
    from small_costs import measure

    suffix, drawn = FORMATS[draws]
    path, findings, accepted, count = tmp_path / f"extreme{suffix}", [], 0, 0
    for name, content in draws(2, drawn):
        size = write(path, content)
        if not count:
            cost(path)  # imports the reader before the process is forked
        outcome = measure(read, path)
        count += 1
        accepted += outcome.kind == "accepted"
        if outcome.finding:
            findings.append(f"{name} ({size} bytes): {outcome.finding}")
    assert not findings, "\n".join(findings[:50])
    assert accepted > count // 20
