"""Write docs/catalogue.md: Apple's classes, and the counterpart of each in mpscnn.

The names of Apple's classes and of the corresponding network layers are in docs/apple_classes.json. Everything else is
read from the installed package.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from operations_page import network_methods

import mpscnn
from mpscnn import _core

DOCS = Path(__file__).resolve().parent.parent

INTRODUCTION = """# Catalogue

Look up a class of Apple's for convolutional networks here, and find its counterpart in mpscnn.

Each class has the same name in `mpscnn.kernels`, without the prefix MPSCNN, MPSNN or MPS, with Apple's properties and
rules: MPSCNNAdd is `kernels.Add`. MPSImage, MPSTemporaryImage and MPSNNDefaultPadding are in `mpscnn` itself. Raw
kernels run on the device of their queue.

The tables list the classes with a layer of networks: the method of `mpscnn.Network` that adds it. Both engines run the
layer, and networks learn through it, unless the last column says otherwise. It names rows of
[exceptions](#unsupported-features).

Recurrent layers and kernels for matrices have [other names](#recurrent-layers-and-matrices) in mpscnn, and arrays of
any rank (MPSNDArray) are tensors of a `Network`. `python docs/generate` writes this page.
"""

HEADER = "| Apple's class | layer | but |\n|---|---|---|"

NODES = """
## Graph nodes
`mpscnn.nodes` has these classes under Apple's names. Graphs of them become networks ([nodes.md](nodes.md)). Each has
the properties of the raw kernel of its name, or of the one in parentheses:

"""

TRAINING_NODES = """
## Nodes of losses and gradients
Graphs of these are trained ([nodes.md](nodes.md#training-graphs)):

"""

OTHERS = """
## Recurrent layers and matrices
These classes of Apple's have no class of the same name here. The layers of a network have their work:

- A recurrent layer of a network reads all steps of a sequence at once, so that one product of matrices computes the
  inputs of all gates, and it can be trained, converted and saved. Apple's classes read one image or matrix for each
  step and keep the state in an object. `Network.lstm` and `Network.gru` take and return states
  ([recurrent.md](ops/recurrent.md)), so a program can go on with the next steps of a sequence.
- A matrix is a tensor of a network or an array of NumPy. MPSMatrix has no edges, strides or feature channels, which
  are what raw kernels add to a layer.

| Apple's class | instead |
|---|---|
"""
_LSTM, _GRU = "`Network.lstm`", "`Network.gru`"
_STATES = "the states that `Network.lstm` and `Network.gru` take and return"
_SEQUENCES = (
    "`Network.lstm`, `Network.gru`; `Network.matmul` and `Network.activation` for a layer with a single gate"
)
_TRAINED = "`Network.lstm`, `Network.gru` with `mpscnn.Trainer`"
_ALGEBRA = "`numpy.linalg` or `scipy.linalg`; no network has such a layer"
#: Apple's classes that have another name here, with the names that replace them.
INSTEAD = {
    "MPSRNNImageInferenceLayer": _SEQUENCES,
    "MPSRNNMatrixInferenceLayer": _SEQUENCES,
    "MPSRNNMatrixTrainingLayer": _TRAINED,
    "MPSRNNMatrixTrainingState": _TRAINED,
    "MPSRNNRecurrentImageState": _STATES,
    "MPSRNNRecurrentMatrixState": _STATES,
    "MPSRNNDescriptor": "arguments of `Network.lstm` and `Network.gru`: units, `reverse`",
    "MPSRNNSingleGateDescriptor": "`Network.matmul` and `Network.activation` for each step",
    "MPSLSTMDescriptor": _LSTM,
    "MPSGRUDescriptor": _GRU,
    "MPSMatrix": "an array, or a tensor of a `Network`",
    "MPSTemporaryMatrix": "a tensor of a `Network`, whose memory the engine plans",
    "MPSMatrixDescriptor": "the shape and type of an array",
    "MPSMatrixUnaryKernel": "a layer of a `Network` with one input",
    "MPSMatrixBinaryKernel": "a layer of a `Network` with two inputs",
    "MPSMatrixMultiplication": "`Network.matmul`",
    "MPSMatrixVectorMultiplication": "`Network.matmul`",
    "MPSNDArrayMatrixMultiplication": "`Network.matmul`",
    "MPSMatrixFullyConnected": "`Network.dense`",
    "MPSMatrixFullyConnectedGradient": "`Network.dense` with `mpscnn.Trainer`",
    "MPSMatrixNeuron": "`Network.activation`",
    "MPSMatrixNeuronGradient": "`Network.activation` with `mpscnn.Trainer`",
    "MPSMatrixBatchNormalization": "`Network.batch_norm`",
    "MPSMatrixBatchNormalizationGradient": "`Network.batch_norm` with `mpscnn.Trainer`",
    "MPSMatrixSoftMax": "`Network.softmax`",
    "MPSMatrixSoftMaxGradient": "`Network.softmax` with `mpscnn.Trainer`",
    "MPSMatrixLogSoftMax": "`Network.log_softmax`",
    "MPSMatrixLogSoftMaxGradient": "`Network.log_softmax` with `mpscnn.Trainer`",
    "MPSMatrixFindTopK": "`Network.top_k`",
    "MPSMatrixSum": "`Network.add`",
    "MPSMatrixCopy": "`Network.transpose`, `Network.slice`",
    "MPSMatrixCopyDescriptor": "`Network.transpose`, `Network.slice`",
    "MPSImageCopyToMatrix": "`Network.reshape`, or `Image.read` of an image",
    "MPSMatrixCopyToImage": "`Network.reshape`, or `Image.write` of an image",
    "MPSMatrixRandom": "`numpy.random`",
    "MPSMatrixRandomDistributionDescriptor": "`numpy.random`",
    "MPSMatrixRandomMTGP32": "`numpy.random`",
    "MPSMatrixRandomPhilox": "`numpy.random`",
    "MPSMatrixSolveTriangular": _ALGEBRA,
    "MPSMatrixSolveLU": _ALGEBRA,
    "MPSMatrixSolveCholesky": _ALGEBRA,
    "MPSMatrixDecompositionLU": _ALGEBRA,
    "MPSMatrixDecompositionCholesky": _ALGEBRA,
}

UNSUPPORTED = """
## Unsupported features
An engine runs every operation with all of its parameters, except for the rows of this table
(`cpp/ops/unsupported.cpp`).
A violation is an `UnsupportedError` when a network is compiled, or when it first runs with the extents that were free.
*any* stands for every engine or operation.

"""
UNSUPPORTED_HEADER = "| row | engine | operation | property | must be |\n|---|---|---|---|---|"


#: Classes without a gradient in mpscnn, although their operation has a gradient for other parameters.
NO_GRADIENT = {"MPSImageLanczosScale"}


def raw_kernels() -> dict[str, dict[str, Any]]:
    """Return the core's raw kernels by the name of Apple's class."""
    return {entry["apple"]: entry for entry in json.loads(_core.kernels())}


def counterpart(apple: str) -> str | None:
    """Return the object of mpscnn that has the name of Apple's class without prefix; None if there is none."""
    for prefix in ("MPSCNN", "MPSNN", "MPS"):
        name = apple.removeprefix(prefix)
        if name == apple:
            continue
        if name in mpscnn.kernels.__all__:
            return f"kernels.{name}"
        if name in mpscnn.__all__:
            return name
    return None


def operations_of(layer: str) -> list[str]:
    """Return the operations that a method of Network adds."""
    return [operation for operation, methods in network_methods().items() if layer in methods]


def unsupported_features(engine: str) -> dict[str, list[int]]:
    """Return the numbers of the rows on each operation in an engine's table of unsupported features."""
    rows: dict[str, list[int]] = {}
    for number, entry in numbered_features():
        if entry["engine"] in (engine, "any"):
            rows.setdefault(entry["operation"], []).append(number)
    return rows


def numbered_features() -> list[tuple[int, dict[str, Any]]]:
    """Return the rows of the core's table of unsupported features, numbered from 1."""
    return list(enumerate(json.loads(_core.unsupported_features()), 1))


def exceptions(operations: list[str], learns: bool) -> str:
    """Return the table cell with what a layer of these operations lacks."""
    cpu, metal = (
        [row for operation in operations for row in unsupported_features(engine).get(operation, [])]
        for engine in ("cpu", "metal")
    )
    both = [row for row in metal if row in cpu]
    only = [row for row in metal if row not in cpu]
    cells = [f"except {', '.join(map(str, both))}"] if both else []
    cells += [f"Metal: except {', '.join(map(str, only))}"] if only else []
    cells += [] if learns else ["no gradient"]
    return "; ".join(cells)


def differentiable(operations: list[str]) -> bool:
    """Return True if operations have a gradient."""
    having = [entry["name"] for entry in mpscnn.operations() if entry["gradient"]]
    return bool(operations) and all(operation in having for operation in operations)


def row(apple: str, layer: str) -> str:
    """Return the line of the table for one class."""
    operations = operations_of(layer)
    learns = differentiable([] if apple in NO_GRADIENT else operations)
    return f"| {apple} | `Network.{layer}` | {exceptions(operations, learns)} |"


def section(topic: str, classes: dict[str, str | None]) -> str:
    """Return the section of a topic: a table of the classes with a layer, and a list of the others."""
    parts = [f"\n## {topic}\n"]
    rows = [row(apple, layer) for apple, layer in classes.items() if layer]
    others = [
        apple if counterpart(apple) else f"{apple} (not yet)" for apple, layer in classes.items() if not layer
    ]
    if rows:
        parts.append("\n".join([HEADER, *rows]) + "\n")
    if rows and others:
        parts.append("\n")
    if others:
        parts.append(f"Without a layer: {', '.join(others)}.\n")
    return "".join(parts)


def node(name: str) -> str:
    """Return the name of a node, with its raw kernel if that has another name."""
    kernel = getattr(mpscnn.nodes, name).kernel_class
    if counterpart(name.removesuffix("Node")) == f"kernels.{kernel}":
        return name
    return f"{name} ({f'`kernels.{kernel}`' if kernel else 'none'})"


def feature_row(number: int, entry: dict[str, Any]) -> str:
    """Return one line of the table of unsupported features."""
    cells = [str(number), *(entry[name] for name in ("engine", "operation", "field", "allowed"))]
    return f"| {' | '.join(cells)} |"


def text() -> str:
    """Return the whole page."""
    topics = json.loads((DOCS / "apple_classes.json").read_text(encoding="utf-8"))
    parts = [INTRODUCTION, *(section(topic, classes) for topic, classes in topics.items())]
    parts.append(f"{NODES}MPSNNGraph, MPSNNImageNode, {', '.join(map(node, mpscnn.nodes.names()))}.\n")
    training = ", ".join(map(node, mpscnn.nodes.gradient_names()))
    parts.append(f"{TRAINING_NODES}MPSNNLabelsNode, MPSNNGradientStateNode, {training}.\n")
    parts.append(OTHERS)
    for ours in dict.fromkeys(INSTEAD.values()):
        names = ", ".join(apple for apple, instead in INSTEAD.items() if instead == ours)
        parts.append(f"| {names} | {ours} |\n")
    refused = "\n".join(feature_row(number, entry) for number, entry in numbered_features())
    return "".join(parts) + f"{UNSUPPORTED}{UNSUPPORTED_HEADER}\n{refused}\n"


def files() -> dict[Path, str]:
    """Return the page by its path."""
    return {DOCS / "catalogue.md": text()}
