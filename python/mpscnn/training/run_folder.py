"""The folder with the state of a training, from which a stopped training continues."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mpscnn import _core
from mpscnn._private.arguments import thread_count
from mpscnn._private.files import convert_write_errors, exists, is_folder, read_content, replace_atomically
from mpscnn._private.json_text import parse_json
from mpscnn.errors import ParameterError, WeightsError
from mpscnn.graph.network import Network
from mpscnn.runtime.device_name import named_device
from mpscnn.training.array_archive import read_arrays, require_readable, write_arrays

_DESCRIPTION = "run.json"
#: The longest text of an option that a message shows.
_LONG = 40


@dataclass(frozen=True)
class RunChoices:
    """How a training runs. These choices do not change its result.

    Raises ParameterError for a wrong value, and DeviceError if there is no such device.

    Args:
        resume: continue the training in the folder for its state.
        restart: delete another training in that folder.
        device, threads: as for `mpscnn.Trainer`.
    """

    resume: bool = False
    restart: bool = False
    device: str = "auto"
    threads: int | Literal["auto"] = "auto"

    def __post_init__(self) -> None:
        thread_count(self.threads)
        with named_device(self.device) as device:
            if device not in ("auto", "cpu"):
                _core.CommandQueue(device)  # raises DeviceError if there is no such device


class RunFolder:
    """The files of a training: a description of all that determines the result, and files with its progress.

    Args:
        path: the folder.
        results: the names of the files with progress.
    """

    def __init__(self, path: Path, results: Sequence[str]) -> None:
        self.path = path
        self._results = [path / name for name in results]

    def __truediv__(self, name: str) -> Path:
        """Return the path of a file."""
        return self.path / name

    def open(self, description: Mapping[str, Any], choices: RunChoices) -> None:
        """Begin a training, or continue the one in the folder.

        Raises:
            ParameterError: with `resume`, the folder has no training, or one with another description; without `resume`
                and `restart`, the folder has a training that would be lost.
            WeightsError: the folder or its description cannot be written or, with `resume`, read.
        """
        path = self / _DESCRIPTION
        if choices.resume:
            if not exists(path):
                raise ParameterError(f"{self.path}: there is no run to resume")
            if other := _difference(self.read_json(_DESCRIPTION), json.loads(json.dumps(description))):
                fewer = (
                    "the learning rate falls over all epochs, so their number stays the same: Ctrl-C ends the run "
                    "earlier and writes the best network so far, and another training can start from its file; "
                )
                raise ParameterError(
                    f"{self.path}: the run {other}; {fewer * (' epochs=' in other)}give the same again, or "
                    "restart=True, --restart in a shell, deletes the run and starts again"
                )
            return
        if not choices.restart and any(exists(path) for path in self._results):
            raise ParameterError(
                f"{self.path}: has the state of an interrupted run; resume=True, --resume in a shell, continues it; "
                "restart=True, --restart in a shell, deletes it and starts again"
            )
        self.remove()
        with convert_write_errors(self.path, WeightsError):
            self.path.mkdir(parents=True, exist_ok=True)
        self.write_json(_DESCRIPTION, description)

    def remove(self) -> None:
        """Remove the files, and the folder if nothing else is in it."""
        for path in (self / _DESCRIPTION, *self._results):
            path.unlink(missing_ok=True)
            for left_over in self.path.glob(f".{path.name}.*"):  # left by a killed process
                left_over.unlink(missing_ok=True)
        if is_folder(self.path) and not any(self.path.iterdir()):
            self.path.rmdir()

    def read_json(self, name: str) -> Any:
        """Return the content of a JSON file. Raises WeightsError if it is damaged."""
        try:
            return parse_json(read_content(self / name, WeightsError, is_text=True))
        except (ValueError, RecursionError) as error:
            raise WeightsError(f"{self / name}: is damaged: {error}") from error

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file."""
        with replace_atomically(self / name, WeightsError) as file:
            file.write(json.dumps(value).encode())

    def read_weights(self, name: str) -> dict[str, NDArray[np.float32]]:
        """Return weights by name. Raises WeightsError if the file is damaged."""
        path = self / name
        require_readable(path)
        try:
            return read_arrays(path, lambda name: "." in name)  # names of weights are layer.role
        except WeightsError as error:
            raise WeightsError(f"{path}: is damaged: {error}") from error

    def write_weights(self, name: str, weights: Mapping[str, Any]) -> None:
        """Write weights by name."""
        with replace_atomically(self / name, WeightsError) as file:
            write_arrays(file, weights)


def describe_run(
    files: Iterable[tuple[str, str]], options: Mapping[str, Any], network: Network, reading: Any
) -> dict[str, Any]:
    """Return the description of everything that determines the result of a training.

    Args:
        files: the path of each file, and the text that stands for it and its labels.
        options: the options by the names of `mpscnn.train`, as JSON.
        network: the network with which the training starts.
        reading: how photos become its inputs.
    """
    photos = hashlib.sha256()
    for path, text in files:
        about = os.stat(path)  # noqa: PTH116 - the name may be no text
        line = f"{text} {about.st_size} {about.st_mtime_ns};"
        photos.update(line.encode(errors="surrogateescape"))
    model = hashlib.sha256(json.dumps([repr(reading), network.to_dict()], sort_keys=True).encode())
    for name, values in network.weights.items():
        model.update(name.encode() + np.ascontiguousarray(values).tobytes())
    return {"options": dict(options), "photos": photos.hexdigest(), "model": model.hexdigest()}


def _difference(old: Any, new: Mapping[str, Any]) -> str:
    """Return how a run differs from a description, or "" if it is the same.

    Other options can change the model and the choice of photos, so these are only named if all options are equal.
    """
    if old == new:
        return ""
    if not isinstance(old, dict) or old.get("format") != new.get("format"):
        return "is of another version of mpscnn"
    if old.keys() != new.keys() or not isinstance(old["options"], dict):
        return "has a damaged description"
    pairs = [(name, repr(old["options"].get(name)), repr(value)) for name, value in new["options"].items()]
    others = [
        name if max(map(len, (before, now))) > _LONG else f"{name}={before}, not {now}"
        for name, before, now in pairs
        if before != now
    ]
    if others:
        return f"had other options: {'; '.join(others)}"
    if old["photos"] != new["photos"]:
        return "had other photos, labels or photos for validation"
    return "had another model"
