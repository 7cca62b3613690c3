"""Write docs/options.md: the options of programs and of runs, from their classes."""

from __future__ import annotations

import re
from pathlib import Path

import mpscnn

DOCS = Path(__file__).resolve().parent.parent

INTRODUCTION = """# Options of programs and of runs

Look up here how a network is compiled (`mpscnn.CompileOptions`) and how a program runs (`mpscnn.RunOptions`).
Their fields are keyword arguments of functions and classes, and options of commands, with one meaning everywhere.
The docstrings of the two classes, and `--help` of a command, say more. `python docs/generate` writes this page.

| takes | options of programs | options of runs |
|---|---|---|
| `Network.compile` | all | |
| `mpscnn.load`, `Model`, `FeatureExtractor` | all | all |
| `Program.session`, `Runner` | | all, and `inflight` and `max_memory` |
| `torch.compile(module, backend="mpscnn", options=...)` | all | |
| `mpscnn.onnx_backend.prepare` | all but `device` | all |
| commands that run a network | all | all |
| `POST /v1/models/NAME/options` of `mpscnn serve` | all but `max_memory` | all |
| `mpscnn_compile_options` in C, `mpscnn::CompileOptions` in C++ | all | |
| `mpscnn_session_options` in C, `mpscnn::SessionOptions` in C++ | | all, and `inflight` and `max_memory` |

```python
import mpscnn

model = mpscnn.load(device="cpu", precision="float16", threads=1)
print(model.compile_options)
print(model.run_options.threads)
```

In a command, `max_memory=` is `--max-memory`.
The field `winograd` is true by default, so the command has an option that makes it false: `--no-winograd`.
C has `no_winograd`, because its fields are zero by default.
"""


def table(options: type[mpscnn.CompileOptions | mpscnn.RunOptions]) -> list[str]:
    """Return a table with a row for each field."""
    lines = ["| option | default | meaning |", "|---|---|---|"]
    for name, option in options.fields.items():
        text = re.split(r"(?<=\.)\s", option.text[0].upper() + option.text[1:])[0]
        lines.append(f"| `{name}` | `{option.default!r}` | {text} |")
    return lines


def text() -> str:
    """Return the whole page."""
    lines = [INTRODUCTION, "## Options of programs", *table(mpscnn.CompileOptions)]
    lines += ["", "## Options of runs", *table(mpscnn.RunOptions)]
    return "\n".join(lines) + "\n"


def files() -> dict[Path, str]:
    """Return the page by its path."""
    return {DOCS / "options.md": text()}
