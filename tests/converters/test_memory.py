"""Reading and converting a file take at most twice its size in memory: the network, and one layer of the file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from converters.torch_writer import safetensors_file, state_dict_file, state_of

import mpscnn
from mpscnn import models
from mpscnn.converters import export_onnx
from mpscnn.converters.peers.tflite_writer import write_tflite

_PROGRAM = """
import os, sys
from mpscnn.converters import convert_files, read_network

def memory(kind):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(kind))

def used(name):
    if sys.argv[1] == "read":
        return read_network([name])
    return convert_files([name], "result.safetensors", dtype=sys.argv[1])

used(sys.argv[2])  # what is imported and kept
before = memory("VmRSS")
network = used(sys.argv[3])
print((memory("VmHWM") - before) / os.path.getsize(sys.argv[3]))
assert "torch" not in sys.modules and "tensorflow" not in sys.modules and "keras" not in sys.modules
"""


def _onnx(network: mpscnn.Network, path: Path) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    export_onnx(network, path)


def _pth(network: mpscnn.Network, path: Path) -> None:
    path.write_bytes(state_dict_file(state_of(network.weights)))


def _legacy_pth(network: mpscnn.Network, path: Path) -> None:
    path.write_bytes(state_dict_file(state_of(network.weights), "legacy"))


def _safetensors(network: mpscnn.Network, path: Path) -> None:
    path.write_bytes(safetensors_file(state_of(network.weights)))


def _tflite(network: mpscnn.Network, path: Path) -> None:
    write_tflite(network, (1, 224, 224, 3), path)


_WRITERS: dict[str, Callable[[mpscnn.Network, Path], None]] = {
    "net.onnx": _onnx,
    "net.pth": _pth,
    "legacy.pth": _legacy_pth,
    "net.safetensors": _safetensors,
}


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted as Linux tells it")
@pytest.mark.parametrize("what", ["read", "float16"])
@pytest.mark.parametrize("name", _WRITERS)
def test_at_most_twice_the_size_of_the_file(tmp_path: Path, name: str, what: str) -> None:
    for build, file in ((models.mnasnet0_5, f"small_{name}"), (models.mnasnet1_3, name)):
        network = build(classes=1000)
        network.initialize_weights(seed=1)
        _WRITERS[name](network, tmp_path / file)
    program = [sys.executable, "-c", _PROGRAM, what, f"small_{name}", name]
    result = subprocess.run(program, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert 0.9 < float(result.stdout) < 2.0
