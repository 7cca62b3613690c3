"""Write docs/formats.md: the layers of each format that the converters read, from their tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from mpscnn.converters.reading.caffe.detection import KINDS as CAFFE_DETECTION
from mpscnn.converters.reading.caffe.layers import REFUSED as CAFFE_REFUSED
from mpscnn.converters.reading.caffe.layers import ROWS as CAFFE
from mpscnn.converters.reading.coreai.compressed import COMPRESSED as COREAI_WEIGHTS
from mpscnn.converters.reading.coreai.operators import REFUSED as COREAI_REFUSED
from mpscnn.converters.reading.coreai.operators import ROWS as COREAI
from mpscnn.converters.reading.coreml.neural.layers import REFUSED as COREML_LAYERS_REFUSED
from mpscnn.converters.reading.coreml.neural.layers import ROWS as COREML_LAYERS
from mpscnn.converters.reading.coreml.program.constants import CONSTEXPR
from mpscnn.converters.reading.coreml.program.operations import REFUSED as COREML_OPERATIONS_REFUSED
from mpscnn.converters.reading.coreml.program.operations import ROWS as COREML_OPERATIONS
from mpscnn.converters.reading.keras.layers import FUNCTIONS as KERAS_FUNCTIONS
from mpscnn.converters.reading.keras.layers import REFUSED as KERAS_REFUSED
from mpscnn.converters.reading.keras.layers import ROWS as KERAS
from mpscnn.converters.reading.onnx.constant_operators import OF_CONSTANTS
from mpscnn.converters.reading.onnx.file import EXPANSIONS
from mpscnn.converters.reading.onnx.node import OwnKind
from mpscnn.converters.reading.onnx.operators import REFUSED as ONNX_REFUSED
from mpscnn.converters.reading.onnx.operators import ROWS as ONNX
from mpscnn.converters.reading.tensorflow.operators import REFUSED as TENSORFLOW_REFUSED
from mpscnn.converters.reading.tensorflow.operators import ROWS as TENSORFLOW
from mpscnn.converters.reading.tensorflow.value_resolution import FOLLOWED
from mpscnn.converters.reading.tflite import names as tflite_names
from mpscnn.converters.reading.tflite.array_ops import SHAPES as TFLITE_SHAPES
from mpscnn.converters.reading.tflite.operators import REFUSED as TFLITE_REFUSED
from mpscnn.converters.reading.tflite.operators import ROWS as TFLITE
from mpscnn.converters.values.rows import Row, schema_of

DOCS = Path(__file__).resolve().parent.parent

INTRODUCTION = """# Layers of other formats

Look up here which layers of each format `mpscnn convert` supports, and which it refuses, with the reason.
[conversion.md](conversion.md) explains the conversion.
Layers without settings come first. The settings of the others, which are read, stand in brackets after the layers that
have them. A file with other settings is refused, and so are values that are not supported: the error names them.
`python docs/generate` writes this page from the converters' tables.
"""

_REPLACED = """These operators become others of ONNX, which compute the same, before the file is converted.
`DynamicQuantizeLSTM` is an exception: its inputs and states are not rounded to 8 bits, as its weights are, so its
results are only near those of onnxruntime.
"""


def with_settings(kinds: Iterable[str], rows: Mapping[str, Row]) -> str:
    """Return names without settings, and then those with settings: once for all names that have the same."""
    groups: dict[tuple[str, ...], list[str]] = {(): []}
    for kind in sorted(kinds):
        settings = tuple(schema_of(rows[kind]).settings) if kind in rows else ()
        groups.setdefault(settings, []).append(kind)
    plain = ", ".join(groups.pop(()))
    parts = [f"{', '.join(group)} ({', '.join(settings)})" for settings, group in groups.items()]
    return "; ".join([plain, *parts])


def lists(read: Iterable[str], rows: Mapping[str, Row], refused: Mapping[str, str]) -> list[str]:
    """Return a list of supported names with their settings, and a table of refused names by reason."""
    lines = [f"Supported: {with_settings(read, rows)}.", "", "| refused | reason |", "|---|---|"]
    for reason in dict.fromkeys(refused.values()):
        kinds = sorted(kind for kind, given in refused.items() if given == reason)
        lines.append(f"| {', '.join(kinds)} | {reason} |")
    return lines


def text() -> str:
    """Return the whole page."""
    lines = [INTRODUCTION, "## Operators of ONNX"]
    operators = [kind for kind in ONNX if not isinstance(kind, OwnKind)]
    lines += lists(operators, ONNX, ONNX_REFUSED)
    lines += [
        "",
        "These operators are computed during the conversion, from constants and shapes only: "
        f"{', '.join(sorted(kind for kind in OF_CONSTANTS if not isinstance(kind, OwnKind)))}.",
        "",
        "## TensorFlow Lite's built-in operators",
    ]
    layers = (kind for kind in TFLITE if not kind.startswith("CUSTOM") and kind not in TFLITE_SHAPES)
    lines += lists(layers, TFLITE, TFLITE_REFUSED)
    lines += [
        "",
        "These operators are computed during the conversion, from constants and shapes only: "
        f"{', '.join(sorted(TFLITE_SHAPES))}.",
        "Supported custom operators: "
        f"{', '.join(sorted(kind.removeprefix('CUSTOM ') for kind in TFLITE if kind.startswith('CUSTOM ')))}. "
        "StableHLO operators are refused.",
    ]
    lines += [
        "",
        "## Layers of Keras",
        *lists({*KERAS, "InputLayer", "TimeDistributed"}, KERAS, KERAS_REFUSED),
    ]
    lines += ["", f"Supported functions of keras.ops: {', '.join(sorted(KERAS_FUNCTIONS))}."]
    read = ({*CAFFE, *CAFFE_DETECTION, "Input", "MemoryData"}) - set(CAFFE_REFUSED)
    lines += ["", "## Layers of Caffe", *lists(read, CAFFE, CAFFE_REFUSED)]
    lines += ["", "Losses, accuracies and other layers for training only are omitted."]
    lines += [
        "",
        "## Layers of Core ML's neural networks",
        *lists(COREML_LAYERS, COREML_LAYERS, COREML_LAYERS_REFUSED),
    ]
    operations = {*COREML_OPERATIONS, *CONSTEXPR, "classify", "const"}
    lines += [
        "",
        "## Operations of Core ML's programs",
        *lists(operations, COREML_OPERATIONS, COREML_OPERATIONS_REFUSED),
    ]
    lines += ["", "## Operations of Core AI's programs"]
    lines += lists(
        {*COREAI, *COREAI_WEIGHTS, "constant", "graph", "invoke", "output"}, COREAI, COREAI_REFUSED
    )
    lines += [
        "",
        "## TensorFlow's operators",
        *lists({*TENSORFLOW, *FOLLOWED}, TENSORFLOW, TENSORFLOW_REFUSED),
    ]
    lines += ["", "## Operators of ONNX that are replaced", _REPLACED]
    domain = "com.microsoft."
    theirs = sorted(kind.removeprefix(domain) for kind in EXPANSIONS if kind.startswith(domain))
    own = sorted(kind for kind in EXPANSIONS if "." not in kind)
    lines += [
        f"Operators of onnxruntime ({domain[:-1]}): {', '.join(theirs)}.",
        "",
        f"Operators of ONNX: {', '.join(own)}.",
    ]
    return "\n".join(lines) + "\n"


def tflite_kinds() -> set[str]:
    """Return all built-in operators except those of StableHLO."""
    every = {tflite_names.operator_name(number) for number in range(210)}
    return {
        kind for kind in every if not kind.startswith(("STABLEHLO", "operator ", "CUSTOM", "PLACEHOLDER"))
    }


def files() -> dict[Path, str]:
    """Return the page by its path."""
    return {DOCS / "formats.md": text()}
