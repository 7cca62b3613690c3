"""Find the state dict (tensors by the paths of their modules) in a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mpscnn.converters.finishing.left_out import left_out
from mpscnn.converters.opening.layer_names import quote_name
from mpscnn.converters.reading.pytorch.safetensors_file import read_safetensors
from mpscnn.converters.reading.pytorch.tensors import StoredTensor
from mpscnn.converters.reading.pytorch.torch_file import read_torch_file
from mpscnn.errors import UnsupportedError

# The keys under which training programs store weights. The first one that exists is used.
_ENTRIES = (
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "network",
    "weights",
    "state_dict_ema",
    "model_ema",
)
_MAX_NESTED = 4
# Names of counters that are used only in training.
_COUNTERS = ("num_batches_tracked", "n_averaged")
# The maximum total size of all tensors, relative to the file's size. Tensors may share storages, but are copied.
_MAX_SHARING = 4


class StateTensor(Protocol):
    """The members of a tensor that a state dict reads: those of a `StoredTensor`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The extents of its axes."""
        ...

    @property
    def dtype(self) -> str:
        """The name of the type of its elements."""
        ...

    def array(self) -> NDArray[Any]:
        """Return its elements."""
        ...


class StateDict:
    """The tensors of one network.

    Args:
        tensors: the tensors by name, such as "layer1.0.conv1.weight".
        origin: the name of the file, for messages.
        notes: notes for the user on how the tensors were chosen.
    """

    def __init__(self, tensors: Mapping[str, StateTensor], origin: str, notes: Sequence[str] = ()) -> None:
        self.origin = origin
        self.notes = list(notes)
        self._tensors = dict(tensors)

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of the tensor; () if it is not there."""
        return self._tensors[name].shape if name in self._tensors else ()

    def array(self, name: str) -> NDArray[Any]:
        """Return the elements of a tensor. Raises UnsupportedError if they are not floating point, 16 bits or more."""
        tensor = self._tensors[name]
        if tensor.dtype not in ("float16", "bfloat16", "float32", "float64"):
            raise UnsupportedError(
                f"{self.origin}: {quote_name(name)} has elements of {tensor.dtype}; expected floating point"
            )
        return tensor.array()

    def renamed(self, names: Mapping[str, str]) -> StateDict:
        """Return the state dict with new names. Names that `names` lacks stay."""
        return StateDict(
            {names.get(name, name): tensor for name, tensor in self._tensors.items()}, self.origin, self.notes
        )

    def doubles(self, name: str) -> NDArray[np.float64]:
        """Return the elements of a tensor as float64. Raises the errors of `array`."""
        return self.array(name).astype(np.float64)


def read_state_dict(path: Path) -> StateDict:
    """Return the state dict in a .pth, .pt or .safetensors file.

    Raises:
        WeightsError: the file cannot be read, is damaged, or has no state dict. UnsupportedError: it is a model file of
            mpscnn, or a pickle with other objects than tensors and plain containers.
    """
    origin = str(path)
    is_safetensors = path.suffix.lower() == ".safetensors"
    value: object = read_safetensors(path) if is_safetensors else read_torch_file(path)
    notes: list[str] = []
    tensors = _tensors_of(value, origin, notes)
    size, maximum = sum(tensor.bytes for tensor in tensors.values()), _MAX_SHARING * path.stat().st_size
    if size > maximum:
        raise UnsupportedError(
            f"{origin}: its tensors share storages; as copies they would take {size} bytes, which is not supported"
        )
    return StateDict(tensors, origin, notes)


def _tensors_of(value: object, origin: str, notes: list[str]) -> dict[str, StoredTensor]:
    for _ in range(_MAX_NESTED):
        if not isinstance(value, dict):
            raise UnsupportedError(f"{origin}: holds no state dict, but a {_kind(value)}")
        if any(isinstance(item, StoredTensor) for item in value.values()):
            return _checked(value, origin)
        keys = [key for key in _ENTRIES if isinstance(value.get(key), dict)]
        if not keys:
            break
        others = [quote_name(key) if isinstance(key, str) else _kind(key) for key in value if key != keys[0]]
        notes += left_out(f"the weights are those of {keys[0]!r}; other entries", others)
        value = value[keys[0]]
    raise UnsupportedError(
        f"{origin}: holds no state dict; looked for one under {', '.join(map(repr, _ENTRIES))}"
    )


def _checked(value: Mapping[Any, object], origin: str) -> dict[str, StoredTensor]:
    tensors = {}
    for name, item in value.items():
        if not isinstance(name, str) or not isinstance(item, StoredTensor):
            given = quote_name(name) if isinstance(name, str) else f"a {_kind(name)}"
            raise UnsupportedError(f"{origin}: is not a state dict: {given} names a {_kind(item)}")
        if not is_counter(name):
            tensors[name] = item
    return tensors


def is_counter(name: str) -> bool:
    """Return True if a tensor of this name is a counter, which only training uses."""
    return name.rpartition(".")[2] in _COUNTERS


def _kind(value: object) -> str:
    return "tensor" if isinstance(value, StoredTensor) else type(value).__name__
