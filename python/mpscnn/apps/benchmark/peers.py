"""List the other engines for benchmarks (peers): the packages that each needs, and how its file is written."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mpscnn import _core
from mpscnn._private.child_python import code_command, inherited_environment
from mpscnn._private.files import exists
from mpscnn._private.installation import DISTRIBUTION
from mpscnn.apps.benchmark.ncnn_file import pnnx_command, replace_resizes
from mpscnn.apps.benchmark.subject import Subject
from mpscnn.converters.formats.conversion_cache import kept_type
from mpscnn.errors import Error, UnsupportedError
from mpscnn.graph.network import Network

_ENGINES = Path(__file__).with_name("engines.py")


@dataclass(frozen=True)
class Peer:
    """An engine for benchmarks, and how a network becomes its file."""

    name: str
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
    integers: bool = False
    """True if its file of a quantised network has integers.

    Other engines would run the network in floats, which would not be a fair comparison.
    """
    adapters: Path = _ENGINES
    """The Python file whose dictionary ENGINES has the class that runs the engine, by name."""

    @property
    def version(self) -> str:
        """The version of the installed package."""
        return importlib.metadata.version(self.distribution)

    def network_file(self, subject: Subject, directory: Path) -> Path:
        """Return the network's file for this engine. It is written into the directory if it does not exist.

        If the network was read from a TensorFlow Lite file, an engine for such files gets what mpscnn reads of it.
        Raises UnsupportedError for a quantised network without `integers`.
        """
        path = directory / self.file
        if exists(path):
            return path
        if subject.tflite is not None and self.file.endswith(".tflite"):
            from mpscnn.converters.reading.tflite.cut import cut_tflite

            path.write_bytes(cut_tflite(subject.tflite))
        else:
            if subject.is_quantized and not self.integers:
                raise UnsupportedError(f"{self.name}: mpscnn does not write networks of integers for it")
            self.write(subject, path)
        return path

    def require(self, precision: str = "float32") -> None:
        """Raise UnsupportedError if the engine is not installed or lacks the precision."""
        missing = [module for module in self.modules if importlib.util.find_spec(module) is None]
        if missing:
            are = "is" if len(missing) == 1 else "are"
            raise UnsupportedError(f"{' and '.join(missing)} {are} not installed: pip install {self.install}")
        if precision == "bfloat16" and not self.bfloat16:
            raise UnsupportedError(f"{self.name} does not compute in bfloat16 here")


class _Mpscnn(Peer):
    @property
    def version(self) -> str:
        """The version of the C++ core. It is known even if the package is not installed."""
        return _core.version()


def _safetensors(subject: Subject, path: Path) -> None:
    subject.network.save(path, dtype=kept_type(subject.network))


def _onnx(subject: Subject, path: Path) -> None:
    from mpscnn.converters.writing.onnx.export import export

    if subject.is_quantized:
        export(with_unsigned_bytes(subject.network), path, layout="nchw", dtype="uint8")
    else:
        export(subject.network, path, layout="nchw", dtype="float32")


def with_unsigned_bytes(network: Network) -> Network:
    """Return a quantised network whose tensors are uint8 instead of int8, with 128 added to their zero points.

    Weights stay as they are. It is the form that quantisers of onnxruntime and OpenVINO write, and for which both have
    their fastest kernels: with int8 tensors, OpenVINO 2026.4 computes in float32 on processors with AMX.
    """
    structure = network.to_dict()
    for entry in (*structure["inputs"], *structure["nodes"]):
        stated = entry.get("quantization")
        if stated is not None and stated["type"] == "int8":
            stated |= {"type": "uint8", "zero_point": stated["zero_point"] + 128}
    return network.restructured(structure)


def _tflite(subject: Subject, path: Path) -> None:
    from mpscnn.converters.writing.tflite.export import export

    # The other engines compute a detector's boxes and scores without choosing boxes. A copy of the structure has no
    # detection settings.
    network = subject.network.restructured(subject.network.to_dict())
    export(network, path, dtype="uint8" if subject.is_quantized else "float32")


def _ncnn(subject: Subject, path: Path) -> None:
    onnx = PEERS["onnxruntime"].network_file(subject, path.parent)
    _convert("ncnn", pnnx_command(onnx, subject.input_shape))
    replace_resizes(subject.network, path)


def _mnn(subject: Subject, path: Path) -> None:
    onnx = str(PEERS["onnxruntime"].network_file(subject, path.parent))
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


MPSCNN = _Mpscnn(
    "mpscnn", (), "mpscnn", "mpscnn", "network.safetensors", _safetensors, bfloat16=True, integers=True
)
"""mpscnn itself."""

_PEERS = (
    Peer(
        "onnxruntime",
        ("onnxruntime", "onnx"),
        f"'{DISTRIBUTION}[bench]'",
        "onnxruntime",
        "network.onnx",
        _onnx,
        integers=True,
    ),
    Peer(
        "litert",
        ("ai_edge_litert",),
        f"'{DISTRIBUTION}[bench]'",
        "ai-edge-litert",
        "network.tflite",
        _tflite,
        integers=True,
    ),
    Peer(
        "openvino",
        ("openvino", "onnx"),
        "openvino onnx",
        "openvino",
        "network.onnx",
        _onnx,
        bfloat16=True,
        integers=True,
    ),
    Peer(
        "ncnn",
        ("ncnn", "pnnx", "onnx"),
        "ncnn pnnx onnx",
        "ncnn",
        "network.ncnn.param",
        _ncnn,
        bfloat16=True,
    ),
    # MNN's converter does not support ONNX files with QuantizeLinear and DequantizeLinear.
    Peer("mnn", ("MNN", "onnx"), "MNN onnx", "MNN", "network.mnn", _mnn, bfloat16=True),
)
PEERS = {peer.name: peer for peer in _PEERS}
"""The other engines by name."""
