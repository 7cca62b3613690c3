"""Read the files of a Core AI asset: a folder (.aimodel) with a program and its description."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpscnn._private.files import convert_read_errors, is_file, is_folder, read_content
from mpscnn._private.json_text import parse_json
from mpscnn.converters.opening.file_bytes import FileBytes, is_in_own_folder
from mpscnn.errors import UnsupportedError, WeightsError

ASSET = ".aimodel"
PROGRAM, HASH, DESCRIPTION = "main.mlirb", "main.hash", "metadata.json"
COMPILED = "main.odix"
_MAX_DESCRIPTION = 4 << 20
_BYTECODE = b"ML\xefR"
_VERSION = "2."


@dataclass(frozen=True)
class Asset:
    """The files of an asset.

    Attributes:
        origin: the name of the asset, for error messages.
        program: the file with the program, as bytecode of MLIR.
        size: the number of bytes of the program.
        metadata: the description of the asset.
    """

    origin: str
    program: Path
    size: int
    metadata: Mapping[str, Any]

    @property
    def entries(self) -> dict[str, str]:
        """The author's own entries of the description, such as the names of the classes."""
        own = self.metadata.get("creatorDefinedMetadata")
        if not isinstance(own, Mapping):
            return {}
        found = {key: text for key, text in own.items() if isinstance(text, str)}
        names = own.get("names")  # some exporters write a list or an object
        return found | ({"names": repr(names)} if isinstance(names, (dict, list)) else {})


def asset_files(root: Path) -> list[Path]:
    """Return the files of an asset. Raises WeightsError if something else has the name of one."""
    for path in (root / PROGRAM, root / HASH, root / DESCRIPTION):
        if os.path.lexists(path) and not is_file(path):
            raise WeightsError(f"damaged: {root}: {path.name} is not a file: copy the whole folder again")
    return [root / name for name in (PROGRAM, HASH, DESCRIPTION) if is_file(root / name)]


def open_asset(root: Path) -> Asset:
    """Check the files of an asset, without reading its program.

    Raises WeightsError if files are missing, damaged or outside of the folder, or if the program has another hash than
    the asset states; UnsupportedError for an asset that has only a compiled program, or another version.
    """
    origin = os.fspath(root)
    with convert_read_errors(root, WeightsError):
        if not is_folder(root):
            raise WeightsError(
                f"{origin}: is not a folder, as a Core AI asset ({ASSET}) is: unpack it if it is an archive"
            )
        asset_files(root)
        if not is_file(root / PROGRAM):
            if is_file(root / COMPILED):
                raise UnsupportedError(
                    f"{origin}: is compiled for one system; give the asset that it was made of"
                )
            raise WeightsError(
                f"{origin}: is not a Core AI asset: it has no {PROGRAM}; copy the whole folder again"
            )
    for path in asset_files(root):
        if not is_in_own_folder(path, root, root / PROGRAM):
            raise WeightsError(f"damaged: {origin}: {path.name} leads out of the asset")
    content = FileBytes(root / PROGRAM)
    if content.read(0, min(len(content), len(_BYTECODE))) != _BYTECODE:
        raise WeightsError(f"damaged: {root / PROGRAM}: is not a program of Core AI")
    if is_file(root / HASH):
        stated = FileBytes(root / HASH)
        own = hashlib.sha256(content.read(0, len(content))).digest()
        if len(stated) != len(own) or stated.read(0, len(own)) != own:
            raise WeightsError(
                f"damaged: {origin}: {PROGRAM} is not the program whose hash {HASH} states: copy the folder again"
            )
    return Asset(origin, root / PROGRAM, len(content), _description(root))


def _description(root: Path) -> Mapping[str, Any]:
    path = root / DESCRIPTION
    if not is_file(path):
        return {}
    text = read_content(path, WeightsError, _MAX_DESCRIPTION, is_text=True)
    try:
        found = parse_json(text)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"damaged: {path}: {error}") from error
    if not isinstance(found, dict):
        raise WeightsError(f"damaged: {path}: expected an object")
    version = found.get("assetVersion", _VERSION)
    if not isinstance(version, str) or not version.startswith(_VERSION):
        raise UnsupportedError(f"{root}: is an asset of version {version!r}; supported is {_VERSION}x")
    return found
