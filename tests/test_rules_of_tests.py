"""Check the rules that all tests keep, so that each test gives the same result on each machine."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from needed_packages import names_that_need

TESTS = Path(__file__).resolve().parent
#: The code of all tests, by path.
CODE = {
    str(path.relative_to(TESTS)): path.read_text("utf-8")
    for path in sorted(TESTS.rglob("*.py"))
    if path.name != "test_rules_of_tests.py"
}

# ---- Other engines ------------------------------------------------------------------------------------------

#: Names that open a model in another engine with kernels that may saturate, and what tests use instead.
ENGINES = {
    **dict.fromkeys(("InferenceSession", "ModelPackageContext"), "exact_engines.onnxruntime_session"),
    **dict.fromkeys(("Interpreter", "InterpreterWithCustomOps"), "exact_engines.litert_interpreter"),
    **dict.fromkeys(("quantize_dynamic", "quantize_per_tensor", "quantize_per_channel"), "tests/reference"),
}
#: The same in the text of a program, and the module that opens onnxruntime by ONNX' interface for backends.
IN_TEXT = re.compile(rf"(?<!mpscnn\.)\b({'|'.join(ENGINES)})\(|\bonnxruntime\.backend\b")
#: The file whose functions open these engines, and the file with programs in float32 that were written for onnxruntime,
#: which run with onnxruntime and with mpscnn's class of the same name.
ONLY_IN = {"exact_engines.py", "converters/onnx_backend/test_onnxruntime.py"}


def names_in(source: str) -> Iterator[tuple[int, str]]:
    """Yield each name that the code uses or imports, or takes from a module by a string, with its line.

    `mpscnn.InferenceSession` is mpscnn's own class, so attributes of `mpscnn` are left out.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            if not (isinstance(node.value, ast.Name) and node.value.id == "mpscnn"):
                yield node.lineno, node.attr
        elif isinstance(node, ast.Name):
            yield node.lineno, node.id
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
            values = [value.value for value in node.args if isinstance(value, ast.Constant)]
            yield from ((node.lineno, value) for value in values if isinstance(value, str))


def texts_in(source: str) -> Iterator[tuple[int, str]]:
    """Yield each text of the code that is no docstring, and the name of each module that it imports, with its line."""
    tree = ast.parse(source)
    kept = docstrings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in kept:
            yield node.lineno, node.value


def engines_opened_in(source: str) -> list[str]:
    """Return a sentence for each place of the code that opens another engine."""
    if not any(name in source for name in (*ENGINES, "backend")):
        return []
    found = {place for place in names_in(source) if place[1] in ENGINES}
    found |= {
        (line, match[1] or "InferenceSession")
        for line, text in texts_in(source)
        for match in IN_TEXT.finditer(text)
    }
    return [f"line {line} uses {name}: use {ENGINES[name]}" for line, name in sorted(found)]


def test_other_engines_compute_exactly() -> None:
    found = {path: engines_opened_in(code) for path, code in CODE.items()}
    assert {path for path, places in found.items() if places} == ONLY_IN, found


@pytest.mark.parametrize(
    "source",
    [
        "import onnxruntime\nonnxruntime.InferenceSession(path)",
        "import onnxruntime as ort\nsession = ort.InferenceSession(path, options)",
        "from onnxruntime import InferenceSession",
        'getattr(pytest.importorskip("onnxruntime"), "InferenceSession")(path)',
        'interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter',
        "from ai_edge_litert.interpreter import Interpreter as Judge",
        "torch.ao.quantization.quantize_dynamic(module)",
        'PROGRAM = "import onnxruntime; onnxruntime.InferenceSession(path)"',
        "import onnxruntime.backend as backend",
        "from onnxruntime import backend",
        'pytest.importorskip("onnxruntime.backend").run_model(made, inputs)',
    ],
)
def test_every_way_to_open_an_engine_is_noticed(source: str) -> None:
    assert len(engines_opened_in(source)) == 1


@pytest.mark.parametrize(
    "source",
    ["mpscnn.InferenceSession(path)", 'PROGRAM = "import mpscnn; mpscnn.InferenceSession(path)"'],
)
def test_a_class_of_mpscnn_is_no_other_engine(source: str) -> None:
    assert not engines_opened_in(source)


# ---- Other systems ------------------------------------------------------------------------------------------

#: Names that Linux has and that macOS lacks or uses otherwise. `tests/systems.py` has functions that guard it.
OF_LINUX = re.compile(
    r"/proc/|/sys/|/dev/(full|shm)|\blib(c|dl|m)\.so|\b(LD_PRELOAD|RLIMIT_(AS|DATA|RSS|STACK)|prlimit|RUSAGE_THREAD"
    r"|MAP_POPULATE|O_(DIRECT|NOATIME|PATH|TMPFILE)|SOCK_(CLOEXEC|NONBLOCK)|CLOCK_BOOTTIME"
    r"|F_[GS]ETPIPE_SZ|SIG(RTMIN|RTMAX|PWR|POLL|STKFLT)|TCP_(KEEPIDLE|QUICKACK|USER_TIMEOUT)"
    r"|sched_[gs]et(affinity|param|scheduler)|(list|[gs]et|remove)xattr|setres[gu]id"
    r"|prctl|epoll|eventfd|inotify|memfd_create|pidfd_open|pipe2|posix_fallocate|unshare|setns"
    r"|malloc_trim|mallinfo2?|ru_maxrss|MSG_(NOSIGNAL|MORE)|getrandom|posix_fadvise|copy_file_range|sig(timedwait|waitinfo)"
    r"|SO_PEERCRED|AF_(NETLINK|PACKET))\b"
)
GUARDS = "systems.py"
#: Programs and tests that run on Linux only, and the reason.
ON_LINUX_ONLY = {
    "fuzz/file_fuzzer.py": "asks /proc and glibc only where they are",
    "generators/zoo.py": "asks /proc only where it is",
    "metal_emulation/shading_language/compile_metal.py": "is a part of the emulation of Metal",
    "metal_sources/test_shader_delivery.py": "builds with the emulation of Metal",
    "mutation/mutate.py": "is a program, which `nox -s mutation` runs on Linux",
    "python/api/test_confined.py": "confines processes, whose attacks it runs on Linux only",
}


def docstrings(tree: ast.AST) -> set[int]:
    """Return the identities of the constants that are docstrings."""
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    nodes = (node for node in ast.walk(tree) if isinstance(node, kinds) and node.body)
    firsts = (node.body[0] for node in nodes)
    return {id(first.value) for first in firsts if isinstance(first, ast.Expr)}


def of_linux_in(source: str) -> list[str]:
    """Return a sentence for each place of the code, or of code in strings, that not every system understands."""
    if not OF_LINUX.search(source):
        return []
    places = {*names_in(source), *texts_in(source)}
    found = {(line, match[0]) for line, text in places for match in OF_LINUX.finditer(text)}
    return [f"line {line} uses {name}: use tests/{GUARDS}" for line, name in sorted(found)]


def test_what_macos_lacks_is_guarded() -> None:
    found = {path: of_linux_in(code) for path, code in CODE.items()}
    unguarded = {path: places for path, places in found.items() if places and path != GUARDS}
    assert unguarded.keys() == ON_LINUX_ONLY.keys(), unguarded


@pytest.mark.parametrize(
    "source",
    [
        "resource.setrlimit(resource.RLIMIT_AS, (1, 1))",
        'PROGRAM = "import resource; resource.setrlimit(resource.RLIMIT_AS, (1, 1))"',
        'Path(f"/proc/{process}/status").read_text()',
        "cores = len(os.sched_getaffinity(0))",
        "from os import sched_setaffinity",
        "libc.prctl(1, 9)",
        'subprocess.run(command, env=os.environ | {"LD_PRELOAD": library})',
        "resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10",
        "resource.prlimit(process, resource.RLIMIT_NOFILE, (64, 64))",
        'ctypes.CDLL("libc.so.6")',
        'Path("/sys/fs/cgroup/cpu.max").exists()',
        'os.setxattr(path, "user.name", b"value")',
    ],
)
def test_every_use_of_what_macos_lacks_is_noticed(source: str) -> None:
    assert len(of_linux_in(source)) == 1


#: The files of C++ tests that name files of Linux although every system runs them, and the reason.
OF_EVERY_SYSTEM = {
    "cpp/core/control_groups_test.cpp": "writes files of these names into a temporary folder",
    "engine/safetensors_test.cpp": "skips the test without these files",
}


def of_linux_in_cpp(source: str) -> list[str]:
    """Return what not every system understands in C++ code, outside of comments and `#if defined(__linux__)`.

    .ci/check_other_systems.py compiles this code for macOS, but does not run it.
    """
    conditions: list[bool] = []
    found = []
    for line in re.sub(r"//.*", "", source).splitlines():
        if word := re.match(r"\s*#\s*(if|el|endif)", line):
            if word[1] != "if":
                conditions.pop()
            if word[1] != "endif":
                conditions.append(word[1] == "if" and "__linux__" in line)
        elif not any(conditions):
            found += [match[0] for match in OF_LINUX.finditer(line)]
    return found


def test_what_macos_lacks_is_guarded_in_cpp() -> None:
    files = (path for kind in ("cpp", "engine") for path in (TESTS / kind).rglob("*_test.cpp"))
    found = {str(path.relative_to(TESTS)): of_linux_in_cpp(path.read_text("utf-8")) for path in files}
    unguarded = {path: names for path, names in found.items() if names}
    assert unguarded.keys() == OF_EVERY_SYSTEM.keys(), unguarded
    assert of_linux_in_cpp("#if defined(__linux__)\nsetrlimit(RLIMIT_AS, &limit);\n#endif\n") == []
    code = "#if defined(__linux__)\nf();\n#else\nsetrlimit(RLIMIT_AS, &limit);\n#endif // /proc/\n"
    assert of_linux_in_cpp(code) == ["RLIMIT_AS"]


def test_docstrings_and_comments_may_tell_of_linux() -> None:
    assert not of_linux_in('def f():\n    """Read /proc/self/maps."""  # as sched_getaffinity does')


# ---- Packages that only some environments have -----------------------------------------------------------------

NEEDING = """
def of_torch(x):
    return pytest.importorskip("torch.nn")

CASES = {"a": of_torch}

@pytest.fixture
def keras_here():
    return pytest.importorskip("keras")

@pytest.mark.parametrize("case", CASES)
def test_case(case): ...

def test_layers(keras_here): ...

def test_others(): ...
"""


def test_tests_need_what_their_helpers_tables_and_fixtures_ask_for(tmp_path: Path) -> None:
    file = tmp_path / "test_needing.py"
    file.write_text(NEEDING, "utf-8")
    assert names_that_need(file, ("torch",)) == {"of_torch", "CASES", "test_case"}
    assert names_that_need(file, ("keras",)) == {"keras_here", "test_layers"}
    file = tmp_path / "test_skipped.py"
    file.write_text('torch = pytest.importorskip("torch")\n', "utf-8")
    assert names_that_need(file, ("torch",)) == {"*"}
