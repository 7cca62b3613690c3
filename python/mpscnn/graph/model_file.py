"""Write model files (docs/model_format.md). The C++ core reads them."""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn._private.arguments import name_list
from mpscnn._private.copies import require_no_functions
from mpscnn._private.files import read_content, replace_atomically
from mpscnn._private.literals import ScoresName
from mpscnn._private.model_name import MODEL_SUFFIX
from mpscnn._private.settings import as_json
from mpscnn._private.toolkit import writers
from mpscnn.errors import Error, ParameterError, WeightsError
from mpscnn.graph.quantized import has_integers, require_stored_type
from mpscnn.graph.structure import checked_scores
from mpscnn.vision.answers import require_fitting_answers, require_whole_photo

if TYPE_CHECKING:
    from mpscnn.graph.structure import NetworkStructure

VERSION = "1"
_FORMAT_NAMES = {"float32": "F32", "float16": "F16", "uint8": "U8", "int32": "I32"}


def save_model(
    network: NetworkStructure,
    path: str | os.PathLike[str],
    *,
    dtype: str | None,
    labels: Sequence[str] | None,
    preprocess: str | Mapping[str, Any] | None,
    information: Mapping[str, str] | None,
) -> None:
    """Write a model file. See `Network.save`."""
    if dtype is not None:
        require_stored_type(dtype)
    require_no_functions(network.graph, "saved")
    tensors, metadata = _contents(network, dtype, labels, preprocess, network.scores, information)
    _replace(Path(path), lambda file: write_tensors(file, tensors, metadata))


def save_foreign(
    network: NetworkStructure,
    path: str | os.PathLike[str],
    dtype: str | None,
    suffix: str,
    information: Mapping[str, str] | None,
) -> None:
    """Write a file in another framework's format, with the network's own labels. See `Network.save`."""
    known = writers()
    if suffix not in known:
        suffixes = ", ".join([MODEL_SUFFIX, *known])
        wrong = (
            f"networks are not written as {suffix} files" if suffix else "the name of the file has no suffix"
        )
        raise ParameterError(f"{os.fspath(path)}: {wrong}; the suffixes are {suffixes}")
    known[suffix](network, path, dtype, information)


def model_content(
    network: NetworkStructure,
    *,
    labels: Sequence[str] | None,
    preprocess: str | Mapping[str, Any] | None,
    scores: ScoresName | None,
) -> bytes:
    """Return the bytes of a model file whose weights are not rounded."""
    require_no_functions(network.graph, "used in a Model")
    dtype = None if has_integers(network) else "float32"
    tensors, metadata = _contents(network, dtype, labels, preprocess, scores, network.information or None)
    file = io.BytesIO()
    write_tensors(file, tensors, metadata)
    return file.getvalue()


def _contents(
    network: NetworkStructure,
    dtype: str | None,
    labels: Sequence[str] | None,
    preprocess: str | Mapping[str, Any] | None,
    scores: ScoresName | None,
    information: Mapping[str, str] | None,
) -> tuple[dict[str, Tensor], dict[str, str]]:
    metadata = {"mpscnn.version": VERSION, "mpscnn.graph": network.graph.to_json()}
    metadata |= description(network, labels, preprocess, scores, information)
    tensors = stored_tensors(network, dtype)
    if network.detection is not None and network.detection.anchors is not None:
        tensors["mpscnn.anchors"] = _kept(network.detection.anchors.astype(np.float32))
    if (known := network.calibration) is not None:
        metadata["mpscnn.calibration"] = as_json("calibration", {"layer": known.layer})
        for name in ("features", "distances", "probabilities"):
            tensors[f"mpscnn.calibration.{name}"] = _kept(getattr(known, name))
    return tensors, metadata


def description(
    network: NetworkStructure,
    labels: Sequence[str] | None,
    preprocess: str | Mapping[str, Any] | None,
    scores: ScoresName | None,
    information: Mapping[str, str] | None,
) -> dict[str, str]:
    """Return a model file's metadata by name, without the network."""
    entries: dict[str, str] = {}
    if labels is not None:
        entries["mpscnn.labels"] = as_json("labels", name_list("labels", labels))
    if preprocess is not None:
        require_one_input(network)
        channels = network.input.shape[-1] or 3
        entries["mpscnn.preprocess"] = _core.describe_preprocess(as_json("preprocess", preprocess), channels)
    if scores is not None:
        entries["mpscnn.scores"] = as_json("scores", checked_scores(scores))
    if network.answers is not None:
        require_fitting_answers(network.answers, [tensor.shape for tensor in network.outputs])
        require_whole_photo(network.answers, preprocess)
        entries["mpscnn.answers"] = as_json("answers", network.answers)
    if information is not None:
        entries["mpscnn.information"] = as_json("information", information)
    if network.detection is not None:
        entries["mpscnn.detection"] = as_json("detection", network.detection.settings)
    return entries


def require_one_input(network: NetworkStructure) -> None:
    """Raise ParameterError if a network with preprocessing has several inputs."""
    if len(network.inputs) != 1:
        raise ParameterError(
            f"preprocess: a photo becomes the only input, and network {network.name!r} has {len(network.inputs)}"
        )


def _stored(
    name: str,
    values: NDArray[Any],
    scales: Sequence[float] | NDArray[np.float32],
    zero_points: Sequence[float] | NDArray[np.float32],
) -> dict[str, Tensor]:
    """Return the tensors that store a weight: its values, and for integers their scales and zero points.

    There is one scale and zero point for each index of the first axis, or one for all.
    """
    arrays = {name: values}
    if len(scales):
        arrays[f"{name}.scale"] = np.asarray(scales, np.float32)
        arrays[f"{name}.zero_point"] = np.asarray(zero_points, np.float32)
    return {key: _kept(array) for key, array in arrays.items()}


def change_metadata(
    path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    changes: Mapping[str, str],
    *,
    calibrated: bool = True,
) -> None:
    """Write a model file with changed metadata ("mpscnn.graph", "mpscnn.labels", ...) and the same tensors.

    Args:
        path: the model file.
        output: the new file. If it is the same path, the file is replaced when the new one is complete.
        changes: new or changed entries.
        calibrated: False to leave out the calibration.

    Raises:
        WeightsError: the file is not a model file, the changes would make it invalid, or it cannot be read or written.
    """
    content = read_content(path, WeightsError)
    core = _core.Model.parse(content, os.fsencode(path))  # raises an error if the file is invalid
    if not calibrated:
        core.remove_calibration()
        content = core.content()
    header, tensors = _with_metadata(content, changes)

    def write(file: BinaryIO) -> None:
        file.write(header)
        file.write(tensors)

    _replace(Path(output), write)


def with_metadata(content: bytes, changes: Mapping[str, str]) -> bytes:
    """Return a model file's bytes with changed metadata and the same tensors."""
    return b"".join(_with_metadata(content, changes))


def _with_metadata(content: bytes, changes: Mapping[str, str]) -> tuple[bytes, memoryview]:
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] = {**header["__metadata__"], **changes}
    text = _padded(_json(header).encode())
    return len(text).to_bytes(8, "little") + text, memoryview(content)[8 + length :]


@dataclass(frozen=True)
class Tensor:
    """A tensor to be written to a file. Its elements are computed when they are written."""

    dtype: str
    shape: tuple[int, ...]
    make: Callable[[], NDArray[Any]]


def _kept(array: NDArray[Any]) -> Tensor:
    return Tensor(array.dtype.name, array.shape, lambda: array)


def stored_tensors(network: NetworkStructure, dtype: str | None) -> dict[str, Tensor]:
    """Return the tensors that a file stores, by name.

    `dtype` is the stored type of weights, as in `Network.save`. With None, weights that are 8-bit integers stay so. The
    others become float32 if the network has any 8-bit integers, and float16 if it has none.
    """
    tensors: dict[str, Tensor] = {}
    kept = {node["name"] for node in network.to_dict()["nodes"] if node.get("keep_float32")}
    of_floats = dtype or "float16"
    if dtype == "uint8" or (dtype is None and has_integers(network)):
        of_floats = "float32"
    for spec in network.weight_specs():
        if not spec["set"]:
            if spec["required"]:
                raise WeightsError(f"layer {spec['layer']!r}: {spec['role']} is missing; load weights first")
            continue
        layer, role = spec["layer"], spec["role"]
        name = f"{layer}.{role}"
        if role == "bias" and (stored := network.graph.get_weight(layer, role))[0].dtype == np.int32:
            tensors |= _stored(name, *stored)
            continue
        if role == "weight" and dtype in (None, "uint8"):
            values, scales, zero_points = network.graph.get_weight(layer, role)
            if scales or (dtype == "uint8" and layer not in kept):
                integers = (values, scales, zero_points) if scales else quantize(values)
                tensors |= _stored(name, *integers)
                continue
        kind = of_floats if role == "weight" else "float32"
        make = partial(_floats, network, layer, role, np.dtype(kind))
        tensors[name] = Tensor(kind, tuple(spec["shape"]), make)
    return tensors


def _floats(network: NetworkStructure, layer: str, role: str, dtype: np.dtype[Any]) -> NDArray[Any]:
    values = network.weight(layer, role)
    return _to_half(f"{layer}.{role}", values) if dtype == np.float16 else values.astype(dtype, copy=False)


def quantize(values: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    """Quantise values to uint8, with a scale and a zero point for each index of the first axis.

    The range includes 0, which is represented exactly. The error is at most half a step.
    """
    flat = values.reshape(len(values), -1).astype(np.float64)
    low = np.minimum(flat.min(axis=1), 0.0)
    high = np.maximum(flat.max(axis=1), 0.0)
    scales = np.where(high > low, (high - low) / 255.0, 1.0).astype(np.float32)
    zero_points = np.clip(np.rint(-low / scales), 0, 255).astype(np.float32)
    steps = np.rint(flat / scales[:, None].astype(np.float64)) + zero_points[:, None]
    return np.clip(steps, 0, 255).astype(np.uint8).reshape(values.shape), scales, zero_points


def write_tensors(file: BinaryIO, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file. Tensors are sorted by decreasing element size, so that all are aligned."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    position = 0
    ordered = sorted(tensors.items(), key=lambda item: -np.dtype(item[1].dtype).itemsize)
    for name, tensor in ordered:
        size = np.dtype(tensor.dtype).itemsize * math.prod(tensor.shape)
        header[name] = {
            "dtype": _FORMAT_NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [position, position + size],
        }
        position += size
    text = _padded(_json(header).encode())
    file.write(len(text).to_bytes(8, "little") + text)
    for _, tensor in ordered:
        array = tensor.make()
        elements = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        file.write(elements.reshape(-1).view(np.uint8).data)


def _padded(header: bytes) -> bytes:
    """Pad the header so that the data begins at a multiple of 8 bytes."""
    return header + b" " * (-len(header) % 8)


def _to_half(name: str, values: NDArray[Any]) -> NDArray[np.float16]:
    # np.abs(values) would be a copy of the array.
    largest = float(max(np.max(values, initial=0.0), -np.min(values, initial=0.0)))
    if largest >= 65520.0:
        raise WeightsError(f"{name}: {largest:g} is beyond float16's range; save with dtype='float32'")
    return values.astype(np.float16)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _replace(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Write a temporary file that replaces `path` when it is complete.

    A file that could not be loaded again raises an error, and `path` stays unchanged.
    """

    def check(temporary: str) -> None:
        try:
            _core.Model.check(os.fsencode(temporary))
        except Error as error:
            raise type(error)(str(error).replace(temporary, f"model for {path}")) from error

    with replace_atomically(path, WeightsError, check) as file:
        write(file)
