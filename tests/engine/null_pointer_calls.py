"""Call the functions whose declarations are in stdin with wrong pointers, and print what goes wrong.

    python null_pointer_calls.py LIBRARY < DECLARATIONS

LIBRARY is the C library, or a library that is linked with it. Each call has null for one pointer, or a wrong handle:
zeros, a handle of another type, or one that was released. The others are valid handles, texts and memory of equal
bytes. Numbers are 1, or 7, which is too large for many of them. A handle that nothing here creates is null as well. The
first line is the number of calls. Each further line is a call that ended the process or gave an internal error. This
program uses ctypes only, so that no other thread runs when it forks.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

OK = 0
INTERNAL = 8
STATUS = "mpscnn_status"
VALID_TEXT = b"x"


@dataclass(frozen=True)
class Argument:
    """A parameter of a function: its type, without its name."""

    type: str

    @property
    def is_pointer(self) -> bool:
        """Whether null can be passed. Arrays are pointers."""
        return "*" in self.type or "[" in self.type or self.type.endswith("_handler")


def parsed(line: str) -> tuple[str, str, list[Argument]]:
    """Return the type of a declaration's result, its name, and its arguments."""
    found = re.fullmatch(r"(.*?[\s*])(\w+)\((.*)\)", line)
    assert found is not None, line
    result, name, arguments = found[1].strip(), found[2], found[3]
    kinds = [re.sub(r"\b\w+(\[\w*\])?$", r"\1", text.strip()).strip() for text in arguments.split(",")]
    return result, name, [Argument(kind) for kind in kinds if kind not in ("void", "")]


class Values:
    """Valid arguments by their types."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._kept: list[object] = []
        self.handles: dict[str, ctypes.c_void_p] = {}
        graph = self._create("mpscnn_graph", "mpscnn_graph_create", VALID_TEXT)
        value, shape = ctypes.c_int(), (ctypes.c_int64 * 8)(-1, 4, 4, 2)
        assert library.mpscnn_graph_add_input(graph, b"input", shape, 4, ctypes.byref(value)) == 0, (
            self._message()
        )
        assert (
            library.mpscnn_graph_add_node(
                graph, b"softmax", b"softmax", ctypes.byref(value), 1, None, None, ctypes.byref(value)
            )
            == 0
        ), self._message()
        assert library.mpscnn_graph_mark_output(graph, value) == 0, self._message()
        program = self._create("mpscnn_program", "mpscnn_program_compile", graph, None)
        self._create("mpscnn_session", "mpscnn_session_create", program, None)
        self._create("mpscnn_queue", "mpscnn_queue_create", None)
        self._create("mpscnn_kernel", "mpscnn_kernel_create", b"NeuronReLU", None)
        self._create(
            "mpscnn_batch_normalization_state", "mpscnn_batch_normalization_state_create", ctypes.c_int64(2)
        )

    def _message(self) -> str:
        self._library.mpscnn_last_error.restype = ctypes.c_char_p
        return str(self._library.mpscnn_last_error())

    def _create(self, kind: str, function: str, *arguments: object) -> ctypes.c_void_p:
        handle = ctypes.c_void_p()
        status = getattr(self._library, function)(*arguments, ctypes.byref(handle))
        assert status == 0, f"{function}: {self._message()}"
        self.handles[kind] = handle
        return handle

    def of(self, argument: Argument, number: int) -> object:
        """Return a value for an argument, or null for a handle that nothing creates."""
        kind = argument.type.replace("const ", "").replace(" ", "")
        if not argument.is_pointer:
            return {"double": ctypes.c_double, "float": ctypes.c_float}.get(kind, ctypes.c_int64)(number)
        if kind.startswith("char") and kind.count("*") == 1:
            return VALID_TEXT
        if kind.endswith("**") or not kind.startswith("mpscnn_"):
            # Other bytes would be wrong pointers, which no function can notice.
            byte = 0 if "*" in kind.replace("*", "", 1) else number - 1
            memory = ctypes.create_string_buffer(bytes([byte]) * 4096)
            self._kept.append(memory)
            return None if kind.endswith("_handler") else memory
        return self.handles.get(kind.rstrip("*"))


def outcome(
    function: object,
    result: str,
    arguments: list[object],
    prepare: Callable[[], object] = lambda: None,
    allowed: tuple[int, ...] = (OK,),
) -> str:
    """Call a function in a child process, and return what is wrong, or nothing. `allowed`: statuses besides errors."""
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        prepare()
        status = function(*arguments)  # type: ignore[operator]
        wrong = result == STATUS and (status == INTERNAL or (status == OK and OK not in allowed))
        os._exit(1 if wrong else 0)
    _, end = os.waitpid(child, 0)
    if os.WIFSIGNALED(end):
        return f"signal {os.WTERMSIG(end)}"
    return "an internal error, or none" if os.WEXITSTATUS(end) else ""


def wrong_handles(
    library: ctypes.CDLL, values: Values, kind: str, released: frozenset[str]
) -> Iterator[tuple[str, object, Callable[[], object]]]:
    """Return names of wrong handles for an argument, the handles, and what makes them wrong."""
    kind = kind.replace("const ", "").replace(" ", "")
    if kind.removesuffix("*") not in released or kind.count("*") != 1:
        return
    kind = kind.removesuffix("*")
    yield "zeros", ctypes.create_string_buffer(4096), lambda: None
    yield "of another type", values.handles["mpscnn_graph" if kind != "mpscnn_graph" else "mpscnn_queue"], int
    if kind in values.handles:
        release = getattr(library, f"{kind}_release")
        yield "released", values.handles[kind], lambda: release(values.handles[kind])


def main() -> None:
    library = ctypes.CDLL(sys.argv[1])
    declared = [parsed(line) for line in sys.stdin.read().splitlines()]
    values = Values(library)
    released = frozenset(
        name.removesuffix("_release") for _, name, _ in declared if name.endswith("_release")
    )
    calls, faults = 0, []
    for (result, name, arguments), number in itertools.product(declared, (1, 7)):
        for place, argument in enumerate(arguments):
            if not argument.is_pointer:
                continue
            given = [None if i == place else values.of(other, number) for i, other in enumerate(arguments)]
            calls += 1
            if wrong := outcome(getattr(library, name), result, given):
                faults.append(f"{name}, argument {place} null: {wrong}")
            for what, handle, prepare in wrong_handles(library, values, argument.type, released):
                given = [
                    handle if i == place else values.of(other, number) for i, other in enumerate(arguments)
                ]
                calls += 1
                if wrong := outcome(getattr(library, name), result, given, prepare, ()):
                    faults.append(f"{name}, argument {place} {what}: {wrong}")
    print(calls, *faults, sep="\n")


if __name__ == "__main__":
    main()
