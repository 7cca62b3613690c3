"""Files that ask the engines of their formats to write, read, connect, start a program, wait, allocate or loop.

`CASES` has them all. `asking_graphs.py` and `asking_objects.py` write them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

#: What a file may ask for.
DEEDS = ("write", "read", "connect", "start", "wait", "allocate", "loop")
#: The formats that are asked for each deed: the module of the engine that runs such files where it is installed.
ENGINES = {
    "TensorFlow": "tensorflow",
    "ONNX": "onnxruntime",
    "TensorFlow Lite": "ai_edge_litert",
    "Keras": "keras",
    "PyTorch": "torch",
    "Core ML": "coremltools",
    "Core AI": "coreai",
}


@dataclass(frozen=True)
class Place:
    """Where a case writes its file, and what the file asks for.

    Attributes:
        folder: the folder of the file.
        target: a file that the case asks to write.
        secret: an existing file of the user that the case asks to read.
        address: an address to which the case asks to connect.
    """

    folder: Path
    target: Path
    secret: Path
    address: str

    @property
    def command(self) -> str:
        """A command whose effect is the target."""
        return f"touch {self.target}"

    @property
    def above(self) -> str:
        """The secret's path from the folder."""
        return f"../{self.secret.parent.name}/{self.secret.name}"


Write = Callable[[Place], Path]


@dataclass(frozen=True)
class Case:
    """A file that asks for something.

    Attributes:
        engine: its format, one of `ENGINES` or another one.
        deed: what it asks for, one of `DEEDS`.
        write: writes the file, and returns its path.
    """

    engine: str
    deed: str
    write: Write


CASES: dict[str, Case] = {}


def case(engine: str, deed: str, how: str) -> Callable[[Write], Write]:
    """Return a decorator that adds a case."""

    def add(write: Write) -> Write:
        name = f"{engine}: {deed}: {how}"
        assert name not in CASES, name
        CASES[name] = Case(engine, deed, write)
        return write

    return add
