"""Write notebooks as Markdown: text, code, and what the code printed or drew."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

TUTORIALS = Path(__file__).resolve().parents[2] / "examples" / "notebooks"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def page(notebook: Path) -> tuple[str, dict[str, bytes]]:
    """Return the Markdown of a notebook, and its pictures by file name."""
    cells: list[dict[str, Any]] = json.loads(notebook.read_text("utf-8"))["cells"]
    pictures: dict[str, bytes] = {}
    parts = []
    for cell in cells:
        source = _text(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
        else:
            parts.append(_code(source))
            # A cell that writes a file only prints its name, which is the title of the code.
            outputs = [] if source.startswith("%%writefile") else _joined(cell["outputs"])
            parts += [_output(output, notebook.stem, pictures) for output in outputs]
    return "\n\n".join(filter(None, parts)) + "\n", pictures


def was_run(notebook: Path) -> bool:
    """Return true if the notebook holds the results of its cells."""
    cells: list[dict[str, Any]] = json.loads(notebook.read_text("utf-8"))["cells"]
    return all(cell.get("execution_count") for cell in cells if cell["cell_type"] == "code")


def _code(source: str) -> str:
    if source.startswith("%%writefile"):
        name, _, content = source.partition("\n")
        file = name.split()[1]
        language = {".cpp": "cpp", ".txt": "cmake"}.get(Path(file).suffix, "text")
        return f'```{language} title="{file}"\n{content}\n```'
    if source.startswith(("!", "%%sh")):
        lines = source.removeprefix("%%sh\n").splitlines()
        return "```sh\n" + "\n".join(line.removeprefix("!") for line in lines) + "\n```"
    return f"```python\n{source}\n```"


def _joined(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the results of a cell with texts that were printed one after the other as one text."""
    joined: list[dict[str, Any]] = []
    for output in outputs:
        if output["output_type"] == "stream" and joined and joined[-1]["output_type"] == "stream":
            text = _text(joined[-1]["text"]) + _text(output["text"])
            joined[-1] = {"output_type": "stream", "text": text}
        else:
            joined.append(output)
    return joined


def _output(output: dict[str, Any], name: str, pictures: dict[str, bytes]) -> str:
    """Return one result of a cell: a picture, the text that stands for an object, or what was printed."""
    if output["output_type"] == "stream":
        return _printed(_text(output["text"]))
    if output["output_type"] == "error":
        raise ValueError(f"{name}: a cell failed: {output['ename']}: {output['evalue']}")
    data = output["data"]
    if "image/png" in data:
        file = f"{name}_{len(pictures)}.png"
        pictures[file] = base64.b64decode(_text(data["image/png"]))
        return f"![result of the code above]({file})"
    if "text/html" in data:
        return f'<div class="result" markdown="0">{_text(data["text/html"])}</div>'
    return _printed(_text(data["text/plain"]))


def _printed(text: str) -> str:
    text = _COLOURS.sub("", text).rstrip()
    return f"```text\n{text}\n```" if text else ""


def _text(lines: str | list[str]) -> str:
    return lines if isinstance(lines, str) else "".join(lines)
