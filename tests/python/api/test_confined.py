"""Test that a confined process can compute and nothing else."""

from __future__ import annotations

import ast
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiers import with_full

import mpscnn
from mpscnn._private.confined import ConfinedProcess, Limits, linux, process, run_confined
from mpscnn.errors import UnsupportedError, WeightsError

#: A function that runs code, and returns `r` or the error. It is as good as an attack that has taken over an engine.
_PROBE = """
import ctypes, fcntl, mmap, os, resource, signal, socket, subprocess, threading, time
import numpy
from mpscnn.errors import WeightsError
FILE, FOLDER, PARENT = {file!r}, {folder!r}, {parent}
libc = ctypes.CDLL(None)
def make():
    def run(code):
        names = dict(globals())
        try:
            exec(code.decode(), names)
        except (OSError, ValueError) as error:
            return repr(error).encode()
        return str(names.get("r")).encode()
    return run
"""
_LIMITS = Limits(memory=256 << 20, seconds=2.0, wall=2.0)
#: What a process does for an engine.
ALLOWED = {
    "compute": "r = float(numpy.ones((64, 64)) @ numpy.ones(64) @ numpy.ones(64))",
    "start a thread": "t = threading.Thread(target=len, args=('',)); t.start(); t.join(); r = 4096.0",
    "read an installed package": "r = 4096.0 * ('ndarray' in open(numpy.__file__).read())",
    "import": "import colorsys; r = 4096.0",
    "take memory": "r = len(bytearray(4096)) * 1.0",
}
#: What it cannot do, by the system's names. Each would leave a trace if it succeeded.
REFUSED = {
    "write a file": "open(FILE + '.new', 'w').write('written')",
    "change a file": "open(FILE, 'a').write('written')",
    "change an open file's length": "os.truncate(FILE, 0)",
    "remove a file": "os.unlink(FILE)",
    "rename a file": "os.rename(FILE, FILE + '.new')",
    "link a file": "os.link(FILE, FILE + '.new')",
    "make a symbolic link": "os.symlink(FILE, FILE + '.new')",
    "make a folder": "os.mkdir(FILE + '.new')",
    "make a pipe with a name": "os.mkfifo(FILE + '.new')",
    "change permissions": "os.chmod(FILE, 0)",
    "change times": "os.utime(FILE, (0, 0))",
    "write to a temporary file without a name": "os.open(FOLDER, os.O_TMPFILE | os.O_RDWR)",
    "read a file of the user": "r = open(FILE).read()",
    "list a folder of the user": "r = os.listdir(FOLDER)",
    "read it through a link of an allowed folder": "r = open('/proc/self/root' + FILE).read()",
    "read it through the working folder": "r = open('/proc/self/cwd' + FILE).read()",
    "read the environment of another process": "r = open(f'/proc/{PARENT}/environ').read()",
    "change the working folder": "os.chdir(FOLDER)",
    "open a socket": "socket.socket()",
    "open a local socket": "socket.socketpair()",
    "start a program": "subprocess.run(['true'])",
    "start a process": "os.fork() or os._exit(0)",
    "replace itself": "os.execv('/bin/true', ['true'])",
    "start a process without a copy": "os.posix_spawn('/bin/true', ['true'], {})",
    "signal its parent": "os.kill(PARENT, 0)",
    "have another process signalled": "fcntl.fcntl(0, 8, PARENT)",
    "trace its parent": "if libc.ptrace(16, PARENT, 0, 0) < 0: raise OSError",
    "keep memory in a file without a name": "os.memfd_create('kept')",
    "raise its limits": "resource.setrlimit(resource.RLIMIT_DATA, (1 << 40, 1 << 40))",
    "leave its priority": "os.nice(-5)",
    "make a namespace": "if libc.unshare(0x10000000) < 0: raise OSError",
}
#: Packages that run networks, or read files with them.
_ENGINES = {
    "MNN", "ai_edge_litert", "coreai", "coremltools", "jax", "keras", "ncnn", "onnxruntime", "openvino", "tensorflow",
    "tf_keras", "tflite_runtime", "torch",
}  # fmt: skip
#: The modules that import them, and why they may.
_CONFINED = (
    "comparison/engine_process.py", "comparison/coreml_engine.py", "comparison/keras_engine.py",
    "comparison/litert_engine.py", "comparison/onnx_engine.py", "comparison/tensorflow_engine.py",
    "comparison/coreai_engine.py", "converters/reading/coreai/extraction.py",
)  # fmt: skip
_WITH_OWN_OBJECTS = (
    "comparison/torch_engine.py", "converters/reading/keras/live.py", "converters/reading/pytorch/", "torch_backend/",
)  # fmt: skip
_WITH_WRITTEN_FILES = (
    "apps/benchmark/engines.py",
    "converters/writing/coreai/",
    "converters/writing/coreml/",
)
_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="Linux names what a process asks of the system")


@pytest.fixture
def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the name of the function, which is installed as a package, next to a file of the user."""
    folder = tmp_path / "user"
    folder.mkdir()
    file = folder / "secret.txt"
    file.write_text("secret")
    packages = tmp_path / "site-packages"
    packages.mkdir()
    code = _PROBE.format(file=str(file), folder=str(folder), parent=os.getpid())
    (packages / "probe_of_tests.py").write_text(code)
    monkeypatch.syspath_prepend(str(packages))
    monkeypatch.delenv(process.WAIVER, raising=False)
    before = file.stat()
    yield "probe_of_tests:make"
    assert file.read_text() == "secret"
    assert [one.name for one in folder.iterdir()] == ["secret.txt"]
    assert (file.stat().st_mode, file.stat().st_mtime) == (before.st_mode, before.st_mtime)


def test_what_a_confined_process_may_do(probe: str) -> None:
    """One process, and each attempt on its own."""
    with ConfinedProcess(probe, _LIMITS) as confined:
        for what, code in ALLOWED.items():
            assert confined.call(code.encode()) == b"4096.0", what
        if sys.platform == "linux":
            for what, code in REFUSED.items():
                said = confined.call(code.encode()).decode()
                assert "Error" in said, f"{what}: {said}"
                assert "secret" not in said.replace("secret.txt", ""), what


@_LINUX
def test_without_landlock_no_file_is_opened(probe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As before Linux 5.13 and where it is disabled: the function has imported what it needs."""
    code = "import sys; from mpscnn._private.confined import linux, child; linux.allow_reading = lambda _: False; "
    command = process.module_command
    monkeypatch.setattr(
        process,
        "module_command",
        lambda module, text: (*command(module)[:-1], f"{code} child.main({text!r})"),
    )
    with ConfinedProcess(probe, _LIMITS) as confined:
        assert confined.call(ALLOWED["compute"].encode()) == b"4096.0"
        for what in ("read an installed package", "write a file", "read a file of the user", "open a socket"):
            said = confined.call({**ALLOWED, **REFUSED}[what].encode()).decode()
            assert "Error" in said, f"{what}: {said}"


_ENDINGS = {
    "sleeps": ("time.sleep(60)", "it takes more than 2 s"),
    "computes": ("while True: pass", "it takes more than 2 s"),
    "waits for a lock": ("lock = threading.Lock(); lock.acquire(); lock.acquire()", "it takes more than 2 s"),
    "sleeps in a signal handler": (
        "signal.signal(14, lambda *_: time.sleep(60)); signal.setitimer(0, 0.01); time.sleep(60)",
        "it takes more than 2 s",
    ),
    "computes in threads": (
        "ts = [threading.Thread(target=lambda: [0 for _ in iter(int, 1)]) for _ in 'abcd']\n"
        "[t.start() for t in ts]; [t.join() for t in ts]",
        "it takes more than 2 s",
    ),
    "takes memory": ("r = numpy.ones(1 << 30)", "it takes more memory than its limit"),
    "shares memory with nobody": ("m = mmap.mmap(-1, 4 << 30); r = m[0]", "memory|Cannot allocate"),
    "crashes": ("ctypes.string_at(0)", "its process ended with signal 11"),
    "ends": ("os._exit(0)", "its process ended with status 0"),
    "answers too much": (
        "os.write(3, bytes([2]) + (1 << 40).to_bytes(8, 'little')); time.sleep(9)",
        "more than its memory",
    ),
    "answers nonsense": ("os.write(3, bytes([3, 1] + [0] * 8)); time.sleep(9)", "answered nonsense"),
    "raises mpscnn's error": ("raise WeightsError('is damaged')", "is damaged"),
    "raises another error": ("raise KeyError('x')", "its engine fails: KeyError: 'x'"),
}


@pytest.mark.parametrize(
    "ending",
    with_full(
        ["sleeps", "takes memory", "answers too much"],
        sorted(set(_ENDINGS) - {"sleeps", "takes memory", "answers too much"}),
    ),
)
def test_how_it_ends(probe: str, ending: str) -> None:
    """A process that does not answer within its limits is ended, with a sentence."""
    code, message = _ENDINGS[ending]
    begin = time.monotonic()
    with ConfinedProcess(probe, _LIMITS) as confined:
        try:
            said = confined.call(code.encode()).decode()
        except (UnsupportedError, WeightsError) as error:
            said = str(error)
        assert any(part in said for part in message.split("|")), said
    assert time.monotonic() - begin < 30.0
    with pytest.raises(ProcessLookupError):
        os.killpg(confined._process.pid, 0)


def test_one_call(probe: str) -> None:
    assert run_confined(probe, b"r = 6 * 7", _LIMITS) == b"42"


def test_a_machine_that_cannot_confine_runs_nothing(probe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused before the function sees a request, and the sentence says how a user may waive it."""
    code = "import sys; from mpscnn._private.confined import child, linux, macos; "
    code += (
        "linux.seal = lambda **_: None; linux.allow_reading = lambda _: True; macos.seal = lambda *_: None; "
    )
    command = process.module_command
    monkeypatch.setattr(
        process,
        "module_command",
        lambda module, text: (*command(module)[:-1], f"{code} child.main({text!r})"),
    )
    with pytest.raises(
        UnsupportedError, match=r"cannot confine .* can still write files.*MPSCNN_UNCONFINED=1"
    ):
        ConfinedProcess(probe, _LIMITS)
    monkeypatch.setenv(process.WAIVER, process.WAIVED)
    with ConfinedProcess(probe, _LIMITS) as confined:
        assert confined.call(b"r = 1") == b"1"


def test_its_environment_has_no_secrets(probe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUD_TOKEN", "a secret")
    assert run_confined(probe, b"r = os.environ.get('CLOUD_TOKEN')", _LIMITS) == b"None"


def _imported(tree: ast.AST) -> Iterator[str]:
    """Yield the packages that a module imports, also by name, and those whose libraries it loads."""
    called = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    if any(ast.unparse(node.func).endswith("CDLL") for node in called):
        found = (node.args[0] for node in called if ast.unparse(node.func).endswith("find_spec"))
        yield from (str(one.value) for one in found if isinstance(one, ast.Constant))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (
                str(one.value).partition(".")[0] for one in node.args if isinstance(one, ast.Constant)
            )


def test_other_engines_start_in_the_confined_process_only() -> None:
    """Any other import of an engine works with objects of the caller's program, or with files that mpscnn writes.

    It parses all modules, which takes two processor seconds.
    """
    package = Path(mpscnn.__file__).parent
    sources = {file.relative_to(package).as_posix(): file.read_text() for file in package.rglob("*.py")}
    trees = {place: ast.parse(text) for place, text in sources.items()}
    places = {place for place, tree in trees.items() if _ENGINES.intersection(_imported(tree))}
    known = (*_CONFINED, *_WITH_OWN_OBJECTS, *_WITH_WRITTEN_FILES)
    assert {place for place in places if not place.startswith(known)} == set()
    assert {start for start in known if not any(place.startswith(start) for place in places)} == set()
    for module in _CONFINED[1:]:
        engines = {node.name for node in trees[module].body if isinstance(node, ast.ClassDef)}
        users = {
            place
            for place, text in sources.items()
            if any(f"{name}(" in text for name in {*engines, "exact_session"} if not name.startswith("_"))
        }
        assert users <= {"comparison/engine_process.py", "comparison/onnx_engine.py", module}, users


@_LINUX
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_of_both_processors(machine: str) -> None:
    """Its jumps stay within the program, which ends in a refusal."""
    program = linux._program(machine, 1234, may_open=True)
    instructions = [program[place : place + 8] for place in range(0, len(program), 8)]
    for place, one in enumerate(instructions):
        if one[0] in (linux._EQUAL, linux._ANY_BIT):
            assert place + 1 + max(one[2], one[3]) < len(instructions)
    assert instructions[-1][0] == linux._RETURN
    assert len(instructions) < 4096
