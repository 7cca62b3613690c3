"""Write networks as compiled Core ML programs to the cache, for the device "coreml".

Each network has a folder in the cache, whose name is a hash of the network, its sizes and its precision. It contains
the model package, and the model that Core ML compiled on this build of macOS. A file with a checksum is written after
each of them. The folders that were used last are kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import zlib
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpscnn import _core
from mpscnn._private.files import convert_read_errors, is_file, is_folder, replace_folder
from mpscnn._private.given_warnings import warn_caller
from mpscnn.converters.reading.coreml.file import PACKAGE, read_coreml
from mpscnn.converters.writing.coreml.export import export
from mpscnn.converters.writing.coreml.program import first_line
from mpscnn.errors import (
    DeviceError,
    DownloadError,
    Error,
    ParameterError,
    ShapeError,
    UnsupportedError,
    WeightsError,
)
from mpscnn.graph.network import Network
from mpscnn.registry.cache import cache_directory, hold_lock, replace_file

if TYPE_CHECKING:
    from typing import TypedDict

    class Program(TypedDict):
        """A compiled program: its path, the names of its inputs and outputs, and the size of the package in bytes."""

        path: str
        inputs: list[str]
        outputs: list[str]
        weight_bytes: int


KEPT_PROGRAMS = 32
"""The number of networks that the cache keeps."""
_CHUNK = 1 << 20
#: The core's numbers of errors.
_KINDS = ((ShapeError, 1), (ParameterError, 2), (WeightsError, 3), (DeviceError, 4), (DownloadError, 4))
_UNSUPPORTED, _STATE = 5, 6


def write_program(content: bytes, request: str) -> str:
    """Return a compiled Core ML program for a network as JSON. It is written and compiled if the cache lacks it.

    Args:
        content: the content of a model file.
        request: JSON with `precision` ("float32" or "float16"), the `shapes` of the inputs for one image, the `system`
            (version and build), and `again`: whether Core ML did not load the program of an earlier call.

    Returns:
        `path`, `inputs`, `outputs` and `weight_bytes`. Or, if this fails, the core's number of the `error` and its
        `message`.
    """
    try:
        return json.dumps(_program(content, json.loads(request)))
    except Error as error:
        kind = next((number for known, number in _KINDS if isinstance(error, known)), None)
        if kind is None:
            kind = _UNSUPPORTED if isinstance(error, UnsupportedError) else _STATE
        return json.dumps({"error": kind, "message": str(error)})
    except Exception as error:  # coremltools has no exception classes of its own
        message = (
            f"device 'coreml': the program cannot be written: {type(error).__name__}: {first_line(error)}"
        )
        return json.dumps({"error": _STATE, "message": message})


def _program(content: bytes, request: Mapping[str, Any]) -> Program:
    folder = cache_directory() / "coreml" / _key(content, request)
    package, compiled = folder / f"network{PACKAGE}", folder / f"{_digest(request['system'])[:16]}.mlmodelc"
    with hold_lock(folder):
        if request["again"]:
            _remove(package, compiled)
        if not _is_intact(package):
            _remove(package, compiled)
            folder.mkdir(parents=True, exist_ok=True)
            _write(content, request, package)
            _keep_checksum(package)
            _remove_oldest(folder)
        if not _is_intact(compiled):
            _remove(compiled)
            _compile(package, compiled)
            _keep_checksum(compiled)
        folder.touch()  # the folder that was used last
        return _describe(package, compiled)


def _key(content: bytes, request: Mapping[str, Any]) -> str:
    """Return the name of a network's folder, which changes with everything that the program depends on."""
    try:
        tools = metadata.version("coremltools")
    except metadata.PackageNotFoundError:
        tools = ""
    about = [_core.version(), tools, request["precision"], request["shapes"]]
    return _digest(json.dumps(about), content)[:32]


def _digest(text: str, content: bytes = b"") -> str:
    return hashlib.sha256(text.encode() + b"\0" + content).hexdigest()


def _write(content: bytes, request: Mapping[str, Any], package: Path) -> None:
    """Write a network as a package. Errors name the network instead of the file."""
    network = _with_shapes(
        Network.from_graph(_core.Model.parse(content, "network").graph()), request["shapes"]
    )
    origin = f"network {network.name!r} on device 'coreml'"
    try:
        export(network, package, dtype=request["precision"])
    except UnsupportedError as error:
        message = str(error)
        named = message.replace(str(package), origin) if str(package) in message else f"{origin}: {message}"
        raise UnsupportedError(named) from error


def _with_shapes(network: Network, shapes: Sequence[Sequence[int]]) -> Network:
    """Return the network for inputs of these shapes, without free extents."""
    structure = network.to_dict()
    inputs = [
        {**entry, "shape": [entry["shape"][0], *shape[1:]]}
        for entry, shape in zip(structure["inputs"], shapes, strict=True)
    ]
    return network.restructured({**structure, "inputs": inputs})


def _compile(package: Path, compiled: Path) -> None:
    """Compile a package. Core ML does this in a folder for temporary files, from which the result is moved."""
    made = _core.coreml_compile(str(package))
    with replace_folder(compiled, DownloadError) as folder:
        shutil.move(made, folder)


def _describe(package: Path, compiled: Path) -> Program:
    file = read_coreml(package)
    description = file.model.description
    return {
        "path": str(compiled),
        "inputs": [str(feature.name) for feature in description.input],
        "outputs": [str(feature.name) for feature in description.output],
        "weight_bytes": file.size,
    }


# ---- The cache ----------------------------------------------------------------------------------------------------


def _checksum_path(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.crc32")


def _checksum(folder: Path) -> bytes:
    """Return a text with the number, size and CRC-32 of the files of a folder. It is for accidents only."""
    crc = size = 0
    files = sorted(path for path in folder.rglob("*") if is_file(path))
    for file in files:
        crc = zlib.crc32(file.relative_to(folder).as_posix().encode(errors="surrogateescape"), crc)
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                crc, size = zlib.crc32(chunk, crc), size + len(chunk)
    return f"{len(files)} files, {size} bytes, CRC-32 {crc:08x}\n".encode()


def _keep_checksum(folder: Path) -> None:
    with replace_file(_checksum_path(folder)) as file:
        file.write_bytes(_checksum(folder))


def _is_intact(folder: Path) -> bool:
    """Return True if a folder has its checksum. Warn if it exists and has another one."""
    checksum = _checksum_path(folder)
    if not is_folder(folder) or not is_file(checksum):
        return False
    with convert_read_errors(folder, WeightsError), checksum.open("rb") as stream:
        if stream.read(_CHUNK) == _checksum(folder):
            return True
    warn_caller(f"{folder}: is damaged, as its checksum shows; it is made again")
    return False


def _remove(*folders: Path) -> None:
    for folder in folders:
        _checksum_path(folder).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


def _remove_oldest(used: Path) -> None:
    """Remove the folders of networks that were not used for the longest time."""
    others = [path for path in used.parent.iterdir() if is_folder(path) and path != used]
    others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for folder in others[KEPT_PROGRAMS - 1 :]:
        with contextlib.suppress(OSError):
            shutil.rmtree(folder)
