"""Notebooks show networks, models and results as pages, and progress as a bar."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="needs nbclient and ipykernel")
pytest.importorskip("nbclient", reason="needs nbclient and ipykernel")
pytest.importorskip("ipykernel", reason="needs nbclient and ipykernel")

PROJECT = Path(__file__).resolve().parents[3]

#: The elements that the results of each notebook's cells show, in order. `nox -s docs` runs the other notebooks, which
#: need other packages, commands and compilers.
SHOWN = {
    "inside_a_network": ["<svg", "<table", "<img"],
    "train_a_network": ["<svg", "<img", "<svg"],
}


@pytest.mark.parametrize("name", SHOWN)
def test_notebooks_run(name: str, tmp_path: Path) -> None:
    folders = {"IPYTHONDIR": "ipython", "JUPYTER_RUNTIME_DIR": "runtime", "JUPYTER_DATA_DIR": "data"}
    own = {variable: str(tmp_path / folder) for variable, folder in folders.items()}  # no folder of the user
    ended = subprocess.run(
        [sys.executable, str(PROJECT / ".ci" / "run_notebooks.py"), str(tmp_path), name],
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    notebook = nbformat.read(tmp_path / f"{name}.ipynb", as_version=4)
    results = [
        output.data.get("text/html")
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "execute_result"
    ]
    assert len(results) == len(SHOWN[name])
    for found, wanted in zip(results, SHOWN[name], strict=True):
        assert (found is None) == (wanted is None)
        assert wanted is None or wanted in found
    streams = [output for cell in notebook.cells for output in cell.get("outputs", ()) if "text" in output]
    progress = "".join(output.text for output in streams)
    if name == "train_a_network":
        assert progress.count("\repoch 1/8") >= 1
        assert "[#" in progress
        assert progress.rstrip().splitlines()[-1].startswith("epoch 8/8  loss")
    else:
        assert progress == ""
