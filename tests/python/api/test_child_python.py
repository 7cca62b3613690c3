"""Python processes that the package starts import nothing from the current folder, whatever lies there."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import call, save_colour_model
from project_scripts import script

from mpscnn._private import child_python
from mpscnn.apps.benchmark import MPSCNN, Peer, measure, open_subject
from mpscnn.apps.verify.case import Case
from mpscnn.apps.verify.processes import run_cases

ALL_PEERS = script("benchmarks", "peer_files.all_peers").ALL_PEERS
# The first imports of child processes, and their later ones: names of all kinds of packages.
NAMES = (
    *(
        "numpy",
        "onnxruntime",
        "onnx",
        "mpscnn",
        "ai_edge_litert",
        "torch",
        "_tools",
        "MNN",
        "ncnn",
        "pnnx",
        "openvino",
    ),
    *("json", "runpy", "os", "time", "pathlib", "signal", "zipfile", "engines", "worker", "sitecustomize"),
    *("usercustomize", "_core", "PIL", "typing"),
)
HOSTILE = "import sys\nopen({mark!r}, 'a').write(__name__ + '\\n')\n"


@pytest.fixture
def mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file that lists which modules of the current folder were imported."""
    folder = tmp_path / "downloads"
    folder.mkdir()
    mark = tmp_path / "imported"
    mark.touch()
    for name in NAMES:
        (folder / f"{name}.py").write_text(HOSTILE.format(mark=str(mark)))
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(HOSTILE.format(mark=str(mark)))
    monkeypatch.chdir(folder)
    # A shell's PYTHONPATH may begin or end with its separator.
    monkeypatch.setenv("PYTHONPATH", os.pathsep)
    return mark


def test_the_folder_would_be_noticed(mark: Path) -> None:
    subprocess.run([sys.executable, "-c", "import json"], check=False, capture_output=True)
    assert "json" in mark.read_text().splitlines()


def test_verify(mark: Path) -> None:
    recipe = {"operation": "softmax", "inputs": [[1, 2, 2, 3]], "precision": "float32"}
    (outcome,) = run_cases([Case("layers", "softmax", "small", recipe)], "cpu", {}, 60.0)
    assert "No module" not in outcome.problem
    assert call("verify", "--device", "cpu", "--only", "softmax") == 0
    assert mark.read_text() == ""


@pytest.mark.filterwarnings("ignore:`torch.jit")
@pytest.mark.parametrize("peer", [MPSCNN, *ALL_PEERS.values()], ids=lambda peer: peer.name)
def test_benchmark(mark: Path, tmp_path: Path, peer: Peer) -> None:
    found = [importlib.util.find_spec(module) for module in peer.modules]
    if any(spec is None or str(Path.cwd()) in str(spec.origin) for spec in found):
        pytest.skip(f"{peer.name} is not installed")
    subject = open_subject(str(save_colour_model(tmp_path / "colours.safetensors")))
    peers = [] if peer is MPSCNN else [peer]
    results = measure(subject, peers=peers, threads=1, device="cpu", runs=1)
    assert [result.engine for result in results] == ["mpscnn", *(each.name for each in peers)]
    assert mark.read_text() == ""


@pytest.mark.parametrize("command", ["code", "module", "script"])
def test_each_kind_of_command(
    mark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Each kind of command passes its arguments unchanged, and finds the modules of this process."""
    code = "import sys, json, numpy, mpscnn\nprint(json.dumps([__name__, sys.argv[1:], sys.path, mpscnn.__file__]))"
    places = tmp_path / "places"
    places.mkdir()
    (places / "shown.py").write_text(code)
    made = {
        "code": lambda: child_python.code_command(code, "a b", "-c"),
        "module": lambda: child_python.module_command("shown", "a b", "-c"),
        "script": lambda: child_python.script_command(str(places / "shown.py"), "a b", "-c"),
    }[command]()
    with monkeypatch.context() as changed:
        # An interactive session has "" in its path.
        changed.setattr(sys, "path", ["", *sys.path, os.path.relpath(places)])
        environment = child_python.inherited_environment({"MPSCNN_ADDED": "1"})
    ended = subprocess.run(made, env=environment, check=True, capture_output=True, text=True)
    name, arguments, path, package = json.loads(ended.stdout)
    assert (name, arguments) == ("__main__", ["a b", "-c"])
    assert package == sys.modules["mpscnn"].__file__
    assert all(Path(place).is_absolute() for place in path)
    assert str(Path.cwd()) not in path
    assert str(places) in path
    assert environment["MPSCNN_ADDED"] == "1"
    assert mark.read_text() == ""


def test_each_process_is_started_that_way(project: Path) -> None:
    """Only one file names Python's module path, and every process is started with that file's environment."""
    own = "child_python.py"
    for path in (project / "python" / "mpscnn").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert path.name == own or "sys.executable" not in text, path
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            assert called not in {"os.system", "os.popen", "os.execv", "os.execvp", "os.spawnv"}, (
                path,
                called,
            )
            if called in {"subprocess.Popen", "subprocess.run", "subprocess.check_output", "subprocess.call"}:
                given = {word.arg: ast.unparse(word.value) for word in node.keywords}
                assert given.get("env", "").startswith("inherited_environment("), (path, node.lineno)
