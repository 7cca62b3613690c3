"""Test replacing files: links and pipes are kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from command_line import colour_network

import mpscnn
from mpscnn.converters import export_onnx

WRITERS = {"model.safetensors": mpscnn.Network.save, "model.onnx": export_onnx}


@pytest.fixture(params=WRITERS)
def name(request: pytest.FixtureRequest) -> str:
    """Return the name of a file to write."""
    if request.param == "model.onnx":
        pytest.importorskip("onnx", reason="needs onnx")
    return str(request.param)


def test_of_a_link_the_file_that_it_names_is_replaced(name: str, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    file, link = tmp_path / "far" / name, tmp_path / name
    file.write_bytes(b"old")
    link.symlink_to(Path("far", name))
    WRITERS[name](colour_network(), link)
    assert link.is_symlink()
    assert len(file.read_bytes()) > 100
    assert list((tmp_path / "far").iterdir()) == [file]


def test_a_link_to_nothing_says_where_the_file_goes(name: str, tmp_path: Path) -> None:
    link = tmp_path / name
    link.symlink_to("new")
    WRITERS[name](colour_network(), link)
    assert link.is_symlink()
    assert (tmp_path / "new").stat().st_size > 100


def test_a_pipe_stays(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(mpscnn.WeightsError, match="not a regular file"):
        WRITERS[name](colour_network(), tmp_path / name)
    assert (tmp_path / name).is_fifo()
    assert list(tmp_path.iterdir()) == [tmp_path / name]
