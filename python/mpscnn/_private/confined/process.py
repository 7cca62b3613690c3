"""Start a confined process of mpscnn, and ask it for results."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from mpscnn import errors
from mpscnn._private.child_python import inherited_environment, module_command
from mpscnn._private.confined.frames import FAILURE, HEADER, READY, REQUEST
from mpscnn._private.printable import printable
from mpscnn.errors import UnsupportedError

#: The environment variable by which users waive the confinement, and its value.
WAIVER, WAIVED = "MPSCNN_UNCONFINED", "1"
# The seconds until the process is ready. It imports an engine, and has seen nothing of a file.
_START = 300.0
_CHUNK = 1 << 20
_INTERVAL = 0.05  # macOS limits no memory, so it is looked at from outside
#: Variables of the environment that engines and Python read. Others may be secrets.
_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV", "CONDA_PREFIX")
_PREFIXES = (
    "LC_",
    "LD_",
    "DYLD_",
    "PYTHON",
    "MPSCNN_",
    "KERAS_",
    "TF_",
    "OMP_",
    "MKL_",
    "OPENBLAS_",
    "COVERAGE_",
)
#: Keras reads the settings of the user from its folder, and writes them if they are missing. That folder cannot exist.
#: PyTorch makes a folder for compiled kernels when Keras imports it. It takes one that exists, and writes nothing.
_SETTINGS = {"KERAS_HOME": f"{os.devnull}/keras", "TORCHINDUCTOR_CACHE_DIR": os.sep}


@dataclass(frozen=True)
class Limits:
    """Limits that hold for a confined process after its start.

    Attributes:
        memory: the bytes of memory.
        seconds: the processor seconds of all its threads.
        wall: the seconds until it has answered a request.
    """

    memory: int
    seconds: float
    wall: float


def is_confinement_waived() -> bool:
    """Return True if the user lets other engines run without confinement."""
    return os.environ.get(WAIVER) == WAIVED


def run_confined(function: str, request: bytes, limits: Limits, arguments: Sequence[str] = ()) -> bytes:
    """Return the result of a function for one request, which it computes in a confined process.

    Args:
        function, arguments, limits: as for `ConfinedProcess`.
        request: the bytes that the function gets.

    Raises the errors of `ConfinedProcess`.
    """
    with ConfinedProcess(function, limits, arguments) as process:
        return process.call(request)


class ConfinedProcess:
    """A process that computes results of a function, and can do nothing else.

    It cannot write files, open sockets, start processes or send signals to others. It can read the files of Python,
    of installed packages and of the system's libraries, but of users only those that are given. Its memory and its time
    are limited. The function is made before the process is confined, so it may import what it needs.

    Args:
        function: "module:name" of a function that takes `arguments`, and returns the function from bytes to bytes.
        limits: the limits from then on.
        arguments: texts for the function that is named.
        reads: files or folders of the user that it may read, too.
        folder: a folder that the process may read, too. On macOS it may also write there.

    Raises:
        UnsupportedError: this machine cannot confine a process, or the process does not start, crashes, or needs more
            than its limits. Errors of mpscnn that the function raises are raised as they are.
    """

    def __init__(
        self,
        function: str,
        limits: Limits,
        arguments: Sequence[str] = (),
        reads: Sequence[Path] = (),
        *,
        folder: Path | None = None,
    ) -> None:
        self._limits = limits
        settings = {
            "function": function,
            "arguments": list(arguments),
            "reads": [os.path.realpath(place) for place in reads],
            "memory": limits.memory,
            "seconds": limits.seconds,
            "wall": limits.wall,
            "waived": is_confinement_waived(),
            "folder": None if folder is None else os.path.realpath(folder),
        }
        try:
            self._process = subprocess.Popen(
                module_command("mpscnn._private.confined.child", json.dumps(settings)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env=inherited_environment(
                    _SETTINGS if folder is None else {**_SETTINGS, "TMPDIR": str(folder)}, keep=_is_read
                ),
                start_new_session=True,
            )
        except OSError as error:
            raise UnsupportedError(f"no process can be started for it: {error}") from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()
        for descriptor in (self._to, self._from):
            os.set_blocking(descriptor, False)
        self.close = weakref.finalize(self, _end, self._process)
        """End the process."""
        self._exchange(b"", READY, _START)

    def __enter__(self) -> ConfinedProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def call(self, request: bytes) -> bytes:
        """Return the function's result. Raises the errors of the class."""
        return self._exchange(HEADER.pack(REQUEST, len(request)) + request, None, self._limits.wall)

    def _exchange(self, sent: bytes, expected: int | None, seconds: float) -> bytes:
        """Send bytes, and return those of the answer. End the process if it does not answer as it should."""
        try:
            kind, answer = self._answer(memoryview(sent), time.monotonic() + seconds, seconds)
        except BaseException:
            self.close()
            raise
        if kind == FAILURE:
            _raise(answer, is_start=expected == READY)
        return answer

    def _answer(self, rest: memoryview, end: float, seconds: float) -> tuple[int, bytes]:
        found = bytearray()
        wanted = HEADER.size
        with selectors.DefaultSelector() as ready:
            ready.register(self._from, selectors.EVENT_READ)
            if rest:
                ready.register(self._to, selectors.EVENT_WRITE)
            while len(found) < wanted:
                left = end - time.monotonic()
                events = ready.select(min(left, _INTERVAL) if sys.platform == "darwin" else left)
                if sys.platform == "darwin" and _resident(self._process.pid) > self._limits.memory:
                    raise UnsupportedError(self._too_much("memory"))
                if left <= 0.0:
                    raise UnsupportedError(f"it takes more than {seconds:g} s, which is much for its size")
                for key, _ in events:
                    if key.fd == self._to:
                        rest = self._sent(rest)
                        if not rest:
                            ready.unregister(self._to)
                    elif part := os.read(self._from, min(_CHUNK, wanted - len(found))):
                        found += part
                    else:
                        raise UnsupportedError(self._ended())
                if len(found) == HEADER.size and wanted == HEADER.size:
                    _, size = HEADER.unpack(found)
                    if size > self._limits.memory:
                        raise UnsupportedError("its process answered with more than its memory")
                    wanted += size
        return found[0], bytes(found[HEADER.size :])

    def _sent(self, rest: memoryview) -> memoryview:
        try:
            return rest[os.write(self._to, rest[:_CHUNK]) :]
        except BrokenPipeError:  # the answer tells why
            return rest[:0]

    def _ended(self) -> str:
        """Return why the process has ended."""
        self._process.kill()
        status = self._process.wait()
        if status == -signal.SIGXCPU:
            return self._too_much("time")
        how = f"signal {-status}" if status < 0 else f"status {status}"
        return f"its process ended with {how}"

    def _too_much(self, what: str) -> str:
        limit = (
            f"{self._limits.memory >> 20:,} MiB of memory"
            if what == "memory"
            else f"{self._limits.seconds:g} s"
        )
        return f"it takes more than {limit}, which is much for its size"


def _raise(content: bytes, *, is_start: bool) -> None:
    """Raise the error that a process reported."""
    from mpscnn._private.confined.child import UNCONFINED

    try:
        said = json.loads(content)
        name, message = str(said["kind"]), printable(str(said["message"]))
    except (ValueError, KeyError, TypeError) as error:
        raise UnsupportedError("its process answered nonsense") from error
    if name == UNCONFINED:
        raise UnsupportedError(
            f"this machine cannot confine the process of another engine ({message}); {WAIVER}={WAIVED} in the "
            "environment runs it without, if you trust the file"
        )
    if name == "MemoryError":
        raise UnsupportedError(f"{name}: it takes more memory than its limit")
    if name in errors.__all__:
        raise getattr(errors, name)(message)
    where = "its engine cannot be started" if is_start else "its engine fails"
    raise UnsupportedError(f"{where}: {name}: {message:.500}")


def _is_read(variable: str) -> bool:
    """Return whether engines read an environment variable."""
    return variable in _VARIABLES or variable.startswith(_PREFIXES)


def _resident(process: int) -> int:
    """Return the bytes of memory of a process; 0 if the system does not say."""
    told = subprocess.run(
        ["/bin/ps", "-o", "rss=", "-p", str(process)],
        env=inherited_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return int(told.stdout.strip() or 0) << 10


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and those that it may have started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except OSError:  # it has ended
        process.kill()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
    process.wait()
