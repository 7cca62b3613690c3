"""Read files of torch.save: the zip format (since PyTorch 1.6) and the older one. No pickled code is executed."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

from mpscnn.converters.opening.archives import ARCHIVE_ERRORS, data_offset, entries_of
from mpscnn.converters.opening.file_bytes import FileBytes
from mpscnn.converters.opening.layer_names import display_kind
from mpscnn.converters.reading.pytorch.pickles import Global, Meanings, PickleReader
from mpscnn.converters.reading.pytorch.tensors import Storage, StoredTensor, tensor_view
from mpscnn.errors import UnsupportedError, WeightsError

_INSTEAD = (
    "mpscnn.from_torch(module, example) converts the module in Python; for a known network the weights alone suffice: "
    "torch.save(module.state_dict(), FILE)"
)

_ZIP = b"PK\x03\x04"
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_VERSION = 1001
_LEGACY = b"\x80\x02\x8a\x0a" + _LEGACY_MAGIC.to_bytes(10, "little") + b"."
_MAX_PICKLES = 1 << 26  # the maximum number of bytes of the pickles before the storages
_OTHER_PROTOCOLS = (
    b"\x03",
    b"\x04",
    b"\x05",
)  # pickle protocols that an author may choose instead of 2, the default of the older format

_DTYPES = {
    Global("torch", "FloatStorage"): "float32",
    Global("torch", "HalfStorage"): "float16",
    Global("torch", "BFloat16Storage"): "bfloat16",
    Global("torch", "DoubleStorage"): "float64",
    Global("torch", "LongStorage"): "int64",
    Global("torch", "IntStorage"): "int32",
    Global("torch", "ShortStorage"): "int16",
    Global("torch", "CharStorage"): "int8",
    Global("torch", "ByteStorage"): "uint8",
    Global("torch", "BoolStorage"): "bool",
}
_TENSOR = {Global("torch._utils", "_rebuild_tensor_v2"), Global("torch._utils", "_rebuild_tensor")}
#: The place of the argument of `_rebuild_tensor_v2` that says how the elements differ from the stored ones.
_METADATA = 6
_PARAMETER = {
    Global("torch._utils", "_rebuild_parameter"),
    Global("torch._utils", "_rebuild_parameter_with_state"),
}
_ORDERED_DICT = Global("collections", "OrderedDict")
_SIZE = Global("torch", "Size")
_DEVICE = Global("torch", "device")
_ALLOWED = {*_DTYPES, *_TENSOR, *_PARAMETER, _ORDERED_DICT, _SIZE, _DEVICE}


def _ordered(pairs: object = ()) -> dict[str, object]:
    """Return a dictionary. Python 2 wrote its keys and values as lists of two, and Python 3 sets them later."""
    if not isinstance(pairs, (list, tuple)):
        raise TypeError
    found: dict[str, object] = {}
    for pair in pairs:
        if not isinstance(pair, (list, tuple)) or len(pair) != 2 or not isinstance(pair[0], str):
            raise TypeError
        found[pair[0]] = pair[1]
    return found


def read_torch_file(path: Path) -> object:
    """Return the object that torch.load returns, with `StoredTensor` for tensors.

    Raises:
        WeightsError: the file cannot be read, is damaged, or is not a file of torch.save. UnsupportedError: it has
            other objects than tensors and plain containers; the message names the class or function.
    """
    file = FileBytes(path)
    beginning = file.read(0, len(_LEGACY))
    if beginning.startswith(_ZIP):
        return _read_zip(file, str(path))
    if beginning == _LEGACY:
        return _read_legacy(file, str(path))
    if beginning[:1] == b"\x80" and beginning[1:2] in _OTHER_PROTOCOLS:
        raise UnsupportedError(
            f"{path}: is a pickle of protocol {beginning[1]}, which is not supported; {_INSTEAD}"
        )
    raise WeightsError(
        f"{path}: is not a file of torch.save: it begins with {beginning[:8].hex(' ') or 'nothing'}"
    )


# ---- Objects in pickles of torch.save ------------------------------------------------------------------------------


class _TorchValues:
    """Creates the tensors and containers of a pickle. Storages are looked up by `_storage`."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self.storages: dict[str, Storage] = {}

    @property
    def meanings(self) -> Meanings:
        return Meanings(self._named, self._called, self._referred)

    def _named(self, name: Global) -> object:
        if name not in _ALLOWED:
            shown = display_kind(str(name))
            if str(name).startswith(("ultralytics.", "models.yolo.")):
                raise UnsupportedError(
                    f"{self._origin}: is a checkpoint of Ultralytics ({shown}); its tool writes an ONNX file, which "
                    "mpscnn.load reads: `yolo export model=FILE format=onnx`"
                )
            raise UnsupportedError(
                f"{self._origin}: it refers to {shown}; a state dict holds tensors and plain containers only, and "
                f"nothing else is loaded; {_INSTEAD}"
            )
        return name

    def _called(self, function: object, arguments: tuple[object, ...]) -> object:
        # Checked before the lookups, because hashing other objects, such as nested tuples, may take very long.
        if not isinstance(function, Global):
            raise TypeError
        if function in _TENSOR:
            storage, offset, shape, strides = arguments[:4]
            if not isinstance(storage, Storage):
                raise TypeError
            if any(arguments[_METADATA:]):
                raise UnsupportedError(
                    f"{self._origin}: a tensor has negated or conjugated elements, which are stored without the "
                    "change; save a copy of it (resolve_neg, resolve_conj)"
                )
            return tensor_view(self._origin, storage, offset, shape, strides)
        if function in _PARAMETER and isinstance(arguments[0], StoredTensor):
            return arguments[0]
        if function == _ORDERED_DICT and len(arguments) <= 1:
            return _ordered(*arguments)
        if function == _SIZE and len(arguments) == 1:
            return arguments[0]
        if function == _DEVICE:
            return None
        raise TypeError

    def _referred(self, reference: object) -> object:
        """Return the storage for ("storage", class, key, device, elements). In older files a view of it may follow."""
        if not isinstance(reference, tuple) or len(reference) not in (5, 6) or reference[0] != "storage":
            raise TypeError
        kind, key, elements = reference[1], reference[2], reference[4]
        if not isinstance(kind, Global) or kind not in _DTYPES or not isinstance(key, str):
            raise TypeError
        if type(elements) is not int or not 0 <= elements < 2**48:
            raise TypeError
        if len(reference) == 6 and reference[5] is not None:
            raise UnsupportedError(f"{self._origin}: a storage within another one; {_INSTEAD}")
        made = self.storages.setdefault(key, Storage(_DTYPES[kind], elements))
        if (made.dtype, made.elements) != (_DTYPES[kind], elements):
            raise WeightsError(f"{self._origin}: two tensors disagree on the storage {display_kind(key)}")
        self._found(key, made)
        return made

    def _found(self, key: str, storage: Storage) -> None:
        """Set the position of a storage's data, if the format knows it already."""


# ---- The zip form --------------------------------------------------------------------------------------------------


class _ZipEntries:
    """The uncompressed entries of a zip file."""

    def __init__(self, file: FileBytes, origin: str) -> None:
        self.file, self._origin = file, origin
        try:
            with zipfile.ZipFile(file.path) as archive:
                self._entries = entries_of(archive)
        # All errors that the module zipfile raises for damaged archives.
        except ARCHIVE_ERRORS as error:
            raise WeightsError(f"{origin}: is damaged: {error}") from error

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __getitem__(self, name: str) -> bytes:
        return self.file.read(*self.place(name))

    def place(self, name: str) -> tuple[int, int]:
        """Return the position of an entry's first byte, and the number of bytes."""
        entry = self._entries.get(name)
        if entry is None:
            raise WeightsError(f"{self._origin}: has no entry {display_kind(name)}")
        if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
            raise UnsupportedError(
                f"{self._origin}: {display_kind(name)} is compressed, as torch.save never does"
            )
        try:
            start = data_offset(self.file, entry)
        except WeightsError as error:
            raise WeightsError(f"{self._origin}: {error}") from error
        there = max(min(entry.file_size, len(self.file) - start), 0)
        if there != entry.file_size:
            raise WeightsError(
                f"{self._origin}: {display_kind(name)} claims {entry.file_size} bytes, {there} are there"
            )
        return start, entry.file_size


class _ZipValues(_TorchValues):
    def __init__(self, origin: str, entries: _ZipEntries, folder: str) -> None:
        super().__init__(origin)
        self._entries, self._folder = entries, folder
        order = f"{folder}byteorder"
        self._big_endian = order in entries and entries[order] == b"big"

    def _found(self, key: str, storage: Storage) -> None:
        name = f"{self._folder}data/{key}"
        storage.file, storage.big_endian = self._entries.file, self._big_endian
        storage.place, size = self._entries.place(name)
        if size != storage.bytes:
            raise WeightsError(
                f"{self._origin}: {display_kind(name)} has {size} bytes, but {storage.elements} "
                f"elements of {storage.dtype} take {storage.bytes}"
            )


def _read_zip(file: FileBytes, origin: str) -> object:
    entries = _ZipEntries(file, origin)
    folders = [name.removesuffix("data.pkl") for name in entries if name.split("/")[1:] == ["data.pkl"]]
    if len(folders) != 1:
        found = f"{len(folders)} folders with a" if folders else "no"
        raise WeightsError(f"{origin}: is a zip file, but not one of torch.save: it has {found} data.pkl")
    (folder,) = folders
    if f"{folder}constants.pkl" in entries:
        raise UnsupportedError(f"{origin}: is a TorchScript program; {_INSTEAD}")
    values = _ZipValues(origin, entries, folder)
    content = memoryview(entries[f"{folder}data.pkl"])
    return PickleReader(content, origin, values.meanings, len(file)).load()


# ---- The older form ------------------------------------------------------------------------------------------------


def _read_legacy(file: FileBytes, origin: str) -> object:
    """Read the older format.

    It consists of pickles with a magic number, a version, properties of the machine, the value and the order of the
    storages, and then the data of the storages.
    """
    values = _TorchValues(origin)
    # Where the pickles end is not known before they are read. They hold names, and no elements.
    reader = PickleReader(memoryview(file.read(0, _MAX_PICKLES)), origin, values.meanings, len(file))
    reader.load()
    version, machine = reader.load(), reader.load()
    if version != _LEGACY_VERSION or not isinstance(machine, dict):
        raise WeightsError(f"{origin}: is not of the version {_LEGACY_VERSION} of torch.save's older form")
    value, order = reader.load(), reader.load()
    if not isinstance(order, list) or not all(isinstance(key, str) for key in order):
        raise WeightsError(f"{origin}: does not list its storages")
    if sorted(order) != sorted(values.storages):
        raise WeightsError(f"{origin}: lists other storages than its tensors have")
    position = reader.position
    for key in order:
        storage = values.storages[key]
        count = file.read(position, 8)
        storage.file, storage.place = file, position + 8
        if len(count) < 8 or storage.place + storage.bytes > len(file):
            raise WeightsError(
                f"{origin}: ends early: a storage of {storage.elements} elements of {storage.dtype} is not there"
            )
        if int.from_bytes(count, "little") != storage.elements:
            raise WeightsError(
                f"{origin}: the storage {display_kind(key)} has another size than its tensors say"
            )
        position += 8 + storage.bytes
    return value
