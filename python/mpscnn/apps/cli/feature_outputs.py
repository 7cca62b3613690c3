"""The files and folders that `mpscnn features` writes."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.files import file_next_to, replacing, take_place, writing
from mpscnn._private.summary import bytes_text
from mpscnn.apps.cli.picture_folder import PictureFolder
from mpscnn.errors import ParameterError
from mpscnn.vision.photo_result import csv_text

__all__ = ["LINES", "PHOTOS", "TIMES", "Archive", "Features", "FrameLines", "Moment", "Output", "Pictures"]

#: The array next to those of the layers: where each row comes from.
PHOTOS = "photos"
#: The array with the times of a video's frames.
TIMES = "times"
#: Endings of files with a line for each photo or frame.
LINES = (".jsonl", ".csv")

Features = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Moment:
    """The position of a frame in a video."""

    video: str
    frame: int
    time: float
    """In seconds."""


class Output(Protocol):
    """A file or folder for features."""

    def add(self, photo: str, features: Features, moment: Moment | None, /) -> None:
        """Add the features of one photo, or of a video's frame."""

    def finish(self) -> None:
        """Write everything that had to wait for the last photo, and put the complete file in its place."""

    def close(self) -> None:
        """Remove files that are not finished."""

    def fields(self) -> dict[str, Any]:
        """Return what was written, for JSON."""

    def lines(self) -> list[str]:
        """Return what was written, as text."""


class Archive:
    """A numpy file with an array for each layer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._photos: list[str] = []
        self._times: list[float] = []
        self._rows: dict[str, list[NDArray[Any]]] = {}

    def add(self, photo: str, features: Features, moment: Moment | None, /) -> None:
        """Add the features of one photo or frame."""
        self._photos.append(photo)
        if moment is not None:
            self._times.append(moment.time)
        for layer, value in features.items():
            self._rows.setdefault(layer, []).append(value)

    def finish(self) -> None:
        """Write the rest."""
        arrays = {layer: np.concatenate(values) for layer, values in self._rows.items()}
        arrays[PHOTOS] = np.array(self._photos)
        if self._times:
            arrays[TIMES] = np.array(self._times)
        # Not numpy.savez: it takes names as keyword arguments, among which a layer's may be its own.
        with replacing(self._path, ParameterError) as file, zipfile.ZipFile(file, "w") as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, array, allow_pickle=False)

    def close(self) -> None:
        """Nothing is written before the end."""

    def fields(self) -> dict[str, Any]:
        """Return what was written, for JSON."""
        return {"file": str(self._path)}

    def lines(self) -> list[str]:
        """Return what was written, as text."""
        return [f"  {self._path}, {bytes_text(self._path.stat().st_size)}"]


class Pictures:
    """A folder with a picture of each photo's channels for each layer."""

    def __init__(self, folder: PictureFolder) -> None:
        self._folder = folder
        self._written: list[dict[str, str]] = []

    def add(self, photo: str, features: Features, _moment: Moment | None, /) -> None:
        """Add the features of one photo or frame."""
        from mpscnn.vision.visualize import channels_picture

        self._written.append(
            {
                layer: str(self._folder.save(channels_picture(value[0]), photo, f"_{_file_name(layer)}"))
                for layer, value in features.items()
            }
        )

    def finish(self) -> None:
        """Every picture is written."""

    def close(self) -> None:
        """Pictures stay, each of which is complete."""

    def fields(self) -> dict[str, Any]:
        """Return what was written, for JSON."""
        return {"pictures": self._written}

    def lines(self) -> list[str]:
        """Return what was written, as text."""
        return [f"  {file}" for files in self._written for file in files.values()]


class FrameLines:
    """A file with a line for each photo or frame: a JSON object, or comma-separated values.

    Lines are written as they come, to a file next to it, which takes its place.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with writing(path, ParameterError):
            self._temporary = file_next_to(path)
            self._file = self._temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="")
        self._as_json = path.suffix == ".jsonl"
        self._begun = self._failed = False

    def add(self, photo: str, features: Features, moment: Moment | None, /) -> None:
        """Add the features of one photo or frame."""
        origin: dict[str, Any] = {"image": photo} if moment is None else asdict(moment)
        numbers = {layer: value.reshape(-1).tolist() for layer, value in features.items()}
        if self._as_json:
            text = json.dumps(origin | numbers) + "\n"
        else:
            columns = [f"{layer}[{place}]" for layer, row in numbers.items() for place in range(len(row))]
            head = [] if self._begun else [(*origin, *columns)]
            text = csv_text([*head, (*origin.values(), *chain.from_iterable(numbers.values()))])
        with self._writing():
            self._file.write(text)  # in one call, so that Ctrl-C leaves whole lines
        self._begun = True

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with writing(self._path, ParameterError):
                yield
        except ParameterError:
            self._failed = True
            raise

    def finish(self) -> None:
        """The lines take their place, if all could be written."""
        if not self._failed:
            with self._writing():
                self._file.close()
                take_place(self._temporary, self._path)

    def close(self) -> None:
        """Remove lines that have not taken their place."""
        with suppress(OSError):  # told already, or of lines that nobody wants
            self._file.close()
        self._temporary.unlink(missing_ok=True)

    def fields(self) -> dict[str, Any]:
        """Return what was written, for JSON."""
        return {"file": str(self._path)}

    def lines(self) -> list[str]:
        """Return what was written, as text."""
        return [f"  {self._path}, {bytes_text(self._path.stat().st_size)}"]


def _file_name(layer: str) -> str:
    """Return a layer's name as part of a file's: those of converted networks have slashes."""
    return re.sub(r"[^\w.-]+", "_", layer)
