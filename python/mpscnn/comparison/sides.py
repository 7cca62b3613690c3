"""Open the sides of a comparison: find the network and the engine for the text or object that a user gives."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpscnn._private.confined import Limits
from mpscnn._private.files import exists
from mpscnn._private.literals import PrecisionName
from mpscnn.comparison.confined_engine import GENEROUS
from mpscnn.comparison.coreai_engine import missing_coreai, open_coreai
from mpscnn.comparison.coreml_engine import SUFFIXES as COREML
from mpscnn.comparison.coreml_engine import open_coreml
from mpscnn.comparison.keras_engine import BACKENDS, installed_backend
from mpscnn.comparison.native_engine import NativeEngine
from mpscnn.comparison.trace import Engine
from mpscnn.converters.formats.readers import engine_key, format_of
from mpscnn.converters.formats.records import Engine as FormatEngine
from mpscnn.converters.reading.coreai.asset import ASSET
from mpscnn.errors import ParameterError, UnsupportedError, WeightsError
from mpscnn.graph.network import Network
from mpscnn.model import Model
from mpscnn.opening_models import model_path, open_model
from mpscnn.registry.hub import find_on_hub, is_hub_name

#: The words allowed after "@".
DEVICES = ("cpu", "metal", "coreml")
COREAI = "coreai"
PRECISIONS: tuple[PrecisionName, ...] = ("float32", "float16", "bfloat16")
ENGINES = ("mpscnn", "onnxruntime", "litert")
#: The engines for which the network is written, with the suffix of their files.
WRITTEN = {"onnxruntime": ".onnx", "litert": ".tflite"}


@dataclass(frozen=True)
class Side:
    """One side of a comparison, before its inputs are known.

    Args:
        network: the network for mpscnn's engines; None for a file that runs in its own engine.
        path: the file, if it is one.
        preprocess: the preprocessing for photos, if it is known.
        outputs: tensors of an ONNX file to stop at; empty: its outputs.
        signature: the signature or function of the file; None: its default.
        exported: the engine of `WRITTEN` for which the network is written; empty: mpscnn runs it.
        quick: run a TensorFlow Lite file with LiteRT's fast kernels instead of its reference kernels.
    """

    network: Network | None
    name: str
    path: Path | None = None
    module: Any = None
    device: str = "cpu"
    precision: PrecisionName = "float32"
    exported: str = ""
    preprocess: Mapping[str, Any] | str | None = None
    outputs: tuple[str, ...] = ()
    signature: str | None = None
    quick: bool = False

    def engine(
        self,
        shapes: dict[str, tuple[int | None, ...]] | None = None,
        *,
        size: tuple[int, int] | None = None,
        limits: Limits = GENEROUS,
    ) -> Engine:
        """Return the engine that runs this side.

        Args:
            shapes: the shapes of the other side's inputs, for a side that does not define its own.
            size: (height, width) if the network accepts any size.
            limits: what the process of another engine may use.

        Raises:
            UnsupportedError: the engine is not installed.
        """
        if self.module is not None:
            if shapes is None:
                raise ParameterError(
                    "compare: a module of torch does not say the shape of its input: give input="
                )
            from mpscnn.comparison.torch_engine import TorchEngine

            return TorchEngine(self.module, shapes)
        if self.exported:
            assert self.network is not None
            write = _in_litert if self.exported == "litert" else _in_onnxruntime
            return write(self.network, self.name, size, self.precision)
        if self.network is not None:
            return NativeEngine(self.network, self.name, device=self.device, precision=self.precision)
        assert self.path is not None
        return reference_engine(
            self.path, self.outputs, shapes, signature=self.signature, quick=self.quick, limits=limits
        )


def open_side(given: Any) -> Side:
    """Open a side of `mpscnn.compare`. A text is a model's name or a file, with "@" and options after it."""
    if isinstance(given, Side):
        return given
    if isinstance(given, Network):
        return Side(given, given.name, preprocess=given.preprocess)
    if isinstance(given, Model):
        program = given.program
        return Side(
            given.network,
            given.name,
            device=program.device,
            precision=program.precision,
            preprocess=given.preprocess,
        )
    if isinstance(given, (str, os.PathLike)):
        return _named(os.fspath(given))
    if any(kind.__module__.partition(".")[0] == "torch" for kind in type(given).__mro__):
        return Side(None, type(given).__name__, module=given)
    raise ParameterError(
        f"compare: expected a model's name, a file, a Network, a Model or a module of torch, got {given!r}"
    )


def reference_engine(
    path: Path,
    outputs: Sequence[str] = (),
    shapes: Mapping[str, tuple[int | None, ...]] | None = None,
    *,
    signature: str | None = None,
    quick: bool = False,
    limits: Limits = GENEROUS,
) -> Engine:
    """Return the engine of a file's own framework, in a confined process that gets only what mpscnn reads of the file.

    Args:
        path: the file.
        outputs: tensors of an ONNX file, or operators of a frozen graph, at which the computation stops.
        shapes: the shapes of the other side's inputs, if known.
        signature: the signature or function of the file.
        quick: whether to use LiteRT's fast kernels.
        limits: what the process may use.

    Raises UnsupportedError if the framework is not installed, and the errors of `open_cut`.
    """
    suffix = engine_key(path)
    if suffix in COREML:
        if signature is not None:
            raise UnsupportedError(f"{path}@coreml: only a program's default function is compared")
        return open_coreml(path, limits)
    missing = missing_engine(path)
    if missing is not None:
        instead = f"; {path}@cpu computes it in mpscnn" if _format_engine(path) else ""
        raise UnsupportedError(f"{path}: {missing}{instead}")
    if suffix == ASSET:
        return open_coreai(path, limits)
    from mpscnn.comparison.cut_files import open_cut

    return open_cut(path, outputs, shapes, signature=signature, quick=quick, limits=limits)


def _format_engine(path: Path) -> FormatEngine | None:
    """Return the engine of a file's format; None if there is none."""
    stated = format_of(path)
    return stated.engine if stated is not None and isinstance(stated.engine, FormatEngine) else None


def missing_engine(path: Path) -> str | None:
    """Return why a file's own engine cannot run it here; None if it can."""
    if engine_key(path) == ASSET:
        return missing_coreai()
    stated = format_of(path)
    engine = None if stated is None else stated.engine
    if isinstance(engine, str):
        return engine
    if engine is None:
        return f"there is no engine for files with the suffix {path.suffix or '(none)'}"
    module, package = engine
    if importlib.util.find_spec(module.partition(".")[0]) is None:
        return f"{package} is not installed: pip install {package}"
    if package == "keras" and installed_backend() is None:
        return f"Keras needs one of {', '.join(BACKENDS)}, and none is installed"
    return None


def _name_and_options(text: str) -> tuple[str, list[str]]:
    """Return a name or file and the words after "@". A name of the hub may have a revision after the first one."""
    if exists(Path(text)):
        return text, []
    name, *options = text.split("@")
    if is_hub_name(name) and options and not _is_option(options[0]):
        name = f"{name}@{options.pop(0)}"
    return name, options


def _is_option(word: str) -> bool:
    return word.partition(":")[0] in DEVICES or word in (*PRECISIONS, *ENGINES, COREAI)


def _named(text: str) -> Side:
    name, options = _name_and_options(text)
    device, engine = "cpu", ""
    precision: PrecisionName | None = None
    if COREAI in options:
        return _in_coreai(text, Path(name), options)
    for option in options:
        if option.partition(":")[0] in DEVICES:
            device = option
        elif option in PRECISIONS:
            precision = PRECISIONS[PRECISIONS.index(option)]
        elif option in ENGINES:
            engine = option
        else:
            known = ", ".join((*DEVICES, *PRECISIONS, *ENGINES, COREAI))
            raise ParameterError(f"compare: {text!r}: after @ expected {known}, got {option!r}")
    path = Path(name)
    if is_hub_name(name):
        path = find_on_hub(name).path
        name = str(path)
    if device.startswith("coreml") and path.suffix.lower() in COREML:
        if options != ["coreml"]:
            raise ParameterError(f"compare: {text!r}: Core ML runs the file in its own precision, on the CPU")
        if not exists(path):
            raise WeightsError(f"{path}: cannot be read: there is no such file")
        return Side(None, path.name, path)
    foreign = _format_engine(path) is not None
    own = foreign and engine in WRITTEN and path.suffix.lower() == WRITTEN[engine]
    if engine in WRITTEN and device != "cpu":
        raise ParameterError(f"compare: {text!r}: {engine} runs on the CPU here, not on {device}")
    if own and precision:
        raise ParameterError(f"compare: {text!r}: {engine} runs the file in its own precision")
    if engine in WRITTEN and precision == "bfloat16":
        raise ParameterError(f"compare: {text!r}: {WRITTEN[engine]} files are written in float32 or float16")
    if foreign and not options:
        if not exists(path):
            raise WeightsError(f"{path}: cannot be read: there is no such file")
        return Side(None, path.name, path)
    if own:
        return Side(None, path.name, path)
    if foreign:
        from mpscnn.converters import read_network

        network = read_network([path])
        preprocess: Any = network.preprocess
    else:
        core = open_model(model_path(name))
        model = Model(core, device="cpu")
        network, preprocess = model.network, model.preprocess
    exported = engine if engine in WRITTEN else ""
    return Side(network, path.name, path, None, device, precision or "float32", exported, preprocess)


def _in_coreai(text: str, path: Path, options: Sequence[str]) -> Side:
    """Return the side of an asset that Core AI runs."""
    if engine_key(path) != ASSET or len(options) > 1:
        raise ParameterError(f"compare: {text!r}: Core AI runs {ASSET} files, in their own precision")
    if not exists(path):
        raise WeightsError(f"{path}: cannot be read: there is no such file")
    return Side(None, path.name, path)


def _in_onnxruntime(network: Network, name: str, size: tuple[int, int] | None, precision: str) -> Engine:
    """Return onnxruntime for a network of mpscnn, which is written as ONNX."""
    for module in ("onnx", "onnxruntime"):
        if importlib.util.find_spec(module) is None:
            raise UnsupportedError(f"{name}@onnxruntime: {module} is not installed: pip install {module}")
    from mpscnn.comparison.cut_files import onnxruntime_engine
    from mpscnn.converters.writing.onnx.export import to_onnx

    model = to_onnx(network, size=size, layout="nchw", dtype=precision)
    return onnxruntime_engine(name, model.SerializeToString(), (), None, GENEROUS)


def _in_litert(network: Network, name: str, size: tuple[int, int] | None, precision: str) -> Engine:
    """Return LiteRT for a network of mpscnn, which is written as a TensorFlow Lite file."""
    if reason := missing_engine(Path(f"{name}{WRITTEN['litert']}")):
        raise UnsupportedError(f"{name}@litert: {reason}")
    from mpscnn.comparison.cut_files import litert_engine
    from mpscnn.converters.writing.tflite.export import to_tflite

    plain = network.copy()
    plain.detection = None  # the raw outputs are compared
    return litert_engine(name, to_tflite(plain, size=size, dtype=precision), GENEROUS)
