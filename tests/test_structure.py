"""Test the rules of docs/architecture.md: which parts may include which, and what every operation must have."""

from __future__ import annotations

import ast
import functools
import graphlib
import importlib
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mpscnn
from mpscnn import _core

PROJECT = Path(__file__).resolve().parent.parent
CPP = PROJECT / "cpp"

# The parts from which each part may include headers, in addition to itself.
ALLOWED: dict[str, set[str]] = {
    "core": set(),
    "ops": {"core", "shaders"},
    "kernels": {"core", "ops"},
    "vision": {"core"},
    "engine": {"core", "ops", "kernels"},
    "cpu": {"core", "ops", "engine", "shaders"},
    "metal": {"core", "ops", "engine", "shaders", "vision"},
    "api": {"core", "ops", "kernels", "engine", "vision", "mpscnn"},
    "bindings": {"mpscnn"},
    "check": {"mpscnn"},
    "include": {"mpscnn"},
}
# The headers of the engine that backends may include.
BACKEND_INTERFACE = {
    "engine/backend/backend.h",
    "engine/backend/custom_kernel.h",
    "engine/backend/execution_profile.h",
    "engine/graph/graph.h",
    "engine/backend/memory_plan.h",
    "engine/backend/native_run.h",
    "engine/backend/written_program.h",
}
# Exceptions: one file lists the backends, one reports the instruction set in use, and one reads photos in textures,
# which is not part of a network's run.
EXCEPTIONS = {
    ("api/metal_photo.cpp", "metal/encoding/native_photo.h"),
    ("engine/run/backends.cpp", "cpu/runtime/cpu_backend.h"),
    ("engine/run/backends.cpp", "metal/coreml/coreml_backend.h"),
    ("engine/run/backends.cpp", "metal/run/metal_backend.h"),
    ("api/library.cpp", "cpu/isa/kernels.h"),
}

SOURCES = sorted(path for path in CPP.rglob("*") if path.suffix in {".h", ".hpp", ".cpp", ".mm"})


def includes_of(path: Path) -> list[str]:
    """Return the headers of the project that a file includes, as paths relative to cpp/."""
    found = re.findall(r'^#include "([^"]+)"', path.read_text(encoding="utf-8"), re.MULTILINE)
    return [str((path.parent / name).relative_to(CPP)) if "/" not in name else name for name in found]


@pytest.mark.parametrize("part", sorted(path.name for path in CPP.iterdir()))
def test_parts_include_only_what_they_may_know(part: str) -> None:
    assert part in ALLOWED, f"cpp/{part} has no rule"
    wrong = []
    for path in SOURCES:
        own = str(path.relative_to(CPP))
        if not own.startswith(part + "/"):
            continue
        for header in includes_of(path):
            target = header.removeprefix("include/").split("/")[0]
            allowed = target in {part, *ALLOWED[part]} or (own, header) in EXCEPTIONS
            if part in {"cpu", "metal"} and target == "engine":
                allowed = header in BACKEND_INTERFACE
            if part in {"ops", "cpu"} and target == "shaders":
                # These headers are tables and enumerations that all parts share.
                allowed = header.endswith(("_kind.h", "/kinds.h"))
            if not allowed:
                wrong.append(f"{own} includes {header}")
    assert not wrong


# The subfolders (rooms) of folders of cpp/ from the bottom up. A file may include headers of its own room and of those
# before it, so rooms include each other in no circle. "." stands for the files that are in no subfolder. Tasks, which
# describe the work of a kernel, come before the instruction sets for which kernels are compiled.
ROOMS = {
    "cpu": ("machine", "kernels/tasks", "isa", "kernels", "plan", "runtime"),
    "cpu/kernels": (
        "tasks",
        "shared",
        "convolution",
        "movement",
        "elementwise",
        "integers",
        "training",
        "extensions",
    ),
    "cpu/plan": (".", "operations"),
    "engine": ("graph", "file", "backend", "trust", "run", "train", "commands"),
    "include": ("mpscnn",),
    "metal": ("device", "coreml", "encoding", "layers", "arrays", "gradients", "run"),
}


def test_every_folder_with_rooms_has_an_order() -> None:
    folders = {path.parent for path in CPP.rglob("*") if path.is_dir()} - {CPP}
    assert {str(folder.relative_to(CPP)) for folder in folders} == set(ROOMS)
    for folder, rooms in ROOMS.items():
        subfolders = {path.name for path in (CPP / folder).iterdir() if path.is_dir()}
        assert subfolders == {room for room in rooms if "/" not in room} - {"."}


@pytest.mark.parametrize("folder", sorted(ROOMS))
def test_rooms_include_from_below_only(folder: str) -> None:
    rooms = ROOMS[folder]

    def level(name: str) -> int:
        parent = Path(name).parent
        return next(rooms.index(str(room)) for room in (parent, *parent.parents) if str(room) in rooms)

    wrong = {
        (own, header.removeprefix(f"{folder}/"))
        for path in SOURCES
        if path.is_relative_to(CPP / folder)
        for own in [str(path.relative_to(CPP / folder))]
        for header in includes_of(path)
        if header.startswith(f"{folder}/") and level(header.removeprefix(f"{folder}/")) > level(own)
    }
    assert not wrong


def test_files_lie_in_rooms() -> None:
    """Test that source files of these folders are in subfolders (rooms).

    In folders of tests/, only tests must be in a room. Other files there are shared by several rooms.
    """
    folders = dict.fromkeys(("cpp/engine", "cpp/cpu", "cpp/cpu/kernels", "cpp/metal"), "*.[hcm]*")
    folders |= {"python/mpscnn/apps": "[!_]*.py"}
    folders |= dict.fromkeys(("tests/python", "tests/converters"), "test_*.py")
    folders |= {"tests/cpp": "*_test.cpp"}
    assert not [file for folder, kind in folders.items() for file in (PROJECT / folder).glob(kind)]


def test_nothing_is_thread_local() -> None:
    # The first use in a thread allocates memory. Without memory, glibc ends the process.
    found = [
        path for path in SOURCES if re.search(r"^[^/]*thread_local", path.read_text("utf-8"), re.MULTILINE)
    ]
    # This exception is Python's state of a thread, which CPython allocates at the same time.
    assert [path.name for path in found] == ["gil.cpp"]


def test_every_exception_is_still_needed() -> None:
    for own, header in EXCEPTIONS:
        assert header in includes_of(CPP / own)


def test_only_bindings_know_python() -> None:
    users = {path.relative_to(CPP).parts[0] for path in SOURCES if "pybind11/" in path.read_text("utf-8")}
    assert users == {"bindings"}


def test_objective_c_stays_in_the_metal_engine() -> None:
    parts = {path.relative_to(CPP).parts[0] for path in CPP.rglob("*.mm")}
    assert parts <= {"metal"}


def test_the_emulation_of_metal_uses_nothing_of_the_project() -> None:
    """It is a product of its own with its own build and tests, into which only shaders are given."""
    folder = PROJECT / "tests" / "metal_emulation"
    sources = [path for path in sorted(folder.rglob("*")) if path.suffix in {".h", ".mm", ".cpp", ".py"}]
    included = re.compile(r'^\s*#\s*(?:include|import)\s*"([^"]+)"', re.MULTILINE)
    places = [folder / place for place in (".", "cuda", "shading_language", "tests")]
    foreign = [
        f"{path.relative_to(folder)}: {name}"
        for path in sources
        for name in included.findall(path.read_text("utf-8"))
        if not any((place / name).is_file() for place in (path.parent, *places))
    ]
    own_name = re.compile(r"\b(?:mpscnn(?:::|[_/.]\w)|MPSCNN_)|(?:from|import) mpscnn\b|PROJECT_SOURCE_DIR")
    users = [
        str(path.relative_to(folder))
        for path in [*sources, *folder.rglob("CMakeLists.txt"), *folder.rglob("*.metal")]
        if own_name.search(path.read_text("utf-8"))
    ]
    assert foreign == []
    assert users == []


def test_streams_of_the_cpp_library_stay_out() -> None:
    """Wheels that contain the C++ runtime would also contain its code for streams: locales, formats and so on."""
    streams = re.compile(
        r"^#include <(fstream|iomanip|iostream|istream|locale|ostream|regex|sstream)>", re.MULTILINE
    )
    assert not [path.name for path in SOURCES if streams.search(path.read_text("utf-8"))]


def test_version_has_one_place() -> None:
    declared = re.search(
        r"project\(mpscnn VERSION ([0-9.]+)", (PROJECT / "CMakeLists.txt").read_text("utf-8")
    )
    assert declared is not None
    assert mpscnn.__version__ == declared[1]
    assert mpscnn.build_config()["version"] == declared[1]
    for path in [*SOURCES, *(PROJECT / "python").rglob("*.py"), PROJECT / "pyproject.toml"]:
        # Comments may show what a version looks like.
        code = re.sub(
            r"/\*.*?\*/|//.*|#.*", "", path.read_text("utf-8"), flags=re.DOTALL if path.suffix == ".h" else 0
        )
        assert f'"{declared[1]}"' not in code, f"{path} repeats the version"


# ---- Python ---------------------------------------------------------------------------------------------------

# The modules and folders of the package (rooms), in three groups (floors) from the bottom up. A module imports only
# from rooms on its own line or on the lines before it. mpscnn/__init__.py may import from all rooms, because it gives
# users their names.
PYTHON_FLOORS = {
    "library": (
        ("_core", "errors"),
        ("_private",),
        ("runtime",),
        ("vision",),
        ("graph", "kernels", "signal"),
        ("models", "nodes", "samples"),
        ("registry",),
        ("opening_models", "photo_sources"),
        ("compiled_model",),
        ("model",),
        ("runner",),
    ),
    "toolkit": (
        ("converters",),
        ("onnx_backend", "torch_backend"),
        ("onnxruntime",),
        ("training",),
        ("evaluation", "sklearn"),
        ("comparison",),
        ("quantization",),
    ),
    "apps": (
        ("apps.video",),
        ("apps.ray",),
        ("apps.verify", "apps.benchmark", "apps.serve", "apps.train"),
        ("apps.cli",),
    ),
}


# The rooms of mpscnn/converters from the bottom up.
CONVERTER_FLOORS = ("opening", "values", "finishing", "reading", "writing", "formats")


def room_of(module: str) -> str:
    """Return the room of a module of the package, from its dotted name without "mpscnn."."""
    parts = module.split(".")
    return ".".join(parts[: 2 if parts[0] == "apps" else 1])


def test_every_room_of_the_package_has_a_floor() -> None:
    package = PROJECT / "python" / "mpscnn"
    rooms = {line for floor in PYTHON_FLOORS.values() for names in floor for line in names}
    modules = {
        room_of(".".join(path.relative_to(package).with_suffix("").parts)) for path in package.rglob("*.py")
    }
    assert {room for room in modules if not room.split(".")[-1].startswith("__")} | {"_core"} == rooms


def test_python_modules_import_from_below_only() -> None:
    rooms = [line for floor in PYTHON_FLOORS.values() for line in floor]
    level = {room: number for number, line in enumerate(rooms) for room in line}
    package = PROJECT / "python" / "mpscnn"
    wrong = []
    for path in sorted(package.rglob("*.py")):
        own = room_of(".".join(path.relative_to(package).with_suffix("").parts))
        if own.startswith("__") or own == "apps.__init__":
            continue
        for name in _imported_modules(ast.parse(path.read_text("utf-8"))):
            room = room_of(name.partition(".")[2])
            if room and level[room] > level[own]:
                wrong.append(f"{path.relative_to(package)} imports {name}")
    assert not wrong


def test_converters_lie_in_rooms_that_import_from_below_only() -> None:
    folder = PROJECT / "python" / "mpscnn" / "converters"
    assert [path.name for path in folder.glob("*.py")] == ["__init__.py"]
    assert {path.parent.name for path in folder.glob("*/__init__.py")} == set(CONVERTER_FLOORS)
    wrong = [
        f"{path.relative_to(folder)} imports {name}"
        for level, room in enumerate(CONVERTER_FLOORS)
        for path in sorted((folder / room).rglob("*.py"))
        for name in _imported_modules(ast.parse(path.read_text("utf-8")))
        if name.startswith(tuple(f"mpscnn.converters.{above}." for above in CONVERTER_FLOORS[level + 1 :]))
    ]
    assert not wrong


READING = PROJECT / "python" / "mpscnn" / "converters" / "reading"


def test_readers_call_the_vocabulary_and_name_no_operator_of_onnx() -> None:
    """Only the reader of ONNX and the vocabulary add operators by their names in ONNX."""
    wrong = [
        f"{path.relative_to(READING)}:{node.lineno}"
        for path in sorted(
            {*READING.rglob("*.py")}
            - {*(READING / "onnx").rglob("*.py")}
            - {*(READING / "vocabulary").rglob("*.py")}
        )
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("op", "ops")
    ]
    assert not wrong


def test_what_looks_back_in_a_graph_asks_for_functions_of_the_vocabulary() -> None:
    """Detectors, names of layers, activations and patterns know no operator by its name in ONNX."""
    from mpscnn.converters.reading.onnx.file import EXPANSIONS
    from mpscnn.converters.reading.onnx.operators import ROWS, ROWS_OF_CONSTANTS

    names = ROWS.keys() | ROWS_OF_CONSTANTS.keys() | EXPANSIONS.keys()
    apart = {
        "completion": set[str](),
        "detection": set[str](),
        "detection_details": set[str](),
        "detector_postprocess": {"NonZero"},  # no other format has it, so it is no word of the vocabulary
        "layer_naming": set[str](),
        "local_response_norm": {"LRN"},  # the row of its own operator
        "attention_masks": set[str](),
    }
    found = {
        name: {
            node.value
            for node in ast.walk(ast.parse((READING / "onnx" / f"{name}.py").read_text("utf-8")))
            if isinstance(node, ast.Constant) and node.value in names
        }
        for name in apart
    }
    assert found == apart


def test_readers_have_one_type_of_rows() -> None:
    """A row is a `Row` in every format. No class reads its operands and settings: its signature is the schema."""
    folder = PROJECT / "python" / "mpscnn" / "converters"
    others = {"Handler", "Operands", "Operator", "OperatorReader"}
    defined = [
        (path.relative_to(folder).as_posix(), name)
        for path in sorted([*(folder / "values").glob("*.py"), *READING.rglob("*.py")])
        for node in ast.parse(path.read_text("utf-8")).body
        for name in _defined_names(node)
        if name in {*others, "Row"}
    ]
    assert defined == [("values/rows.py", "Row")]


def _defined_names(node: ast.stmt) -> list[str]:
    """Return the names of a class, a function or a variable that a statement of a module defines."""
    if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
        return [node.name]
    targets = (
        node.targets
        if isinstance(node, ast.Assign)
        else [node.target]
        if isinstance(node, ast.AnnAssign)
        else []
    )
    return [one.id for one in targets if isinstance(one, ast.Name)]


def test_readers_of_other_formats_do_not_import_that_of_onnx() -> None:
    """They call the vocabulary and the graph, which do. PyTorch's reader makes a graph as that of an ONNX file."""
    apart = ("onnx", "graph", "pytorch", "vocabulary")
    wrong = [
        f"{path.relative_to(READING)} imports {name}"
        for folder in sorted(READING.iterdir())
        if folder.is_dir() and folder.name not in apart
        for path in sorted(folder.rglob("*.py"))
        for name in _imported_modules(ast.parse(path.read_text("utf-8")))
        if name.startswith("mpscnn.converters.reading.onnx.")
    ]
    assert not wrong


def test_python_modules_import_each_other_in_no_circle() -> None:
    """Every import counts: at the top of a module, within its functions, for type checkers only, and by a lazy name.

    An import within a function makes the start faster. It may not hide a circle.
    """
    package = PROJECT / "python" / "mpscnn"
    paths = {
        ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__"): path
        for path in package.rglob("*.py")
    }

    def imported_by(path: Path) -> list[str]:
        names = _imported_modules(ast.parse(path.read_text("utf-8")))
        modules = [name if name in paths else name.rpartition(".")[0] for name in names]
        return [module for module in modules if module in paths and module != "mpscnn"]

    imports = {name: imported_by(path) for name, path in paths.items()}
    done: set[str] = set()

    def visit(name: str, under_way: tuple[str, ...]) -> None:
        assert name not in under_way, " imports ".join([*under_way[under_way.index(name) :], name])
        if name not in done:
            for other in imports[name]:
                visit(other, (*under_way, name))
            done.add(name)

    for name in imports:
        visit(name, ())


def test_rooms_of_the_package_import_each_other_in_no_circle() -> None:
    """Rooms on one line of `PYTHON_FLOORS` may import each other, but not both ways."""
    package = PROJECT / "python" / "mpscnn"
    imports: dict[str, set[str]] = {}
    for path in package.rglob("*.py"):
        own = room_of(".".join(path.relative_to(package).with_suffix("").parts))
        if not own.split(".")[-1].startswith("__"):
            found = {
                room_of(name.partition(".")[2])
                for name in _imported_modules(ast.parse(path.read_text("utf-8")))
            }
            imports.setdefault(own, set()).update(found - {"", own})
    sorter = graphlib.TopologicalSorter(imports)
    assert len(list(sorter.static_order())) > 20  # it raises CycleError for a circle


def test_modules_are_not_imported_by_strings() -> None:
    """The tests above would not see imports by a module's name in a string."""
    package = PROJECT / "python" / "mpscnn"
    # The first imports lazy names, converters and writers. The second imports readers, which lie in a lower room;
    # several_formats/test_records.py imports each.
    allowed = {package / "__init__.py", package / "converters" / "formats" / "records.py"}
    call = re.compile(r"""(import_module|__import__)\(\s*f?["'](mpscnn|\.)""")
    found = {path for path in package.rglob("*.py") if call.search(path.read_text("utf-8"))}
    assert found == allowed


def test_warnings_point_to_the_caller() -> None:
    """One function finds the line of the user's program. A number of callers would be wrong after the next change."""
    found = {
        str(path.relative_to(PROJECT))
        for path in (PROJECT / "python" / "mpscnn").rglob("*.py")
        if re.search(r"\bstacklevel\b|\bwarnings\.warn\(", path.read_text("utf-8"))
    }
    assert found == {"python/mpscnn/_private/given_warnings.py"}


def test_torchvision_is_imported_in_one_place() -> None:
    """The compiled operators of torchvision fit one build of torch, so a direct import fails with other builds.

    The program zoo.py, whose networks these are, has an environment of its own, with the build that fits.
    """
    imports = re.compile(r"(?m)^\s*(import|from) torchvision|(importorskip|import_module)\(.torchvision")
    found = {
        path.name for path in (PROJECT / "tests").rglob("*.py") if imports.search(path.read_text("utf-8"))
    }
    assert found == {"torchvision_models.py", "zoo_networks.py"}


@pytest.mark.parametrize(
    "source",
    [
        "from mpscnn.graph.network import Network",
        "if TYPE_CHECKING:\n    from mpscnn.graph.network import Network",
        "def f():\n    from mpscnn.graph.network import Network",
        "class A:\n    def f(self):\n        import mpscnn.graph.network.Network",
        "from mpscnn import Network",
        "import mpscnn\nmade = mpscnn.Network({})",
        "def f(network: mpscnn.Network) -> None: ...",
    ],
)
def test_every_kind_of_import_counts(source: str) -> None:
    found = [name for name in _imported_modules(ast.parse(source)) if name != "mpscnn"]
    assert found == ["mpscnn.graph.network.Network"]


def test_relative_imports_are_not_used() -> None:
    """The tests above do not see relative imports."""
    package = PROJECT / "python" / "mpscnn"
    found = {
        path
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level
    }
    assert not found


@functools.cache
def _users_names() -> dict[str, str]:
    """Return the module and name of each object that mpscnn/__init__.py gives to users, by the users' name for it."""
    tree = ast.parse((PROJECT / "python" / "mpscnn" / "__init__.py").read_text("utf-8"))
    return {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("mpscnn")
        for alias in node.names
    }


def _imported_modules(tree: ast.AST) -> Iterator[str]:
    """Yield each name of the package that the code imports or uses, after the name of its module and a dot."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("mpscnn"))
        elif (
            isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "mpscnn"
        ):
            if node.attr in _users_names():
                yield _users_names()[node.attr]
        elif isinstance(node, ast.ImportFrom) and node.module == "mpscnn":
            yield from (_users_names().get(alias.name, f"mpscnn.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "mpscnn":
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


# ---- Operations ----------------------------------------------------------------------------------------------

OPERATIONS = {entry["name"]: entry for entry in mpscnn.operations()}
TRAINING = {entry["name"]: entry for entry in mpscnn.operations(training=True)}

#: The cases of all operations in cpp/ops/cases.cpp.
CASES: list[dict[str, Any]] = json.loads(_core.cases())


@functools.cache
def smallest(operation: str) -> tuple[list[tuple[int, ...]], dict[str, Any]]:
    """Return input shapes and parameters of a small use: the defaults, or a case if they make no valid layer."""
    for shape in ((4, 4, 3), (4, 4, 8)):
        shapes: list[tuple[int, ...]] = [shape] * int(OPERATIONS[operation]["min_inputs"])
        network = mpscnn.Network({f"x{i}": shape for i, shape in enumerate(shapes)})
        try:
            network.layer(operation, network.inputs, {})
        except (mpscnn.ParameterError, mpscnn.ShapeError):
            continue
        return shapes, {}
    case = next(case for case in CASES if case["operation"] == operation and "conformance" in case["tags"])
    return [tuple(shape) for shape in case["inputs"]], case["attributes"]


#: Arguments of layers whose defaults are those of other frameworks instead of the operation's.
DEFAULTS_OF_FRAMEWORKS = {
    ("local_response_norm", "alpha"),
    ("local_response_norm", "beta"),
    ("rms_norm", "epsilon"),
    ("slice", "channels"),
    ("unit_norm", "epsilon"),
    ("unit_norm", "epsilon_rule"),
}


@functools.cache
def records() -> dict[str, Any]:
    """Return the records in tests/operations by name. The type of a record requires a reference."""
    modules = sorted(path.stem for path in (PROJECT / "tests" / "operations").glob("test_*.py"))
    found = [importlib.import_module(f"operations.{name}").OPERATIONS for name in modules]
    return {operation.name: operation for operations in found for operation in operations}


@pytest.mark.parametrize("operation", [*OPERATIONS, *TRAINING])
def test_operation_has_a_record(operation: str) -> None:
    assert operation in records(), f"tests/operations has no record of {operation}"
    assert records()[operation].draws, f"the record of {operation} has no random inputs"
    assert records()[operation].refused, f"the record of {operation} has no use that is refused"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_operation_has_cases(operation: str) -> None:
    tags = {tag for case in CASES if case["operation"] == operation for tag in case["tags"]}
    assert {"self_check", "conformance"} <= tags, f"cpp/ops/layer_cases.cpp lacks cases of {operation}"


@pytest.mark.parametrize("operation", [name for name, entry in OPERATIONS.items() if not entry["gradient"]])
def test_operation_without_a_gradient_says_so(operation: str) -> None:
    shapes, attributes = smallest(operation)
    net = mpscnn.Network({f"x{i}": shape for i, shape in enumerate(shapes)})
    net.output(net.layer(operation, [net.activation(x, "relu") for x in net.inputs], attributes))
    net.initialize_weights()
    gradient = np.ones((2, *net.outputs[0].shape[1:]), np.float32)
    with pytest.raises(mpscnn.UnsupportedError, match=r"gradient|cannot be trained"):
        net.gradients([np.ones((2, *shape), np.float32) for shape in shapes], output_gradient=gradient)


def test_cases_are_stated_once() -> None:
    names = [case["name"] for case in CASES]
    assert len(set(names)) == len(names)
    networks = [json.dumps(case | {"name": "", "tags": []}, sort_keys=True) for case in CASES]
    assert len(set(networks)) == len(networks)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_operation_runs_on_the_cpu(operation: str) -> None:
    shapes, attributes = smallest(operation)
    net = mpscnn.Network({f"x{i}": shape for i, shape in enumerate(shapes)})
    net.output(net.layer(operation, net.inputs, attributes))
    net.initialize_weights()
    program = net.compile(device="cpu")
    inputs = {name: np.ones((2, *shape[1:]), np.float32) for name, shape in program.inputs.items()}
    result = program.session(threads=1).run(inputs)
    assert isinstance(result, np.ndarray)
    assert result.shape == program.output_shapes(*(array.shape for array in inputs.values()))[0]
    assert np.isfinite(result).all()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_operation_has_a_python_method(operation: str, generator: dict[str, Any]) -> None:
    methods = generator["operations_page"].network_methods()
    assert methods.get(operation), f"no method of Network makes {operation}"


def test_defaults_of_layers_are_those_of_their_operations(generator: dict[str, Any]) -> None:
    others = set()
    for operation, methods in generator["operations_page"].network_methods().items():
        fields = {field["name"]: field["default"] for field in OPERATIONS[operation]["parameters"]}
        for method in methods:
            for argument in inspect.signature(getattr(mpscnn.Network, method)).parameters.values():
                if argument.name in fields and argument.default is not argument.empty:
                    same = argument.default == pytest.approx(fields[argument.name])
                    others |= set() if same else {(method, argument.name)}
    assert others == DEFAULTS_OF_FRAMEWORKS


def test_every_parameter_is_explained() -> None:
    for entry in (OPERATIONS | TRAINING).values():
        assert entry["summary"].endswith(".")
        for parameter in entry["parameters"]:
            assert len(parameter["meaning"]) > 3, f"{entry['name']}: {parameter['name']} has no meaning"


def test_questions_about_files_never_raise() -> None:
    """Path.is_file, Path.is_dir and Path.exists raise PermissionError in unreadable folders."""
    asked = re.compile(r"\.(is_file|is_dir|exists)\(\)")
    package = Path(mpscnn.__file__).parent
    found = [str(path) for path in package.rglob("*.py") if asked.search(path.read_text("utf-8"))]
    assert not found, "use is_file, is_folder and exists of mpscnn._private.files"


def test_messages_name_no_page_of_the_docs() -> None:
    """A user of a wheel does not have these files. Docstrings and comments may name them."""
    found = []
    for path in sorted((PROJECT / "python" / "mpscnn").rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        expressions = (node.value for node in ast.walk(tree) if isinstance(node, ast.Expr))
        docstrings = {id(value) for value in expressions if isinstance(value, ast.Constant)}
        found += [
            f"{path.relative_to(PROJECT)}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and id(node) not in docstrings
            if isinstance(node.value, str) and re.search(r"docs/[\w/]+\.md", node.value)
        ]
    assert found == []
