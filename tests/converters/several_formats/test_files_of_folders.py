"""Test models that are folders of files, when one of the files cannot be read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from converters.coreml_writer import Program
from converters.mil_text import compiled
from converters.tensorflow_writer import Graph, save_model, save_web_graph

import mpscnn
from mpscnn import converters


def _program() -> Program:
    program = Program({"x": (1, 4)})
    weights = np.ones((5, 4), np.float32)
    program.constant("w", weights.tobytes(), kind=11, stored=2, shape=weights.shape)
    program.add("linear", x="%x", weight="%w")
    return program


def _package(folder: Path) -> object:
    return _program().saved(folder / "model.mlpackage")


def _compiled(folder: Path) -> object:
    inputs = [{"name": "photo", "type": "Image", "colorspace": "RGB", "width": "8", "height": "6"}]
    return compiled(_program(), folder / "model.mlmodelc", new=False, inputs=inputs)


def _saved_model(folder: Path) -> object:
    graph = Graph()
    image = graph.placeholder(-1, 6, 8, 3)
    graph.node("VarHandleOp", name="kernel", shared_name="kernel")
    weights = graph.node("ReadVariableOp", "kernel")
    graph.node("Conv2D", image, weights, strides=[1, 1, 1, 1], padding="VALID", name="result")
    kernel = {"kernel": np.ones((2, 2, 3, 4), np.float32)}
    return save_model(folder / "model", graph, {"image": "image"}, {"result": "result"}, kernel)


def _web_model(folder: Path) -> object:
    graph = Graph()
    filters = graph.constant(np.ones((2, 2, 3, 4), np.float32))
    image = graph.placeholder(-1, 6, 8, 3)
    graph.node("Conv2D", image, filters, strides=[1, 1, 1, 1], padding="VALID", name="result")
    return save_web_graph(folder / "model.json", graph)


def _link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def _link_to_nothing(path: Path) -> None:
    path.symlink_to("nothing")


def _folder(path: Path) -> None:
    path.mkdir()


def _pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("put", [_link_to_itself, _link_to_nothing, _folder, _pipe])
@pytest.mark.parametrize("save", [_package, _compiled, _saved_model, _web_model])
def test_each_file_is_needed(
    save: Callable[[Path], object], put: Callable[[Path], None], tmp_path: Path
) -> None:
    save(tmp_path)
    (model,) = (path for path in tmp_path.iterdir() if path.suffix != ".bin")
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    converters.read_network(model)
    assert len(files) > 1
    for path in files:
        content = path.read_bytes()
        path.unlink()
        put(path)
        with pytest.raises(mpscnn.Error, match=r"model|shard"):
            mpscnn.load(model)
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        path.write_bytes(content)


@pytest.mark.parametrize("put", [_link_to_itself, _link_to_nothing, _folder, _pipe])
@pytest.mark.parametrize("save", [_package, _compiled])
def test_other_files_are_not(
    save: Callable[[Path], object], put: Callable[[Path], None], tmp_path: Path
) -> None:
    save(tmp_path)
    (model,) = tmp_path.iterdir()
    (weights,) = tmp_path.rglob("weight.bin")
    put(weights.parent / "other.bin")
    converters.read_network(model)
    mpscnn.load(model)
