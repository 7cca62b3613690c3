"""Read compiled Core ML models (.mlmodelc): folders with a program as text, its weights, and a description."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mpscnn._private.files import is_file, is_folder, read_content
from mpscnn._private.json_text import parse_json
from mpscnn.converters.opening.file_bytes import FileBytes
from mpscnn.converters.opening.unsupported import prefix_errors
from mpscnn.converters.reading.coreml.features import ORDERS
from mpscnn.converters.reading.coreml.file import CoremlFile
from mpscnn.converters.reading.coreml.program.text import MAX_TEXT, parse_program
from mpscnn.converters.reading.coreml.weights import Weights
from mpscnn.errors import UnsupportedError, WeightsError

COMPILED = ".mlmodelc"
_PROGRAM, _DESCRIPTION = "model.mil", "metadata.json"
_MAX_DESCRIPTION = 1 << 24
_MAX_PARTS = 100
_PARTS = "model"  # the names of a pipeline's parts are "model0", "model1", ...
_SOURCE = "give the .mlmodel or .mlpackage that it was compiled from"
_COLORS = {order: number for number, order in ORDERS.items() if number in (10, 20, 30)}


def read_compiled(path: Path) -> CoremlFile:
    """Read a compiled model that contains a program as text, or a compiled pipeline that begins with one.

    Raises:
        UnsupportedError: it is a compiled neural network, or a pipeline that begins with something else. WeightsError:
            it is damaged.
    """
    origin = os.fspath(path)
    if not is_folder(path):
        raise WeightsError(f"{origin}: is not a folder, as a compiled model ({COMPILED}) is: {_SOURCE}")
    parts = _parts(path)
    folder = parts[0] if parts else path
    program = folder / _PROGRAM
    if os.path.lexists(program) and not is_file(program):
        raise WeightsError(f"damaged: {origin}: {_PROGRAM} is not a file: copy the whole folder again")
    if not is_file(program) or any(is_file(part / _PROGRAM) for part in parts[1:]):
        raise UnsupportedError(f"{origin}: is {_kind(path, parts)}: {_SOURCE}")
    with prefix_errors(origin):
        text = _text(program, MAX_TEXT)
        model = parse_program(text)
        model.specificationVersion = 6
        described = folder / _DESCRIPTION
        _describe(model, described if os.path.lexists(described) else path / _DESCRIPTION)
    total = sum(part.stat().st_size for part in compiled_files(path))
    weights = Weights(FileBytes(program))
    return CoremlFile(origin, program, model, weights, total, path, _notes(parts[1:]))


def _parts(path: Path) -> list[Path]:
    """Return the folders of a compiled pipeline's parts in their order; none for a single model."""
    found: list[Path] = []
    while is_folder(part := path / f"{_PARTS}{len(found)}") and len(found) < _MAX_PARTS:
        found.append(part)
    return found


def _notes(left_out: Sequence[Path]) -> list[str]:
    if not left_out:
        return []
    names = ", ".join(part.name for part in left_out)
    return [
        f"the parts {names} of the compiled pipeline are left out, because only Apple's software reads them. The "
        f"outputs are those of the network in {_PARTS}0. For the results of the whole pipeline, {_SOURCE}"
    ]


def compiled_files(path: Path) -> list[Path]:
    """Return the files of a compiled model, without links that lead to no file."""
    found = (Path(folder) / name for folder, _, names in os.walk(path) for name in names)
    return sorted(one for one in found if is_file(one))


def _kind(path: Path, parts: Sequence[Path]) -> str:
    programs = [part.name for part in parts if is_file(part / _PROGRAM)]
    if len(programs) > 1:
        return f"a compiled pipeline of several programs ({', '.join(programs)})"
    if parts:
        return f"a compiled pipeline whose first part ({parts[0].name}) has no text of a program ({_PROGRAM})"
    names = {entry.name for entry in path.iterdir()}
    if any(name.startswith("model.espresso.") for name in names):
        return "a compiled neural network (model.espresso.net), whose format is Apple's own"
    return f"a compiled Core ML model without the text of a program ({_PROGRAM})"


def _text(path: Path, limit: int) -> str:
    try:
        return read_content(path, WeightsError, limit, is_text=True).decode("utf-8")
    except UnicodeDecodeError as error:
        raise WeightsError(f"damaged: {path.name} is not text: {error}") from error


def _describe(model: Any, path: Path) -> None:
    """Set which inputs are images, and the entries of the author, from the description next to a program."""
    images = {}
    entries: dict[str, str] = {}
    if os.path.lexists(path):
        try:
            (described,) = parse_json(_text(path, _MAX_DESCRIPTION))
            images = {one["name"]: one for one in described["inputSchema"] if one["type"] == "Image"}
            entries = dict(described.get("userDefinedMetadata", {}))
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise WeightsError(f"damaged: {path.name} does not describe the inputs: {error}") from error
    for key, value in entries.items():
        model.description.metadata.userDefined.add(key=str(key), value=str(value))
    function = next((entry.value for entry in model.mlProgram.functions if entry.key == "main"), None)
    for given in function.inputs if function is not None else ():
        if given.name not in images:
            continue
        one = model.description.input.add(name=given.name)
        image = images[given.name]
        order = {"RGB": "rgb", "BGR": "bgr", "Grayscale": "gray"}.get(str(image.get("colorspace")))
        try:
            if order is None:
                raise ValueError(f"an image of the colours {image.get('colorspace')!r}")
            one.type.imageType.colorSpace = _COLORS[order]
            one.type.imageType.width, one.type.imageType.height = int(image["width"]), int(image["height"])
        except (ValueError, LookupError, TypeError, OverflowError) as error:
            raise WeightsError(f"damaged: {path.name} does not describe the inputs: {error}") from error
