"""Write the files and folders of `mpscnn features`."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.files import replace_atomically
from mpscnn._private.json_text import json_line
from mpscnn._private.report import csv_text
from mpscnn._private.summary import bytes_text
from mpscnn.apps.cli.line_file import LineFile
from mpscnn.apps.cli.picture_folder import PictureFolder
from mpscnn.errors import Error, ParameterError
from mpscnn.training.array_archive import write_arrays
from mpscnn.vision.result_rows import ERROR, KIND, error_fields, photo_error_text

#: The name of the array that holds the photo of each row. It is next to the arrays of the layers.
PHOTOS = "photos"
#: The name of the array that holds the error of each photo, "" for none.
ERRORS = "errors"
#: The name of the array that holds the times of a video's frames.
TIMES = "times"
#: Suffixes of files that have one line for each photo or frame.
LINES = (".jsonl", ".csv")

Features = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Moment:
    """The position of a frame in a video."""

    video: str
    frame: int
    time: float
    """Seconds from the beginning of the video."""


class Output(ABC):
    """An output file or folder of `mpscnn features`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @abstractmethod
    def add(self, photo: str, features: Features, moment: Moment | None, /) -> None:
        """Add the features of one photo, or of a video's frame."""

    def fail(self, photo: str, error: Error) -> None:  # noqa: B027 - folders have no rows
        """Add a photo that failed, with its error."""

    def finish(self) -> None:  # noqa: B027 - most files are complete already
        """Write what could not be written before all photos were known, and move the complete file to its name."""

    def close(self) -> None:  # noqa: B027 - most files are written as a whole
        """Remove unfinished files."""

    def fields(self) -> dict[str, Any]:
        """Return a description of the written files for JSON."""
        return {"file": str(self._path)}

    def lines(self) -> list[str]:
        """Return lines that describe the written files."""
        return [f"  {self._path}, {bytes_text(self._path.stat().st_size)}"]


class Archive(Output):
    """An .npz file with one array for each layer, and the names of the photos with their errors.

    A photo that failed has a row of NaN.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._errors: list[str] = []
        self._photos: list[str] = []
        self._times: list[float] = []
        self._rows: list[Features | None] = []

    def add(self, photo: str, features: Features, moment: Moment | None, /) -> None:
        """Add the features of one photo or frame."""
        self._photos.append(photo)
        self._errors.append("")
        if moment is not None:
            self._times.append(moment.time)
        self._rows.append(features)

    def fail(self, photo: str, error: Error) -> None:
        """Add a row for a photo that failed."""
        self._photos.append(photo)
        self._errors.append(photo_error_text(photo, error))
        self._rows.append(None)

    def finish(self) -> None:
        """Write the file."""
        some = next(row for row in self._rows if row is not None)
        missing = {layer: np.full_like(value, np.nan) for layer, value in some.items()}
        arrays = {layer: np.concatenate([(row or missing)[layer] for row in self._rows]) for layer in some}
        arrays[PHOTOS] = np.array(self._photos)
        arrays[ERRORS] = np.array(self._errors)
        if self._times:
            arrays[TIMES] = np.array(self._times)
        with replace_atomically(self._path, ParameterError) as file:
            write_arrays(file, arrays)


def picture_suffix(layer: str) -> str:
    """Return the end of the names of a layer's pictures. The names of files have no "/" and the like."""
    return "_" + re.sub(r"[^\w.-]+", "_", layer)


class Pictures(Output):
    """A folder with one picture for each photo and layer, which shows the layer's channels."""

    def __init__(self, folder: PictureFolder) -> None:
        super().__init__(folder.path)
        self._folder = folder
        self._written: list[dict[str, str]] = []

    def add(self, photo: str, features: Features, _moment: Moment | None, /) -> None:
        """Add the features of one photo or frame."""
        from mpscnn.vision.visualize import channels_picture

        self._written.append(
            {
                layer: str(self._folder.save(channels_picture(value[0]), photo, picture_suffix(layer)))
                for layer, value in features.items()
            }
        )

    def fields(self) -> dict[str, Any]:
        """Return the written files for JSON."""
        return {"pictures": self._written}

    def lines(self) -> list[str]:
        """Return lines with the written files."""
        return [f"  {file}" for files in self._written for file in files.values()]


class FeatureLines(Output):
    """A file with a line for each photo or frame: a JSON object or comma-separated values."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._file = LineFile(path)
        self._as_json = path.suffix == ".jsonl"
        self._columns: list[str] | None = None
        self._failed: list[tuple[str, Error]] = []  # photos that failed before the columns are known

    def add(self, photo: str, features: Features, moment: Moment | None, /) -> None:
        """Add the features of one photo or frame."""
        origin: dict[str, Any] = {"image": photo} if moment is None else asdict(moment)
        numbers = {layer: value.reshape(-1).tolist() for layer, value in features.items()}
        if self._as_json:
            self._file.write(json_line(origin | numbers) + "\n")
            return
        head: list[tuple[str, ...]] = []
        if self._columns is None:
            self._columns = [
                f"{layer}[{place}]" for layer, row in numbers.items() for place in range(len(row))
            ]
            head = [(*origin, *self._columns, ERROR, KIND), *(self._failure(*one) for one in self._failed)]
        self._file.write(
            csv_text([*head, (*origin.values(), *chain.from_iterable(numbers.values()), "", "")])
        )

    def fail(self, photo: str, error: Error) -> None:
        """Add a photo that failed, with its error."""
        if self._as_json:
            self._file.write(json_line({"image": photo, **error_fields(photo, error)}) + "\n")
        elif self._columns is None:
            self._failed.append((photo, error))
        else:
            self._file.write(csv_text([self._failure(photo, error)]))

    def _failure(self, photo: str, error: Error) -> tuple[str, ...]:
        return (photo, *("" for _ in self._columns or ()), *error_fields(photo, error).values())

    def finish(self) -> None:
        """Rename the temporary file to the output's name if all lines could be written."""
        self._file.finish()

    def close(self) -> None:
        """Remove the temporary file if it was not renamed."""
        self._file.close()
