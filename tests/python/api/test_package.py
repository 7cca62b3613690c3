"""Test the package as a whole: the cost of importing it, its version, its types and its build."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mpscnn

# pybind11's classes have its own metaclass. Classes that Python cannot create have an __init__ that raises an error.
DIFFERENCES_OF_PYBIND11 = r"""
mpscnn\._core\.(BatchNormalizationState|CommandBuffer|CommandQueue|CustomKernel|Detector|FeatureImage|Frame|FrameQueue|Graph|Kernel|Model|ObjectMask|Pixels|Program|Request|Runner|Session|Trainer)
mpscnn\._core\.(CommandBuffer|Model|ObjectMask|Program|Request)\.__init__
"""

PROGRAM = """
import json, sys
before = set(sys.modules)
import mpscnn
mpscnn.Network, mpscnn.load
print(json.dumps(sorted({name.partition(".")[0] for name in set(sys.modules) - before})))
"""


# Modules that NumPy has loaded are not counted, nor those of an editable install's finder, which may build first.
PROGRAM_BEYOND_NUMPY = """
import importlib.util, sys
import numpy
importlib.util.find_spec("mpscnn")
before = set(sys.modules)
{}
print(sorted(set(sys.modules) - before))
"""

# All modules of the package that are needed to run a model file on an array.
MODULES_OF_A_RUN = {
    "mpscnn",
    "mpscnn._core",
    "mpscnn._private",
    "mpscnn.runtime",
    "mpscnn._private.arguments",
    "mpscnn._private.arrays",
    "mpscnn._private.class_scores",
    "mpscnn._private.command_start",
    "mpscnn._private.copies",
    "mpscnn._private.given_warnings",
    "mpscnn.compiled_model",
    "mpscnn.opening_models",
    "mpscnn._private.other_arguments",
    "mpscnn._private.other_names",
    "mpscnn.runtime.options",
    "mpscnn.errors",
    "mpscnn.model",
    "mpscnn._private.model_name",
    "mpscnn._private.toolkit",
    "mpscnn.runtime.device_name",
    "mpscnn.runtime.program",
    "mpscnn.runtime.request",
    "mpscnn.runtime.session_pool",
}

# Other modules that would take milliseconds to import.
SLOW_MODULES = {
    "PIL",
    "asyncio",
    "concurrent",
    "dataclasses",
    "difflib",
    "html",
    "http",
    "inspect",
    "json",
    "logging",
    "pathlib",
    "ssl",
    "tempfile",
    "threading",
    "urllib",
}


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)


def test_import_loads_numpy_and_the_standard_library_only() -> None:
    result = run_python("-c", PROGRAM)
    assert result.returncode == 0, result.stderr
    loaded = set(json.loads(result.stdout))
    assert {"mpscnn", "numpy"} <= loaded
    # An editable install has its own finder module, whose name begins with an underscore.
    others = {
        name for name in loaded - {"mpscnn", "numpy"} - sys.stdlib_module_names if not name.startswith("_")
    }
    assert others == set()


def modules_beyond_numpy(program: str, *arguments: str) -> set[str]:
    """Return the modules that a program imports in addition to those of numpy."""
    result = run_python("-c", PROGRAM_BEYOND_NUMPY.format(program), *arguments)
    assert result.returncode == 0, result.stderr
    return set(ast.literal_eval(result.stdout))


@pytest.fixture
def model_file(tmp_path: Path) -> str:
    """Write a model file of a network from (4, 4, 3) to three classes, and return its path."""
    network = mpscnn.Network((4, 4, 3), name="tiny")
    network.output(network.softmax(network.flatten(network.global_average_pool2d(network.input))))
    network.save(tmp_path / "tiny.safetensors", preprocess="unit")
    return str(tmp_path / "tiny.safetensors")


def test_running_a_file_imports_only_what_runs_it(model_file: str) -> None:
    """Every import delays the first result of a process, so only the necessary modules may be imported."""
    loaded = modules_beyond_numpy(
        "import mpscnn\n"
        "program = mpscnn.load(sys.argv[1], device='cpu', precision='float32').program\n"
        "assert program.session(threads=2).run(numpy.zeros((1, 4, 4, 3), 'float32')).shape == (1, 3)",
        model_file,
    )
    assert {name for name in loaded if name.partition(".")[0] == "mpscnn"} == MODULES_OF_A_RUN
    assert {name.partition(".")[0] for name in loaded} & SLOW_MODULES == set()
    assert "numpy.typing" not in loaded


def test_predicting_imports_neither_layers_nor_the_registry(model_file: str) -> None:
    loaded = modules_beyond_numpy(
        "import mpscnn\n"
        "result = mpscnn.load(sys.argv[1], device='cpu').predict(numpy.zeros((4, 4, 3), 'uint8'))\n"
        "assert len(result) == 3",
        model_file,
    )
    assert "mpscnn.vision.photo" in loaded
    assert loaded & {"PIL", "mpscnn.graph.network", "mpscnn.graph.layers", "mpscnn.registry"} == set()


def test_every_name_is_found_at_first_use() -> None:
    code = "import mpscnn; names = {n: getattr(mpscnn, n) for n in mpscnn.__all__}; print(len(names), dir(mpscnn))"
    result = run_python("-c", code)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"{len(mpscnn.__all__)} [")
    assert all(repr(name) in result.stdout for name in (*mpscnn.__all__, *mpscnn._LAZY_MODULES))
    with pytest.raises(AttributeError, match="module 'mpscnn' has no attribute 'Netwrok'"):
        _ = mpscnn.Netwrok  # type: ignore[attr-defined]


def test_training_is_there_at_first_use() -> None:
    code = "import sys, mpscnn; print('mpscnn.training' in sys.modules); "
    code += "print(mpscnn.training.schedules.steps(8.0, 1, 0.5)(2))"
    result = run_python("-c", code)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["False", "2.0"]


def test_names_imported_later_are_those_that_type_checkers_see() -> None:
    tree = ast.parse(Path(mpscnn.__file__).read_text())
    checked = next(node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in checked.body if isinstance(node, ast.ImportFrom)]
    seen: dict[str, tuple[str, ...]] = {}
    for node in imports:
        seen[str(node.module)] = (*seen.get(str(node.module), ()), *(alias.name for alias in node.names))
    modules = {
        name: f"{room}.{name}"
        for room in ("mpscnn", "mpscnn.apps", "mpscnn.vision")
        for name in seen.pop(room)
    }
    assert modules == {name: f"mpscnn.{module}" for name, module in mpscnn._LAZY_MODULES.items()}
    assert seen == {f"mpscnn.{module}": names for module, names in mpscnn._LAZY.items()}


def test_versions_agree() -> None:
    assert importlib.metadata.version("mpscnn") == mpscnn.__version__
    shown = run_python("-m", "mpscnn", "--version")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout == f"mpscnn {mpscnn.__version__}\n"


def test_types_are_announced() -> None:
    assert (Path(mpscnn.__file__).parent / "py.typed").is_file()


def test_everything_public_exists_and_is_documented() -> None:
    for name in mpscnn.__all__:
        assert getattr(mpscnn, name).__doc__, f"mpscnn.{name} has no docstring"


@pytest.mark.ci
def test_stub_of_the_extension_module_is_right(tmp_path: Path) -> None:
    """mypy's stubtest compares _core.pyi with the module itself: names, arguments, defaults."""
    pytest.importorskip("mypy")
    allowed, settings = tmp_path / "allowed.txt", tmp_path / "mypy.ini"
    allowed.write_text(DIFFERENCES_OF_PYBIND11)
    # The rest of the package and NumPy are not read, which takes most of the time.
    settings.write_text("[mypy]\nfollow_imports = skip\n")
    options = ("--allowlist", str(allowed), "--mypy-config-file", str(settings))
    result = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "mpscnn._core", *options],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "no issues found" in result.stdout


def test_build_config_tells_how_the_core_was_built() -> None:
    config = mpscnn.build_config()
    assert config["compiler"]
    assert config["backends"] == (["cpu", "metal", "coreml"] if sys.platform == "darwin" else ["cpu"])
    assert config["instruction_set"] in config["instruction_sets"]


@pytest.mark.skipif(shutil.which("qemu-x86_64") is None, reason="qemu-user is not installed")
@pytest.mark.skipif(platform.machine() != "x86_64", reason="this processor is not an x86-64 one")
@pytest.mark.skipif(
    "baseline" in mpscnn.build_config()["instruction_sets"], reason="this build is for all processors"
)
def test_a_build_for_another_machine_says_so() -> None:
    """This takes a second, since an emulator runs it."""
    program = """
import json, mpscnn
found = {"config": mpscnn.build_config(), "cpu": mpscnn.devices()[0]}
network = mpscnn.Network((4, 4, 1))
network.output(network.softmax(network.input))
try:
    network.compile()
except mpscnn.DeviceError as error:
    found["error"] = str(error)
print(json.dumps(found))
"""
    # OpenBLAS, which NumPy uses, would take the emulated Nehalem for a Haswell.
    environment = {
        "OPENBLAS_CORETYPE": "Nehalem",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONPATH": ":".join(filter(None, sys.path)),
    }
    result = subprocess.run(
        ["qemu-x86_64", "-cpu", "Nehalem", sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["config"]["instruction_set"] is None
    assert found["cpu"]["available"] is False
    assert "which this one lacks. Build it on this machine" in found["cpu"]["reason"]
    assert found["error"] == found["cpu"]["reason"]


def test_unknown_instruction_set_is_refused() -> None:
    program = (
        "import mpscnn; net = mpscnn.Network((4, 4, 1)); net.output(net.softmax(net.input)); net.compile()"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={"MPSCNN_CPU": "mmx", "PYTHONPATH": ":".join(filter(None, sys.path))},
    )
    assert result.returncode == 1
    assert "ParameterError" in result.stderr
    assert "'mmx'" in result.stderr
    assert "baseline, avx2, avx512, amx or neon" in result.stderr
