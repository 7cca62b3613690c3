"""Read preprocessing and labels from a TensorFlow Lite file's metadata.

The metadata are a FlatBuffer within the file, with the fields of tflite-support's metadata_schema.fbs. The labels are
a text file in a zip archive after the end of the file.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mpscnn._private.zip_members import member_pieces
from mpscnn.converters.finishing.metadata_entries import listed_names, parse_labels
from mpscnn.converters.opening.archives import ARCHIVE_ERRORS, entries_of
from mpscnn.converters.opening.file_bytes import MemoryBytes
from mpscnn.converters.reading.tflite.flatbuffer import Table
from mpscnn.errors import Error, WeightsError

NAME = "TFLITE_METADATA"
OWN = "mpscnn."
"""The beginning of the names of entries that mpscnn writes."""
LIMITS = f"{OWN}limits"
"""The entry with the names of layers that clip their results to the range of their integers."""
VERSION = f"{OWN}version"
"""The entry that all files written by mpscnn have."""
IDENTIFIER = b"M001"
NORMALIZATION = 1  # the kind of a process unit that subtracts a mean and divides
AXIS_LABELS = 2  # the AssociatedFileType of labels for each index of an axis, such as scores of classes
VALUE_LABELS = 3  # the AssociatedFileType of labels for each value, such as class numbers
_PROBABILITIES = "probabilit"  # the beginning of "probability" and "probabilities"
_MAX_LABELS = 16_000_000


@dataclass(frozen=True)
class Metadata:
    """The normalization of the only input, and the labels of the outputs; empty if the file has none.

    `are_probabilities` is True if the file calls the values of its only output probabilities. `own` has the entries
    that mpscnn has written, by their names (see `converters.finishing.metadata_entries`).
    """

    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()
    are_probabilities: bool = False
    own: Mapping[str, str] = field(default_factory=dict)

    def own_names(self, entry: str) -> list[str]:
        """Return the names in one of mpscnn's own entries; none if the file does not have it."""
        return listed_names(self.own, entry)


NO_METADATA = Metadata()


def read_metadata(stored: bytes, path: Path) -> Metadata:
    """Return the metadata in a file.

    Args:
        stored: the content of the metadata buffer with the name `NAME`.
        path: the file.

    Raises WeightsError for damage.
    """
    if stored[4:8] != IDENTIFIER:
        raise WeightsError("damaged: its metadata are not what their name says")
    graphs = Table.root(MemoryBytes(stored)).tables(3)
    if not graphs:
        return NO_METADATA
    inputs, outputs = graphs[0].tables(2), graphs[0].tables(3)
    mean, deviation = _normalization(inputs[0]) if len(inputs) == 1 else ((), ())
    named = [name for output in outputs for name in _label_files(output)]
    are_probabilities = len(outputs) == 1 and _are_probabilities(outputs[0])
    return Metadata(mean, deviation, _labels(named[0], path) if named else (), are_probabilities)


def _normalization(tensor: Table) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and standard deviation of an input's normalization; empty if there is none."""
    for unit in tensor.tables(4):
        options = unit.table(1)
        if unit.integer(0, "B") == NORMALIZATION and options is not None:
            mean, deviation = (
                tuple(float(one) for one in options.numbers(field, "<f4")[:4]) for field in (0, 1)
            )
            if not all(math.isfinite(one) for one in mean + deviation) or 0.0 in deviation:
                raise WeightsError(f"damaged: its metadata normalise by {mean} and {deviation}")
            return mean, deviation
    return (), ()


def _are_probabilities(tensor: Table) -> bool:
    """Return True if an output has the name or description "Probabilities ...", or values that are from 0 to 1."""
    if any(tensor.text(field).lower().startswith(_PROBABILITIES) for field in (0, 1)):
        return True
    limits = tensor.table(5)
    if limits is None:
        return False
    largest, smallest = ([float(one) for one in limits.numbers(field, "<f4")[:2]] for field in (0, 1))
    return largest == [1.0] and smallest == [0.0]


def _label_files(tensor: Table) -> list[str]:
    return [file.text(0) for file in tensor.tables(6) if file.integer(2, "b") in (AXIS_LABELS, VALUE_LABELS)]


def _labels(name: str, path: Path) -> tuple[str, ...]:
    """Return the labels in a file of the archive; empty if there is no archive, or no such file in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            entry = entries_of(archive)[name]
            maximum = min(_MAX_LABELS, 4 * path.stat().st_size)
            if entry.file_size > maximum:
                raise WeightsError(f"damaged: its labels claim {entry.file_size} bytes")
            text = b"".join(member_pieces(archive, entry))
    except KeyError:
        return ()
    except ARCHIVE_ERRORS as error:
        if isinstance(error, Error):
            raise
        if not zipfile.is_zipfile(path):
            return ()
        raise WeightsError(f"damaged: the archive with its labels: {error}") from error
    return tuple(parse_labels(text.decode("utf-8-sig", "replace")))
