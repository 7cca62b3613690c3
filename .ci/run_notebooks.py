"""Run the tutorials in examples/notebooks, and write them with their results for the site.

    python .ci/run_notebooks.py FOLDER [NAME...]

Each tutorial runs in its own empty folder, to which the project's examples/ is added. Ends with the error of the first
cell that fails.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import nbclient
import nbformat

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def run(notebook: Path, output: Path) -> None:
    """Run one notebook and write it to the folder `output`."""
    content = nbformat.read(notebook, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "examples").symlink_to(EXAMPLES)
        resources = {"metadata": {"path": folder}}
        nbclient.NotebookClient(content, timeout=600, kernel_name="python3", resources=resources).execute()
    nbformat.write(content, output / notebook.name)


def main(output: Path, names: list[str]) -> None:
    """Run the notebooks with these names, or all."""
    found = sorted((EXAMPLES / "notebooks").glob("*.ipynb"))
    unknown = set(names) - {notebook.stem for notebook in found}
    if unknown:
        sys.exit(f"examples/notebooks has no {', '.join(sorted(unknown))}")
    output.mkdir(parents=True, exist_ok=True)
    for notebook in found:
        if not names or notebook.stem in names:
            print(notebook.stem, flush=True)
            run(notebook, output)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
