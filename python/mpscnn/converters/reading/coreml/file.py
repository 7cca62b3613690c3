"""Read the files of a Core ML model: one message (.mlmodel), or a folder with a message and weights (.mlpackage)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from mpscnn._private.files import convert_read_errors, exists, is_file, is_folder, read_content
from mpscnn._private.json_text import parse_json
from mpscnn.converters.opening.file_bytes import MAX_PATH, FileBytes, is_in_own_folder
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.opening.wire.message import open_message
from mpscnn.converters.reading.coreml.schema import MODEL_KIND
from mpscnn.converters.reading.coreml.weights import Weights
from mpscnn.errors import UnsupportedError, WeightsError

MODEL, PACKAGE = ".mlmodel", ".mlpackage"
_MANIFEST, _DATA = "Manifest.json", "Data"
_MAX_MANIFEST = 1 << 20
_MAX_FEATURES = 1_000


@dataclass(frozen=True)
class CoremlFile:
    """A Core ML model that was read.

    Attributes:
        origin: the name of the model, for error messages.
        path: the file with the model's message.
        model: the message.
        weights: reads the weights of its neural networks.
        size: the size of all its files in bytes. It limits the memory and work of the conversion.
        root: the folder of the package. Files outside of it are never read. None: the model is a single file.
        notes: sentences about parts of the files that are not read.
    """

    origin: str
    path: Path
    model: Any
    weights: Weights
    size: int
    root: Path | None
    notes: Sequence[str] = ()

    def blob_file(self, name: str) -> Path:
        """Return the path of a file that the model refers to. Raises WeightsError if it is outside of the package."""
        prefix = "@model_path/"
        inner = name.removeprefix(prefix)
        if self.root is None:
            raise WeightsError(
                f"its weights are in another file, {quote_name(inner)}: give the package ({PACKAGE}), the "
                "folder from which this file was copied, or copy it again with all that is in it"
            )
        return _within(self.root, self.path.parent, inner, name)


def read_coreml(path: Path) -> CoremlFile:
    """Read a model.

    Raises WeightsError if a file is missing, damaged or not of a Core ML model.

    Raises UnsupportedError for a part of a package, and for too many inputs or outputs.
    """
    origin = os.fspath(path)
    with convert_read_errors(path, WeightsError):
        root = path if is_folder(path) else None
    if root is None and path.suffix.lower() == PACKAGE:
        raise WeightsError(
            f"{origin}: is not a folder, as a package ({PACKAGE}) is: unpack it if it is an archive"
        )
    file = path if root is None else message_file(root)
    content = FileBytes(file)
    message = open_message(MODEL_KIND, content)
    try:
        is_model = message.has("description") and message.specificationVersion
        counts = {what: message.description.count(what) for what in ("input", "output")}
    except WeightsError as error:
        raise WeightsError(f"{origin}: is not a Core ML model: {error}") from error
    if not is_model:
        raise WeightsError(
            f"damaged: {origin}: is not a Core ML model: it states no version, or describes nothing"
        )
    package = next((one for one in path.absolute().parents if one.suffix.lower() == PACKAGE), None)
    if package is not None and root is None and message.has("mlProgram"):
        raise UnsupportedError(f"{origin}: is a part of a package; give the package: {package}")
    for what, count in counts.items():
        if count > _MAX_FEATURES:
            raise UnsupportedError(
                f"{origin}: has {count} {what}s; more than {_MAX_FEATURES} are not supported"
            )
    total = len(content) if root is None else sum(part.stat().st_size for part in package_files(root))
    return CoremlFile(origin, file, message, Weights(content), total, root)


def message_file(root: Path) -> Path:
    """Return the file of a package with the message. Raises WeightsError if the manifest does not name it."""
    manifest = root / _MANIFEST
    with convert_read_errors(root, WeightsError):
        is_missing = not exists(manifest)
    if is_missing:
        raise WeightsError(
            f"{root}: is not a Core ML package: it has no {_MANIFEST}; copy the whole folder again"
        )
    content = read_content(manifest, WeightsError, _MAX_MANIFEST, is_text=True)
    try:
        listed = parse_json(content)
        entry = listed["itemInfoEntries"][listed["rootModelIdentifier"]]
        inner = entry["path"]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise WeightsError(f"damaged: {manifest}: does not name the package's model") from error
    if not isinstance(inner, str):
        raise WeightsError(f"damaged: {manifest}: does not name the package's model")
    return _within(root, root / _DATA, inner, inner)


def package_files(root: Path) -> list[Path]:
    """Return the files of a package: its manifest, the message, and those next to the message."""
    message = message_file(root)
    found = {root / _MANIFEST, message}
    for folder, _, names in os.walk(message.parent):
        found |= {Path(folder) / name for name in names}
    return sorted(path for path in found if is_file(path))


def _within(root: Path, folder: Path, stated: str, name: str) -> Path:
    """Return the path of a file in a package, which is called `name` in errors.

    Raises WeightsError if it is outside of the package.
    """
    inner = PurePosixPath(stated if len(stated) <= MAX_PATH else "..")
    leaves = inner.is_absolute() or ".." in inner.parts or "\0" in name or "\\" in name
    if leaves or not inner.parts:
        raise WeightsError(f"damaged: {root}: names {quote_name(name)}, which is not a file of the package")
    path = folder / inner
    if not is_in_own_folder(path, root, root / _MANIFEST):
        raise WeightsError(f"damaged: {root}: {quote_name(name)} leads out of the package")
    if not is_file(path):
        raise WeightsError(f"{root}: has no file {quote_name(name)}: copy the whole folder again")
    return path
