"""Open sources of photos: folders and lists of files, Parquet files of image bytes, datasets of Ray."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpscnn._private.files import is_file, is_folder
from mpscnn.apps.ray.cluster import import_arrow
from mpscnn.apps.ray.rows import IMAGE, NO_NAME
from mpscnn.errors import ImageError, ParameterError
from mpscnn.vision.photo_list import STDIN, photo_paths

#: The column with the bytes of a path. They are not text, because file names may have any bytes.
_PATH = "path of the photo"
_PARQUET = ".parquet"
#: Usual names of a column with names.
_NAMES = (IMAGE, "name", "path", "file_name", "filename", "key", "id")
#: The largest number of rows in a batch of names, and in a batch of photos, which need more memory.
_MAX_NAMES = 256
_MAX_PHOTOS = 64
#: The number of files opened in parallel, because network file systems are slow.
_READERS = 16


@dataclass(frozen=True)
class Columns:
    """The columns of a table that have the photos and their names."""

    photo: str
    kind: str
    """"path", "bytes", or "struct" of both, as in Hugging Face's datasets."""
    name: str | None

    @property
    def are_paths(self) -> bool:
        """True if photos are given as paths and not as bytes."""
        return self.kind == "path"

    def photo_of(self, cell: Any) -> Any:
        """Return the photo of a cell for `mpscnn.open_photo`. Raises ImageError if the cell is null."""
        value, place = cell.as_py(), self.photo
        if self.kind == "struct" and value is not None:
            value, place = value["bytes"], f"{self.photo}.bytes"
        if value is None:
            raise ImageError(f"there is no photo in this row: its {place} is null")
        return os.fsdecode(value) if self.are_paths else value

    def names(self, table: Any) -> list[str]:
        """Return the names of a table's photos, NO_NAME for those without."""
        if self.name is not None:
            found = table.column(self.name).to_pylist()
        else:
            found = [cell and cell["path"] for cell in table.column(self.photo).to_pylist()]
        return [NO_NAME if name is None else name for name in found]


@dataclass(frozen=True)
class Source:
    """Photos in a Ray dataset."""

    dataset: Any
    columns: Columns
    names: tuple[str, ...] | None
    """The names of the photos in order; None if they are not known."""
    rows: int | None
    """The number of rows in a batch; None: one batch for each block of the dataset."""
    unread: tuple[ImageError, ...] = ()
    """Errors of folders without photos and of patterns without matches. Other arguments had photos."""


def open_source(
    ray: Any, source: Any, photo_column: str | None, name_column: str | None, machines: int
) -> Source:
    """Open a source of `mpscnn.ray.map`.

    Raises:
        ImageError: there is no photo, or a file is not in Parquet's format.
        ParameterError: the columns cannot be found.
    """
    if isinstance(source, ray.data.Dataset):
        schema = source.schema()
        if schema is None:
            raise ImageError("the dataset is empty")
        columns = find_columns(_arrow_schema(schema), "the dataset", photo_column, name_column)
        return Source(source, columns, None, _MAX_PHOTOS)
    arguments = _arguments(source)
    if files := parquet_files(arguments):
        columns = _columns_of_files(files, photo_column, name_column)
        try:
            dataset = ray.data.read_parquet(files)
        except (TypeError, ValueError) as error:  # pyarrow raises these classes
            raise ParameterError(
                f"{files[0]} and the files after it are not parts of one table: {error}"
            ) from error
        return Source(dataset, columns, None, _MAX_PHOTOS)
    if photo_column is not None or name_column is not None:
        raise ParameterError("photo_column and name_column are for Parquet files and datasets")
    paths, failures = photo_paths(arguments)
    if not paths:
        raise failures[0] if failures else ImageError("no photo is given")
    return from_paths(ray, paths, {}, machines, tuple(failures))


def from_paths(
    ray: Any,
    paths: Sequence[str],
    others: dict[str, Sequence[Any]],
    machines: int,
    unread: tuple[ImageError, ...] = (),
) -> Source:
    """Return a source of photo files in their order, with additional columns.

    Raises ParameterError for standard input.
    """
    if STDIN in paths:
        raise ParameterError(f"{STDIN}: standard input is not there on other machines")
    pa = import_arrow()
    names = [os.fsencode(path).decode("utf-8", "backslashreplace") for path in paths]
    # Each machine gets several batches, so that faster machines can compute more of them.
    rows = max(1, min(_MAX_NAMES, -(-len(paths) // (4 * machines))))
    table = pa.table(
        {IMAGE: names, _PATH: pa.array([os.fsencode(path) for path in paths], pa.binary()), **others}
    )
    blocks = [table.slice(start, rows).combine_chunks() for start in range(0, len(paths), rows)]
    return Source(ray.data.from_arrow(blocks), Columns(_PATH, "path", IMAGE), tuple(names), None, unread)


def _arguments(source: Any) -> list[str]:
    given = [source] if isinstance(source, (str, os.PathLike)) else source
    if not isinstance(given, Sequence) or not all(isinstance(one, (str, os.PathLike)) for one in given):
        raise ParameterError(
            f"expected a folder, files or a dataset of Ray Data, got {type(source).__name__}"
        )
    names = [os.fspath(one) for one in given]
    for name in names:
        if "://" in name:
            raise ParameterError(
                f"{name}: addresses are read by Ray: mpscnn.ray.map(ray.data.read_parquet({name!r}), ...)"
            )
    return names


def parquet_files(arguments: Sequence[str]) -> list[str]:
    """Return the named Parquet files and those in named folders; none if the arguments are photos."""
    files: list[str] = []
    photos: list[str] = []
    for name in arguments:
        if is_folder(name):
            inner = sorted(str(path) for path in Path(name).rglob(f"*{_PARQUET}") if is_file(path))
            files += inner
            photos += [] if inner else [name]
        elif name.lower().endswith(_PARQUET):
            files.append(name)
        else:
            photos.append(name)
    if files and photos:
        raise ParameterError(
            f"{files[0]} is a Parquet file and {photos[0]} is not: take them one after the other"
        )
    return files


def _columns_of_files(files: Sequence[str], photo: str | None, name: str | None) -> Columns:
    """Return the columns that all files have. Reads only each file's end, so damage shows before the computation."""
    found = None
    with ThreadPoolExecutor(_READERS) as readers:
        for path, schema in zip(files, readers.map(_parquet_schema, files), strict=True):
            found = find_columns(schema, path, photo, name)
            photo, name = found.photo, found.name
    assert found is not None
    return found


def _parquet_schema(path: str) -> Any:
    pa = import_arrow()
    try:
        return pa.parquet.read_schema(path)
    except (OSError, ValueError) as error:  # pyarrow raises these classes
        raise ImageError(f"{path}: cannot be read as a Parquet file: {error}") from error


def _arrow_schema(schema: Any) -> Any:
    pa = import_arrow()
    base = schema.base_schema
    if isinstance(base, pa.Schema):
        return base
    return pa.schema(list(zip(schema.names, schema.types, strict=True)))


def find_columns(schema: Any, place: str, photo: str | None, name: str | None) -> Columns:
    """Return the columns with photos and names: the given ones, or those found by type and usual names."""
    pa = import_arrow()
    types = {field.name: field.type for field in schema}
    for given in (photo, name):
        if given is not None and given not in types:
            raise ParameterError(f"{place}: has no column {given!r}, but {', '.join(types)}")
    kinds = {column: _kind(pa, kind) for column, kind in types.items()}
    if photo is None:
        photos = [column for column, kind in kinds.items() if kind in ("bytes", "struct")]
        photos = photos or [column for column in _NAMES if kinds.get(column) == "path"][:1]
        if len(photos) != 1:
            what = (
                f"several columns that could be photos: {', '.join(photos)}"
                if photos
                else "no column of photos"
            )
            raise ParameterError(
                f"{place}: has {what}; its columns are {', '.join(types)}: give photo_column"
            )
        photo = photos[0]
    kind = kinds[photo]
    if kind is None:
        raise ParameterError(f"{place}: the column {photo!r} is {types[photo]}, not bytes or paths of photos")
    if name is None and kind == "path":
        name = photo
    elif name is None and kind == "bytes":
        texts = [column for column, one in kinds.items() if one == "path"]
        usual = [column for column in _NAMES if column in texts]
        if not usual and len(texts) != 1:
            raise ParameterError(
                f"{place}: which column has the photos' names? Its columns are "
                f"{', '.join(types)}: give name_column"
            )
        name = (usual or texts)[0]
    elif name is not None and kinds[name] != "path":
        raise ParameterError(f"{place}: the column {name!r} is {types[name]}, not text")
    return Columns(photo, kind, name)


def _kind(pa: Any, kind: Any) -> str | None:
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return "bytes"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "path"
    if pa.types.is_struct(kind) and {"bytes", "path"} <= {field.name for field in kind}:
        return "struct"
    return None
