"""List the formats of model files of other frameworks. One record states all that the library knows of a format."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from mpscnn.converters.formats.external_weights import onnx_files
from mpscnn.converters.opening.read_options import ReadOptions
from mpscnn.graph.network import Network


class Mark(NamedTuple):
    """How files of a format are recognised by their contents.

    Attributes:
        what: what such a file is, for messages.
        suffix: the suffix that it should have.
        beginning: a pattern of its first bytes; None: it is a zip archive.
        entry: a pattern of the name of a file in the archive.
    """

    what: str
    suffix: str
    beginning: bytes | None = None
    entry: str = ""

    def begins(self, content: bytes) -> bool:
        """Return True if a file with these first bytes has the format."""
        return self.beginning is not None and re.match(self.beginning, content, re.DOTALL) is not None

    def is_archive_of(self, names: Sequence[str]) -> bool:
        """Return True if an archive of these files has the format."""
        return self.beginning is None and any(re.fullmatch(self.entry, name, re.DOTALL) for name in names)


class Engine(NamedTuple):
    """The engine of a format, which `mpscnn convert` and `mpscnn compare` run in a process of its own.

    Attributes:
        module: the Python module that runs such files.
        package: the name of its package on PyPI.
    """

    module: str
    package: str


@dataclass(frozen=True)
class Late:
    """A function of a reader. Its module is imported when it is called, because some need more packages.

    Attributes:
        place: the module in `converters.reading`, and the function.
    """

    place: str

    def __call__(self, *arguments: Any) -> Any:
        """Call the function."""
        return self.function(*arguments)

    @property
    def function(self) -> Callable[..., Any]:
        """The function itself."""
        module, _, name = self.place.partition(":")
        found: Callable[..., Any] = getattr(import_module(f"mpscnn.converters.reading.{module}"), name)
        return found


@dataclass(frozen=True)
class Format:
    """A format of model files.

    Attributes:
        suffixes: the suffixes of its files.
        read: returns the network of some files. Most formats take one.
        marks: how a file is recognised by its contents; empty: it is not.
        begins_like_others: whether the contents cannot tell that a suffix is wrong.
        is_folder: whether a model is a folder.
        files: returns all files that a network is read from; None: the one that is given.
        refuse_damaged: raises the error of a file whose description is damaged, without reading its weights; None: its
            description names other files, so `files` does.
        engine: the engine of the format; a text: why there is none; None: it is looked for in another way.
        has_weights_only: whether the name of a file may tell the architecture.
        has_signatures: whether a file may have several networks.
        title: the name of a network; empty: that of its file.
    """

    suffixes: tuple[str, ...]
    read: Callable[[list[Path], ReadOptions], Network]
    marks: tuple[Mark, ...] = ()
    begins_like_others: bool = False
    is_folder: bool = False
    files: Callable[[Path], list[Path]] | None = None
    refuse_damaged: Callable[[Path], object] | None = None
    engine: Engine | str | None = None
    has_weights_only: bool = False
    has_signatures: bool = False
    title: str = ""


_COREML = "Core ML predicts on macOS only"

FORMATS = (
    Format(
        (".onnx",),
        Late("onnx.reader:read"),
        # Files begin with ir_version and the producer's name. Core ML's begin alike, but a message replaces the name,
        # which begins with two printable bytes at most.
        marks=(
            Mark("an ONNX file", ".onnx", rb"\x08[\x01-\x20]\x12(?:\0[ -~]|[\x01-\x7f][ -~]{3})"),
            Mark("an ONNX file", ".onnx", rb"\x08[\x01-\x20][\x3a\x42]"),
        ),
        files=onnx_files,
        engine=Engine("onnxruntime", "onnxruntime"),
    ),
    Format(
        (".tflite",),
        Late("tflite.reader:read"),
        marks=(Mark("a TensorFlow Lite file", ".tflite", rb".{4}TFL3"),),
        refuse_damaged=Late("tflite.file:read_tflite"),
        engine=Engine("ai_edge_litert.interpreter", "ai-edge-litert"),
        has_signatures=True,
    ),
    Format(
        (".pth", ".pt", ".safetensors"),
        Late("pytorch.reader:read"),
        marks=(
            Mark("a file of torch.save", ".pth", rb"\x80\x02\x8a\x0al\xfc\x9cF\xf9"),
            Mark("a file of torch.save", ".pth", entry=r".*data\.pkl"),
        ),
        files=Late("pytorch.timm_config:model_files"),
        refuse_damaged=Late("pytorch.state_dict:read_state_dict"),
        engine=(
            "a state dict has weights, but not the network that they belong to, so torch alone cannot run it; compare "
            "the result with your module: mpscnn.compare(module, model)"
        ),
        has_weights_only=True,
    ),
    Format(
        (".h5", ".hdf5", ".keras"),
        Late("keras.reader:read"),
        marks=(
            Mark("an HDF5 file, as Keras writes", ".h5", rb"\x89HDF\r\n\x1a\n"),
            Mark("a Keras file", ".keras", entry=r"model\.weights\.h5"),
        ),
        refuse_damaged=Late("keras.file:read_keras"),
        engine=Engine("keras", "keras"),
    ),
    Format(
        (".caffemodel", ".prototxt"),
        Late("caffe.reader:read"),
        files=Late("caffe.file:model_files"),
        refuse_damaged=Late("caffe.file:read_caffe"),
    ),
    Format(
        (".mlmodel",),
        Late("coreml.reader:read"),
        # Files begin with the version, then the description, which begins with inputs, outputs or functions.
        marks=(
            Mark(
                "a Core ML model",
                ".mlmodel",
                rb"\x08[\x01-\x20]\x12[\x80-\xff]{0,4}[\x00-\x7f][\x0a\x52\xa2]",
            ),
        ),
        refuse_damaged=Late("coreml.file:read_coreml"),
        engine=_COREML,
        has_signatures=True,
    ),
    Format(
        (".mlpackage",),
        Late("coreml.reader:read"),
        is_folder=True,
        files=Late("coreml.file:package_files"),
        refuse_damaged=Late("coreml.file:read_coreml"),
        engine=_COREML,
        has_signatures=True,
    ),
    Format(
        (".mlmodelc",),
        Late("coreml.reader:read_compiled_model"),
        is_folder=True,
        files=Late("coreml.compiled:compiled_files"),
        refuse_damaged=Late("coreml.compiled:read_compiled"),
        has_signatures=True,
    ),
    Format(
        (".aimodel",),
        Late("coreai.reader:read"),
        is_folder=True,
        files=Late("coreai.asset:asset_files"),
        refuse_damaged=Late("coreai.asset:open_asset"),
        has_signatures=True,
    ),
    Format(
        (".pb",),
        Late("tensorflow.file:read"),
        begins_like_others=True,
        files=Late("tensorflow.file:network_files"),
        refuse_damaged=Late("tensorflow.file:refuse_damaged"),
        engine=Engine("tensorflow", "tensorflow"),
        has_signatures=True,
    ),
    Format(
        (".index",),
        Late("tensorflow.slim:read"),
        begins_like_others=True,
        files=Late("tensorflow.bundle:model_files"),
        engine="a checkpoint has weights, but not the network that they belong to",
    ),
    Format(
        (".json",),
        Late("tensorflow.web:read"),
        begins_like_others=True,
        files=Late("tensorflow.web:model_files"),
        engine="TensorFlow.js runs in browsers only",
    ),
)
"""The formats, in the order in which messages list their suffixes. The folder of a SavedModel has that of .pb files."""

ARCHIVE = Format(
    (".zip",),
    Late("coreai.reader:read_archived"),
    begins_like_others=True,
    marks=(Mark("an archived asset of Core AI", ".aimodel.zip", entry=r"(.*/)?main\.mlirb"),),
    has_signatures=True,
)
"""An asset of Core AI in an archive. Other archives are none."""

RAW_WEIGHTS = Format((), Late("raw_weights.reader:read"), is_folder=True, title="deep_mnist")
"""A folder with the raw weights of Deep MNIST. `mpscnn.load` does not open it, as it does not say how photos look."""

BY_SUFFIX = {suffix: one for one in FORMATS for suffix in one.suffixes}
"""The formats by suffix."""
