"""Write networks as Core ML models: programs (.mlpackage) and neural networks (.mlmodel).

The network becomes an ONNX graph with the channels first. Each of its operators then becomes a Core ML operation.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

from mpscnn import _core
from mpscnn._private.files import is_folder, replace_atomically, replace_folder
from mpscnn._private.given_warnings import warn_caller
from mpscnn._private.settings import as_json
from mpscnn.converters.finishing.metadata_entries import ANSWERS, LABELS, SCORES
from mpscnn.converters.opening.unsupported import CHOOSE_SIZE
from mpscnn.converters.reading.coreml.file import MODEL, PACKAGE, package_files
from mpscnn.converters.reading.coreml.placing import placing_entries
from mpscnn.converters.writing.convention import require_suffix
from mpscnn.converters.writing.coreml.compression import (
    PALETTE_BITS,
    cast_weights_to_float16,
    palettize_weights,
    quantize_weights,
)
from mpscnn.converters.writing.coreml.detector import DetectorPostProcessing
from mpscnn.converters.writing.coreml.names import name_operations
from mpscnn.converters.writing.coreml.package import coremltools, quiet
from mpscnn.converters.writing.coreml.probabilities import Probabilities
from mpscnn.converters.writing.coreml.program import ProgramBuilder, first_line
from mpscnn.converters.writing.coreml.recurrent import resets_after
from mpscnn.converters.writing.coreml.segmenter import best_classes, is_segmenter, segmenter_metadata
from mpscnn.converters.writing.onnx.export import build
from mpscnn.errors import ParameterError, UnsupportedError, WeightsError
from mpscnn.graph.network import Network
from mpscnn.graph.quantized import require_stored_type

SUFFIXES = (PACKAGE, MODEL)
"""The suffixes of the files that `export` writes."""
TARGETS = ("iOS13", "iOS14", "iOS15", "iOS16", "iOS17", "iOS18")
"""The minimum deployment targets. Each includes macOS and the other systems of the same year."""
#: The largest numbers of outputs, and of layers that read one result. coremltools takes time in proportion to their
#: squares.
_MAX_OUTPUTS, _MAX_READERS = 200, 1_000
#: More operations than this can take minutes: coremltools checks the whole program after each of a hundred passes.
_MANY_LAYERS = 2_000
_PROGRAMS, _COMPRESSED = "programs", "programs with compressed weights"
_NEWEST_NETWORK = "iOS14"
_OLDEST_PROGRAM, _OLDEST_COMPRESSED, _OLDEST_RESETTING_AFTER = "iOS15", "iOS16", "iOS18"


def export(
    network: Network,
    path: str | PathLike[str],
    *,
    size: tuple[int, int] | None = None,
    dtype: str = "float32",
    palette: int | None = None,
    target: str | None = None,
    preprocess: Mapping[str, Any] | None = None,
    labels: Sequence[str] | None = None,
    information: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Write a network as a Core ML model, and return the names of outputs that it changed, with the ones in the file.

    Args:
        network: a network with all its weights.
        path: the folder (.mlpackage) or file (.mlmodel). An older file is replaced when the new one is complete.
        size: (height, width), required if the network leaves them free.
        dtype: the type of weights, and in programs also of intermediate results: "float32" or "float16". "uint8": the
            weights are 8-bit integers, and the results of programs float16.
        palette: the bits per weight (`PALETTE_BITS`) for palettization, which replaces weights by indices into a table;
            for packages only.
        target: the minimum deployment target, one of `TARGETS`; None: the oldest on which the model runs: iOS 15 for a
            package, iOS 16 for one with compressed weights, iOS 18 for one with a GRU that resets after the product,
            iOS 14 for a file. A file for a later system is the same as one for iOS 14.
        preprocess: the preprocessing of photos, with all keys (`mpscnn.preprocess`); the input is then an image. None:
            the input is an array.
        labels: the names of the classes, which make the model a classifier or a segmenter.
        information: "license", "author", ... of the model.

    Raises:
        UnsupportedError: coremltools is not installed, or Core ML cannot express a layer. WeightsError: weights are
            missing, or the file cannot be written. ParameterError: an unknown suffix, type or target.
    """
    path = require_suffix(path, "a Core ML model", *SUFFIXES)
    kind = path.suffix.lower()
    if len(network.outputs) > _MAX_OUTPUTS:
        raise UnsupportedError(
            f"{path}: the network has {len(network.outputs):,} outputs; a Core ML model may have {_MAX_OUTPUTS}"
        )
    require_stored_type(dtype)
    if palette is not None:
        _check_palette(palette, dtype, kind, path)
    if any(None in tensor.shape[1:] for tensor in network.inputs) and size is None:
        raise UnsupportedError(
            f"{path}: a Core ML model has one size, and the network leaves its own free: {CHOOSE_SIZE}"
        )
    post_processing = None if network.detection is None else DetectorPostProcessing(network, size, str(path))
    if post_processing is not None:
        network = post_processing.network
        labels = None  # the pipeline gets the labels instead
    if network.answers is not None:
        information = {**(information or {}), ANSWERS: as_json("answers", network.answers)}
        if network.answers["kind"] != "tags" and labels is not None:  # a classifier would have probabilities
            information[LABELS] = as_json("labels", labels)
            labels = None
    segmenter = labels if labels is not None and is_segmenter(network) else None
    if segmenter is not None:
        information = {**(information or {}), **segmenter_metadata(segmenter, network, str(path))}
        labels = None
    if labels is not None and len(network.outputs) != 1:
        raise UnsupportedError(f"{path}: a classifier has one output, the network has {len(network.outputs)}")
    probabilities = None if labels is None else Probabilities(network, labels, str(path))
    if labels is None and post_processing is None and segmenter is None and network.scores is not None:
        information = {**(information or {}), SCORES: network.scores}
    if preprocess is not None:
        information = {**(information or {}), **placing_entries(preprocess)}
    tools = coremltools()
    builder = build(network, size=size, layout="nchw", uses_lrn=True)
    onnx_model = builder.model(_core.version())
    _limit_time(onnx_model.graph, path)
    parts = {_PROGRAMS: _OLDEST_PROGRAM}
    if dtype == "uint8":
        parts[_COMPRESSED] = _OLDEST_COMPRESSED
    if palette is not None:
        parts["programs with a palette"] = _OLDEST_COMPRESSED
    if resets_after(onnx_model.graph):
        parts["programs with a GRU that resets after the product"] = _OLDEST_RESETTING_AFTER
    target = _target(kind, target, path, parts)
    with quiet():
        program_of = partial(
            ProgramBuilder,
            tools,
            onnx_model,
            str(path),
            preprocess,
            probabilities,
            _outputs_of(post_processing, are_classes=segmenter is not None),
            _OLDEST_RESETTING_AFTER if resets_after(onnx_model.graph) else None,
            _kept_layers(network),
            builder.activations,
            is_program=kind == PACKAGE,
        )
        made = program_of()
        model = _converted(tools, made, labels, kind, target, dtype, str(path))
        outputs = [one.name for one in model._spec.description.output]
        if len({*outputs}) < len(outputs):  # such as an output and its reshape to the same shape
            made = program_of(sets_apart=True)
            model = _converted(tools, made, labels, kind, target, dtype, str(path))
        model = _compressed(tools, model, kind, dtype, palette, str(path), made.float32)
        name_operations(model._spec, made.kept, is_program=kind == PACKAGE)
        if post_processing is not None:
            model = post_processing.pipeline(tools, model)
    names = [tensor.name for tensor in network.outputs] if post_processing is None else []
    _describe(model, information)
    _save(model, path)
    written = [one.name for one in model._spec.description.output]
    if not 1 < len(names) == len(written):
        return {}
    return {name: now for name, now in zip(names, written, strict=True) if name != now}


def _limit_time(graph: Any, path: Path) -> None:
    """Refuse a graph for which coremltools would take time in proportion to a square, and warn of a large one."""
    constants = {tensor.name for tensor in graph.initializer} | {""}
    readers = Counter(name for node in graph.node for name in node.input if name not in constants)
    for name, count in readers.most_common(1):
        if count > _MAX_READERS:
            raise UnsupportedError(
                f"{path}: {count:,} operations read the result {name!r}; in a Core ML model {_MAX_READERS:,} may"
            )
    if len(graph.node) > _MANY_LAYERS:
        warn_caller(
            f"{path}: coremltools can take minutes to write {len(graph.node):,} operations",
        )


def _kept_layers(network: Network) -> set[str]:
    """Return the layers that stay float32 in programs of float16, including those that compute positions."""
    graph = network.graph.copy()
    graph.keep_positions()
    return {node["name"] for node in json.loads(graph.to_json())["nodes"] if node.get("keep_float32")}


def _outputs_of(
    post_processing: DetectorPostProcessing | None, *, are_classes: bool
) -> Callable[[Any, Sequence[Any]], list[Any]] | None:
    """Return the function that computes the file's outputs from the network's. None: they are the same.

    With `are_classes` the outputs are the class numbers of pixels.
    """
    if are_classes:
        return best_classes
    return None if post_processing is None else post_processing.outputs


def _check_palette(palette: int, dtype: str, kind: str, path: Path) -> None:
    if palette not in PALETTE_BITS:
        raise ParameterError(f"{path}: a palette has {', '.join(map(str, PALETTE_BITS))} bits, not {palette}")
    if dtype == "uint8":
        raise ParameterError(f"{path}: weights are either integers (uint8) or places in a palette")
    if kind == MODEL:
        raise ParameterError(
            f"{path}: palettes are for packages: write {path.stem}{PACKAGE} for {_OLDEST_COMPRESSED} or later"
        )


def _target(kind: str, target: str | None, path: Path, parts: Mapping[str, str]) -> str:
    """Return the deployment target. `parts` has the oldest system of each part of a program."""
    if target is not None:
        found = next((known for known in TARGETS if known.casefold() == target.casefold()), None)
        if found is None:
            raise ParameterError(f"{path}: unknown target {target!r}; known: {', '.join(TARGETS)}")
        target = found
    if kind == MODEL:
        # Neural networks have the same format on later systems, so a later target changes nothing.
        return min(target or _NEWEST_NETWORK, _NEWEST_NETWORK, key=TARGETS.index)
    what, oldest = max(parts.items(), key=lambda part: TARGETS.index(part[1]))
    if target is None:
        return oldest
    if TARGETS.index(target) < TARGETS.index(oldest):
        is_network_possible = what in (_PROGRAMS, _COMPRESSED)
        advice = f"write {path.stem}{MODEL} for {target}" if is_network_possible else "choose a later target"
        if what == _COMPRESSED and TARGETS.index(target) >= TARGETS.index(_OLDEST_PROGRAM):
            advice += ", or weights of float16"
        raise ParameterError(f"{path}: {what} run from {oldest} on: {advice}")
    return target


def _converted(
    tools: Any,
    made: ProgramBuilder,
    labels: Sequence[str] | None,
    kind: str,
    target: str,
    dtype: str,
    origin: str,
) -> Any:
    settings: dict[str, Any] = {}
    if labels is not None:
        settings["classifier_config"] = tools.ClassifierConfig(list(labels))
    if kind == PACKAGE:
        halves = tools.transform.FP16ComputePrecision(op_selector=lambda op: op.name not in made.float32)
        settings["compute_precision"] = tools.precision.FLOAT32 if dtype == "float32" else halves
    try:
        model = tools.convert(
            made.program,
            source="milinternal",
            convert_to="mlprogram" if kind == PACKAGE else "neuralnetwork",
            inputs=made.inputs,
            minimum_deployment_target=getattr(tools.target, target),
            skip_model_load=True,
            **settings,
        )
    except Exception as error:  # coremltools has no exception classes of its own
        advice = f"; {PACKAGE}, for {_OLDEST_PROGRAM} or later, can express more" if kind == MODEL else ""
        raise UnsupportedError(
            f"{origin}: coremltools cannot write it: {first_line(error)}{advice}"
        ) from error
    return model


def _compressed(
    tools: Any, model: Any, kind: str, dtype: str, palette: int | None, origin: str, kept: Set[str]
) -> Any:
    """Return the model with its weights compressed as `dtype` and `palette` say.

    The operations named in `kept` get no integers.
    """
    try:
        if palette is not None:
            return palettize_weights(tools, model, palette)
        if dtype == "uint8":
            return quantize_weights(tools, model, is_program=kind == PACKAGE, kept=kept)
        if kind == MODEL and dtype == "float16":
            return cast_weights_to_float16(tools, model)
    except UnsupportedError as error:
        raise UnsupportedError(f"{origin}: {error}") from error
    except Exception as error:  # coremltools has no exception classes of its own
        raise UnsupportedError(
            f"{origin}: coremltools cannot compress its weights: {first_line(error)}"
        ) from error
    return model


def _describe(model: Any, information: Mapping[str, str] | None) -> None:
    """Set the metadata that the caller gives. Machine and date are removed, so that equal networks give equal files."""
    metadata = model._spec.description.metadata
    metadata.userDefined.clear()
    for key, value in (information or {}).items():
        field = {
            "author": "author",
            "license": "license",
            "description": "shortDescription",
            "version": "versionString",
        }.get(key)
        if field is None:
            metadata.userDefined[key] = value
        else:
            setattr(metadata, field, value)


def _save(model: Any, path: Path) -> None:
    """Write the files next to `path`, and rename them when they are complete."""
    content = model._spec.SerializeToString(deterministic=True)
    if path.suffix.lower() == MODEL:
        with replace_atomically(path, WeightsError) as file:
            file.write(content)
        return
    with replace_folder(path, WeightsError) as made:
        try:
            with quiet():
                model.save(str(made))
        except shutil.Error as error:  # a list of (source, copy, text of the error)
            raise OSError(error.args[0][0][-1].partition(": ")[0]) from error
        inner = next(file for file in package_files(made) if file.suffix == MODEL)
        inner.write_bytes(content)
        _name_items(made)
        for inner in made.rglob("*"):  # coremltools makes files that only their owner may read
            inner.chmod(0o755 if is_folder(inner) else 0o644)


def _name_items(package: Path) -> None:
    """Rename the items of a package's manifest by numbers, because coremltools gives them random names."""
    manifest = package / "Manifest.json"
    listed = json.loads(manifest.read_text("utf-8"))
    root = listed["rootModelIdentifier"]
    entries = sorted(
        listed["itemInfoEntries"].items(), key=lambda entry: (entry[0] != root, entry[1]["path"])
    )
    listed["itemInfoEntries"] = {
        _IDENTIFIER.format(place): item for place, (_, item) in enumerate(entries, start=1)
    }
    listed["rootModelIdentifier"] = _IDENTIFIER.format(1)
    manifest.write_text(json.dumps(listed, indent=4) + "\n", "utf-8")


_IDENTIFIER = "00000000-0000-0000-0000-{:012d}"
