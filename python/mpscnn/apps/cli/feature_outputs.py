"""Write the files and folders of `mpscnn features`."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpscnn._private.files import convert_write_errors, create_temporary, replace_atomically, replace_target
from mpscnn._private.json_text import json_line
from mpscnn._private.report import csv_text
from mpscnn._private.summary import bytes_text
from mpscnn.apps.cli.picture_folder import PictureFolder
from mpscnn.errors import ParameterError
from mpscnn.training.array_archive import write_arrays

#: The name of the array that holds the photo of each row. It is next to the arrays of the layers.
PHOTOS = "photos"
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
    """An .npz file with one array for each layer."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
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
        """Write the file."""
        arrays = {layer: np.concatenate(values) for layer, values in self._rows.items()}
        arrays[PHOTOS] = np.array(self._photos)
        if self._times:
            arrays[TIMES] = np.array(self._times)
        with replace_atomically(self._path, ParameterError) as file:
            write_arrays(file, arrays)


class Pictures(Output):
    """A folder with one picture for each photo and layer, which shows the layer's channels."""

    def __init__(self, folder: PictureFolder) -> None:
        super().__init__(folder.path)
        self._folder = folder
        self._written: list[dict[str, str]] = []

    def add(self, photo: str, features: Features, _moment: Moment | None, /) -> None:
        """Add the features of one photo or frame."""
        from mpscnn.vision.visualize import channels_picture

        # The names of files have no "/" and the like.
        suffixes = {layer: "_" + re.sub(r"[^\w.-]+", "_", layer) for layer in features}
        self._written.append(
            {
                layer: str(self._folder.save(channels_picture(value[0]), photo, suffixes[layer]))
                for layer, value in features.items()
            }
        )

    def fields(self) -> dict[str, Any]:
        """Return the written files for JSON."""
        return {"pictures": self._written}

    def lines(self) -> list[str]:
        """Return lines with the written files."""
        return [f"  {file}" for files in self._written for file in files.values()]


class FrameLines(Output):
    """A file with a line for each photo or frame: a JSON object or comma-separated values.

    Lines go to a temporary file in the same folder, which is renamed at the end.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with convert_write_errors(path, ParameterError):
            self._temporary = create_temporary(path)
            self._file = self._temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="")
        self._as_json = path.suffix == ".jsonl"
        self._begun = self._failed = False

    def add(self, photo: str, features: Features, moment: Moment | None, /) -> None:
        """Add the features of one photo or frame."""
        origin: dict[str, Any] = {"image": photo} if moment is None else asdict(moment)
        numbers = {layer: value.reshape(-1).tolist() for layer, value in features.items()}
        if self._as_json:
            text = json_line(origin | numbers) + "\n"
        else:
            columns = [f"{layer}[{place}]" for layer, row in numbers.items() for place in range(len(row))]
            head = [] if self._begun else [(*origin, *columns)]
            text = csv_text([*head, (*origin.values(), *chain.from_iterable(numbers.values()))])
        with self._writing():
            self._file.write(text)  # one call, so that Ctrl-C cannot cut a line
        self._begun = True

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with convert_write_errors(self._path, ParameterError):
                yield
        except ParameterError:
            self._failed = True
            raise

    def finish(self) -> None:
        """Rename the temporary file to the output's name if all lines could be written."""
        if not self._failed:
            with self._writing():
                self._file.close()
                replace_target(self._temporary, self._path)

    def close(self) -> None:
        """Remove the temporary file if it was not renamed."""
        with suppress(OSError):  # the error was already reported, or the lines are not wanted
            self._file.close()
        self._temporary.unlink(missing_ok=True)
