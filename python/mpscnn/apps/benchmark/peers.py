"""List the other engines for benchmarks (peers): the packages that each needs, and how its file is written."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mpscnn import _core
from mpscnn._private.child_python import code_command, inherited_environment
from mpscnn.apps.benchmark.peer_files.layer import PeerLayer, peer_layers
from mpscnn.apps.benchmark.subject import Subject
from mpscnn.converters.conversion_cache import kept_type
from mpscnn.errors import Error, ParameterError, UnsupportedError


@dataclass(frozen=True)
class Peer:
    """Another engine for benchmarks, and how a network becomes its file."""

    modules: tuple[str, ...]
    """The Python modules that must be installed."""
    install: str
    """The packages to install with pip."""
    distribution: str
    """The package whose version is reported."""
    file: str
    """The name of the file that the engine reads."""
    write: Callable[[Subject, Path], None]
    """The function that writes this file, and files that belong to it, into the same folder."""
    bfloat16: bool = False
    """True if the engine can run in bfloat16."""


def version_of(engine: str) -> str:
    """Return the version of an engine's installed package."""
    return _core.version() if engine == "mpscnn" else importlib.metadata.version(PEERS[engine].distribution)


def network_file(engine: str, subject: Subject, directory: Path) -> Path:
    """Return the network's file for an engine. It is written into the directory if it does not exist."""
    if engine == "litert" and subject.tflite is not None:
        return subject.tflite
    path = directory / (PEERS[engine].file if engine in PEERS else "network.safetensors")
    if not path.exists():
        if engine in PEERS:
            PEERS[engine].write(subject, path)
        else:
            subject.network.save(path, dtype=kept_type(subject.network))
    return path


def _onnx(subject: Subject, path: Path) -> None:
    from mpscnn.converters.onnx_writer.export import export

    export(subject.network, path, layout="nchw", dtype="uint8" if subject.is_quantized else "float32")


def _tflite(subject: Subject, path: Path) -> None:
    _refuse_integers("litert", subject)
    from mpscnn.apps.benchmark.peer_files.tflite_writer import write_tflite

    write_tflite(subject.network, subject.input_shape, path)


def _refuse_integers(engine: str, subject: Subject) -> None:
    """Raise UnsupportedError for a quantised network.

    The engine would run it in floats, which would not be a fair comparison.
    """
    if subject.is_quantized:
        raise UnsupportedError(f"{engine}: mpscnn does not write networks of integers for it")


def _torch(subject: Subject, path: Path) -> None:
    _refuse_integers("torch", subject)
    from mpscnn.apps.benchmark.peer_files.torch_writer import write_torch

    write_torch(subject.network, subject.input_shape, path)


def _ncnn(subject: Subject, path: Path) -> None:
    _refuse_integers("ncnn", subject)
    # Call the program pnnx, because importing its package imports torch. The batch is 1, because ncnn has no batches.
    spec = importlib.util.find_spec("pnnx")
    assert spec is not None
    assert spec.origin is not None
    shape = ",".join(str(subject.input_shape[axis]) for axis in (3, 1, 2))
    onnx = str(network_file("onnxruntime", subject, path.parent))
    _convert(
        "ncnn",
        [str(Path(spec.origin).with_name("pnnx").absolute()), onnx, f"inputshape=[1,{shape}]", "fp16=0"],
    )
    resizes = (layer for layer in peer_layers(subject.network, 1) if layer.operation == "resize")
    lines = [_with_resize(line, resizes) for line in path.read_text().splitlines()]
    path.write_text("\n".join(lines) + "\n")


def _with_resize(line: str, resizes: Iterator[PeerLayer]) -> str:
    """Return a line of ncnn's file with ONNX's Resize replaced by ncnn's Interp. pnnx does not convert Resize."""
    if line.split(maxsplit=1)[0] != "Resize":
        return line
    layer = next(resizes)
    kind = layer.resize_kind("ncnn")
    _, height, width, _ = layer.shape
    settings = f"0={1 if kind.startswith('nearest') else 2} 3={height} 4={width}"
    corners = " 6=1" if kind.endswith("corners") else ""
    return f"{line.replace('Resize', 'Interp', 1)} {settings}{corners}"


def _mnn(subject: Subject, path: Path) -> None:
    # its converter does not understand ONNX files with QuantizeLinear and DequantizeLinear
    _refuse_integers("mnn", subject)
    onnx = str(network_file("onnxruntime", subject, path.parent))
    arguments = [
        "mnnconvert",
        "-f",
        "ONNX",
        "--modelFile",
        onnx,
        "--MNNModel",
        str(path),
        "--bizCode",
        "mpscnn",
    ]
    # The command `mnnconvert` is not used: it installs packages and sends usage data to MNN's developers.
    script = "import sys, _tools; _tools.mnnconvert(sys.argv[1:])"
    _convert("mnn", code_command(script, *arguments))


def _convert(engine: str, command: Sequence[str]) -> None:
    result = subprocess.run(
        command, capture_output=True, text=True, errors="replace", env=inherited_environment()
    )
    if result.returncode != 0:
        raise Error(f"{engine}: its converter failed (exit code {result.returncode}): {result.stderr[-500:]}")


PEERS = {
    "onnxruntime": Peer(("onnxruntime", "onnx"), '"mpscnn[bench]"', "onnxruntime", "network.onnx", _onnx),
    "litert": Peer(("ai_edge_litert",), '"mpscnn[bench]"', "ai-edge-litert", "network.tflite", _tflite),
    "openvino": Peer(("openvino", "onnx"), "openvino onnx", "openvino", "network.onnx", _onnx, bfloat16=True),
    "ncnn": Peer(
        ("ncnn", "pnnx", "onnx"), "ncnn pnnx onnx", "ncnn", "network.ncnn.param", _ncnn, bfloat16=True
    ),
    "mnn": Peer(("MNN", "onnx"), "MNN onnx", "MNN", "network.mnn", _mnn, bfloat16=True),
    "torch": Peer(("torch",), "torch", "torch", "network.pt", _torch, bfloat16=True),
}


def require_peer(engine: str, precision: str = "float32") -> None:
    """Raise ParameterError for an unknown engine, UnsupportedError for one that cannot be measured here."""
    if engine not in PEERS:
        raise ParameterError(f"engines to compare with are {', '.join(PEERS)}, got {engine!r}")
    peer = PEERS[engine]
    missing = [module for module in peer.modules if importlib.util.find_spec(module) is None]
    if missing:
        are = "is" if len(missing) == 1 else "are"
        raise UnsupportedError(f"{' and '.join(missing)} {are} not installed: pip install {peer.install}")
    if precision == "bfloat16" and not peer.bfloat16:
        raise UnsupportedError(f"{engine} does not compute in bfloat16 here")
