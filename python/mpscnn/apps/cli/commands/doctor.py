"""The command `mpscnn doctor`."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import mpscnn
from mpscnn._private.files import convert_read_errors, is_folder, require_regular
from mpscnn.apps.cli.arguments import JsonOption
from mpscnn.apps.cli.output import show, show_json
from mpscnn.errors import WeightsError
from mpscnn.registry.cache import cache_directory, model_directories
from mpscnn.registry.cache_content import file_sizes
from mpscnn.runtime.library import build_config
from mpscnn.runtime.library import devices as listed_devices

#: Optional packages whose versions are reported.
PACKAGES = (
    *("numpy", "pillow", "rich", "typer", "onnx", "onnxruntime", "protobuf"),
    *("torch", "torchvision", "timm", "keras", "tensorflow", "ai-edge-litert", "openvino", "ncnn", "MNN"),
    *("coremltools", "pycocotools", "av", "pillow-heif", "ray", "fastapi", "uvicorn", "scikit-learn"),
)
_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_CORETYPE")
#: The end of the names of variables whose values are secrets. A bug report is public.
_SECRET, _HIDDEN = "_TOKEN", "(set; not shown)"
#: The bytes of a recorded self-check that are printed.
_LONGEST_RECORD = 1 << 16


def doctor(as_json: JsonOption = False) -> None:
    """Print all that a bug report needs.

    The report has versions, devices, caches and settings of this installation. Nothing is changed or sent.

    Example: mpscnn doctor --json > report.json
    """
    found = report()
    if as_json:
        show_json(found)
    else:
        show(*_lines(found))


def report() -> dict[str, Any]:
    """Return the facts that `mpscnn doctor` prints."""
    return {
        "mpscnn": mpscnn.__version__,
        "place": str(Path(__file__).parents[2]),
        "python": sys.version.replace("\n", " "),
        "platform": platform.platform(),
        "build": build_config(),
        "devices": listed_devices(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "variables": {
            name: _HIDDEN if name.endswith(_SECRET) else value
            for name, value in sorted(os.environ.items())
            if name.startswith("MPSCNN_") or name in _VARIABLES
        },
        "caches": [_folder("cache", cache_directory())]
        + [_folder("models", place) for place in model_directories()],
        "self_checks": _self_checks(),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _folder(use: str, place: Path) -> dict[str, Any]:
    """Return a folder's path, and the number and total size of its files."""
    sizes = list(file_sizes(place))
    return {
        "use": use,
        "path": str(place),
        "exists": is_folder(place),
        "files": len(sizes),
        "bytes": sum(sizes),
    }


def _self_checks() -> dict[str, str]:
    """Return the recorded self-checks of GPUs by file name."""
    records: dict[str, str] = {}
    folder = cache_directory() / "self_check"
    for path in sorted(folder.glob("*.txt")) if is_folder(folder) else ():
        try:
            with convert_read_errors(path, WeightsError):
                require_regular(path, WeightsError)
                with path.open("rb") as file:
                    records[path.name] = file.read(_LONGEST_RECORD).decode("utf-8", "replace").strip()
        except WeightsError as error:
            records[path.name] = str(error)
    return records


def _lines(found: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of the report: one for each fact, under a heading for each kind."""
    for name, value in found.items():
        if isinstance(value, dict):
            yield f"{name}:"
            yield from (f"  {key}: {_shown(one)}" for key, one in value.items())
        elif isinstance(value, list):
            yield f"{name}:"
            yield from (f"  {_shown(one)}" for one in value)
        else:
            yield f"{name}: {value}"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(one)}" for key, one in value.items())
    if isinstance(value, list):
        return " ".join(map(_shown, value))
    return str(value).replace("\n", " | ")
